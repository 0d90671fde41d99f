// Package fds keeps the descriptors of a session process apart: those that
// the program owns, and those of the process itself.
//
// A program and its session process share one numbering: descriptor 5 of the
// program is descriptor 5 here. Programs may count on the kernel's rule that
// a new descriptor gets the lowest free number, so whatever the server opens
// for itself (links, the control connection, the runtime's epoll) must lie
// out of the way.
//
// Vocabulary: an *own* descriptor belongs to the session process and not to
// the program; a *floor* is the number from which own descriptors are taken;
// to *hold* low numbers is to occupy the free ones while code that cannot
// choose its numbers opens own descriptors.
//
// Invariants: every own descriptor is close-on-exec and in the Space; a
// number in the Space is never one that the program was given.
//
// The kernel gives a descriptor that arrives in a message the lowest free
// number, so Conn.Recv holds one for the two system calls until it is moved.
// A thread of the program that opens a file in that very moment skips a
// number. Receiving on a thread with a table of its own (CLONE_FILES
// unshared) would avoid it, but could not bring the descriptor back.
package fds

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// floor is above what most programs open, and far enough below 64 for what a
// small session needs. The kernel's first table has 64 entries, and enlarging
// it in a process with threads waits for an RCU grace period, 10 ms at the
// start of every program (expand_fdtable in fs/file.c of Linux).
const floor = 40

// Space is the set of own descriptors of this process. The zero value is
// empty and ready. Its methods may be used by several goroutines at once.
type Space struct {
	mu  sync.Mutex               // serialises changes of own
	own atomic.Pointer[[]uint64] // bit set by number, replaced as a whole
}

// Reserved reports whether fd is an own descriptor.
func (s *Space) Reserved(fd int) bool {
	set := s.own.Load()
	return set != nil && fd >= 0 && fd/64 < len(*set) && (*set)[fd/64]&(1<<(fd%64)) != 0
}

// mark enters or removes a number.
func (s *Space) mark(fd int, own bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var old []uint64
	if p := s.own.Load(); p != nil {
		old = *p
	}
	set := make([]uint64, max(len(old), fd/64+1))
	copy(set, old)
	if own {
		set[fd/64] |= 1 << (fd % 64)
	} else {
		set[fd/64] &^= 1 << (fd % 64)
	}
	s.own.Store(&set)
}

// Adopt moves fd out of the program's way and makes it an own descriptor.
// The old number is closed. Where no number above the floor is free (a
// session with a low limit) it takes any.
func (s *Space) Adopt(fd int) (int, error) {
	defer syscall.Close(fd)
	return s.Copy(fd)
}

// Copy makes an own descriptor of what fd is, which stays as it is.
func (s *Space) Copy(fd int) (int, error) {
	to, err := duplicate(fd, floor)
	if err != nil {
		to, err = duplicate(fd, 3)
	}
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	s.mark(to, true)
	return to, nil
}

// Close closes an own descriptor.
func (s *Space) Close(fd int) error {
	// Unmarked first: once closed, the number may be the program's at once.
	s.mark(fd, false)
	return os.NewSyscallError("close", syscall.Close(fd))
}

// Disown forgets an own descriptor that somebody else is about to close.
func (s *Space) Disown(fd int) { s.mark(fd, false) }

func duplicate(fd, floor int) (int, error) {
	n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, uintptr(floor))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// Hold makes the descriptors that the Go runtime opens for itself own ones.
// It runs before anything else opens a descriptor, and only in a process
// that becomes a session process.
func (s *Space) Hold() error {
	null, err := syscall.Open("/dev/null", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open /dev/null", err)
	}
	held := []int{null}
	for {
		fd, err := duplicate(null, 0)
		if err != nil || fd >= floor {
			if err == nil {
				syscall.Close(fd)
			}
			break
		}
		held = append(held, fd)
	}
	before, err := Open()
	if err == nil {
		// Timers depend on the network poller: this one opens its epoll
		// instance and eventfd, as runtime.(*timers).addHeap does.
		time.AfterFunc(time.Hour, func() {}).Stop()
		var after []int
		if after, err = Open(); err == nil {
			seen := make(map[int]bool, len(before))
			for _, fd := range before {
				seen[fd] = true
			}
			for _, fd := range after {
				if !seen[fd] {
					s.mark(fd, true)
				}
			}
		}
	}
	for _, fd := range held {
		syscall.Close(fd)
	}
	return err
}

// CloseCgroup closes the files by which the Go runtime follows the CPU limit
// of the process's cgroup. It opens them before main, at the lowest numbers,
// and reads them no more once GOMAXPROCS was called.
func CloseCgroup() error {
	list, err := Open()
	if err != nil {
		return err
	}
	name := make([]byte, 256)
	for _, fd := range list {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if errno != 0 || flags&syscall.FD_CLOEXEC == 0 {
			continue // inherited: the program's
		}
		n, err := syscall.Readlink("/proc/self/fd/"+strconv.Itoa(fd), name)
		if err == nil && strings.HasPrefix(string(name[:n]), "/sys/fs/cgroup/") {
			syscall.Close(fd)
		}
	}
	return nil
}

// Open lists the open descriptors of this process, in no order.
func Open() ([]int, error) {
	// Raw calls, because os.Open would bring up the network poller.
	dir, err := syscall.Open("/proc/self/fd", syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/proc/self/fd", Err: err}
	}
	defer syscall.Close(dir)
	var list []int
	buf := make([]byte, 4096)
	for {
		n, err := syscall.ReadDirent(dir, buf)
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: "/proc/self/fd", Err: err}
		}
		if n <= 0 {
			return list, nil
		}
		_, _, names := syscall.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			if fd, err := strconv.Atoi(name); err == nil && fd != dir {
				list = append(list, fd)
			}
		}
	}
}

// CloseOnExec marks every descriptor from 3 on close-on-exec and returns a
// function that restores those it changed: a program process inherits
// nothing, while the session process keeps what its parent gave it.
func CloseOnExec() (restore func(), err error) {
	list, err := Open()
	if err != nil {
		return nil, err
	}
	var changed []int
	for _, fd := range list {
		if fd < 3 {
			continue
		}
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if errno == 0 && flags&syscall.FD_CLOEXEC == 0 {
			syscall.CloseOnExec(fd)
			changed = append(changed, fd)
		}
	}
	return func() {
		for _, fd := range changed {
			syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_SETFD, 0)
		}
	}, nil
}
