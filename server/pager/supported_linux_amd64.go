package pager

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Supported returns nil where a session of several processes can run on this host,
// and else an error that says what stands in the way and how to change it. It asks
// the kernel by making a userfaultfd the way a program process does.
func Supported() error {
	fd, err := open()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	arg := apiArg{api: uffdAPI}
	if err := ioctl(fd, uffdioAPI, unsafe.Pointer(&arg)); err != nil {
		return fmt.Errorf("several processes: userfaultfd handshake: %w; a Linux kernel of 5.19 or newer is needed", err)
	}
	if arg.features&Features != Features {
		return fmt.Errorf("several processes: this kernel's userfaultfd has features %#x and lacks %#x "+
			"(write protection of shared memory: Linux 5.19, CONFIG_PTE_MARKER_UFFD_WP); use a newer kernel, or one process",
			arg.features, Features&^arg.features)
	}
	return nil
}

// open makes a userfaultfd that sees faults of the kernel, too: by the system
// call or, where that is refused, by the device.
func open() (fd int, err error) {
	const flags = unix.O_CLOEXEC | unix.O_NONBLOCK
	n, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, flags, 0, 0)
	if errno == 0 {
		return int(n), nil
	}
	dev, devErr := unix.Open("/dev/userfaultfd", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if devErr == nil {
		defer unix.Close(dev)
		n, _, devErrno := unix.Syscall(unix.SYS_IOCTL, uintptr(dev), userfaultfdNew, flags)
		if devErrno == 0 {
			return int(n), nil
		}
		devErr = devErrno
	}
	n, _, userErrno := unix.Syscall(unix.SYS_USERFAULTFD, flags|userModeOnly, 0, 0)
	if userErrno == 0 {
		unix.Close(int(n))
	}
	return -1, explain(errno, devErr, userErrno == 0)
}

// explain says why there is no userfaultfd: from the errors of the system call and of
// the device, and whether the system call would work without faults of the kernel.
func explain(errno unix.Errno, dev error, userOnly bool) error {
	const what = "several processes: no userfaultfd"
	switch {
	case errno == unix.ENOSYS:
		return fmt.Errorf("%s: %w; the kernel needs CONFIG_USERFAULTFD, or a sandbox (gVisor) does not know it", what, errno)
	case errno == unix.EPERM && userOnly:
		return fmt.Errorf("%s for faults in system calls: %w, and /dev/userfaultfd: %w; "+
			"as root set \"sysctl vm.unprivileged_userfaultfd=1\", or give the user access to /dev/userfaultfd "+
			"(in Docker: --device /dev/userfaultfd)", what, errno, dev)
	case errno == unix.EPERM || errno == unix.EACCES:
		hint := "give the user access to it"
		if errors.Is(dev, unix.ENOENT) {
			hint = "add it (in Docker: --device /dev/userfaultfd)"
		}
		return fmt.Errorf("%s: %w: a seccomp profile refuses the system call, as Docker's default one does "+
			"(docker run --security-opt seccomp=unconfined, or a profile with userfaultfd), and /dev/userfaultfd: %w: %s",
			what, errno, dev, hint)
	default:
		return fmt.Errorf("%s: %w, and /dev/userfaultfd: %w", what, errno, dev)
	}
}
