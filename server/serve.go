package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/control"
	"remotec.dev/server/fds"
	"remotec.dev/server/node"
	"remotec.dev/server/session"
)

// Limits of a master.
const (
	// attachTimeout bounds how long a connection may take to say what it is.
	attachTimeout = 5 * time.Second
	// maxStrangers is how many connections that have not yet said it are
	// kept. The oldest goes first: a program attaches within milliseconds.
	maxStrangers = 64
	maxSessions  = 1000
	// farewell is how long sessions get to end by themselves.
	farewell = 2 * time.Second
)

// Options are what Serve listens with.
type Options struct {
	Listen string // host:port or unix:/path
	// Token is what clients must present over TCP. Without one, a server on a
	// loopback address makes one up and leaves it for its own user.
	Token string
	// Join is where other hosts find the server to become its nodes, host:port; empty: none
	// can. Config.Nodes says how that is told.
	Join string
	// Ready is told the actual address when connections are accepted.
	Ready func(addr string)
}

// Serve is a runtime server for any number of sessions. It returns when ctx
// ends, having ended the sessions.
func Serve(ctx context.Context, cfg Config, o Options) error {
	m := &master{
		cfg:       cfg.withDefaults(),
		sessions:  make(map[int]*hosted),
		draining:  make(map[*streams]struct{}),
		strangers: make(map[*fds.Conn]time.Time),
	}
	// What the master inherited is not for the sessions.
	if _, err := fds.CloseOnExec(); err != nil {
		return err
	}
	l, err := listen(o.Listen, o.Token)
	if err != nil {
		return err
	}
	defer l.close()
	page, err := m.cfg.Page.listen(nil)
	if err != nil {
		return err
	}
	page.serve(&control.Many{Server: m.cfg.Name, PIDs: m.pids})
	m.terms.Token = l.token
	if o.Join != "" {
		if err := m.openPool(o.Join); err != nil {
			return err
		}
	}
	for _, s := range l.sockets {
		go m.accept(s)
	}
	if o.Ready != nil {
		o.Ready(l.addr)
	}
	<-ctx.Done()
	l.close()
	if m.pool != nil {
		m.pool.Close()
	}
	m.end("the server is shutting down")
	return nil
}

// master accepts connections and passes them to session processes.
type master struct {
	cfg   Config
	terms session.Terms
	pool  *node.Pool // nil: no other hosts

	mu        sync.Mutex
	ending    bool
	sessions  map[int]*hosted       // by process id, which is the session's id
	draining  map[*streams]struct{} // of sessions that are over
	strangers map[*fds.Conn]time.Time
	gone      sync.WaitGroup // sessions
}

// hosted is a session process of a master.
type hosted struct {
	pid     int
	mu      sync.Mutex // serialises writes on channel
	channel *fds.Conn  // frames to the session process, see serveSession
	program string
	key     []byte      // that its links present
	streams *streams    // nil: the standard streams are not carried
	party   *node.Party // its nodes; nil without
}

// accept takes the connections of one listening socket, until it is closed.
func (m *master) accept(s socket) {
	for {
		c, err := fds.Accept(nil, s.fd)
		switch {
		case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EBADF):
			return // shut down
		case err != nil:
			m.cfg.log.Warn("accepting a connection", "err", err)
			time.Sleep(10 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		if !s.unix {
			setTCP(c.FD)
		}
		m.enter(c)
		go m.greet(c, s.unix, peer(c))
	}
}

// setTCP sets the options of a connection by TCP: no delay, and the end after
// a minute where the other host, or the way to it, vanished without a word.
func setTCP(fd int) {
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	for _, opt := range [...][2]int{{syscall.TCP_NODELAY, 1}, {syscall.TCP_KEEPIDLE, 15},
		{syscall.TCP_KEEPINTVL, 15}, {syscall.TCP_KEEPCNT, 3}} {
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, opt[0], opt[1])
	}
}

// enter counts c as a stranger, at the cost of the oldest where there are
// too many.
func (m *master) enter(c *fds.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.strangers) >= maxStrangers {
		var oldest *fds.Conn
		for s, since := range m.strangers {
			if oldest == nil || since.Before(m.strangers[oldest]) {
				oldest = s
			}
		}
		oldest.Shutdown()
		delete(m.strangers, oldest)
	}
	m.strangers[c] = time.Now()
}

// expire shuts c down if it is still a stranger.
func (m *master) expire(c *fds.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.strangers[c]; ok {
		c.Shutdown()
		delete(m.strangers, c)
	}
}

// known ends c's time as a stranger; it is false where that is over already.
func (m *master) known(c *fds.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.strangers[c]
	delete(m.strangers, c)
	return ok
}

// greet finds out what a connection from an address is, and closes it unless it is kept.
func (m *master) greet(c *fds.Conn, unix bool, from string) {
	// One limit for all that is said, however slowly.
	limit := time.AfterFunc(attachTimeout, func() { m.expire(c) })
	err := m.meet(c, unix, from)
	limit.Stop()
	m.known(c) // from here on expire leaves it alone
	c.Close()
	var refused *session.RefusedError
	if errors.As(err, &refused) {
		m.cfg.Events(Event{Kind: AttachRefused, Err: err})
		m.cfg.log.Info(err.Error())
	} else if err != nil {
		m.cfg.log.Warn("connection closed", "peer", from, "err", err)
	}
}

// meet serves a connection as what it turns out to be.
func (m *master) meet(c *fds.Conn, unix bool, from string) error {
	terms := m.terms
	if unix {
		if !fds.Trusted(c.FD) {
			return errors.New("it is another user's")
		}
		terms.Token = ""
	}
	// Exactly as far as a frame goes: what follows is for a session process.
	r := &fds.FrameReader{Conn: c, Exact: true, Max: wire.MaxAttach}
	defer r.Drop()
	preamble, err := r.Preamble()
	if err != nil {
		return session.Early(err)
	}
	switch preamble {
	case wire.PreambleRPC:
		return m.rpc(c, unix)
	case wire.PreambleFramed:
	default:
		return session.NotFramed(preamble)
	}
	frame, err := r.Next()
	if err != nil {
		return session.Early(err)
	}
	if kind, err := wire.Kind(frame); err == nil && kind == wire.TagLink {
		return m.link(c, frame)
	}
	a, err := terms.Attach(c, frame)
	if err != nil {
		return err
	}
	return m.start(c, r, a, frame, from)
}

// rpc serves a connection of a tool.
func (m *master) rpc(c *fds.Conn, unix bool) error {
	if !unix {
		token, err := control.ReadToken(c)
		if err != nil {
			return session.Early(err)
		}
		if !m.terms.Knows(token) {
			return errors.New("RPC with a wrong token")
		}
	}
	if !m.known(c) {
		return nil
	}
	control.Serve(control.Stream{Conn: c}, &control.Many{Server: m.cfg.Name, PIDs: m.pids, NodeList: m.nodes})
	return nil
}

// link passes a link that is a connection of its own on to its session, whose
// process checks the key. Standard streams end here.
func (m *master) link(c *fds.Conn, frame []byte) error {
	l, err := wire.GetLink(frame)
	if err != nil {
		return err
	}
	m.mu.Lock()
	h := m.sessions[int(l.Session)]
	m.mu.Unlock()
	if h == nil {
		return fmt.Errorf("link for session %d, which there is not", l.Session)
	}
	if l.Flags&wire.LinkStdio == 0 {
		return h.send(frame, c.FD)
	}
	if h.streams == nil || subtle.ConstantTimeCompare(l.Key, h.key) != 1 {
		return fmt.Errorf("standard stream for session %d with a wrong key, or not announced", l.Session)
	}
	return h.streams.connect(l.Thread, c)
}

func (h *hosted) send(frame []byte, hand ...int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.channel.Send(frame, hand)
	return err
}

func (m *master) pids() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	var pids []int
	for pid := range m.sessions {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids
}

// reap waits for the end of a session process.
func (m *master) reap(h *hosted) {
	defer m.gone.Done()
	exit := (&child{pid: h.pid}).wait()
	m.mu.Lock()
	delete(m.sessions, h.pid)
	if h.streams != nil {
		h.streams.end()
		m.draining[h.streams] = struct{}{}
	}
	m.mu.Unlock()
	h.party.End()
	h.mu.Lock()
	h.channel.Close()
	h.mu.Unlock()
	m.cfg.log.Info("session ended", "session", h.pid, "program", h.program, "exit", exit)
	m.cfg.Events(Event{Kind: SessionEnded, Session: uint64(h.pid), Program: h.program, Exit: exit})
	if h.streams != nil {
		h.streams.idle.Wait()
		m.mu.Lock()
		delete(m.draining, h.streams)
		m.mu.Unlock()
	}
}

// end ends all sessions: it asks first, and kills those that do not.
func (m *master) end(why string) {
	m.mu.Lock()
	m.ending = true
	list := make([]*hosted, 0, len(m.sessions))
	for _, h := range m.sessions {
		list = append(list, h)
	}
	for c := range m.strangers {
		c.Shutdown()
	}
	m.mu.Unlock()
	if frame, ok := wire.PutEvent(make([]byte, 512), &wire.Event{Kind: wire.EventEnd, Text: why}); ok {
		for _, h := range list {
			go h.send(frame) // its socket may be full
		}
	}
	killer := time.AfterFunc(farewell, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for pid, h := range m.sessions { // not reaped: still our child's number
			syscall.Kill(pid, syscall.SIGKILL)
			if h.streams != nil {
				h.streams.abort()
			}
		}
		for s := range m.draining {
			s.abort()
		}
	})
	defer killer.Stop()
	m.gone.Wait()
}

// peer names the other end of a connection for the log.
func peer(c *fds.Conn) string {
	sa, err := syscall.Getpeername(c.FD)
	if err != nil {
		return "gone"
	}
	return addrString(sa)
}
