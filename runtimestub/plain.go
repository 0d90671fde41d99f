package runtimestub

import (
	_ "unsafe" // for go:linkname

	"remotec.dev/runtimestub/wire"
)

// Memory without pointers, which the processes of one host have in common:
// remotec_plain.go of the runtime.

// mapPlain is the thread that maps the memory of other processes, and that of this process
// again.
//
//go:linkname mapPlain runtime.remotePlainM
func mapPlain() {
	const readWrite, shared, fixed, noReserve = 3, 0x1, 0x10, 0x4000
	l := currentLink()
	last := uintptr(0)
	for {
		call := wire.Call{Nr: wire.NrMapNext, Args: wire.Args{uint64(last)}}
		var r wire.Reply
		l.do(&call, &r)
		fd := l.takeFD(0)
		if r.Errno != 0 || fd < 0 {
			for { // the session ends
				raw(wire.SYS_PAUSE, 0, 0, 0, 0, 0, 0)
			}
		}
		_, _, last = raw(wire.SYS_MMAP, uintptr(r.R1), uintptr(r.R2), readWrite, shared|fixed|noReserve, uintptr(fd), uintptr(r.R1)-wire.SlotBase)
		closeFD(fd)
	}
}

// onUncommon says that memory of this process is about to be used for something else.
func onUncommon(addr, length uintptr) {
	if r := pseudo(wire.NrUncommon, uint64(addr), uint64(length)); r.Errno != 0 {
		broken("the server does not give up memory that this process needs")
	}
}
