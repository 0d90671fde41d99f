package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// watchServer is the thread that ends this process when the server is lost, of a program of several.
// The event loop sees that as well, and first, unless it waits for a page. This thread touches no memory
// that is common.
//
//go:linkname watchServer runtime.remoteWatchM
func watchServer() {
	const hangUp, error, invalid, peerHangUp = 0x10, 0x8, 0x20, 0x2000 // poll(2)
	for {
		p := struct {
			fd              int32
			events, revents int16
		}{fd: control, events: peerHangUp}
		raw(wire.SYS_POLL, uintptr(unsafe.Pointer(&p)), 1, ^uintptr(0), 0, 0, 0)
		if p.revents&(hangUp|error|invalid|peerHangUp) != 0 {
			break
		}
	}
	const ms = 1_000_000
	moment := [2]int64{0, 500 * ms} // the event loop, or the signal of a parent that is lost
	raw(wire.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&moment)), 0, 0, 0, 0, 0)
	lost()
}
