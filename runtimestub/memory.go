package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// What the runtime of a process says to a session of several: messages to the
// other processes, and the steps of its garbage collection.

// onPost sends a message to another process.
func onPost(target, kind uint32, a, b, c, d uint64) {
	call := wire.Call{Nr: wire.NrPost, Args: wire.Args{uint64(target), uint64(kind), a, b, c, d}}
	var r wire.Reply
	currentLink().do(&call, &r)
	if r.Errno != 0 {
		lost()
	}
}

// onCollect is a step of the garbage collection: n words at buf are what it
// tells, or room for what it is told.
func onCollect(op uint32, buf *uintptr, n uintptr) uintptr {
	c := wire.Call{Nr: wire.NrCollect, Args: wire.Args{uint64(op), uint64(n)}}
	if op == wire.CollectMet {
		c.Blobs[1] = bytesAt(uintptr(unsafe.Pointer(buf)), int(8*n))
	}
	var r wire.Reply
	currentLink().do(&c, &r)
	if r.Errno != 0 {
		broken("the server refuses a step of the garbage collection")
	}
	if op != wire.CollectNext {
		return 0
	}
	return uintptr(copy(bytesAt(uintptr(unsafe.Pointer(buf)), int(8*n)), r.Blobs[1]) / 8)
}
