package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// watchServer is the thread that ends this process when the server is lost, of a program of several.
// The event loop sees that as well, and first, unless it waits for a page: for ever, where that was lost with
// its host. Then this thread takes the server's last words. It touches no memory that is common: its stack
// and its M are pages that no other process uses.
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
	lastWords()
	lost()
}

// lastWords ends this process as the server has asked for, if it has, in place of an event loop
// that is stuck in an event before that.
func lastWords() {
	in := &inbox
	xchg(&in.taken, 1)
	const size = 2 * inboxSize
	mem := mapMemory(size)
	if mem == 0 || in.mem == 0 {
		return
	}
	buf := bytesAt(mem, size)
	have := copy(buf, bytesAt(in.mem, inboxSize)[in.at:in.have])
	var fds [maxHanded]int32
	for have < size {
		nfds := 0
		n, _ := receive(control, buf[have:], &fds, &nfds) // the other end is shut: this does not wait
		if n <= 0 {
			break
		}
		have += n
	}
	for at := 0; ; {
		frame := nextFrame(buf[at:have])
		if frame == nil {
			return
		}
		var e wire.Event
		if wire.GetEvent(frame, &e) == nil && (e.Kind == wire.EventExit || e.Kind == wire.EventEnd) {
			onEvent(frame)
		}
		at += len(frame)
	}
}
