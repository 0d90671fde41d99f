package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// A system call of the program, taken apart by its shape and put together
// again. Everything here runs on a system stack, see doc.go.

// onSyscall carries out c.
func onSyscall(c *sysCall) {
	// The calls that move data, on copies: without a look at their shapes.
	if c.nr <= wire.SYS_WRITE || c.nr == wire.SYS_PREAD64 || c.nr == wire.SYS_PWRITE64 {
		if local, ok := handed(uint64(c.args[0])); ok {
			c.r1, c.r2, c.errno = raw(c.nr, uintptr(local), c.args[1], c.args[2], c.args[3], 0, 0)
			return
		}
	}
	if c.nr >= wire.NrPseudo {
		allThreads(c)
		return
	}
	if load(&stdinIdle) != 0 && readsStdin(c) {
		wantStdin()
	}
	var a wire.Args
	for i, v := range c.args {
		a[i] = uint64(v)
	}
	if c.args[0] >= wire.MapBase && c.args[0] < wire.MapEnd && remapCommon(c) {
		return
	}
	s := wire.Lookup(uint64(c.nr), &a)
	switch s.Class {
	case wire.Local:
		if c.nr == wire.SYS_EXIT_GROUP {
			onExit(int32(a[0]))
		}
		c.r1, c.r2, c.errno = raw(c.nr, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5])
	case wire.Data:
		if !onCopies(c, &s) {
			forward(c, &s, &a)
		}
	case wire.Forward:
		if toSelf(c) || ownLimit(c) {
			return
		}
		forward(c, &s, &a)
	case wire.Special:
		special(c, &s, &a)
	default:
		unknown(c)
	}
}

// toSelf carries out a signal that the program sends to itself and that the
// runtime may handle. By way of the session process it would arrive a little
// later, and a program that waits for it without anything else to do would be
// taken for deadlocked.
func toSelf(c *sysCall) bool {
	if self, _ := processNumber(); self != 0 {
		return false // the program's signals are the first process's
	}
	sig := uint64(0)
	switch c.nr {
	case wire.SYS_KILL:
		sig = uint64(c.args[1])
	case wire.SYS_TGKILL:
		sig = uint64(c.args[2])
	default:
		return false
	}
	const kill, cont, ttou = 9, 18, 22 // between the last two lie STOP, TSTP and TTIN
	if uint32(c.args[0]) != sessionPID || sig == 0 || sig > 64 ||
		sig == kill || sig >= cont && sig <= ttou {
		return false
	}
	raise(uint32(sig))
	return true
}

// ownLimit carries out the calls about limits on memory and CPU time in this
// process, whose memory and time they are about.
func ownLimit(c *sysCall) bool {
	resource, args := c.args[0], c.args
	if c.nr == wire.SYS_PRLIMIT64 {
		if uint32(c.args[0]) != sessionPID && c.args[0] != 0 {
			return false
		}
		resource, args[0] = c.args[1], 0
	} else if c.nr != wire.SYS_GETRLIMIT && c.nr != wire.SYS_SETRLIMIT {
		return false
	}
	const cpu, data, stack, rss, memlock, as = 0, 2, 3, 5, 8, 9 // RLIMIT_CPU ...
	switch resource {
	case cpu, data, stack, rss, memlock, as:
		c.r1, c.r2, c.errno = raw(c.nr, args[0], args[1], args[2], args[3], 0, 0)
		return true
	}
	return false
}

func (c *sysCall) fail(errno uintptr) { c.r1, c.r2, c.errno = ^uintptr(0), 0, errno }

// onCopies carries out a data call on handed-over descriptors; it reports
// false when one of the call's descriptors is the server's alone.
func onCopies(c *sysCall, s *wire.Shape) bool {
	args := c.args
	for i := range args {
		if s.Args[i].Kind() == wire.FD {
			local, ok := handed(uint64(args[i]))
			if !ok {
				return false
			}
			args[i] = uintptr(local)
		}
	}
	c.r1, c.r2, c.errno = raw(c.nr, args[0], args[1], args[2], args[3], args[4], args[5])
	return true
}

// forward carries out c at the server.
func forward(c *sysCall, s *wire.Shape, a *wire.Args) {
	l := currentLink()
	call := wire.Call{Nr: uint32(c.nr), Args: *a}
	clamp(c.nr, s, &call.Args)
	for i, arg := range s.Args {
		p := c.args[i]
		kind := arg.Kind()
		if kind == wire.Int || kind == wire.FD || kind == wire.DirFD {
			continue
		}
		call.Args[i] = 0
		if p == 0 {
			call.Nulls |= 1 << i
			continue
		}
		switch kind {
		case wire.Str:
			call.Blobs[i] = cString(p)
		case wire.StrVec:
			b, ok := gatherStrings(l, i, p)
			if !ok {
				c.fail(e2BIG)
				return
			}
			call.Blobs[i] = b
		case wire.In, wire.InOut, wire.StructIn, wire.StructIO, wire.SockLen:
			n, ok := s.BlobSize(i, &call.Args)
			if !ok {
				c.fail(wire.EINVAL)
				return
			}
			call.Blobs[i] = bytesAt(p, n)
		case wire.IovIn:
			b, ok := gather(l, p, call.Args[arg.Ref()])
			if !ok {
				c.fail(wire.EINVAL)
				return
			}
			call.Blobs[i] = b
		case wire.IovOut:
			total, ok := iovTotal(p, call.Args[arg.Ref()])
			if !ok {
				c.fail(wire.EINVAL)
				return
			}
			call.Args[arg.Ref()] = total
		}
	}
	exec := c.nr == wire.SYS_EXECVE || c.nr == wire.SYS_EXECVEAT
	if exec {
		xchg(&execing, 1)
	}
	var r wire.Reply
	l.do(&call, &r)
	if exec {
		xchg(&execing, 0)
	}
	if r.Errno != 0 {
		c.fail(uintptr(r.Errno))
	} else {
		c.r1, c.r2, c.errno = uintptr(r.R1), uintptr(r.R2), 0
	}
	deliver(c, s, &call.Args, &r)
	adopt(l, s, &r)
	if r.Errno == eBADF && adoptArgs(c, s) && (s.Class != wire.Data || !onCopies(c, s)) {
		forward(c, s, a)
	}
}

// adoptArgs adopts the descriptors among c's arguments that C code opened.
func adoptArgs(c *sysCall, s *wire.Shape) (any bool) {
	for i := range c.args {
		if s.Args[i].Kind() == wire.FD && adoptFromC(uint64(c.args[i])) {
			any = true
		}
	}
	return any
}

// deliver copies the reply's blobs to where the program wants them. The
// server is not trusted with lengths: what does not fit is left out.
func deliver(c *sysCall, s *wire.Shape, a *wire.Args, r *wire.Reply) {
	for i, arg := range s.Args {
		b, p := r.Blobs[i], c.args[i]
		if b == nil || p == 0 {
			continue
		}
		switch arg.Kind() {
		case wire.Out, wire.InOut, wire.StructOut, wire.StructIO:
			if n, ok := s.BlobSize(i, a); ok {
				copy(bytesAt(p, n), b)
			}
		case wire.AddrOut:
			if q := c.args[arg.Ref()]; q != 0 {
				copy(bytesAt(p, int(*(*uint32)(ptr(q)))), b)
			}
		case wire.IovOut:
			scatter(p, c.args[arg.Ref()], b)
		}
	}
	// Last, because the lengths of the addresses above are read from here.
	for i, arg := range s.Args {
		if arg.Kind() == wire.SockLen && r.Blobs[i] != nil && c.args[i] != 0 {
			copy(bytesAt(c.args[i], 4), r.Blobs[i])
		}
	}
}

// adopt enters new descriptors into the table: with the copies that came
// along, or without any.
func adopt(l *link, s *wire.Shape, r *wire.Reply) {
	taken := 0
	if r.Errno == 0 {
		switch s.Result {
		case wire.NewFD:
			setHanded(r.R1, l.takeFD(0))
			taken = 1
		case wire.Pair:
			for _, b := range r.Blobs {
				if len(b) == 8 {
					p := (*[2]uint32)(unsafe.Pointer(&b[0]))
					setHanded(uint64(p[0]), l.takeFD(0))
					setHanded(uint64(p[1]), l.takeFD(1))
					taken = 2
				}
			}
		}
	}
	for ; taken < l.nfds; taken++ {
		closeFD(l.fds[taken])
	}
}

// clamp shortens transfers that do not fit a frame, where a short transfer
// is a legal outcome.
func clamp(nr uintptr, s *wire.Shape, a *wire.Args) {
	for _, arg := range s.Args {
		k := arg.Kind()
		if k != wire.In && k != wire.Out || arg.Size() != 1 {
			continue
		}
		if n := &a[arg.Ref()]; *n > wire.MaxData && (s.Result == wire.Bytes || nr == wire.SYS_WRITE || nr == wire.SYS_PWRITE64 || nr == wire.SYS_SENDTO) {
			*n = wire.MaxData
		}
	}
}

// cString returns the bytes before the terminating zero at p. Strings are
// paths and names: one that is longer than a frame is cut, and too long for
// the server in any case.
func cString(p uintptr) []byte {
	n := 0
	for n < wire.MaxAttach && *(*byte)(ptr(p + uintptr(n))) != 0 {
		n++
	}
	return bytesAt(p, n)
}

// gatherStrings copies a vector of strings, each with its terminating zero.
// Up to two vectors share the answer area, which is free while a request is
// built.
func gatherStrings(l *link, arg int, p uintptr) ([]byte, bool) {
	buf := l.answer()[:wire.MaxData]
	half := len(buf) / 2
	buf = buf[arg%2*half : arg%2*half+half]
	n := 0
	for ; ; p += 8 {
		s := *(*uintptr)(ptr(p))
		if s == 0 {
			return buf[:n], true
		}
		b := cString(s)
		if len(b)+1 > len(buf)-n {
			return nil, false
		}
		n += copy(buf[n:], b)
		buf[n] = 0
		n++
	}
}

const maxIovecs = 1024 // UIO_MAXIOV

func iovecs(p uintptr, n uint64) []iovec { return unsafe.Slice((*iovec)(ptr(p)), int(n)) }

// gather copies the contents of n iovecs, as many as fit, into the answer
// area.
func gather(l *link, p uintptr, n uint64) ([]byte, bool) {
	if n > maxIovecs {
		return nil, false
	}
	buf := l.answer()[:wire.MaxData]
	have := 0
	for _, v := range iovecs(p, n) {
		if v.len > 0 {
			have += copy(buf[have:], bytesAt(v.base, int(min(v.len, wire.MaxData))))
		}
	}
	return buf[:have], true
}

func iovTotal(p uintptr, n uint64) (total uint64, ok bool) {
	if n > maxIovecs {
		return 0, false
	}
	for _, v := range iovecs(p, n) {
		total += uint64(min(v.len, wire.MaxData))
	}
	return min(total, wire.MaxData), true
}

// scatter copies b into the n iovecs at p.
func scatter(p, n uintptr, b []byte) {
	for _, v := range iovecs(p, uint64(min(n, maxIovecs))) {
		if len(b) == 0 {
			return
		}
		if v.len > 0 {
			b = b[copy(bytesAt(v.base, int(min(v.len, wire.MaxData))), b):]
		}
	}
}

// named has a bit for each system call number that was complained about.
var named [16]uint32 // numbers below 512

// unknown refuses a call that the API does not carry, and says so once.
func unknown(c *sysCall) {
	c.fail(wire.ENOSYS)
	slot := &named[c.nr/32%uintptr(len(named))]
	bit := uint32(1) << (c.nr % 32)
	for {
		old := load(slot)
		if old&bit != 0 {
			return
		}
		if cas(slot, old, old|bit) {
			break
		}
	}
	var buf [20]byte
	name := wire.Name(uint32(c.nr))
	if name == "" {
		name = "unknown"
	}
	say("remotec: system call ")
	say(name)
	say(" (number ")
	say(decimal(&buf, uint64(c.nr)))
	say(") is not carried to the runtime server: it fails with ENOSYS; see docs/compatibility.md\n")
}
