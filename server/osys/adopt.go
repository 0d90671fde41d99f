package osys

import "syscall"

// System calls that package syscall has no numbers for.
const (
	sysPidfdOpen  = 434
	sysPidfdGetfd = 438
)

// adoptFD copies descriptor fd of the program process, where C code opened it,
// to the same number here. A number that is in use here is not the C code's.
func (t *thread) adoptFD(fd uint64) syscall.Errno {
	const most = 1 << 20
	if t.os.cfg.PID == 0 || fd <= 2 || fd >= most || t.os.reserved(fd) {
		return syscall.EBADF
	}
	if _, _, e := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0); e == 0 {
		return syscall.EBUSY
	}
	pidfd, _, e := syscall.RawSyscall(sysPidfdOpen, uintptr(t.os.cfg.PID), 0, 0)
	if e != 0 {
		return e
	}
	defer syscall.Close(int(pidfd))
	copied, _, e := syscall.RawSyscall(sysPidfdGetfd, pidfd, uintptr(fd), 0)
	if e != 0 || copied == uintptr(fd) {
		return e
	}
	defer syscall.Close(int(copied))
	_, _, e = syscall.RawSyscall(syscall.SYS_DUP3, copied, uintptr(fd), syscall.O_CLOEXEC)
	return e
}
