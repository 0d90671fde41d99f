package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// link is one thread's connection to the server. It lies in a mapping of its
// own.
type link struct {
	fd    int32
	nfds  int // descriptors that came with the last reply
	fds   [maxHanded]int32
	areas uintptr // where frames are built and received
	ring  uintptr // shared memory in front of areas, or 0
}

const (
	linkSize  = 4096
	areasSize = 2 * wire.MaxFrame
)

// request and answer are the areas for outgoing and incoming frames. Their
// pages come into being when they are touched, so that small calls stay small.
func (l *link) request() []byte { return bytesAt(l.areas, wire.MaxFrame) }

func (l *link) answer() []byte { return bytesAt(l.areas+wire.MaxFrame, wire.MaxFrame) }

// state of the connection to the server; written once, by attach.
var (
	control    int32  // control connection
	controlTCP bool   // over TCP: links are further connections
	dialed     target // the server, for those
	session    uint64
	sessionPID uint32 // process id that the program knows as its own
	policy     uint32
	linkKey    [16]byte

	controlLock uint32 // spin lock: a frame is written as a whole
	spareLock   uint32 // spin lock: guards spare
	spare       *link  // for the runtime's own output and for the end
)

// currentLink returns the link of the current thread, made when it is first
// needed. It runs on a system stack.
func currentLink() *link {
	slot, id := linkSlot()
	if *slot == 0 {
		*slot = uintptr(unsafe.Pointer(newLink(uint32(id))))
	}
	return (*link)(ptr(*slot))
}

func newLink(thread uint32) *link {
	mem := mapMemory(linkSize)
	if mem == 0 {
		fatal("no memory for a link to the runtime server")
	}
	l := (*link)(ptr(mem))
	hello := wire.Link{Session: session, Thread: thread, Key: linkKey[:]}
	memfd := int32(-1)
	if policy&wire.PolicyRing != 0 && !controlTCP {
		memfd = l.makeRing()
	}
	if memfd >= 0 {
		hello.Flags = wire.LinkRing
	} else if l.areas = mapMemory(areasSize); l.areas == 0 {
		fatal("no memory for a link to the runtime server")
	}
	buf := l.request() // an array would escape to the heap
	if controlTCP {
		fd, errno := dialed.connect()
		if errno != 0 {
			lost()
		}
		frame, _ := wire.PutLink(buf, &hello)
		if !writeString(fd, wire.PreambleFramed) || !writeAll(fd, frame) {
			lost()
		}
		l.fd = fd
		own(fd)
		return l
	}
	var pair [2]int32
	if _, _, errno := raw(wire.SYS_SOCKETPAIR, afUNIX, sockStream|oCLOEXEC, 0, uintptr(unsafe.Pointer(&pair)), 0, 0); errno != 0 {
		fatal("no descriptor left in the program's process for a link to the runtime server")
	}
	frame, _ := wire.PutLink(buf, &hello)
	fds, n := [2]int32{pair[1], memfd}, 1
	if memfd >= 0 {
		n = 2
	}
	lockSpin(&controlLock)
	ok := sendFDs(control, frame, fds[:n])
	unlockSpin(&controlLock)
	if !ok {
		lost()
	}
	closeFD(pair[1])
	if memfd >= 0 {
		closeFD(memfd)
	}
	l.fd = pair[0]
	own(l.fd)
	return l
}

// closeLink ends the link of a thread that is about to exit.
func closeLink(mem uintptr) {
	l := (*link)(ptr(mem))
	closeOwn(l.fd)
	if l.ring != 0 {
		l.closeRing()
	} else {
		raw(wire.SYS_MUNMAP, l.areas, areasSize, 0, 0, 0, 0)
	}
	raw(wire.SYS_MUNMAP, mem, linkSize, 0, 0, 0, 0)
}

func lockSpin(l *uint32) {
	for !cas(l, 0, 1) {
		yield()
	}
}

func unlockSpin(l *uint32) { xchg(l, 0) }

func writeString(fd int32, s string) bool {
	return writeAll(fd, unsafe.Slice(unsafe.StringData(s), len(s)))
}

// do sends c and receives its reply, whose blobs lie in l's memory until the
// next call. It does not return when the server is lost.
func (l *link) do(c *wire.Call, r *wire.Reply) {
	frame, ok := wire.PutCall(l.request(), c)
	if !ok {
		*r = wire.Reply{Errno: e2BIG}
		return
	}
	l.nfds = 0
	if frame = l.exchange(frame, 0); frame == nil {
		lost()
	}
	if wire.GetReply(frame, r) != nil {
		broken("malformed reply")
	}
	if l.ring != 0 && r.Handed > 0 {
		var one [1]byte
		if n, _ := receive(l.fd, one[:], &l.fds, &l.nfds); n != 1 {
			lost()
		}
	}
}

// exchange sends a frame and returns the answer; nil when the server is gone
// or, with a limit in seconds, when it does not answer in that time.
func (l *link) exchange(frame []byte, limit int64) []byte {
	if l.ring != 0 {
		return l.ringExchange(limit)
	}
	if limit != 0 {
		setTimeouts(l.fd, limit)
	}
	if !writeAll(l.fd, frame) {
		return nil
	}
	return readFrame(l.fd, l.answer(), &l.fds, &l.nfds)
}

// takeFD returns the i'th descriptor that came with the last reply, or -1.
func (l *link) takeFD(i int) int32 {
	if i >= l.nfds {
		return -1
	}
	return l.fds[i]
}

// pseudo performs a pseudo call without buffers on the thread's own link.
func pseudo(nr uint32, a0, a1 uint64) wire.Reply {
	c := wire.Call{Nr: nr, Args: wire.Args{a0, a1}}
	var r wire.Reply
	currentLink().do(&c, &r)
	return r
}
