package server

import (
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/coherence"
	"remotec.dev/server/control"
	"remotec.dev/server/fds"
	"remotec.dev/server/pager"
	"remotec.dev/server/session"
)

// running is a session whose session process is this one, with the processes of its
// program, which it starts.
//
// The first process that ends, ends the session: it has returned from main, or
// called os.Exit, or failed as the whole program would, or was lost.
type running struct {
	cfg     Config
	program Program
	id      uint64
	beacon  *session.Beacon
	memory  *pager.Pager // nil with one process
	layout  coherence.Layout

	children []*child
	ending   sync.Once
	over     atomic.Bool      // set by ending
	ender    int              // the process that ended the session; set by ending
	session  *session.Session // nil if the first process did not attach; set before opened is closed
	opened   chan struct{}    // closed when it is known whether there is a session
}

// processVariable tells a process its number; the patched runtime reads it
// before its first allocation.
const processVariable = "REMOTEC_PROCESS"

func (r *running) run() (Exit, error) {
	n := max(r.cfg.Processes, 1)
	var seed [8]byte
	if n > 1 {
		if err := r.share(n); err != nil {
			return Exit{}, err
		}
		rand.Read(seed[:]) // never fails: crypto/rand
	}
	conns := make([]*fds.Conn, n)
	ended := make(chan int, n)
	exits := make([]Exit, n)
	for k := range n {
		env := environ(r.program.Env, serverVariable, "fd:3")
		if n > 1 {
			env = environ(env, processVariable, fmt.Sprintf("%x/%x/%x", k, n, seed))
		}
		var err error
		if conns[k], err = r.start(env); err != nil {
			for _, c := range r.children {
				c.kill()
			}
			for range k {
				<-ended
			}
			return Exit{}, err
		}
		go func() {
			exits[k] = <-r.children[k].done
			ended <- k
		}()
	}
	go r.first(conns[0])
	for k := 1; k < n; k++ {
		go r.further(k, conns[k])
	}
	r.end(<-ended)
	for range n - 1 {
		<-ended
	}
	exit := exits[r.ender]
	// A signal that asks a program to end is not worth a word: its sender knows.
	if sig := syscall.Signal(exit.Signal); n > 1 && (sig == syscall.SIGKILL || sig == syscall.SIGSEGV || sig == syscall.SIGBUS) {
		r.cfg.log.Warn(fmt.Sprintf("process %d of the program was killed by signal %d: the session ends", r.ender, exit.Signal))
	}
	return exit, nil
}

// end notes that process number ends the session, and ends the others.
func (r *running) end(number int) {
	r.ending.Do(func() {
		r.ender = number
		r.over.Store(true)
		for k, c := range r.children {
			if k != number {
				c.kill()
			}
		}
	})
}

// share prepares the memory of n processes.
func (r *running) share(n int) error {
	if err := pager.Supported(); err != nil {
		return fmt.Errorf("running a program in %d processes: %w; -n 1 runs it in one", n, err)
	}
	var err error
	if r.layout, err = session.Layout(r.program.Path, n); err != nil {
		return err
	}
	r.memory, err = pager.New(pager.Config{
		Layout: r.layout, Logger: r.cfg.log, Own: Adopt,
		Failed: func(process int, err error) {
			if !coherence.Unmapped(err) {
				r.cfg.log.Error("memory of the session is lost: it ends", "process", process, "err", err)
				r.children[process].kill()
			}
		},
	})
	return err
}

// start starts the next process and returns its control connection.
func (r *running) start(env []string) (*fds.Conn, error) {
	ours, theirs, err := socketpair()
	if err != nil {
		return nil, err
	}
	conn, err := fds.NewConn(&space, ours)
	if err != nil {
		return nil, err
	}
	// Moved too: while the process is being made, nothing of ours is at a low
	// number that CloseOnExec would have to tell from the user's.
	theirs, err = space.Adopt(theirs)
	if err != nil {
		return nil, err
	}
	c, err := launch(r.program.Path, r.program.Args, env, theirs)
	space.Close(theirs)
	if err != nil {
		return nil, err
	}
	r.children = append(r.children, c)
	return conn, nil
}

// greet takes the attach of a process.
func (r *running) greet(conn *fds.Conn) (*fds.FrameReader, *wire.Attach) {
	f := &fds.FrameReader{Conn: conn}
	a, err := session.Greet(f, &session.Terms{})
	if err != nil {
		// The program, which has been told, says so itself; one that never
		// spoke has ended or was never a remote binary.
		r.cfg.Events(Event{Kind: AttachRefused, Session: r.id, Err: err})
		conn.Shutdown()
		return nil, nil
	}
	return f, a
}

// first serves the first process until it goes away.
func (r *running) first(conn *fds.Conn) {
	opened := sync.OnceFunc(func() { close(r.opened) })
	defer opened()
	f, a := r.greet(conn)
	if f == nil {
		return
	}
	sc := r.cfg.session(r.id)
	sc.Local = a.Flags&wire.AttachChild != 0
	sc.Processes, sc.Memory, sc.Layout = r.cfg.Processes, r.memory, r.layout
	if r.memory != nil {
		// A copy would be one process's, and outlive the descriptor's end in
		// another.
		sc.Hand = false
		sc.Spread = r.cfg.Placement == PlaceSpread
		sc.Hidden = r.hidden
	}
	s, err := session.Open(sc, f, a)
	if err != nil {
		r.cfg.log.Warn("session not started", "err", err)
		conn.Shutdown()
		return
	}
	r.session = s
	opened()
	r.beacon.Serve((&control.Own{Server: r.cfg.Name, Session: s}).Accept)
	r.cfg.Events(Event{Kind: SessionStarted, Session: r.id, Program: a.Path})
	if err := s.Run(); err != nil {
		r.cfg.log.Warn("session ended", "session", r.id, "err", err)
		s.End(err.Error())
	}
	r.end(0)
	s.Close()
}

// further serves another process until it goes away.
func (r *running) further(number int, conn *fds.Conn) {
	f, a := r.greet(conn)
	if f == nil {
		return
	}
	<-r.opened
	if r.session == nil {
		conn.Shutdown()
		return
	}
	p, err := r.session.Join(number, f, a)
	if err == nil {
		err = p.Run()
	}
	if err != nil && !r.over.Load() {
		r.cfg.log.Warn("session ended", "session", r.id, "process", number, "err", err)
		r.session.End(err.Error())
	}
	r.end(number)
	conn.Shutdown()
}

// hidden reports whether pid is one of the program's own processes.
func (r *running) hidden(pid int) bool {
	for _, c := range r.children {
		if c.pid == pid {
			return true
		}
	}
	return false
}

// kill ends the process at once.
func (c *child) kill() { syscall.Kill(c.pid, syscall.SIGKILL) }
