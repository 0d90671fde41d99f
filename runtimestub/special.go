package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// The system calls that a shape cannot describe.

func special(c *sysCall, s *wire.Shape, a *wire.Args) {
	switch c.nr {
	case wire.SYS_CLOSE:
		setHanded(a[0], -1)
		releaseStd(uint32(a[0]))
		forward(c, s, a)
	case wire.SYS_DUP2, wire.SYS_DUP3:
		// adopt puts the new number's entry right when the call succeeds.
		if c.nr == wire.SYS_DUP2 && uint32(a[0]) == uint32(a[1]) {
			s.Result = wire.Number
		} else {
			releaseStd(uint32(a[1]))
		}
		forward(c, s, a)
	case wire.SYS_CLOSE_RANGE:
		closeRange(c, s, a)
	case wire.SYS_MMAP:
		if !mapCommon(c, a) {
			mapFile(c, a)
		}
	case wire.SYS_MUNMAP:
		c.r1, c.r2, c.errno = raw(c.nr, c.args[0], c.args[1], 0, 0, 0, 0)
	case wire.SYS_SENDMSG:
		sendMsg(c, a[0], (*msghdr)(ptr(c.args[1])), a[2])
	case wire.SYS_RECVMSG:
		recvMsg(c, a[0], (*msghdr)(ptr(c.args[1])), a[2])
	case wire.SYS_SENDMMSG, wire.SYS_RECVMMSG:
		manyMsgs(c, a)
	default:
		unknown(c)
	}
}

var devNull = [...]byte{'/', 'd', 'e', 'v', '/', 'n', 'u', 'l', 'l', 0}

// releaseStd lets go of this process's own standard input or output, kept for
// C code, when the program closes or replaces the session's: whoever is at the
// other end waits for that.
func releaseStd(fd uint32) {
	if !hasC || fd > 1 {
		return
	}
	null, _, errno := raw(wire.SYS_OPENAT, fdCwd, uintptr(unsafe.Pointer(&devNull)), oRDWR|oCLOEXEC, 0, 0, 0)
	if errno != 0 {
		return
	}
	raw(wire.SYS_DUP3, null, uintptr(fd), 0, 0, 0, 0)
	closeFD(int32(null))
}

func closeRange(c *sysCall, s *wire.Shape, a *wire.Args) {
	const onlyCloexec = 4 // CLOSE_RANGE_CLOEXEC
	if a[2]&onlyCloexec == 0 {
		for fd := a[0]; fd <= a[1] && fd < maxTable; fd++ {
			setHanded(fd, -1)
			releaseStd(uint32(fd))
		}
	}
	forward(c, s, a)
}

// mapFile maps memory. A file that was not handed over is asked for, and
// where the server does not part with it the program gets a private copy of
// its contents.
func mapFile(c *sysCall, a *wire.Args) {
	const anonymous = 0x20
	args := c.args
	fd, ok, borrowed := int32(-1), true, false
	if a[3]&anonymous == 0 {
		if fd, ok = handed(a[4]); !ok {
			l := currentLink()
			call := wire.Call{Nr: wire.NrHand, Args: wire.Args{a[4]}}
			var r wire.Reply
			l.do(&call, &r)
			if r.Errno != 0 && r.Errno != ePERM {
				c.fail(uintptr(r.Errno))
				return
			}
			if fd = l.takeFD(0); fd < 0 {
				copyFile(c, a)
				return
			}
			borrowed = true
		}
		args[4] = uintptr(fd)
	}
	c.r1, c.r2, c.errno = raw(c.nr, args[0], args[1], args[2], args[3], args[4], args[5])
	if borrowed {
		closeFD(fd) // the mapping stays
	}
}

// copyFile reads a file into fresh memory.
func copyFile(c *sysCall, a *wire.Args) {
	const protWrite, private, shared, anonymous = 2, 2, 1, 0x20
	p, _, errno := raw(wire.SYS_MMAP, c.args[0], c.args[1], c.args[2]|protWrite, c.args[3]&^shared|private|anonymous, ^uintptr(0), 0)
	if errno != 0 {
		c.fail(errno)
		return
	}
	for have := uint64(0); have < a[1]; {
		n := min(a[1]-have, 1<<20)
		read := sysCall{nr: wire.SYS_PREAD64, args: [6]uintptr{c.args[4], p + uintptr(have), uintptr(n), uintptr(a[5] + have)}}
		var ra wire.Args
		for i, v := range read.args {
			ra[i] = uint64(v)
		}
		s := wire.Lookup(wire.SYS_PREAD64, &ra)
		forward(&read, &s, &ra)
		if read.errno != 0 {
			raw(wire.SYS_MUNMAP, p, c.args[1], 0, 0, 0, 0)
			c.fail(read.errno)
			return
		}
		if read.r1 == 0 {
			break
		}
		have += uint64(read.r1)
	}
	if c.args[2]&protWrite == 0 {
		raw(wire.SYS_MPROTECT, p, c.args[1], c.args[2], 0, 0, 0)
	}
	c.r1, c.r2, c.errno = p, 0, 0
}

// carriesRights reports whether control messages on a copied socket may hold
// descriptors, which are the session's.
func carriesRights(local int32) bool {
	var domain, size uint32 = 0, 4
	const soDomain = 39
	_, _, errno := raw(wire.SYS_GETSOCKOPT, uintptr(local), solSocket, soDomain,
		uintptr(unsafe.Pointer(&domain)), uintptr(unsafe.Pointer(&size)), 0)
	return errno != 0 || domain == afUNIX
}

// msgOnCopy performs sendmsg or recvmsg on the copy of the socket, if there
// is one and no descriptors can be involved.
func msgOnCopy(c *sysCall, nr uintptr, fd uint64, m *msghdr, flags uint64) bool {
	local, ok := handed(fd)
	if !ok || m.control != 0 && m.controllen != 0 && carriesRights(local) {
		return false
	}
	c.r1, c.r2, c.errno = raw(nr, uintptr(local), uintptr(unsafe.Pointer(m)), uintptr(flags), 0, 0, 0)
	return true
}

func sendMsg(c *sysCall, fd uint64, m *msghdr, flags uint64) {
	if msgOnCopy(c, wire.SYS_SENDMSG, fd, m, flags) {
		return
	}
	l := currentLink()
	call := wire.Call{Nr: wire.SYS_SENDMSG, Args: wire.Args{fd, 0, flags}}
	b, ok := gather(l, m.iov, uint64(m.iovlen))
	if !ok || m.namelen > 4096 || m.controllen > 1<<16 {
		c.fail(wire.EINVAL)
		return
	}
	call.Blobs[1] = b
	if m.name != 0 {
		call.Blobs[3] = bytesAt(m.name, int(m.namelen))
	}
	if m.control != 0 && m.controllen != 0 {
		call.Blobs[4] = bytesAt(m.control, int(m.controllen))
	}
	var r wire.Reply
	l.do(&call, &r)
	c.finish(&r)
}

func recvMsg(c *sysCall, fd uint64, m *msghdr, flags uint64) {
	if msgOnCopy(c, wire.SYS_RECVMSG, fd, m, flags) {
		return
	}
	l := currentLink()
	total, ok := iovTotal(m.iov, uint64(m.iovlen))
	if !ok {
		c.fail(wire.EINVAL)
		return
	}
	call := wire.Call{Nr: wire.SYS_RECVMSG, Args: wire.Args{fd, 0, flags, total}}
	if m.name != 0 {
		call.Args[4] = uint64(min(m.namelen, 4096))
	}
	if m.control != 0 {
		call.Args[5] = uint64(min(m.controllen, 1<<16))
	}
	var r wire.Reply
	l.do(&call, &r)
	c.finish(&r)
	if r.Errno != 0 {
		return
	}
	scatter(m.iov, m.iovlen, r.Blobs[1])
	if m.name != 0 {
		m.namelen = uint32(copy(bytesAt(m.name, int(m.namelen)), r.Blobs[3]))
	}
	if m.control != 0 {
		m.controllen = uintptr(copy(bytesAt(m.control, int(m.controllen)), r.Blobs[4]))
	} else {
		m.controllen = 0
	}
	m.flags = int32(r.R2)
	c.r2 = 0
}

func (c *sysCall) finish(r *wire.Reply) {
	if r.Errno != 0 {
		c.fail(uintptr(r.Errno))
	} else {
		c.r1, c.r2, c.errno = uintptr(r.R1), 0, 0
	}
}

// manyMsgs performs sendmmsg and recvmmsg as that many single calls.
func manyMsgs(c *sysCall, a *wire.Args) {
	const waitForOne, dontWait = 0x10000, 0x40
	type mmsghdr struct {
		hdr msghdr
		n   uint32
		_   uint32
	}
	msgs := unsafe.Slice((*mmsghdr)(ptr(c.args[1])), int(min(a[2], maxIovecs)))
	flags := a[3]
	done := 0
	for i := range msgs {
		var one sysCall
		if c.nr == wire.SYS_SENDMMSG {
			sendMsg(&one, a[0], &msgs[i].hdr, flags)
		} else {
			recvMsg(&one, a[0], &msgs[i].hdr, flags&^waitForOne)
			if flags&waitForOne != 0 {
				flags |= dontWait
			}
		}
		if one.errno != 0 {
			if done == 0 {
				c.fail(one.errno)
				return
			}
			break
		}
		msgs[i].n = uint32(one.r1)
		done++
	}
	c.r1, c.r2, c.errno = uintptr(done), 0, 0
}

// allThreads is syscall.AllThreadsSyscall. The calls that change credentials
// go as themselves: the server performs them on all its threads.
func allThreads(c *sysCall) {
	if c.nr != wire.NrAllThreads {
		c.fail(wire.ENOSYS)
		return
	}
	switch c.args[0] {
	case wire.SYS_SETUID, wire.SYS_SETGID, wire.SYS_SETREUID, wire.SYS_SETREGID, wire.SYS_SETRESUID,
		wire.SYS_SETRESGID, wire.SYS_SETGROUPS, wire.SYS_SETFSUID, wire.SYS_SETFSGID:
		one := sysCall{nr: c.args[0], args: [6]uintptr{c.args[1], c.args[2], c.args[3]}}
		onSyscall(&one)
		c.r1, c.r2, c.errno = one.r1, one.r2, one.errno
		return
	}
	call := wire.Call{Nr: wire.NrAllThreads}
	for i := range 4 {
		call.Args[i] = uint64(c.args[i])
	}
	var r wire.Reply
	currentLink().do(&call, &r)
	c.finish(&r)
}
