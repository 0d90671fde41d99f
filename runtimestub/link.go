package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// link is one thread's connection to the server. It lies at the start of its
// own mapping, before the two areas that frames are built and received in.
type link struct {
	fd   int32
	nfds int // descriptors that came with the last reply
	fds  [maxHanded]int32
}

const (
	linkHeader = 4096
	linkSize   = linkHeader + 2*wire.MaxFrame
)

// request and answer are the areas for outgoing and incoming frames. Their
// pages come into being when they are touched, so that small calls stay small.
func (l *link) request() []byte {
	return bytesAt(uintptr(unsafe.Pointer(l))+linkHeader, wire.MaxFrame)
}

func (l *link) answer() []byte {
	return bytesAt(uintptr(unsafe.Pointer(l))+linkHeader+wire.MaxFrame, wire.MaxFrame)
}

// state of the connection to the server; written once, by attach.
var (
	control    int32  // control connection
	controlTCP bool   // over TCP: links are further connections
	dialed     target // the server, for those
	session    uint64
	sessionPID uint32 // process id that the program knows as its own
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
	lockSpin(&controlLock)
	ok := sendFDs(control, frame, pair[1:])
	unlockSpin(&controlLock)
	if !ok {
		lost()
	}
	closeFD(pair[1])
	l.fd = pair[0]
	own(l.fd)
	return l
}

// closeLink ends the link of a thread that is about to exit.
func closeLink(mem uintptr) {
	closeOwn((*link)(ptr(mem)).fd)
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
	if !writeAll(l.fd, frame) {
		lost()
	}
	l.nfds = 0
	frame = readFrame(l.fd, l.answer(), &l.fds, &l.nfds)
	if frame == nil {
		lost()
	}
	if wire.GetReply(frame, r) != nil {
		broken("malformed reply")
	}
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
