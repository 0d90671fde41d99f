package server

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/coherence"
	"remotec.dev/server/control"
	"remotec.dev/server/fds"
	"remotec.dev/server/mail"
	"remotec.dev/server/node"
	"remotec.dev/server/pager"
	"remotec.dev/server/session"
)

// running is a session whose session process is this one, with the processes of its
// program, which it starts.
//
// The first process that ends, ends the session: it has returned from main, or
// called os.Exit, or failed as the whole program would, or was lost.
type running struct {
	cfg      Config
	program  Program
	id       uint64
	beacon   *session.Beacon
	measures *session.Measures // of what processes do; nil without mail
	memory   *pager.Pager      // nil with one process
	layout   coherence.Layout
	hosts    *hosts         // nil without others than this one
	mail     *mail.Mail     // of the processes on this host; nil without
	joined   *joined        // the first process, where somebody else started it; else nil
	party    *node.Party    // nodes of the master that take part; nil without
	guests   *node.Listener // for their connections
	page     *page          // nil without

	children []*child
	ending   sync.Once
	over     atomic.Bool      // set by ending
	features uint64           // of the processor of the first process; set before opened is closed
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
	defer func() { r.mail.Close() }()
	if err := r.makeMail(n); err != nil {
		return Exit{}, err
	}
	conns := make([]*fds.Conn, n)
	numbered := func(k int) string { return fmt.Sprintf("%x/%x/%x", k, n, seed) }
	if r.joined != nil {
		// Before the nodes are waited for: the process waits for long only once it knows
		// that there will be several.
		var err error
		if conns[0], err = r.joined.again(numbered(0), r.mail); err != nil {
			return Exit{}, err
		}
	}
	if r.cfg.Nodes.Count > 0 || r.guests != nil {
		var err error
		if r.guests != nil {
			r.hosts, err = r.meet()
		} else {
			r.hosts, err = gather(&r.cfg)
		}
		if err != nil {
			return Exit{}, err
		}
		defer r.hosts.close()
		for _, h := range r.hosts.list {
			h.Serve(r.memory, r.cfg.log, r.failed)
		}
		if err := r.hosts.prepare(r.program.Path); err != nil {
			return Exit{}, err
		}
		r.measureHosts(n)
	}
	ended := make(chan int, n)
	exits := make([]Exit, n)
	for k := range n {
		env := environ(r.program.Env, serverVariable, "fd:3")
		number := numbered(k)
		if n > 1 {
			env = environ(env, processVariable, number)
		}
		var err error
		switch h := r.hosts.of(k, n); {
		case h != nil:
			conns[k], err = r.startFar(h, k, env, number)
		case k == 0 && r.joined != nil:
			r.children = append(r.children, &r.joined.child)
		default:
			if r.mail != nil {
				env = environ(env, processVariable, number+"/0"+r.mail.Value(4))
			}
			conns[k], err = r.start(env)
		}
		if err != nil {
			for _, c := range r.children {
				if r.joined != nil && c == &r.joined.child {
					r.joined.ended(nil) // it is told why
				} else {
					c.kill()
				}
			}
			for range k {
				<-ended
			}
			return Exit{}, err
		}
		c := r.children[k]
		go func() {
			exits[k] = <-c.done
			close(c.over)
			if s := r.attached(); s != nil {
				s.Ended(k)
			}
			ended <- k
		}()
	}
	if r.hosts != nil {
		for k := range n {
			if h := r.hosts.of(k, n); h != nil && h != r.hosts.of(k-1, n) {
				go r.mind(h, k)
			}
		}
	}
	go r.first(conns[0])
	for k := 1; k < n; k++ {
		go r.further(k, conns[k])
	}
	for range n {
		k := <-ended
		if s := r.attached(); s != nil && s.Retired(k) {
			continue
		}
		r.end(k)
		if k == r.ender && k != 0 && r.joined != nil {
			r.joined.leave(r.session, exits[k])
		}
	}
	exit := exits[r.ender]
	if h := r.hosts.of(r.ender, n); h != nil && h.IsLost() {
		say := r.cfg.log
		if r.joined != nil { // the master's; the user is to know, too
			say.Warn("a node is lost: its session ends", "session", r.id, "node", h.Name, "address", h.Addr, "err", h.Err())
			say = NewLog(r.hosts.errors, slog.LevelError)
		}
		say.Error("a node is lost: the session ends", "node", h.Name, "address", h.Addr, "err", h.Err())
	}
	// A signal that asks a program to end is not worth a word: its sender knows.
	if sig := syscall.Signal(exit.Signal); n > 1 && (sig == syscall.SIGKILL || sig == syscall.SIGSEGV || sig == syscall.SIGBUS) {
		r.cfg.log.Warn(fmt.Sprintf("process %d of the program was killed by signal %d: the session ends", r.ender, exit.Signal))
	}
	return exit, nil
}

// makeMail lets the processes of this host send each other messages directly, and say what they do, unless
// faults are to be injected into messages.
func (r *running) makeMail(n int) error {
	here, others := 0, r.cfg.Nodes.Count
	if r.party != nil {
		others = len(r.party.Tokens)
	}
	for here < n && hostOf(here, n, others) == 0 {
		here++
	}
	if n < 2 || r.cfg.PostDelay > 0 {
		return nil
	}
	var err error
	if r.mail, err = mail.New(0, here, r.cfg.MailDelay, &space); err != nil {
		return err
	}
	r.measures = session.NewMeasures(n, r.mail, runtime.NumCPU())
	return nil
}

// measureHosts has what the processes of other hosts do be known.
func (r *running) measureHosts(n int) {
	if r.measures == nil {
		return
	}
	others := make([]session.MeasuredHost, len(r.hosts.list))
	for i, h := range r.hosts.list {
		others[i] = session.MeasuredHost{CPUs: h.CPUs, Watch: func(labels []uint64) { h.Watch(labels, r.measures.Told) }}
	}
	r.measures.Join(others, func(k int) int { return hostOf(k, n, len(others)) })
}

// end notes that process number ends the session, and ends the others.
func (r *running) end(number int) {
	r.ending.Do(func() {
		r.ender = number
		r.over.Store(true)
		s := r.attached()
		for k, c := range r.children {
			if k != number && (k != 0 || r.joined == nil) && !(s != nil && s.Retired(k)) {
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
		Layout: r.layout, Options: coherence.Options{Hold: pageHold, Idle: func(k int) bool { return r.mail.Idle(k) }, Where: where}, Logger: r.cfg.log, Own: Adopt, Failed: r.failed, Answered: r.answered,
	})
	return err
}

// pageHold is how long a process keeps a page that others take from it again and
// again: some times as long as a fault takes.
const pageHold = 30 * time.Microsecond

// failed ends the session because a fault of a process could not be answered, unless
// the program is to blame.
func (r *running) failed(process int, err error) {
	if !coherence.Unmapped(err) && !r.over.Load() {
		r.cfg.log.Error("memory of the session is lost: it ends", "process", process, "err", err)
		r.children[process].kill()
	}
}

// answered is told of each fault that another process's page was the answer to.
func (r *running) answered(f coherence.Fault, from coherence.Origin, took time.Duration) {
	if r.measures != nil {
		r.measures.Answered(f, from, took)
	}
}

// mind ends the session when a node is lost, whose first process is number.
func (r *running) mind(h *node.Host, number int) {
	<-h.Lost()
	r.end(number)
}

// lostProcess returns the first process of a node that is lost, if one is.
func (r *running) lostProcess() (number int, ok bool) {
	for k := range r.children {
		if h := r.hosts.of(k, len(r.children)); h != nil && h.IsLost() {
			return k, true
		}
	}
	return 0, false
}

// startFar starts process k on another host.
func (r *running) startFar(h *node.Host, k int, env []string, number string) (*fds.Conn, error) {
	n, first, count := max(r.cfg.Processes, 1), k, 0
	for first > 0 && r.hosts.of(first-1, n) == h {
		first--
	}
	for first+count < n && r.hosts.of(first+count, n) == h {
		count++
	}
	if r.cfg.PostDelay > 0 {
		count = 0 // messages go through the session
	}
	conn, done, err := h.Start(node.Process{
		Number: k, First: first, Count: count, Args: r.program.Args, Env: env, Value: number,
		Layout: r.layout, Errors: r.hosts.errors,
	})
	if err != nil {
		return nil, err
	}
	c := &child{far: func() { h.Kill(k) }, done: make(chan Exit, 1), over: make(chan struct{})}
	go func() {
		how := <-done
		c.done <- Exit{Status: how[0], Signal: how[1]}
	}()
	r.children = append(r.children, c)
	return conn, nil
}

// far returns what attaches the memory of a process of another host.
func (r *running) far(process int) func() error {
	h := r.hosts.of(process, len(r.children))
	if h == nil {
		return nil
	}
	return func() error { return h.Attach(r.memory, process) }
}

// host returns the name of the host of a process, empty for this one.
func (r *running) host(process int) string {
	if h := r.hosts.of(process, len(r.children)); h != nil {
		return h.Name
	}
	return ""
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
	c, err := launch(r.program.Path, r.program.Args, env, append([]int{theirs}, r.mail.Files()...)...)
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
	a, err := session.Greet(f, &session.Terms{Features: r.features})
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
	if r.joined != nil {
		defer func() { r.joined.ended(r.session) }()
	}
	f, a := r.greet(conn)
	if f == nil {
		return
	}
	r.features = a.CPU
	sc := r.cfg.session(r.id)
	sc.Local = a.Flags&wire.AttachChild != 0
	sc.Processes, sc.Memory, sc.Layout = r.cfg.Processes, r.memory, r.layout
	if r.memory != nil {
		// A copy would be one process's, and outlive the descriptor's end in
		// another. A mapping outlives it anyway.
		sc.Map, sc.Hand = sc.Hand, false
		sc.Spread = r.cfg.Placement == PlaceSpread || r.cfg.Placement == PlaceAffinity
		sc.Balance = r.cfg.Placement == PlaceBalance
		sc.Measures, sc.Place = r.measures, r.cfg.Placement == PlaceBalance || r.cfg.Placement == PlaceAffinity
		sc.Hidden = r.hidden
		sc.Retired = r.retired
		sc.Far, sc.Host = r.far, r.host
	}
	s, err := session.Open(sc, f, a)
	if err != nil {
		r.cfg.log.Warn("session not started", "err", err)
		conn.Shutdown()
		return
	}
	r.session = s
	opened()
	own := &control.Own{Server: r.cfg.Name, Session: s}
	r.beacon.Serve(own.Accept)
	r.page.serve(own)
	if r.joined == nil {
		r.cfg.Events(Event{Kind: SessionStarted, Session: r.id, Program: a.Path})
	}
	if err := s.Run(); err != nil {
		r.cfg.log.Warn("session ended", "session", r.id, "err", err)
		s.End(err.Error())
	}
	r.end(0)
	s.Close()
}

// further serves another process until it goes away.
func (r *running) further(number int, conn *fds.Conn) {
	<-r.opened
	if r.session == nil {
		conn.Shutdown()
		return
	}
	f, a := r.greet(conn)
	if f == nil {
		return
	}
	p, err := r.session.Join(number, f, a)
	if err == nil {
		err = p.Run()
	}
	if r.session.Retired(number) {
		conn.Shutdown()
		return
	}
	if err != nil && !r.over.Load() {
		if lost, ok := r.lostProcess(); ok {
			number = lost // which is why, and what the user is told
		} else {
			r.cfg.log.Warn("session ended", "session", r.id, "process", number, "err", err)
			r.session.End(err.Error())
		}
	}
	r.end(number)
	conn.Shutdown()
}

// hidden reports whether pid is one of the program's own processes.
func (r *running) hidden(pid int) bool {
	for _, c := range r.children {
		if c.pid == pid && !c.isOver() {
			return true
		}
	}
	return false
}

// attached returns the session, nil if it is not known yet, or there is none.
func (r *running) attached() *session.Session {
	select {
	case <-r.opened:
		return r.session
	default:
		return nil
	}
}

// retired sees to it that a process ends which is about to: it has nothing to do any more, and
// nobody answers its faults.
func (r *running) retired(number int) {
	c := r.children[number]
	go func() {
		select {
		case <-c.over:
		case <-time.After(100 * time.Millisecond):
			if !r.over.Load() && !c.isOver() {
				c.kill()
			}
		}
	}()
}

// isOver reports whether the process has ended, and been waited for.
func (c *child) isOver() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// kill ends the process at once.
func (c *child) kill() {
	if c.far != nil {
		c.far()
		return
	}
	syscall.Kill(c.pid, syscall.SIGKILL)
}
