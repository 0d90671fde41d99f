package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// The list of goroutines, as the server wants to see it now and then: 24 bytes each,
// so that hundred thousands take milliseconds. It is made on the event thread, in
// mapped memory, as the account is.

const (
	maxObserved = 1 << 15 // goroutines in one call
	maxWaits    = 64      // kinds of waiting; the runtime has some forty
	maxPeers    = 64      // processes of a session
)

// observation is the memory of a list.
type observation struct {
	rows  [maxObserved]observed
	n     int
	waits [maxWaits]string
	nwait int
	names [4096]byte // what waits are, for the server
	sent  [maxPeers]uint64
	done  uint64 // 1 in the last call
}

// observed is what wire.NrObserved says.
type observed struct {
	id, pc       uint64
	status, wait uint16
	_            uint32
}

var (
	observing    uintptr
	observeAsked uint64
)

func observe(number uint64) {
	if observing == 0 {
		if observing = mapMemory(unsafe.Sizeof(observation{})); observing == 0 {
			return
		}
	}
	o := (*observation)(ptr(observing))
	o.n, o.nwait, o.done = 0, 0, 0
	observeAsked = number
	eachG(func(id uint64, pc uintptr, status uint32, wait string, _ uintptr, _ unsafe.Pointer) {
		o := (*observation)(ptr(observing))
		if o.n == maxObserved {
			o.send()
		}
		o.rows[o.n] = observed{id: id, pc: uint64(pc), status: uint16(status), wait: o.wait(wait)}
		o.n++
	})
	for k := range o.sent {
		o.sent[k] = sentTo(uintptr(k))
	}
	o.done = 1
	o.send()
}

// wait returns the index of a string, from 1; 0 stands for none, and where there are
// too many. The runtime has each only once.
func (o *observation) wait(s string) uint16 {
	if s == "" {
		return 0
	}
	for i := range o.nwait {
		if w := o.waits[i]; unsafe.StringData(w) == unsafe.StringData(s) && len(w) == len(s) {
			return uint16(i + 1)
		}
	}
	if o.nwait == maxWaits {
		return 0
	}
	o.waits[o.nwait] = s
	o.nwait++
	return uint16(o.nwait)
}

// send sends what there is.
func (o *observation) send() {
	names := 0
	for _, w := range o.waits[:o.nwait] {
		if names+len(w) >= len(o.names) {
			break
		}
		names += copy(o.names[names:], w)
		o.names[names] = 0
		names++
	}
	c := wire.Call{Nr: wire.NrObserved, Args: wire.Args{observeAsked, o.done}}
	c.Blobs[1] = unsafe.Slice((*byte)(unsafe.Pointer(&o.rows)), o.n*wire.ObservedSize)
	c.Blobs[2] = o.names[:names]
	c.Blobs[3] = unsafe.Slice((*byte)(unsafe.Pointer(&o.sent)), len(o.sent)*8)
	var r wire.Reply
	currentLink().do(&c, &r)
	o.n = 0
}

// onInspected sends the answer to a question.
func onInspected(number uint64, p unsafe.Pointer, n uintptr) {
	c := wire.Call{Nr: wire.NrInspected, Args: wire.Args{number}}
	c.Blobs[1] = unsafe.Slice((*byte)(p), int(n))
	var r wire.Reply
	currentLink().do(&c, &r)
}
