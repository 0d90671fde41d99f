package osys

import (
	"slices"
	"syscall"
	"time"
	"unsafe"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
)

// dispatch carries out a call: a pseudo call, a special, or one by shape.
func (t *thread) dispatch(c *wire.Call) (r1, r2 uint64, e syscall.Errno) {
	if c.Nr >= wire.NrPseudo {
		return t.pseudo(c)
	}
	s := wire.Lookup(uint64(c.Nr), &c.Args)
	switch s.Class {
	case wire.Forward, wire.Data:
	case wire.Special:
		return t.special(c, &s)
	default:
		// Calls about the program's own memory and threads never arrive:
		// their addresses mean nothing here.
		return 0, 0, syscall.ENOSYS
	}
	switch c.Nr {
	case syscall.SYS_WAIT4:
		return t.wait4(c)
	case syscall.SYS_WAITID:
		return t.waitid(c)
	case syscall.SYS_EXECVE, sysExecveat:
		return 0, 0, t.exec(c)
	case syscall.SYS_SETUID, syscall.SYS_SETGID, syscall.SYS_SETREUID, syscall.SYS_SETREGID,
		syscall.SYS_SETRESUID, syscall.SYS_SETRESGID, syscall.SYS_SETGROUPS:
		return 0, 0, t.identity(c)
	case syscall.SYS_SETRLIMIT, syscall.SYS_PRLIMIT64:
		return t.rlimit(c, &s)
	case syscall.SYS_READLINK:
		if t.os.proc.isExe(c.Blobs[0]) {
			return t.readExe(c, 1, c.Args[2])
		}
	case syscall.SYS_READLINKAT:
		if t.os.proc.isExe(c.Blobs[1]) {
			return t.readExe(c, 2, c.Args[3])
		}
	default:
		if e := unsafeArgs(c); e != 0 {
			return 0, 0, e
		}
	}
	return t.shaped(c, &s)
}

// unsafeArgs refuses what the shapes cannot see: numbers that make the kernel
// read or write beyond the buffers of a call, and structures that hold
// addresses.
func unsafeArgs(c *wire.Call) syscall.Errno {
	switch c.Nr {
	case syscall.SYS_SELECT, syscall.SYS_PSELECT6:
		// The kernel touches as many bits as the first argument says; a set
		// on the wire has 1024.
		if c.Args[0] > 1024 {
			return syscall.EINVAL
		}
	case syscall.SYS_SETSOCKOPT, syscall.SYS_GETSOCKOPT:
		// SO_ATTACH_FILTER (SO_GET_FILTER when read, which counts in filters
		// of 8 bytes), SO_ATTACH_REUSEPORT_CBPF, PACKET_FANOUT_DATA: struct
		// sock_fprog, length and address.
		switch level, opt := int32(c.Args[1]), int32(c.Args[2]); {
		case level == syscall.SOL_SOCKET && (opt == 26 || opt == 51), level == 263 && opt == 22:
			return syscall.EOPNOTSUPP
		}
	case sysKcmp:
		if c.Args[2] == 7 { // KCMP_EPOLL_TFD takes an address
			return syscall.EINVAL
		}
	}
	return 0
}

// Numbers that package syscall of linux/amd64 lacks.
const (
	sysKcmp       = 312
	sysExecveat   = 322
	sysCloseRange = 436
)

// special carries out the calls that the stub takes apart.
func (t *thread) special(c *wire.Call, s *wire.Shape) (r1, r2 uint64, e syscall.Errno) {
	switch c.Nr {
	case syscall.SYS_CLOSE:
		t.os.closing(int(int32(c.Args[0])))
		return t.shaped(c, s)
	case syscall.SYS_DUP2, syscall.SYS_DUP3:
		if t.os.reserved(c.Args[1]) {
			return 0, 0, syscall.EBADF
		}
		if c.Args[0] != c.Args[1] {
			t.os.closing(int(int32(c.Args[1])))
		}
		return t.shaped(c, s)
	case sysCloseRange:
		return 0, 0, t.closeRange(c)
	case syscall.SYS_SENDMSG:
		return t.sendmsg(c)
	case syscall.SYS_RECVMSG:
		return t.recvmsg(c)
	}
	return 0, 0, syscall.ENOSYS
}

// closeRange closes the program's descriptors in a range: the gaps between
// those that are the server's.
func (t *thread) closeRange(c *wire.Call) syscall.Errno {
	first, last, flags := uint32(c.Args[0]), uint32(c.Args[1]), uintptr(c.Args[2])
	if first > last || flags&^6 != 0 {
		return syscall.EINVAL
	}
	open, err := fds.Open()
	if err != nil {
		return errno(err)
	}
	slices.Sort(open)
	for _, fd := range open {
		if uint32(fd) < first || uint32(fd) > last || !t.os.reserved(uint64(fd)) {
			continue
		}
		if uint32(fd) > first {
			if e := closeGap(first, uint32(fd)-1, flags); e != 0 {
				return e
			}
		}
		if first = uint32(fd) + 1; first > last {
			return 0
		}
	}
	return closeGap(first, last, flags)
}

func closeGap(first, last uint32, flags uintptr) syscall.Errno {
	_, _, e := syscall.Syscall(sysCloseRange, uintptr(first), uintptr(last), flags)
	return e
}

// pseudo carries out the operations that are not system calls.
func (t *thread) pseudo(c *wire.Call) (r1, r2 uint64, e syscall.Errno) {
	switch c.Nr {
	case wire.NrSpawn:
		return t.spawn(c)
	case wire.NrExit:
		if t.os.cfg.Exit != nil {
			t.os.cfg.Exit(int(int32(c.Args[0])))
		}
		return 0, 0, 0
	case wire.NrSignal:
		return 0, 0, t.os.signals.set(c.Args[0], c.Args[1])
	case wire.NrLease:
		if t.os.cfg.Lease != nil {
			return t.os.cfg.Lease(c.Args[0]), 0, 0
		}
		return c.Args[0], 0, 0
	case wire.NrPollOpen:
		if t.os.reserved(c.Args[0]) {
			return 0, 0, syscall.EBADF
		}
		return 0, 0, t.os.watch(t.id.Process(), int(int32(c.Args[0])), c.Args[1])
	case wire.NrPollClose:
		return 0, 0, t.os.unwatch(t.id.Process(), int(int32(c.Args[0])))
	case wire.NrWriteErr:
		return t.writeErr(c)
	case wire.NrHand:
		if t.os.reserved(c.Args[0]) {
			return 0, 0, syscall.EBADF
		}
		if t.offer(c, int(int32(c.Args[0]))); t.handed == 0 {
			return 0, 0, syscall.EPERM
		}
		return 0, 0, 0
	case wire.NrAllThreads:
		return t.allThreads(c)
	case wire.NrAdopt:
		return 0, 0, t.adoptFD(c.Args[0])
	}
	return 0, 0, syscall.ENOSYS
}

// writeErr writes all of blob 1, whatever the descriptor's mode: what it
// carries are the runtime's last words.
func (t *thread) writeErr(c *wire.Call) (r1, r2 uint64, e syscall.Errno) {
	fd, b := c.Args[0], c.Blobs[1]
	if t.os.reserved(fd) {
		return 0, 0, syscall.EBADF
	}
	done := 0
	for done < len(b) {
		n, _, e := syscall.Syscall(syscall.SYS_WRITE, uintptr(fd),
			uintptr(unsafe.Pointer(&b[done])), uintptr(len(b)-done))
		switch e {
		case 0:
			done += int(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			time.Sleep(time.Millisecond)
		default:
			return uint64(done), 0, e
		}
	}
	return uint64(done), 0, 0
}

// readExe answers readlink of /proc/self/exe.
func (t *thread) readExe(c *wire.Call, arg int, room uint64) (r1, r2 uint64, e syscall.Errno) {
	if c.Nulls>>arg&1 != 0 {
		return 0, 0, syscall.EFAULT
	}
	if int32(room) <= 0 {
		return 0, 0, syscall.EINVAL
	}
	name := t.os.proc.link()
	n := int(min(uint64(len(name)), room))
	b := t.w.Blob(arg, n)
	if b == nil {
		return 0, 0, noRoom
	}
	copy(b, name)
	return uint64(n), 0, 0
}

// errno is the error number in err, EIO when there is none.
func errno(err error) syscall.Errno {
	for err != nil {
		switch e := err.(type) {
		case syscall.Errno:
			return e
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		default:
			return syscall.EIO
		}
	}
	return 0
}
