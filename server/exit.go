package server

import (
	"os"
	"syscall"
	"unsafe"
)

// Mirror ends this process as e says, by the same signal where it was one,
// so that a parent sees what it would have seen of the program.
func (e Exit) Mirror() {
	if e.Signal == 0 {
		os.Exit(e.Status)
	}
	// One core dump is enough, and it was the program's.
	syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	// os/signal cannot give back what the runtime handles for itself
	// (SIGSEGV, SIGQUIT ...), so the default action is set underneath it.
	var action [32]byte // struct sigaction of the kernel: handler, flags, restorer, mask
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(e.Signal), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	var mask uint64
	const unblock = 1
	mask = 1 << (e.Signal - 1)
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, unblock, uintptr(unsafe.Pointer(&mask)), 0, 8, 0, 0)
	syscall.Kill(os.Getpid(), syscall.Signal(e.Signal))
	for range 100 {
		syscall.Select(0, nil, nil, nil, &syscall.Timeval{Usec: 1000})
	}
	// A signal that does not end a process, or one that could not be sent.
	os.Exit(e.Code())
}
