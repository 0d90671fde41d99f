package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// inbox is what the event loop has received, in memory of its own: the frame at at is
// in hand, what follows it up to have is not handled yet.
var inbox struct {
	mem      uintptr
	at, have int
	taken    uint32 // 1 once watchServer reads in the loop's stead
}

const inboxSize = 64 << 10

// events receives what the server sends by itself. It is the whole life of
// one thread, which has no P: see doc.go for what that forbids.
//
//go:linkname events runtime.remoteEvents
func events() {
	in := &inbox
	if in.mem = mapMemory(inboxSize); in.mem == 0 {
		fatal("no memory for the events of the runtime server")
	}
	buf := bytesAt(in.mem, inboxSize)
	var fds [maxHanded]int32
	for {
		nfds := 0
		for load(&in.taken) != 0 { // another thread ends this process
			raw(wire.SYS_PAUSE, 0, 0, 0, 0, 0, 0)
		}
		n, _ := receive(control, buf[in.have:], &fds, &nfds)
		for i := range nfds {
			closeFD(fds[i]) // no event has any
		}
		if n <= 0 {
			lost()
		}
		in.have += n
		for {
			frame := nextFrame(buf[in.at:in.have])
			if frame == nil {
				break
			}
			onEvent(frame)
			in.at += len(frame)
		}
		arrived()
		in.have, in.at = copy(buf, buf[in.at:in.have]), 0
	}
}

// nextFrame returns the first frame of b; nil where b does not hold the whole of it.
func nextFrame(b []byte) []byte {
	if len(b) < 8 {
		return nil
	}
	size, err := wire.FrameSize(b, inboxSize)
	if err != nil {
		broken("malformed event")
	}
	if len(b) < size {
		return nil
	}
	return b[:size]
}

func onEvent(frame []byte) {
	var e wire.Event
	if err := wire.GetEvent(frame, &e); err != nil {
		broken("malformed event")
	}
	switch e.Kind {
	case wire.EventSignal:
		if e.N > 0 && e.N <= 64 {
			raise(e.N)
		}
	case wire.EventReady:
		ready(e.N, e.A)
	case wire.EventReport:
		report(e.N != 0)
	case wire.EventMemory:
		xchg(&memoryServed, 1)
	case wire.EventProbe:
		arrived() // what came before it is no longer under way
		asleep, goroutines, sent, received := allAsleep()
		c := wire.Call{Nr: wire.NrAsleep, Args: wire.Args{e.A, 0, uint64(goroutines), postedSoFar(), sent, received}}
		if asleep {
			c.Args[1] = 1
		}
		var r wire.Reply
		currentLink().do(&c, &r)
	case wire.EventDeadlock:
		deadlock(int32(e.N))
	case wire.EventTraceback:
		traceback(e.N)
		pseudo(wire.NrTraced, e.A, 0)
	case wire.EventPost:
		arrive(e.N, e.A, e.B, e.C, e.D, e.Text)
	case wire.EventMap:
		onMap(&e)
	case wire.EventCollect:
		collectSoon()
	case wire.EventMove:
		move(&e)
	case wire.EventObserve:
		observe(e.A)
	case wire.EventInspect:
		inspect(e.N, e.A, e.B)
	case wire.EventDrain, wire.EventPause, wire.EventRetire:
		steer(&e)
	case wire.EventMoveMany:
		if n := uintptr(len(e.Text)) / 8; n > 0 {
			moveMany(uintptr(e.N), unsafe.Pointer(unsafe.StringData(e.Text)), n)
		}
	case wire.EventLabels:
		findLabels()
	case wire.EventAccount:
		accountOn()
	case wire.EventAsk:
		if !ask(e.A, uint64(e.N), e.B) {
			const why = "it has too many requests already"
			onTold(e.A, 2, unsafe.Pointer(unsafe.StringData(why)), uintptr(len(why)))
		}
	case wire.EventExit:
		cas(&ending, 0, 1)
		die(int32(e.N))
	case wire.EventEnd:
		if e.N != 0 {
			raise(e.N)
			return
		}
		fatal("runtime server ended the session")
	}
}

// move asks that a goroutine goes to another process.
func move(e *wire.Event) {
	if e.A == 0 {
		moveAny()
		return
	}
	state, why, within := moveAsk(e.A, uintptr(e.N))
	c := wire.Call{Nr: wire.NrMoving, Args: wire.Args{e.B, uint64(state)}}
	c.Blobs[1] = unsafe.Slice(unsafe.StringData(why), len(why))
	c.Blobs[2] = unsafe.Slice(unsafe.StringData(within), len(within))
	var r wire.Reply
	currentLink().do(&c, &r)
}
