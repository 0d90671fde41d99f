// Package session is one session of a program with a runtime server, in the
// process that is the session's own: its working directory, umask, limits,
// signals, children and descriptors are those of this OS process, so that
// sessions cannot mix.
//
// Vocabulary: the *program process* is the remote binary that attached. Its
// *control connection* carries the attach, events to it, its account of
// goroutines, and the descriptors of new links. A *link* is a connection
// that carries system calls of one thread of the program, one at a time: a
// Call frame, then the Reply that answers it. Each link has a *link thread*
// here, an OS thread that blocks where the program's thread would have.
//
// Life: Open answers the attach; Run reads the control connection until the
// program process is gone; Close ends the links. Who started the session
// decides what becomes of the process then.
//
// Invariants: a session has exactly one control connection; what a client
// sends can end its own session and nothing else; no frame is believed in
// its lengths. A thread of the program has one link at a time.
//
// Lock order: process.sendMu before Session.mu; neither is held while a call is
// carried out. sendMu is held while the control connection is written, and may
// wait there for a client that does not read.
package session

import (
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/coherence"
	"remotec.dev/server/fds"
	"remotec.dev/server/osys"
	"remotec.dev/server/pager"
)

// Config is what a session is made with.
type Config struct {
	ID    uint64
	Name  string // of the server, told to the program
	Exe   string // path that the program finds under /proc/self/exe; empty: what it says itself
	Space *fds.Space
	Log   *slog.Logger
	OS    func(osys.Config) osys.OS

	Hand  bool // opened descriptors may be handed over
	Ring  bool // links may use shared memory
	Map   bool // copies of descriptors may travel for mappings
	Local bool // descriptors 0, 1, 2 are those of the program process
	Stdio bool // the program process is to carry its standard streams by connections
	// Key is what links that come by a connection of their own present; nil:
	// one is made up.
	Key []byte

	// Lease grants leave to create goroutines: it is told the session and
	// how many are asked for, and returns how many may be created.
	Lease func(session, asked uint64) uint64
	// Exec is asked when the program replaces itself: the program process's
	// id on this host, the path and arguments of what it executes.
	Exec func(pid int, path string, argv []string) (string, []string)
	// Delay is slept before each call; fault injection.
	Delay time.Duration
	// PostDelay is how long a message from one process to another may wait;
	// fault injection.
	PostDelay time.Duration
	// MoveEvery is how often a goroutine is moved to another process, whichever;
	// 0: never. Fault injection.
	MoveEvery time.Duration
	// Remote is the address of the program process; empty on this host.
	Remote string

	// Processes is how many processes the program has; 0 stands for one.
	Processes int
	// Spread places each new goroutine in the next process in turn.
	Spread bool
	// Balance lets processes of one host share goroutines that have not begun.
	Balance bool
	// Measures is what is known of what the processes do, and of the traffic between them; nil where
	// there is none. Place has goroutines moved by what it says.
	Measures *Measures
	Place    bool
	// Memory keeps the memory of several processes coherent, which Layout
	// describes.
	Memory *pager.Pager
	Layout coherence.Layout
	// Far returns, for a process on another host, what makes its memory that of
	// the session; nil for a process of this host. Config.Far may be nil.
	Far func(process int) (attach func() error)
	// Host returns the name of the host of a process, empty for this one. It may be
	// nil.
	Host func(process int) string
	// Logged returns the last lines of the server's log; it may be nil.
	Logged func() []LogLine
	// Account has goroutines accounted for from the start.
	Account bool
	// Hidden reports whether a child of the session process is one of the
	// program's further processes.
	Hidden func(pid int) bool
	// Retired is called when a process of this host is about to end while the session
	// goes on; the process has nothing to do any more. It may be nil.
	Retired func(process int)
}

// firstLease is how many goroutines the program may create before it asks.
const firstLease = 1 << 20

// Session is one attached program.
type Session struct {
	cfg     Config
	attach  *wire.Attach
	started time.Time
	key     []byte // links that come by a connection of their own present it
	os      osys.OS

	*process               // the first, which runs main
	procs       []*process // by number; entries are guarded by mu
	flights     []flights
	posts       atomic.Uint64 // messages between processes
	sleep       sleep
	whole       whole
	moves       moves
	steering    steering
	retiring    retiring
	drained     drained
	places      places
	observing   observing
	inspecting  inspecting
	asks        asks
	history     history
	lazySymbols lazySymbols
	maps        maps           // what the program has mapped, in all processes
	ended       chan struct{}  // closed by Close
	home        chan struct{}  // closed when the memory of the first process is served
	shared      []bool         // by process: its memory is served; guarded by mu
	served      chan struct{}  // closed when that of all is
	waiting     [][]wire.Event // messages for processes before that; guarded by mu
	slow        []slowly       // what is held back, by process; nil without fault injection

	calls  atomic.Uint64 // of links that are gone
	status atomic.Int64  // exit status that the program announced, plus 1

	mu        sync.Mutex
	links     map[*link]struct{}
	closed    bool
	accounted time.Time      // since when what goroutines use is accounted for; guarded by mu
	asked     chan struct{}  // closed when all accounts that are asked for are there; nil: none is. Guarded by mu
	awaited   int            // processes whose accounts are not; guarded by mu
	idle      sync.WaitGroup // link threads
}

// Open takes the program process into a session: it answers its attach,
// already checked, on the control connection that r reads.
func Open(cfg Config, r *fds.FrameReader, a *wire.Attach) (*Session, error) {
	s := &Session{
		cfg: cfg, attach: a, started: time.Now(), key: cfg.Key,
		links: make(map[*link]struct{}),
		procs: make([]*process, max(cfg.Processes, 1)),
	}
	s.waiting = make([][]wire.Event, len(s.procs))
	s.ended = make(chan struct{})
	s.home = make(chan struct{})
	s.shared = make([]bool, len(s.procs))
	s.served = make(chan struct{})
	s.flights = make([]flights, len(s.procs))
	s.retiring.heirs = make([]int, len(s.procs))
	for k := range s.retiring.heirs {
		s.retiring.heirs[k] = -1
	}
	if cfg.Memory != nil {
		s.whole = whole{marks: coherence.NewWhole(cfg.Memory.Pins(), wholeLimits), bytes: make([]uint64, len(s.procs)), pause: wholePause}
		if s.near() {
			cfg.Memory.SetMapper(s.mapIn)
		}
	}
	s.process = newProcess(s, 0, r)
	s.process.pid = int(a.PID)
	s.procs[0] = s.process
	if s.key == nil {
		s.key = make([]byte, 16)
		rand.Read(s.key) // never fails: crypto/rand
	}
	if s.cfg.Exe == "" {
		s.cfg.Exe = a.Path
	}
	oc := osys.Config{
		Exe: s.cfg.Exe, PID: s.localPID(), Hand: cfg.Hand, Map: cfg.Map,
		Events: s.eventTo, Reserved: cfg.Space.Reserved, Hidden: cfg.Hidden,
		Log: cfg.Log, Lease: s.lease, Exit: s.exiting,
	}
	if cfg.Exec != nil {
		oc.Exec = func(path string, argv []string) (string, []string) {
			return cfg.Exec(oc.PID, path, argv)
		}
	}
	s.os = cfg.OS(oc)
	if err := s.process.answer(); err != nil {
		s.os.Close()
		return nil, err
	}
	if cfg.PostDelay > 0 {
		s.slow = make([]slowly, len(s.procs))
		for k := range s.slow {
			s.slow[k].wake = make(chan struct{}, 1)
			go s.deliver(k)
		}
	}
	if cfg.Account {
		s.Account()
	}
	if len(s.procs) > 1 {
		go s.watch()
		if cfg.MoveEvery > 0 {
			go s.moveAny()
		}
		if cfg.Measures != nil {
			cfg.Measures.faulted.Store(cfg.Place)
			s.places.wake = make(chan struct{}, 1)
			go s.place()
		}
	}
	return s, nil
}

// direct returns which of descriptors 0, 1 and 2 the program process may use
// by itself. A terminal is not among them: the program process is in a
// process group of its own, where reading it would stop the program.
func direct() (mask uint32) {
	for fd := range 3 {
		var st syscall.Stat_t
		if syscall.Fstat(fd, &st) != nil {
			continue
		}
		switch st.Mode & syscall.S_IFMT {
		case syscall.S_IFREG, syscall.S_IFIFO:
			mask |= 1 << fd
		}
	}
	return mask
}

// localPID is the process id of the program process where it is one of this
// host, and 0 otherwise.
func (s *Session) localPID() int {
	if s.cfg.Remote != "" {
		return 0
	}
	return int(s.attach.PID)
}

// exiting notes that the program said how it ends.
func (s *Session) exiting(status int) { s.status.Store(int64(status) + 1) }

// Exited returns the exit status that the program announced; ok is false
// where it ended, or lives, without.
func (s *Session) Exited() (status int, ok bool) {
	v := s.status.Load()
	return int(v - 1), v != 0
}

func (s *Session) lease(asked uint64) uint64 {
	if s.cfg.Lease == nil {
		return asked
	}
	return s.cfg.Lease(s.cfg.ID, asked)
}

// End tells the program that its session is over, unless it has said that it
// ends: then its other processes are about to be killed, and have nothing to say.
// It does not wait for a client that does not read.
func (s *Session) End(why string) {
	if _, ok := s.Exited(); ok {
		return
	}
	s.mu.Lock()
	procs := slices.Clone(s.procs)
	s.mu.Unlock()
	for _, p := range procs {
		if p != nil {
			p.end(why)
		}
	}
}

// Leave ends the first process as the program has ended in another one: with
// that exit status, or by that signal where it is not 0.
func (s *Session) Leave(status, signal int) error {
	if signal != 0 {
		return s.eventTo(0, &wire.Event{Kind: wire.EventEnd, N: uint32(signal)})
	}
	return s.eventTo(0, &wire.Event{Kind: wire.EventExit, N: uint32(status)})
}

// Close ends the links and waits for link threads that are not inside a
// call. Calls in progress end with the process, or on their own.
func (s *Session) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.ended)
	}
	for l := range s.links {
		l.conn.Shutdown()
		if l.ring != nil {
			l.ring.close()
		}
	}
	for _, p := range s.procs {
		if p != nil {
			p.control.Shutdown()
		}
	}
	procs := slices.Clone(s.procs)
	s.mu.Unlock()
	for _, p := range procs {
		if p != nil {
			p.sendMu.Lock() // who was writing has been woken
			p.shut = true
			p.sendMu.Unlock()
		}
	}
	s.os.Close()
}

// Wait waits for all link threads to end, which takes until the last call
// that is in progress returns.
func (s *Session) Wait() { s.idle.Wait() }
