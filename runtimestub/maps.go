package runtimestub

import "remotec.dev/runtimestub/wire"

// Memory that the program maps by itself. In a session of several processes a
// mapping is one of all of them, at the same address: the server chooses it, and
// has the event thread of each process carry out the call. What two of them
// then have in common is the file, and for anonymous memory a file without a name,
// so that the kernel keeps it coherent.

// mapCommon carries out mmap in all processes. It reports false where the
// mapping is to be this process's own.
func mapCommon(c *sysCall, a *wire.Args) bool {
	if _, count := processNumber(); count < 2 {
		return false
	}
	call := wire.Call{Nr: wire.NrMap, Args: *a}
	var r wire.Reply
	currentLink().do(&call, &r)
	if r.Errno == eNOTSUP {
		return false
	}
	c.result(&r)
	return true
}

// remapCommon carries out a call about such memory in all processes. It reports
// false where each does so for itself.
func remapCommon(c *sysCall) bool {
	switch c.nr {
	case wire.SYS_MUNMAP, wire.SYS_MPROTECT, wire.SYS_MREMAP, wire.SYS_MADVISE:
	default:
		return false
	}
	call := wire.Call{Nr: wire.NrRemap, Args: wire.Args{uint64(c.nr)}}
	for i := range 5 {
		call.Args[i+1] = uint64(c.args[i])
	}
	var r wire.Reply
	currentLink().do(&call, &r)
	if r.Errno == eNOTSUP {
		return false
	}
	c.result(&r)
	return true
}

func (c *sysCall) result(r *wire.Reply) {
	if r.Errno != 0 {
		c.fail(uintptr(r.Errno))
		return
	}
	// The kernel leaves the register of the second result as it was: the third
	// argument. Programs have been seen to look at it.
	c.r1, c.r2, c.errno = uintptr(r.R1), c.args[2], 0
}

// onMap carries out what the server asks all processes for.
func onMap(e *wire.Event) {
	var args [6]uintptr
	if len(e.Text) != 8*len(args) {
		broken("malformed event")
	}
	for i := range args {
		for k := range 8 {
			args[i] |= uintptr(e.Text[8*i+k]) << (8 * k)
		}
	}
	fd := int32(-1)
	if e.B != 0 {
		l := currentLink()
		call := wire.Call{Nr: wire.NrMapFile, Args: wire.Args{e.A}}
		var r wire.Reply
		l.do(&call, &r)
		if fd = l.takeFD(0); fd < 0 {
			pseudo(wire.NrMapped, e.A, uint64(max(r.Errno, eBADF)))
			return
		}
		args[4] = uintptr(fd)
	}
	_, _, errno := raw(uintptr(e.N), args[0], args[1], args[2], args[3], args[4], args[5])
	if fd >= 0 {
		closeFD(fd) // the mapping stays
	}
	pseudo(wire.NrMapped, e.A, uint64(errno))
}
