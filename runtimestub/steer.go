package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// steer has goroutines leave this process, pause or go on, and says how far that is.
func steer(e *wire.Event) {
	c := wire.Call{Nr: wire.NrSteered}
	var why, within string
	if e.Kind == wire.EventRetire {
		c.Args[0] = e.A
		never := false
		if never, why, within = retireProcess(uint32(e.B), uintptr(e.N), uintptr(e.C), uintptr(e.D)); never {
			c.Args[1] = 1
		}
	} else if e.Kind == wire.EventDrain {
		c.Args[0] = e.A
		c.Args[1], c.Args[2], c.Args[3], c.Args[4], why, within = drainProcess(uintptr(e.N), e.B == 1)
	} else {
		c.Args[0] = e.B
		state := uint32(0)
		if e.A == 0 {
			state = pauseAll(e.N == 1)
		} else {
			state, why, within = pauseG(e.A, e.N == 1)
		}
		c.Args[1] = uint64(state)
	}
	c.Blobs[1] = unsafe.Slice(unsafe.StringData(why), len(why))
	c.Blobs[2] = unsafe.Slice(unsafe.StringData(within), len(within))
	var r wire.Reply
	currentLink().do(&c, &r)
}
