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
// Lock order: Session.sendMu and Session.mu are never held together, and
// neither while a call is carried out. sendMu is held while the control
// connection is written, and may wait there for a client that does not read.
package session

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
	"remotec.dev/server/osys"
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
	// Remote is the address of the program process; empty on this host.
	Remote string
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

	control *fds.Conn
	frames  *fds.FrameReader

	sendMu sync.Mutex // serialises writes on control, guards out
	out    []byte

	calls  atomic.Uint64 // of links that are gone
	status atomic.Int64  // exit status that the program announced, plus 1

	mu      sync.Mutex
	links   map[*link]struct{}
	closed  bool
	account *wire.Goroutines // last one the program sent
	asked   chan struct{}    // closed when the next account arrives; nil: none is asked for
	idle    sync.WaitGroup   // link threads
}

// Open takes the program process into a session: it answers its attach,
// already checked, on the control connection that r reads.
func Open(cfg Config, r *fds.FrameReader, a *wire.Attach) (*Session, error) {
	s := &Session{
		cfg: cfg, attach: a, started: time.Now(), key: cfg.Key,
		control: r.Conn, frames: r, out: make([]byte, 4096),
		links: make(map[*link]struct{}), account: &wire.Goroutines{},
	}
	if s.key == nil {
		s.key = make([]byte, 16)
		rand.Read(s.key) // never fails: crypto/rand
	}
	if s.cfg.Exe == "" {
		s.cfg.Exe = a.Path
	}
	oc := osys.Config{
		Exe: s.cfg.Exe, PID: s.localPID(), Hand: cfg.Hand,
		Events: s.event, Reserved: cfg.Space.Reserved,
		Log: cfg.Log, Lease: s.lease, Exit: s.exiting,
	}
	if cfg.Exec != nil {
		oc.Exec = func(path string, argv []string) (string, []string) {
			return cfg.Exec(oc.PID, path, argv)
		}
	}
	s.os = cfg.OS(oc)
	answer := wire.Attached{
		Session: cfg.ID, Processes: 1, PID: uint32(os.Getpid()),
		Lease: s.lease(firstLease), Server: cfg.Name, Key: s.key,
	}
	if cfg.Hand {
		answer.Policy |= wire.PolicyHand
		if cfg.Local {
			answer.Std = direct()
		}
	}
	if cfg.Ring {
		answer.Policy |= wire.PolicyRing
	}
	if cfg.Stdio {
		answer.Policy |= wire.PolicyStdio
	}
	frame, ok := wire.PutAttached(make([]byte, 4096), &answer)
	if !ok {
		return nil, errors.New("server name is too long for an Attached frame")
	}
	if _, err := s.control.Write(frame); err != nil {
		s.os.Close()
		return nil, fmt.Errorf("answering the attach: %w", err)
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

// Run reads the control connection until the program process closes it,
// which it does by ending. An error is a program process that does not keep
// to the protocol.
func (s *Session) Run() error {
	s.frames.Max = wire.MaxFrame
	for {
		frame, err := s.frames.Next()
		if err == io.EOF || errors.Is(err, syscall.ECONNRESET) {
			return nil
		}
		if err == nil {
			err = s.message(frame)
		}
		if err != nil {
			s.frames.Drop()
			return fmt.Errorf("control connection: %w", err)
		}
	}
}

// message handles one frame of the control connection.
func (s *Session) message(frame []byte) error {
	kind, err := wire.Kind(frame)
	if err != nil {
		return err
	}
	switch kind {
	case wire.TagLink:
		l, err := wire.GetLink(frame)
		if err != nil {
			return err
		}
		hand := s.frames.Take(1)
		if hand == nil {
			return errors.New("link frame without a socket")
		}
		memfd := -1
		if l.Flags&wire.LinkRing != 0 {
			if more := s.frames.Take(1); more != nil {
				memfd = more[0]
			}
		}
		return s.addLink(s.cfg.Space.Conn(hand[0]), l, nil, memfd)
	case wire.TagGoroutines:
		g, err := wire.GetGoroutines(frame)
		if err != nil {
			return err
		}
		s.report(g)
		return nil
	}
	return fmt.Errorf("message of kind %d is not for a control connection", kind)
}

// event sends e to the program process. It waits for one that does not read.
func (s *Session) event(e *wire.Event) error {
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	return s.send(e)
}

// send writes e; sendMu is held.
func (s *Session) send(e *wire.Event) error {
	if need := 256 + len(e.Text); need > len(s.out) {
		s.out = make([]byte, need)
	}
	frame, ok := wire.PutEvent(s.out, e)
	if !ok {
		return errors.New("event does not fit a frame")
	}
	_, err := s.control.Write(frame)
	return err
}

// End tells the program that its session is over. It does not wait for a
// client that does not read.
func (s *Session) End(why string) {
	if !s.sendMu.TryLock() {
		return
	}
	defer s.sendMu.Unlock()
	s.control.SetWriteTimeout(100 * time.Millisecond)
	s.send(&wire.Event{Kind: wire.EventEnd, Text: why})
}

// Signal tells the program that signal n arrived.
func (s *Session) Signal(n uint32) error {
	return s.event(&wire.Event{Kind: wire.EventSignal, N: n})
}

// Close ends the links and waits for link threads that are not inside a
// call. Calls in progress end with the process, or on their own.
func (s *Session) Close() {
	s.mu.Lock()
	s.closed = true
	for l := range s.links {
		l.conn.Shutdown()
		if l.ring != nil {
			l.ring.close()
		}
	}
	s.mu.Unlock()
	s.control.Shutdown()
	s.os.Close()
}

// Wait waits for all link threads to end, which takes until the last call
// that is in progress returns.
func (s *Session) Wait() { s.idle.Wait() }
