// Userfault measures what a page fault costs that is answered by a thread of the
// same process through userfaultfd: the kernel's own round trip. It is built
// without remotec only.
package main

import (
	"math/rand"
	"os"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"remotec.dev/bench/programs/measure"
)

// linux/userfaultfd.h
const (
	ioAPI      = 0xc018aa3f
	ioRegister = 0xc020aa00
	ioCopy     = 0xc028aa03
	ioNew      = 0xaa00
	missing    = 1
)

const (
	page  = 4096
	pages = 1000
)

func main() {
	uffd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		dev, err := os.OpenFile("/dev/userfaultfd", os.O_RDWR, 0)
		measure.Must(err)
		uffd, _, errno = unix.Syscall(unix.SYS_IOCTL, dev.Fd(), ioNew, unix.O_CLOEXEC)
		if errno != 0 {
			measure.Must(errno)
		}
	}
	ioctl(uffd, ioAPI, unsafe.Pointer(&[3]uint64{0xaa}))
	go answer(uffd)
	order := rand.New(rand.NewSource(1)).Perm(pages)
	var all []time.Duration
	for range 5 {
		memory, err := unix.Mmap(-1, 0, pages*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		measure.Must(err)
		ioctl(uffd, ioRegister, unsafe.Pointer(&[4]uint64{uint64(uintptr(unsafe.Pointer(&memory[0]))), pages * page, missing}))
		var took [pages]time.Duration
		for i, p := range order {
			start := time.Now()
			measure.Sink = memory[p*page]
			took[i] = time.Since(start)
		}
		slices.Sort(took[:])
		all = append(all, took[pages/2])
		measure.Must(unix.Munmap(memory))
	}
	slices.Sort(all)
	measure.Report("userfault", float64(all[len(all)/2]), "ns")
}

// answer fills pages.
func answer(uffd uintptr) {
	runtime.LockOSThread()
	content := make([]byte, page)
	for i := range content {
		content[i] = 1
	}
	for {
		var message [4]uint64 // struct uffd_msg: event, flags, address, ...
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uffd, uintptr(unsafe.Pointer(&message)), unsafe.Sizeof(message))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 || n != unsafe.Sizeof(message) {
			measure.Must(errno)
		}
		address := message[2] &^ (page - 1)
		ioctl(uffd, ioCopy, unsafe.Pointer(&[5]uint64{address, uint64(uintptr(unsafe.Pointer(&content[0]))), page}))
	}
}

func ioctl(fd uintptr, request uintptr, arg unsafe.Pointer) {
	if _, _, errno := unix.RawSyscall(unix.SYS_IOCTL, fd, request, uintptr(arg)); errno != 0 {
		measure.Must(errno)
	}
}
