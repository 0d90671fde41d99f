package wire

// Args are the six arguments of a system call.
type Args [6]uint64

// Blobs are the contents of buffer arguments, by argument number; nil where
// the argument is not a buffer.
type Blobs [6][]byte

// Call is one operation on the server, a system call or one of the pseudo
// calls below.
type Call struct {
	Nr    uint32
	Nulls uint32 // bit i: argument i is a buffer and its pointer is nil
	Args  Args
	Blobs Blobs
}

// Reply answers a Call.
type Reply struct {
	Errno  uint32
	Handed uint32 // descriptors that travel beside the reply (SCM_RIGHTS)
	R1, R2 uint64
	Blobs  Blobs
}

// Numbers of pseudo calls: operations that are not system calls of linux/amd64.
const (
	NrPseudo = 0x10000 + iota
	// NrSpawn starts a child process: blobs 0 argv0, 1 argv, 2 environment
	// (NUL-terminated strings), 3 directory, 4 descriptors (int32, -1 none),
	// 5 SpawnAttr. R1 is the pid, R2 the pidfd or -1.
	NrSpawn
	// NrExit announces the end of the program with exit status args[0].
	NrExit
	// NrSignal sets what the server does with signal args[1]: args[0] is
	// SignalDefault, SignalNotify or SignalIgnore.
	NrSignal
	// NrLease asks for leave to create args[0] more goroutines; R1 is the grant.
	NrLease
	// NrPollOpen watches descriptor args[0] and sends EventReady with cookie
	// args[1]; NrPollClose ends that.
	NrPollOpen
	NrPollClose
	// NrWriteErr writes blob 1 to descriptor args[0] for the runtime itself
	// (print, panics, tracebacks).
	NrWriteErr
	// NrHand asks for a copy of descriptor args[0] to travel with the reply.
	NrHand
	// NrAllThreads performs system call args[0] on every thread of the session
	// (setuid and its like). Argument i of that call, its blob and its bit in
	// Nulls are the i+1st of this one; nothing can be output.
	NrAllThreads
	// NrAdopt makes descriptor args[0] of the program process, which C code
	// opened there, a descriptor of the session under the same number.
	NrAdopt
	// NrPost sends a message to process args[0]: its kind in args[1], PostSpawn
	// and so on, its words in args[2] to args[5]. It comes over the control
	// connection, and is not answered.
	NrPost
	// NrAsleep answers the probe with number args[0]: args[1] is 1 when all
	// goroutines of the process wait for others, args[2] is how many of the
	// program's it has, args[3] how many messages it has posted, and args[4] and
	// args[5] how many it sent to and received from other processes by itself.
	NrAsleep
	// NrCollect is a step of the process's garbage collection: args[0] is
	// CollectBegin and so on. Lists of addresses are 8 bytes each.
	NrCollect
	// NrTracebacks has the other processes print their goroutines, for the
	// traceback with which the program ends: at level of detail args[0]. The reply
	// comes when they have, or do not.
	NrTracebacks
	// NrTraced answers EventTraceback: args[0] is the number of the request.
	NrTraced
	// NrMoving answers EventMove: args[0] is the number of the request, args[1]
	// MoveUnknown and so on. Blob 1 says why the goroutine has not gone, and blob 2
	// in which function it could not, where that is the reason.
	NrMoving
	// NrMap carries out mmap, whose arguments are args, in all processes: R1 is the
	// address, in [MapBase, MapEnd). It fails with ENOTSUP where the mapping is to be
	// the process's own.
	NrMap
	// NrRemap carries out system call args[0], munmap, mprotect, mremap or madvise, whose
	// first arguments are args[1] to args[5], in all processes. R1 is its result.
	NrRemap
	// NrMapFile asks for the file of EventMap with number args[0]: a copy of its
	// descriptor travels with the reply.
	NrMapFile
	// NrMapped answers EventMap with number args[0]: args[1] is the error number, or 0.
	NrMapped
	// NrMapNext waits for memory without pointers that the process is to map in place of
	// what it has: R2 bytes at address R1, of the file whose descriptor travels with the
	// reply, at the offset of the address in a slot's file. args[0] is the error number of the one
	// before, or 0. One thread of each process makes these calls, and nothing else.
	NrMapNext
	// NrUncommon says that the process is about to use args[1] bytes at address args[0] of
	// its own, which the pager had made common, for something else.
	NrUncommon
	nrLast

	// NrSteered answers EventDrain, EventPause and EventRetire: args[0] is the number of the
	// request. For EventDrain args[1] is how many looks at all goroutines are over, args[2] how many the
	// last one left, args[3] how many have left the process so far, and args[4] the number of one that is still
	// there; for EventPause args[1] is PauseUnknown and so on. Blobs 1 and 2 say why, as for NrMoving.
	NrSteered = 0x10040
)

// Pseudo calls by which a process answers what the server wants to see.
const (
	// NrObserved answers EventObserve: args[0] is the number of the request, args[1] is 1
	// in the last one of several. Blob 1 has goroutines, ObservedSize bytes each: number and
	// program counter of the go statement in 8 bytes, then in 2 the status, as in Goroutine, and
	// what it waits for: an index of the strings in blob 2, each with a zero at its end, from 1; 0 is
	// none. Blob 3 has how many messages the process has sent by itself to each other one, 8 bytes each.
	NrObserved = 0x10060 + iota
	// NrInspected answers EventInspect: args[0] is the number of the request, blob 1
	// the text.
	NrInspected
)

// ObservedSize is the size of a goroutine in NrObserved, in bytes.
const ObservedSize = 24

// How far a goroutine is that is to go to another process.
const (
	MoveUnknown = iota // the process has no such goroutine
	MoveDone           // it is in this process, where it is to go
	MoveAsked          // it goes at its next safe point, if it can
	MoveWaits          // it waits for something, and goes when it has that
	MovePinned         // it cannot go, for longer than what it does just now
)

// How far a goroutine or process is that is to pause or to go on.
const (
	PauseUnknown = iota // the process has no such goroutine
	PauseDone           // it is as it is to be
	PauseAsked          // it pauses at its next safe point, if it can
)

// Addresses of memory that a program of several processes maps by itself: above
// the heaps, and below where the kernel places mappings.
const (
	MapBase = 0x4200 << 32
	MapEnd  = 0x7000 << 32
)

// SlotBase is the address of the first byte of the processes' files, where the heaps
// begin.
const SlotBase = 0xc0 << 32

// What NrSignal asks for.
const (
	SignalDefault = iota
	SignalNotify
	SignalIgnore
)

// What NrCollect asks for. The order in a cycle is: begin, a list, held, a list,
// any number of times since and a list, any number of times met, end. A list is
// read by CollectNext until one is empty.
const (
	// CollectBegin starts a cycle, and the list of addresses of the process
	// that others may hold. args[1] is the number of messages that arrived, args[2] of those that
	// were posted.
	CollectBegin = iota
	// CollectHeld starts the list of pages of others that the process holds
	// exclusively.
	CollectHeld
	// CollectSince starts the list of addresses as of CollectBegin that were
	// added since the last list of addresses.
	CollectSince
	// CollectNext asks for at most args[1] words of the list: blob 1 of the reply.
	CollectNext
	// CollectMet tells addresses of other processes that are in use: blob 1.
	CollectMet
	// CollectEnd completes the cycle; args[1] is how many bytes are in use.
	CollectEnd
	// CollectGot tells references, of any process's objects, that came in messages
	// from other processes: blob 1. It belongs to no cycle.
	CollectGot

	// The steps of a cycle that is part of a whole one, of all processes. They are
	// answered by a CollectAnswer in R1. Where it is CollectNo, this cycle is none of a
	// whole one, or not any more: since has the addresses that begin would have had.

	// CollectAsk asks for a whole one of the cycles that begin next, unless args[1] is
	// 1. R1 is how many there have been.
	CollectAsk
	// CollectReady comes before each cycle, until the answer is not CollectWait.
	CollectReady
	// CollectBeginPart is CollectBegin after CollectReady was answered by CollectGo. R1
	// is 1 if the cycle is part of a whole one.
	CollectBeginPart
	// CollectBegun asks whether all processes have begun. Until then this one neither
	// marks nor lets its program run.
	CollectBegun
	// CollectTell is CollectMet before the end.
	CollectTell
	// CollectQuiet says that the process has no more to mark.
	CollectQuiet
	// CollectVote says so, too, and that the world is stopped. CollectGo is the end of
	// the whole cycle.
	CollectVote
	// CollectWithdraw says that the world is stopped no longer; args[1] is 1 if there is
	// more to mark. R1 is 0 if the whole cycle has ended instead.
	CollectWithdraw

	// CollectEstate is told by a process that retires, its world stopped: blob 1 has the parts of its slot
	// whose words may refer to something, start and end.
	CollectEstate
	// CollectRetire comes after it, and says that the process ends: blob 1 has what it leaves, how many messages it has sent and
	// how many it has received.
	CollectRetire
)

// Answers in a cycle that is part of a whole one.
const (
	CollectNo    = iota // there is no whole one
	CollectWait         // ask again
	CollectGo           // do the next step
	CollectAgain        // since has something
	CollectBack         // another process has more to mark: start the world
)

// CollectPart is the largest number of words in a part of a list.
const CollectPart = 4096

// Numbers of pseudo calls, continued.
const (
	// NrTold is a part of the answer to the EventAsk with number args[0]: blob 1.
	// args[1] is 1 in the last one, and 2 where there is none: blob 1 says why.
	NrTold = 0x10030
)

// LastPseudo is the highest pseudo call number.
const LastPseudo = nrLast - 1

const (
	callData, callPtrs   = 7, 6
	replyData, replyPtrs = 3, 6
	// CallHeader and ReplyHeader are the bytes of a frame before its blobs
	// as this package writes it.
	CallHeader  = frameHeader + 24 + (callData+callPtrs)*8
	ReplyHeader = frameHeader + 24 + (replyData+replyPtrs)*8
)

// PutCall writes c as a frame into dst.
func PutCall(dst []byte, c *Call) ([]byte, bool) {
	var w builder
	p := w.start(dst, uint16(TagCall))
	at := w.newStruct(p, callData, callPtrs)
	if !w.ok {
		return nil, false
	}
	put32(w.b[at:], c.Nr)
	put32(w.b[at+4:], c.Nulls)
	for i, v := range c.Args {
		put64(w.b[at+8+8*i:], v)
	}
	for i, v := range c.Blobs {
		w.data(at+8*callData+8*i, v)
	}
	return w.finish()
}

// GetCall reads a frame into c. Its blobs alias frame.
func GetCall(frame []byte, c *Call) error {
	o, err := body(frame, TagCall)
	if err != nil {
		return err
	}
	c.Nr, c.Nulls = o.u32(0), o.u32(4)
	for i := range c.Args {
		c.Args[i] = o.u64(8 + 8*i)
		if c.Blobs[i], err = o.bytes(i); err != nil {
			return err
		}
	}
	return nil
}

// ReplyWriter lays out a reply whose output blobs are filled in place, so
// that a read goes straight into the frame.
type ReplyWriter struct {
	w  builder
	at int
}

// Start begins a reply in dst.
func (r *ReplyWriter) Start(dst []byte) {
	p := r.w.start(dst, uint16(TagReply))
	r.at = r.w.newStruct(p, replyData, replyPtrs)
}

// Blob reserves n bytes for argument i and returns them; they are not
// zeroed. It returns nil when they do not fit.
func (r *ReplyWriter) Blob(i, n int) []byte {
	at := r.w.reserve(n)
	if !r.w.ok {
		return nil
	}
	r.w.listPtr(r.at+8*replyData+8*i, at, elemByte, n)
	return r.w.b[at : at+n : at+n]
}

// Trim shortens blob i, which must be the last one reserved, from size n to
// m bytes.
func (r *ReplyWriter) Trim(i, n, m int) {
	start := r.w.n - (n+7)&^7
	r.w.n = start
	if at := r.w.reserve(m); r.w.ok {
		r.w.listPtr(r.at+8*replyData+8*i, at, elemByte, m)
	}
}

// Finish fills in the results and returns the frame.
func (r *ReplyWriter) Finish(errno uint32, handed uint32, r1, r2 uint64) ([]byte, bool) {
	if r.w.ok {
		b := r.w.b[r.at:]
		put32(b, errno)
		put32(b[4:], handed)
		put64(b[8:], r1)
		put64(b[16:], r2)
	}
	return r.w.finish()
}

// GetReply reads a frame into r. Its blobs alias frame.
func GetReply(frame []byte, r *Reply) error {
	o, err := body(frame, TagReply)
	if err != nil {
		return err
	}
	r.Errno, r.Handed = o.u32(0), o.u32(4)
	r.R1, r.R2 = o.u64(8), o.u64(16)
	for i := range r.Blobs {
		if r.Blobs[i], err = o.bytes(i); err != nil {
			return err
		}
	}
	return nil
}
