package pager

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From linux/userfaultfd.h. The ioctl numbers are those of _IOWR and _IOR with type
// 0xAA on x86.
const (
	uffdioAPI          = 0xC018AA3F
	uffdioRegister     = 0xC020AA00
	uffdioWake         = 0x8010AA02
	uffdioCopy         = 0xC028AA03
	uffdioZeroPage     = 0xC020AA04
	uffdioWriteProtect = 0xC018AA06
	uffdioPoison       = 0xC020AA08

	uffdAPI = 0xAA

	registerModeMissing = 1 << 0
	registerModeWP      = 1 << 1

	copyModeDontWake   = 1 << 0
	copyModeWP         = 1 << 1
	writeProtectModeWP = 1 << 0

	eventPagefault     = 0x12
	pagefaultFlagWrite = 1 << 0
	pagefaultFlagWP    = 1 << 1

	// usefaultfd(2): the flag of the system call.
	userModeOnly = 1
	// The only ioctl of /dev/userfaultfd, which makes a userfaultfd.
	userfaultfdNew = 0xAA00
)

// Features are what a process asks for in its UFFDIO_API handshake:
// write-protect faults, missing faults on shared memory, write protection of
// shared memory, and in each fault the thread and the exact address. Poisoning is left out where the kernel has none (before 6.6).
const Features = 1<<0 | 1<<5 | 1<<8 | 1<<11 | 1<<12

type (
	// struct uffd_msg, of a page fault.
	message struct {
		event    uint8
		_        [7]byte
		flags    uint64
		address  uint64
		threadID uint64 // in its lower half; 0 without UFFD_FEATURE_THREAD_ID
	}
	uffdioRange struct{ start, len uint64 }
	apiArg      struct{ api, features, ioctls uint64 }
	registerArg struct {
		uffdioRange
		mode, ioctls uint64
	}
	copyArg struct {
		dst, src, len, mode uint64
		copy                int64
	}
	zeroArg struct {
		uffdioRange
		mode uint64
		zero int64
	}
	protectArg struct {
		uffdioRange
		mode uint64
	}
	poisonArg struct {
		uffdioRange
		mode    uint64
		updated int64
	}
)

// ioctl makes the call until it is not interrupted, nor refused because the
// process's memory map is just changing.
func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
		switch errno {
		case 0:
			return nil
		case unix.EAGAIN, unix.EINTR:
			runtime.Gosched()
		default:
			return errno
		}
	}
}

// Handshake makes the UFFDIO_API call that a process has to make before it uses its
// userfaultfd. It is here for tests; the runtime has its own.
func Handshake(uffd int) error {
	arg := apiArg{api: uffdAPI, features: Features}
	if err := ioctl(uffd, uffdioAPI, unsafe.Pointer(&arg)); err != nil {
		return fmt.Errorf("userfaultfd handshake (UFFDIO_API, features %#x): %w", uint64(Features), err)
	}
	return nil
}

// Register puts a range under the control of uffd, for missing pages and writes to
// protected ones.
func Register(uffd int, start, size uintptr) error {
	arg := registerArg{uffdioRange{uint64(start), uint64(size)}, registerModeMissing | registerModeWP, 0}
	if err := ioctl(uffd, uffdioRegister, unsafe.Pointer(&arg)); err != nil {
		return fmt.Errorf("registering %#x-%#x with userfaultfd: %w", start, start+size, err)
	}
	return nil
}

func page(addr uintptr) uffdioRange { return uffdioRange{uint64(addr), 4096} }

func wake(uffd int, addr uintptr) error {
	arg := page(addr)
	return ioctl(uffd, uffdioWake, unsafe.Pointer(&arg))
}

func copyPage(uffd int, addr uintptr, data *[4096]byte, mode uint64) error {
	arg := copyArg{dst: uint64(addr), src: uint64(uintptr(unsafe.Pointer(data))), len: 4096, mode: mode}
	err := ioctl(uffd, uffdioCopy, unsafe.Pointer(&arg))
	runtime.KeepAlive(data)
	return err
}

// copyPages installs neighbouring pages; done is how many were, also with an error.
func copyPages(uffd int, addr uintptr, data [][4096]byte, mode uint64) (done int, err error) {
	for {
		arg := copyArg{
			dst: uint64(addr) + uint64(done)*4096, src: uint64(uintptr(unsafe.Pointer(&data[done]))),
			len: uint64(len(data)-done) * 4096, mode: mode,
		}
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(uffd), uffdioCopy, uintptr(unsafe.Pointer(&arg)))
		runtime.KeepAlive(data)
		if errno == 0 {
			return len(data), nil
		}
		if arg.copy > 0 {
			done += int(arg.copy / 4096)
		}
		if errno != unix.EAGAIN && errno != unix.EINTR {
			return done, errno
		}
		runtime.Gosched()
	}
}

func zeroPage(uffd int, addr uintptr) error {
	_, err := zeroPages(uffd, addr, 1)
	return err
}

// zeroPages installs pages of zeros, up to the first that is there: EEXIST. Done is
// how many, also with an error.
func zeroPages(uffd int, addr uintptr, n int) (done int, err error) {
	for done < n {
		arg := zeroArg{uffdioRange: uffdioRange{uint64(addr) + uint64(done)*4096, uint64(n-done) * 4096}}
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(uffd), uffdioZeroPage, uintptr(unsafe.Pointer(&arg)))
		if arg.zero > 0 {
			done += int(arg.zero / 4096)
		}
		switch errno {
		case 0:
			return n, nil
		case unix.EAGAIN, unix.EINTR:
			runtime.Gosched()
		default:
			return done, errno
		}
	}
	return done, nil
}

func writeProtect(uffd int, addr uintptr, mode uint64) error {
	return writeProtectRange(uffd, addr, 4096, mode)
}

// spaceGone reports whether the address space of uffd is: there is nothing to be protected on the last page that a
// program could map, so that the kernel says ENOENT as long as it can look.
func spaceGone(uffd int) bool {
	const last = 1<<47 - 2*4096
	return writeProtect(uffd, last, 0) == unix.ESRCH
}

func writeProtectRange(uffd int, addr uintptr, size int, mode uint64) error {
	arg := protectArg{uffdioRange{uint64(addr), uint64(size)}, mode}
	return ioctl(uffd, uffdioWriteProtect, unsafe.Pointer(&arg))
}

func poison(uffd int, addr uintptr) error {
	arg := poisonArg{uffdioRange: page(addr)}
	return ioctl(uffd, uffdioPoison, unsafe.Pointer(&arg))
}
