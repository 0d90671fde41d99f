package osys

import (
	"syscall"
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// identity carries out the calls by which a process changes its users and
// groups. The kernel keeps those per thread; package syscall changes them on
// all, with cgo through the C library, which must know, and else by itself.
func (t *thread) identity(c *wire.Call) syscall.Errno {
	a := func(i int) int { return int(int32(c.Args[i])) }
	switch c.Nr {
	case syscall.SYS_SETUID:
		return errno(syscall.Setuid(a(0)))
	case syscall.SYS_SETGID:
		return errno(syscall.Setgid(a(0)))
	case syscall.SYS_SETREUID:
		return errno(syscall.Setreuid(a(0), a(1)))
	case syscall.SYS_SETREGID:
		return errno(syscall.Setregid(a(0), a(1)))
	case syscall.SYS_SETRESUID:
		return errno(syscall.Setresuid(a(0), a(1), a(2)))
	case syscall.SYS_SETRESGID:
		return errno(syscall.Setresgid(a(0), a(1), a(2)))
	case syscall.SYS_SETGROUPS:
		list := c.Blobs[1]
		if uint64(len(list)) != 4*c.Args[0] {
			return syscall.EINVAL
		}
		var groups []int
		for ; len(list) > 0; list = list[4:] {
			groups = append(groups, int(int32(le32(list))))
		}
		return errno(syscall.Setgroups(groups))
	}
	return syscall.ENOSYS
}

// allThreads performs system call args[0] on every thread. Argument i of that
// call, its blob and its bit in Nulls are the i+1st of c.
//
// The runtime ends the process when threads answer differently, so calls are
// listed that have one answer.
func (t *thread) allThreads(c *wire.Call) (r1, r2 uint64, e syscall.Errno) {
	if c.Args[0] >= wire.NrPseudo {
		return 0, 0, syscall.ENOSYS
	}
	in := wire.Call{Nr: uint32(c.Args[0]), Nulls: c.Nulls >> 1}
	copy(in.Args[:], c.Args[1:])
	copy(in.Blobs[:], c.Blobs[1:])
	switch in.Nr {
	case syscall.SYS_SETUID, syscall.SYS_SETGID, syscall.SYS_SETREUID, syscall.SYS_SETREGID,
		syscall.SYS_SETRESUID, syscall.SYS_SETRESGID, syscall.SYS_SETGROUPS:
		return 0, 0, t.identity(&in)
	case syscall.SYS_PRCTL, syscall.SYS_CAPSET, syscall.SYS_SETFSUID, syscall.SYS_SETFSGID,
		syscall.SYS_UNSHARE, sysSetns, syscall.SYS_PERSONALITY, syscall.SYS_GETPID, syscall.SYS_GETPPID,
		syscall.SYS_GETUID, syscall.SYS_GETEUID, syscall.SYS_GETGID, syscall.SYS_GETEGID:
	default:
		return 0, 0, syscall.ENOSYS
	}
	s := wire.Lookup(uint64(in.Nr), &in.Args)
	if s.Class != wire.Forward {
		return 0, 0, syscall.ENOSYS
	}
	for i, arg := range s.Args {
		if k := arg.Kind(); (k == wire.StructOut || k == wire.StructIO) && in.Nulls>>i&1 == 0 {
			return 0, 0, syscall.EINVAL // each thread would write it
		}
	}
	if _, e := t.marshal(&in, &s); e != 0 {
		return 0, 0, e
	}
	a := &t.a
	p1, _, e := syscall.AllThreadsSyscall6(uintptr(in.Nr), a[0], a[1], a[2], a[3], a[4], a[5])
	return uint64(p1), 0, e
}

const sysSetns = 308

// rlimit carries out setrlimit and prlimit64. Package syscall restores the
// soft limit on descriptors in children, which a Go program raises for itself,
// unless the limit was set on purpose: setting it must go through there.
func (t *thread) rlimit(c *wire.Call, s *wire.Shape) (r1, r2 uint64, e syscall.Errno) {
	resource, lim := c.Args[0], 1
	if c.Nr == syscall.SYS_PRLIMIT64 {
		resource, lim = c.Args[1], 2
		if pid := int(int32(c.Args[0])); pid != 0 && pid != t.os.pid {
			return t.shaped(c, s)
		}
	}
	if int32(resource) != syscall.RLIMIT_NOFILE || c.Nulls>>lim&1 != 0 {
		return t.shaped(c, s)
	}
	var want, old syscall.Rlimit
	if e := t.input(c.Blobs[lim], int(unsafe.Sizeof(want))); e != 0 {
		return 0, 0, e
	}
	want.Cur, want.Max = le64(c.Blobs[lim]), le64(c.Blobs[lim][8:])
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		return 0, 0, errno(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want); err != nil {
		return 0, 0, errno(err)
	}
	if lim == 2 && c.Nulls&(1<<3) == 0 {
		if b := t.w.Blob(3, int(unsafe.Sizeof(old))); b != nil {
			put64(b, old.Cur)
			put64(b[8:], old.Max)
		}
	}
	return 0, 0, 0
}

func le64(b []byte) uint64 { return uint64(le32(b)) | uint64(le32(b[4:]))<<32 }

func put64(b []byte, v uint64) {
	put32(b, uint32(v))
	put32(b[4:], uint32(v>>32))
}
