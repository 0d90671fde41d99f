package osys

import (
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"syscall"

	"remotec.dev/runtimestub/wire"
)

// OS carries out the calls of one session. Servers wrap one to watch, change
// or refuse calls; see Wrap.
type OS interface {
	// Thread begins the calls of a thread of the program. It is called on the
	// goroutine that makes those calls, locked to its OS thread.
	Thread(id ThreadID) Thread
	// Close gives up what the session holds that does not end with its
	// process: event sources and children's bookkeeping.
	Close()
}

// Redirecting is an OS that sends what it has to tell one process of the program to another: that its
// descriptors are ready. When Redirect returns, nothing is under way to the first one, and nothing will be sent.
type Redirecting interface{ Redirect(from, to int) }

// ThreadID names a thread of the program among those of all its processes: the
// process's number in the session, and in the lower 32 bits the thread's number
// in the process.
type ThreadID uint64

// MakeThreadID returns the ID of a thread of a process.
func MakeThreadID(process int, thread uint32) ThreadID {
	return ThreadID(process)<<32 | ThreadID(thread)
}

// Process is the number of the thread's process in the session.
func (id ThreadID) Process() int { return int(id >> 32) }

// Thread carries out the calls of one thread of the program, one at a time.
type Thread interface {
	// Call carries out c and writes the answer into dst, which has at least
	// wire.ReplyHeader bytes. The reply aliases dst or, when that is shorter
	// than ReplySize(c), perhaps memory of the thread. hand lists descriptors
	// that travel with the reply; they stay open here. Both are valid until
	// the next Call. c and dst may lie in memory shared with the client.
	Call(c *wire.Call, dst []byte) (reply []byte, hand []int)
	Close()
}

// Config is what a passthrough OS needs to know of its session. The zero value
// of each field is usable.
type Config struct {
	Exe string // path of the program's executable: what /proc/self/exe names
	PID int    // the program's own process on this host, 0 when it is elsewhere

	Hand bool // new descriptors may be handed over

	// Events sends an event to a process of the program, of which 0 is the
	// first. It may block: a slow process delays its own events only.
	Events func(process int, e *wire.Event) error
	// Reserved reports whether a descriptor is the server's own. It is asked
	// on every call that names one and must be quick.
	Reserved func(fd int) bool
	// Hidden reports whether a child of this process is the server's own and
	// none of the program's, as PID is. It may be nil.
	Hidden func(pid int) bool
	// Map lets copies of descriptors travel that the program maps, whatever Hand says.
	Map bool
	// Exec may put another program in place of the one that the session
	// process is to be replaced by, as a remote binary needs. It may be nil.
	Exec func(path string, argv []string) (string, []string)
	// Exit is told that the program ends with a status, before the reply.
	Exit func(status int)
	// Lease decides how many goroutines the program may create that asks for
	// n more. Without it every request is granted.
	Lease func(n uint64) uint64

	Log *slog.Logger
}

// Passthrough returns an OS that performs each call in this process. A process
// should hold one such session at a time: directory, umask, signals and
// children are the process's.
func Passthrough(cfg Config) OS {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Events == nil {
		cfg.Events = func(int, *wire.Event) error { return nil }
	}
	p := &passthrough{
		cfg:     cfg,
		pid:     os.Getpid(),
		threads: make(map[*thread]struct{}),
		counts:  new(counters),
	}
	p.proc = newProcfs(cfg.Exe, cfg.PID, p.pid)
	p.children.init(&p.cfg)
	p.signals.init(p)
	return p
}

// passthrough is the OS that performs calls in its own process.
type passthrough struct {
	cfg      Config
	pid      int
	proc     procfs
	children children
	signals  signals
	polls    sync.Map // process number to *poller

	mu      sync.Mutex
	threads map[*thread]struct{} // guarded by mu
	counts  *counters            // of threads that are gone; guarded by mu
}

func (p *passthrough) Thread(id ThreadID) Thread {
	// The frames may be shared memory; a client that truncates it must cost a
	// failed call, not the process.
	debug.SetPanicOnFault(true)
	t := &thread{os: p, id: id, str: make([]byte, 0, 2*maxPath)}
	p.mu.Lock()
	p.threads[t] = struct{}{}
	p.mu.Unlock()
	return t
}

func (p *passthrough) Close() {
	p.signals.close()
	for _, poll := range p.polls.Range {
		poll.(*poller).close()
	}
}

// poller returns the poller of a process.
func (p *passthrough) poller(process int) *poller {
	v, ok := p.polls.Load(process)
	if !ok {
		v, _ = p.polls.LoadOrStore(process, &poller{process: process})
	}
	return v.(*poller)
}

// watch starts watching fd for a process. One process at a time does: for the
// program, it is as if there were one epoll.
func (p *passthrough) watch(process, fd int, cookie uint64) syscall.Errno {
	for other, poll := range p.polls.Range {
		if other.(int) != process && poll.(*poller).watches(fd) {
			return syscall.EEXIST
		}
	}
	return p.poller(process).open(p, fd, cookie)
}

// unwatch ends the watch of fd, by a process or one that it has taken over from.
func (p *passthrough) unwatch(process, fd int) syscall.Errno {
	if e := p.poller(process).remove(fd); e != syscall.ENOENT {
		return e
	}
	for _, poll := range p.polls.Range {
		poll := poll.(*poller)
		poll.sending.Lock()
		taken := poll.process == process
		poll.sending.Unlock()
		if taken && poll.watches(fd) {
			return poll.remove(fd)
		}
	}
	return syscall.ENOENT
}

// Redirect implements [Redirecting].
func (p *passthrough) Redirect(from, to int) {
	p.poller(from) // in case it watches something later
	for number, poll := range p.polls.Range {
		poll := poll.(*poller)
		poll.sending.Lock()
		if poll.process == from || number.(int) == from {
			poll.process = to
		}
		poll.sending.Unlock()
	}
}

// closing is told that fd is about to be closed.
func (p *passthrough) closing(fd int) {
	for _, poll := range p.polls.Range {
		poll.(*poller).closing(fd)
	}
}

// polled reports whether fd is one of the pollers'.
func (p *passthrough) polled(fd int) bool {
	for _, poll := range p.polls.Range {
		if poll.(*poller).owns(fd) {
			return true
		}
	}
	return false
}

// reserved reports whether fd, as the kernel would read it from an argument,
// is none of the program's.
func (p *passthrough) reserved(fd uint64) bool {
	n := int(int32(fd))
	return n >= 0 && (p.cfg.Reserved != nil && p.cfg.Reserved(n) || p.polled(n))
}

// maxPath is the kernel's PATH_MAX.
const maxPath = 4096

// thread is a Thread of a passthrough OS. All fields belong to the goroutine
// that makes the calls, except counts, which are atomic.
type thread struct {
	os *passthrough
	id ThreadID

	w     wire.ReplyWriter
	a     [6]uintptr // arguments as the kernel gets them
	large []byte     // a reply for which the caller's buffer was too small
	str   []byte     // zero-terminated strings of the call

	// What the kernel reads lengths, addresses and descriptors from; see the
	// invariants of the package.
	iov     syscall.Iovec
	msg     syscall.Msghdr
	socklen uint32
	pair    [2]int32
	addr    [128]byte // a struct sockaddr_storage
	info    [128]byte // a siginfo_t
	empty   [8]byte   // what pointers to empty buffers point to

	hand   [2]int
	handed int

	counts counters
}

func (t *thread) Close() {
	t.os.mu.Lock()
	defer t.os.mu.Unlock()
	if _, ok := t.os.threads[t]; ok {
		delete(t.os.threads, t)
		t.os.counts.add(&t.counts)
	}
}
