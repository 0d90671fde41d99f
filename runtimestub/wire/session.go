package wire

// The messages of a session's life: attach, links, events, goroutines.

// Attach is the first message of a process.
type Attach struct {
	APIVersion uint32
	PID        uint32
	Umask      uint32
	Flags      uint32 // AttachStdio ...
	CPU        uint64 // feature bits as in runtime/internal x86 order; see docs/api.md
	GoVersion  string
	BuildID    string
	Token      string
	Path       string // executable
	Cwd        string
	Args       []string
	// Processes and Placement are what the program asks for; 0: what the server
	// gives.
	Processes uint32
	Placement uint32
}

// Placements that a program may ask for.
const (
	PlaceLocal = 1 + iota
	PlaceSpread
	PlaceBalance
	PlaceAffinity
)

// Flags of Attach.
const (
	// AttachFDs: descriptors 0, 1, 2 and the working directory travel with
	// the message, in that order.
	AttachFDs = 1 << iota
	// AttachChild: the process was started by the server it attaches to and
	// shares its standard streams, directory and umask.
	AttachChild
	// AttachStdio: the process will carry its standard streams by connections
	// of their own, if the server agrees by PolicyStdio.
	AttachStdio
	// AttachJoined: descriptors 1 and 2 are the same file, and one stream.
	AttachJoined
)

// Attached is the server's answer to Attach.
type Attached struct {
	Session   uint64
	Process   uint32 // number of this process in the session, 0 first
	Processes uint32
	Policy    uint32 // PolicyHand ...
	Std       uint32 // bit i: descriptor i may be used directly
	Lease     uint64 // goroutines that may be created before asking again
	Hooks     uint64 // HookChan ...: entry points the server wants counted
	PID       uint32 // the session's process id as the program sees it
	Server    string // name and version of the server
	Key       []byte // 16 bytes that later links of this process present
}

// Policy bits of Attached.
const (
	// PolicyHand: opened descriptors may be handed over.
	PolicyHand = 1 << iota
	// PolicyRing: links may use shared memory.
	PolicyRing
	// PolicyStdio: the process must open the streams that it announced.
	PolicyStdio
	// PolicySpread: each new goroutine goes to the next process in turn.
	PolicySpread
	// PolicyBalance: a goroutine that has not begun may go to a process that has
	// nothing to do.
	PolicyBalance
	// PolicyAccount: what goroutines use is accounted for from the start.
	PolicyAccount
)

// RefuseCode says why an attach was refused.
type RefuseCode uint32

// Refusals.
const (
	RefuseVersion RefuseCode = 1 + iota
	RefuseBinary
	RefuseToken
	RefuseCPU
	RefuseBusy
	RefuseProtocol
	// RefuseAgain: the program is to run in several processes, which it cannot
	// become: it is to execute itself with the message as REMOTEC_PROCESS, and attach
	// again on the same connection.
	RefuseAgain
)

// Refused is the server's other answer to Attach.
type Refused struct {
	Code    RefuseCode
	Message string
}

// Link is the first message on each further connection of a process.
type Link struct {
	Session uint64
	Thread  uint32 // number of the thread (M) that owns the link
	Flags   uint32 // LinkRing, LinkStdio
	Key     []byte
}

// Flags of Link.
const (
	// LinkRing: the link's shared memory travels with the Link message.
	LinkRing = 1 << iota
	// LinkStdio: no link but a standard stream, whose descriptor Thread is. The
	// server answers one byte; what follows are the stream's bytes.
	LinkStdio
	// LinkMemory: no link but the memory of the process: its file and its
	// userfaultfd travel with the message. The server answers with EventMemory.
	LinkMemory
)

// EventKind is what an Event tells.
type EventKind uint32

// Events, server to process.
const (
	EventSignal    EventKind = 1 + iota // N: signal number
	EventReady                          // A: cookie, N: epoll events
	EventReport                         // the process is to send a Goroutines message; N: 1 with the live list
	EventEnd                            // the session is over; Text: why, N: exit status
	EventMemory                         // the memory of the process is served
	EventProbe                          // the process is to say by NrAsleep whether it is asleep; A: number of the probe
	EventDeadlock                       // all processes are asleep; N: goroutines of the program
	EventPost                           // a message of another process: N: PostSpawn ..., A to D as there
	EventCollect                        // the process is to collect its garbage, as a part of a whole collection
	EventTraceback                      // the process is to print its goroutines as another one ends the program, and say so by NrTraced; A: number of the request, N: level of detail
	EventExit                           // the program ended in another process, with status N: end as it did
	EventMove                           // goroutine A is to go to process N, and the process says by NrMoving how far that is; B: number of the request. A is 0 for any that runs: fault injection, which is not answered
	EventMap                            // the process is to carry out system call N, whose six arguments Text has, and say so by NrMapped; A: number of the request, B: 1 if its fifth argument is the descriptor that NrMapFile brings

	EventDrain EventKind = 28 // process N is drained, if B is 1, or is not any longer; A: number of the request, answered by NrSteered
	// EventRetire is about process N, which is to end once it is drained: B says what, RetireHeir and so on. A is the number
	// of the request, answered by NrSteered.
	EventRetire EventKind = 40

	EventPause EventKind = 29 // goroutine A is to pause, if N is 1, or to go on; all of the process if A is 0. B: number of the request, answered by NrSteered
)

// Events about what the server wants to see.
const (
	EventObserve EventKind = 36 + iota // the process is to list its goroutines by NrObserved; A: number of the request
	EventInspect                       // the process is to answer question N, InspectStack and so on, about B by NrInspected; A: number of the request
)

// What EventRetire asks for.
const (
	RetireHeir   = iota // process C - 1 serves what belongs to process N from now on; C is 0 where N does again
	RetireGo            // the receiver hands over what it has to process C - 1, and ends; the answer says why it has not
	RetireCount         // the receiver is to count the messages that it has got
	RetireGone          // process N is gone; D is what it has left
	RetireCancel        // the receiver stays
)

// Questions of EventInspect.
const (
	InspectStack = 1 + iota // the stack of goroutine B, as a traceback shows it
	InspectPage             // the objects on the page at address B of the process's heap, one a line
	InspectPlace            // the functions that program counter B is in, innermost first
)

// Further events of the placement policies.
const (
	// EventMoveMany: the goroutines whose numbers Text has, 8 bytes each, are to go to
	// process N, or to stay if that is the receiver. It is not answered.
	EventMoveMany EventKind = 32
	// EventLabels: the labels that the ledger asks for have changed.
	EventLabels EventKind = 33
)

// Events about what goroutines use.
const (
	EventAsk     EventKind = 24 // the process is to tell by NrTold something about itself; N: AskStacks ..., A: number of the request, B: for how long, in ns
	EventAccount EventKind = 25 // the process is to account for what its goroutines use, from now on
)

// Messages between the processes of a session.
const (
	PostSpawn   = 1 + iota // start a goroutine: A function value, B program counter of the go statement, C number of the goroutine that executed it
	PostReady              // make a goroutine ready: A its descriptor, a runtime.g
	PostTimers             // a timer is due earlier than its process knows: A time in ns
	PostSend               // send: A channel, B element or address of its box, C who waits, D flags
	PostReceive            // receive: as PostSend; B address of the box that the element goes to
	PostSelect             // select: A one of the channels, C the selection
	PostAnswer             // the answer to these: A who waits, B element, D flags
	PostMove               // a goroutine goes on: C its stack pointer, D the end of its stack
	PostStack              // a stack is free: A its start, C its size

	PostRefs  = 40 // no message, but what the next PostMove to the process refers to
	PostBegun = 41 // process A has completed its initialisation

	PostPart     = 56 // of a select over channels of several processes, one's part: A its token, B the token's generation, C who waits, D flags
	PostWithdraw = 57 // the select is over: A its token, B the generation
	PostToken    = 58 // a token is free: A the token, B the generation that has used it, C the process for whose selects it is

	PostPoll = 64 // an operation on a descriptor that the receiver polls: A its entry of the poller, B the complement of a deadline, C who waits, D operation and mode
)

// Event is a message from the server that answers nothing.
type Event struct {
	Kind EventKind
	N    uint32
	A, B uint64
	C, D uint64
	Text string
}

// PutAttach writes a as a frame into dst.
func PutAttach(dst []byte, a *Attach) ([]byte, bool) {
	var w builder
	p := w.start(dst, uint16(TagAttach))
	at := w.newStruct(p, 4, 6)
	if !w.ok {
		return nil, false
	}
	put32(w.b[at:], a.APIVersion)
	put32(w.b[at+4:], a.PID)
	put32(w.b[at+8:], a.Umask)
	put32(w.b[at+12:], a.Flags)
	put64(w.b[at+16:], a.CPU)
	put32(w.b[at+24:], a.Processes)
	put32(w.b[at+28:], a.Placement)
	for i, s := range [...]string{a.GoVersion, a.BuildID, a.Token, a.Path, a.Cwd} {
		w.text(at+32+8*i, s)
	}
	w.textList(at+32+40, a.Args)
	return w.finish()
}

// GetAttach reads an Attach frame.
func GetAttach(frame []byte) (*Attach, error) {
	o, err := body(frame, TagAttach)
	if err != nil {
		return nil, err
	}
	a := &Attach{APIVersion: o.u32(0), PID: o.u32(4), Umask: o.u32(8), Flags: o.u32(12), CPU: o.u64(16),
		Processes: o.u32(24), Placement: o.u32(28)}
	for i, s := range [...]*string{&a.GoVersion, &a.BuildID, &a.Token, &a.Path, &a.Cwd} {
		if *s, err = o.text(i); err != nil {
			return nil, err
		}
	}
	a.Args, err = o.texts(5)
	return a, err
}

// PutAttached writes a as a frame into dst.
func PutAttached(dst []byte, a *Attached) ([]byte, bool) {
	var w builder
	p := w.start(dst, uint16(TagAttached))
	at := w.newStruct(p, 6, 2)
	if !w.ok {
		return nil, false
	}
	put64(w.b[at:], a.Session)
	put32(w.b[at+8:], a.Process)
	put32(w.b[at+12:], a.Processes)
	put32(w.b[at+16:], a.Policy)
	put32(w.b[at+20:], a.Std)
	put64(w.b[at+24:], a.Lease)
	put64(w.b[at+32:], a.Hooks)
	put32(w.b[at+40:], a.PID)
	w.text(at+48, a.Server)
	w.data(at+56, a.Key)
	return w.finish()
}

// GetAttached reads an Attached frame.
func GetAttached(frame []byte) (*Attached, error) {
	o, err := body(frame, TagAttached)
	if err != nil {
		return nil, err
	}
	a := &Attached{Session: o.u64(0), Process: o.u32(8), Processes: o.u32(12), Policy: o.u32(16),
		Std: o.u32(20), Lease: o.u64(24), Hooks: o.u64(32), PID: o.u32(40)}
	if a.Server, err = o.text(0); err != nil {
		return nil, err
	}
	a.Key, err = o.bytes(1)
	return a, err
}

// PutRefused writes r as a frame into dst.
func PutRefused(dst []byte, r *Refused) ([]byte, bool) {
	var w builder
	p := w.start(dst, uint16(TagRefused))
	at := w.newStruct(p, 1, 1)
	if !w.ok {
		return nil, false
	}
	put32(w.b[at:], uint32(r.Code))
	w.text(at+8, r.Message)
	return w.finish()
}

// GetRefused reads a Refused frame.
func GetRefused(frame []byte) (*Refused, error) {
	o, err := body(frame, TagRefused)
	if err != nil {
		return nil, err
	}
	r := &Refused{Code: RefuseCode(o.u32(0))}
	r.Message, err = o.text(0)
	return r, err
}

// PutLink writes l as a frame into dst. It allocates nothing.
func PutLink(dst []byte, l *Link) ([]byte, bool) {
	var w builder
	p := w.start(dst, uint16(TagLink))
	at := w.newStruct(p, 2, 1)
	if !w.ok {
		return nil, false
	}
	put64(w.b[at:], l.Session)
	put32(w.b[at+8:], l.Thread)
	put32(w.b[at+12:], l.Flags)
	w.data(at+16, l.Key)
	return w.finish()
}

// GetLink reads a Link frame.
func GetLink(frame []byte) (*Link, error) {
	o, err := body(frame, TagLink)
	if err != nil {
		return nil, err
	}
	l := &Link{Session: o.u64(0), Thread: o.u32(8), Flags: o.u32(12)}
	l.Key, err = o.bytes(0)
	return l, err
}

// PutEvent writes e as a frame into dst.
func PutEvent(dst []byte, e *Event) ([]byte, bool) {
	var w builder
	p := w.start(dst, uint16(TagEvent))
	at := w.newStruct(p, 5, 1)
	if !w.ok {
		return nil, false
	}
	put32(w.b[at:], uint32(e.Kind))
	put32(w.b[at+4:], e.N)
	put64(w.b[at+8:], e.A)
	put64(w.b[at+16:], e.B)
	put64(w.b[at+24:], e.C)
	put64(w.b[at+32:], e.D)
	if e.Text != "" {
		w.text(at+40, e.Text)
	}
	return w.finish()
}

// GetEvent reads an Event frame. Text aliases frame: the reader may be a
// thread that cannot allocate.
func GetEvent(frame []byte, e *Event) error {
	o, err := body(frame, TagEvent)
	if err != nil {
		return err
	}
	e.Kind, e.N, e.A, e.B, e.C, e.D = EventKind(o.u32(0)), o.u32(4), o.u64(8), o.u64(16), o.u64(24), o.u64(32)
	e.Text, err = o.alias(0)
	return err
}
