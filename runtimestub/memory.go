package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// What the runtime of a process says to a session of several: messages to the
// other processes, and the steps of its garbage collection.

// posted counts the messages that were sent; guarded by controlLock.
var posted uint64

// onPost sends a message to another process. It does not wait for the server: the
// frame goes over the control connection, which keeps the order. n bytes at p
// travel along.
func onPost(target, kind uint32, a, b, c, d uint64, p unsafe.Pointer, n uintptr) {
	call := wire.Call{Nr: wire.NrPost, Args: wire.Args{uint64(target), uint64(kind), a, b, c, d}}
	if n > 0 {
		call.Blobs[0] = unsafe.Slice((*byte)(p), int(n))
	}
	frame, ok := wire.PutCall(currentLink().request(), &call)
	lockSpin(&controlLock)
	posted++
	ok = ok && writeAll(control, frame)
	unlockSpin(&controlLock)
	if !ok {
		lost()
	}
}

// postedSoFar is how many messages were sent.
func postedSoFar() uint64 {
	lockSpin(&controlLock)
	n := posted
	unlockSpin(&controlLock)
	return n
}

// onCollect is a step of the garbage collection: n words at buf are what it
// tells, or room for what it is told.
func onCollect(op uint32, buf *uintptr, n uintptr) uintptr {
	c := wire.Call{Nr: wire.NrCollect, Args: wire.Args{uint64(op), uint64(n)}}
	if op == wire.CollectMet || op == wire.CollectGot || op == wire.CollectTell || op == wire.CollectEstate || op == wire.CollectRetire {
		c.Blobs[1] = bytesAt(uintptr(unsafe.Pointer(buf)), int(8*n))
	}
	if op == wire.CollectBegin || op == wire.CollectBeginPart {
		c.Args[2] = postedSoFar()
	}
	var r wire.Reply
	currentLink().do(&c, &r)
	if r.Errno != 0 {
		broken("the server refuses a step of the garbage collection")
	}
	if op != wire.CollectNext {
		return uintptr(r.R1)
	}
	return uintptr(copy(bytesAt(uintptr(unsafe.Pointer(buf)), int(8*n)), r.Blobs[1]) / 8)
}
