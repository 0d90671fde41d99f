package node

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"remotec.dev/server/fds"
)

// PoolConfig is what a server takes nodes with.
type PoolConfig struct {
	Version string
	Log     *slog.Logger
	// Waiting is told a token that a node can join with: one at a time, another
	// when that has been used.
	Waiting func(Token)
	// Joined is told of each node that joined, Refused of each that was not taken, and
	// Left of each that is a node no longer.
	Joined  func(name, addr string, cpus int)
	Refused func(addr string, err error)
	Left    func(name, addr string, err error)
	// Program serves a connection of a program on the node's host, whose address it is
	// told, and returns when that has ended.
	Program func(addr string, conn HalfConn)
}

// Pool are the nodes that have joined a server. They wait to be called to sessions.
//
// All come to one address. Each connection asks for a name in its first message: that of a
// token or of the pool itself, which the pool answers, or one of a session, to
// whose process the connection is passed as it came.
type Pool struct {
	cfg      PoolConfig
	fd       int
	identity *identity
	features []string
	slots    chan struct{} // of strangers

	mu       sync.Mutex          // guards the rest
	tokens   map[string]*secrets // that are waited for, by name
	members  map[int]*Member     // by number, from 1
	number   int                 // the last one
	sessions map[string]func(*fds.Conn)
	closed   bool
}

// MemberInfo is what a pool knows of a node.
type MemberInfo struct {
	Name     string // as it calls itself
	Addr     string
	CPUs     int
	Joined   time.Time
	Sessions int // in which it takes part; of what Members returns
}

// Member is a node of a pool.
type Member struct {
	MemberInfo

	number   int
	sendMu   sync.Mutex // serialises calls
	conn     *tls.Conn  // nil while it is not there; guarded by Pool.mu
	since    time.Time  // it has had none; guarded by Pool.mu
	programs forwards
	sessions int // in which it takes part; guarded by Pool.mu
}

// rejoinFor is how long a node that lost its connection may come back with its certificate.
const rejoinFor = time.Minute

// OpenPool takes nodes on a listening TCP socket, which belongs to it from now on.
func OpenPool(fd int, cfg PoolConfig) (*Pool, error) {
	id, err := newIdentity("")
	if err != nil {
		return nil, err
	}
	p := &Pool{
		cfg: cfg, fd: fd, identity: id, features: features(), slots: make(chan struct{}, maxStrangers),
		tokens: make(map[string]*secrets), members: make(map[int]*Member), sessions: make(map[string]func(*fds.Conn)),
	}
	if err := p.invite(); err != nil {
		return nil, err
	}
	go func() {
		defer syscall.Close(fd)
		acceptAll(nil, fd, p.slots, p.serve)
	}()
	return p, nil
}

// Close ends the pool: its nodes are told that the server is gone.
func (p *Pool) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	syscall.Shutdown(p.fd, syscall.SHUT_RDWR) // wakes accept, which closes it
	members := make([]*Member, 0, len(p.members))
	for _, m := range p.members {
		if m.conn != nil {
			members = append(members, m)
		}
	}
	p.mu.Unlock()
	var all sync.WaitGroup
	for _, m := range members {
		all.Go(func() {
			why := ""
			m.call(m.conn, call{End: &why})
		})
	}
	all.Wait()
}

// Members lists the nodes that are there, in the order in which they came.
func (p *Pool) Members() (list []MemberInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.there() {
		i := m.MemberInfo
		i.Sessions = m.sessions
		list = append(list, i)
	}
	return list
}

// there lists the members with a connection; p.mu is held.
func (p *Pool) there() (list []*Member) {
	for _, m := range p.members {
		if m.conn != nil {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b *Member) int { return cmp.Compare(a.number, b.number) })
	return list
}

// Party is what a session process is told of the nodes that are to take part in its
// session: what their connections ask for, and the tokens that they come with.
type Party struct {
	Name   string
	Tokens []Token
	Nodes  []string // their names

	p       *Pool
	members []*Member
	names   []string // of the tokens
}

// Gather chooses nodes for a session, n at most, those with the fewest sessions first. It
// returns nil where there are none.
func (p *Pool) Gather(n int) (*Party, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.there()
	slices.SortStableFunc(list, func(a, b *Member) int { return cmp.Compare(a.sessions, b.sessions) })
	list = list[:max(min(n, len(list)), 0)]
	if len(list) == 0 {
		return nil, nil
	}
	party := &Party{Name: newName(), p: p, members: list}
	for _, m := range list {
		token := newToken()
		s, err := token.derive()
		if err != nil {
			return nil, err
		}
		party.Tokens, party.Nodes, party.names = append(party.Tokens, token), append(party.Nodes, m.Name), append(party.names, s.name)
	}
	for _, m := range list {
		m.sessions++
	}
	return party, nil
}

// Call calls the nodes to the session; pass gets their connections. It does not wait.
func (party *Party) Call(pass func(*fds.Conn)) {
	p := party.p
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions[party.Name] = pass
	for i, m := range party.members {
		p.sessions[party.names[i]] = pass
		if c := m.conn; c != nil { // else the session will miss it
			go m.call(c, call{Token: party.Tokens[i]})
		}
	}
}

// End is called when the session is over.
func (party *Party) End() {
	if party == nil {
		return
	}
	p := party.p
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, party.Name)
	for i, m := range party.members {
		delete(p.sessions, party.names[i])
		m.sessions--
	}
}

// invite makes a token for one node.
func (p *Pool) invite() error {
	token := newToken()
	s, err := token.derive()
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.tokens[s.name] = &s
	p.mu.Unlock()
	p.cfg.Waiting(token)
	return nil
}

// serve finds out what a connection is.
func (p *Pool) serve(c *fds.Conn) {
	from := peer(c)
	name, err := peekName(c.FD)
	if err == nil {
		p.mu.Lock()
		pass := p.sessions[name]
		p.mu.Unlock()
		if pass != nil {
			pass(c)
			c.Close()
			return
		}
		err = p.meet(c, name, from)
	} else {
		c.Close()
	}
	if err != nil {
		p.cfg.Log.Debug("connection closed", "peer", from, "err", err)
	}
}

// meet serves a connection that asks for a name of the pool's own.
func (p *Pool) meet(c *fds.Conn, name, from string) error {
	p.mu.Lock()
	token := p.tokens[name]
	p.mu.Unlock()
	var terms *tls.Config
	var err error
	switch {
	case token != nil:
		terms, err = token.joining()
	case name == p.identity.name:
		terms = p.identity.config()
	default:
		err = errStranger
	}
	if err != nil {
		c.Close()
		return err
	}
	syscall.SetsockoptInt(c.FD, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	raw, err := newFileConn(c.FD, "node")
	if err != nil {
		return err
	}
	conn := tls.Server(raw, terms)
	if err := shake(conn); err != nil {
		raw.Close()
		return err
	}
	if token == nil {
		if err := p.enter(conn, number(conn.ConnectionState().PeerCertificates[0])); err != nil {
			raw.Close()
			return err
		}
		return nil
	}
	defer raw.Close()
	p.mu.Lock()
	_, fresh := p.tokens[token.name]
	delete(p.tokens, token.name)
	p.mu.Unlock()
	if !fresh {
		return errors.New("a token that was used at this moment")
	}
	conn.SetDeadline(time.Now().Add(introduction))
	if err := p.welcome(conn, from); err != nil {
		p.cfg.Refused(from, err)
	}
	return p.invite()
}

// welcome takes the owner of a token as a node, or says why not.
func (p *Pool) welcome(conn *tls.Conn, from string) error {
	var me hello
	if err := receive(conn, &me); err != nil {
		return fmt.Errorf("it did not say what it is: %w", err)
	}
	m := &Member{MemberInfo: MemberInfo{Name: cmp.Or(me.Name, from), Addr: from, CPUs: me.CPUs, Joined: time.Now()}, since: time.Now()}
	w := welcome{Protocol: protocol, Version: p.cfg.Version, Standing: true}
	w.Refused = me.check(p.cfg.Version, p.features)
	if w.Refused == "" {
		p.mu.Lock()
		p.number++
		m.number = p.number
		p.members[m.number] = m
		for n, old := range p.members { // those that did not come back
			if old.conn == nil && time.Since(old.since) > rejoinFor {
				delete(p.members, n)
			}
		}
		p.mu.Unlock()
		var err error
		w.Name, w.Authority = p.identity.name, p.identity.authority.Raw
		if w.Certificate, err = p.identity.issue(m.number, me.Key); err != nil {
			w.Refused = err.Error()
		}
	}
	err := send(conn, w)
	if err == nil && w.Refused != "" {
		err = fmt.Errorf("node %s: %s", m.Name, w.Refused)
	}
	if err != nil {
		p.mu.Lock()
		delete(p.members, m.number)
		p.mu.Unlock()
	}
	return err
}

// enter takes the standing connection of node n.
func (p *Pool) enter(conn *tls.Conn, n int) error {
	conn.SetDeadline(time.Now().Add(introduction))
	var o opening
	if err := receive(conn, &o); err != nil {
		return err
	}
	conn.SetDeadline(time.Time{})
	p.mu.Lock()
	m := p.members[n]
	if m == nil || p.closed {
		p.mu.Unlock()
		return fmt.Errorf("node %d is not expected any more", n)
	}
	if o.Program {
		there := m.conn != nil
		p.mu.Unlock()
		f := &forwarded{HalfConn: conn, raw: conn.NetConn(), of: &m.programs}
		if !there || p.cfg.Program == nil || !m.programs.add(f) {
			return errors.New("a connection of a program, without a standing one")
		}
		go p.cfg.Program(m.Addr, f)
		return nil
	}
	m.programs.set(true)
	if m.conn != nil { // it knows better than this end that it lost that one
		m.conn.NetConn().Close()
	}
	m.conn = conn
	p.mu.Unlock()
	m.call(conn, call{}) // that it is taken; an error is one for the reader
	p.cfg.Joined(m.Name, m.Addr, m.CPUs)
	go p.mind(m, conn)
	return nil
}

// mind keeps a standing connection until it is lost.
func (p *Pool) mind(m *Member, conn *tls.Conn) {
	over := make(chan struct{})
	go func() {
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			if m.call(conn, call{}) != nil {
				conn.NetConn().Close() // the reader says why
				return
			}
		}
	}()
	var err error
	for err == nil {
		var s sign
		conn.SetReadDeadline(time.Now().Add(Silence))
		if err = receive(conn, &s); err == nil && s.Leaving != "" {
			err = errors.New(s.Leaving)
		}
	}
	close(over)
	conn.NetConn().Close()
	p.mu.Lock()
	ours := m.conn == conn
	if ours {
		m.conn, m.since = nil, time.Now()
		m.programs.set(false)
	}
	closed := p.closed
	p.mu.Unlock()
	if ours && !closed {
		p.cfg.Left(m.Name, m.Addr, lostFor(err))
	}
}

// call tells the node something.
func (m *Member) call(conn *tls.Conn, c call) error {
	m.sendMu.Lock()
	defer m.sendMu.Unlock()
	conn.SetWriteDeadline(time.Now().Add(Silence))
	return send(conn, c)
}

// lostFor says what an error of a standing connection means.
func lostFor(err error) error {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("nothing was heard from it for %v", Silence)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("its connection ended")
	}
	return err
}
