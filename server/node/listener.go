package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"remotec.dev/server/fds"
)

// Config is what a session waits for nodes with.
type Config struct {
	Count int // of nodes that are waited for, at least 1
	// Tokens are those that the nodes come with, of whom the session has not to tell
	// anybody: a server has called them. Then Count is not looked at, and one that
	// is not taken ends the wait. Name is the server name that goes with them.
	Tokens []Token
	Name   string

	Version string
	Space   *fds.Space // of the session process
	Log     *slog.Logger
	// Waiting is told a token that a node can join with: one for each node, and
	// another one where a node that used one was refused or vanished.
	Waiting func(Token)
	// Joined is told of each node that joined, Refused of each that was
	// not taken.
	Joined  func(name, addr string, cpus int)
	Refused func(addr string, err error)
}

// maxStrangers is how many connections may be about to say what they are.
const maxStrangers = 32

// Listener waits for the nodes of a session.
type Listener struct {
	cfg      Config
	fd       int
	identity *identity
	features []string
	slots    chan struct{} // of strangers

	mu     sync.Mutex          // guards the rest
	tokens map[string]*secrets // that are waited for, by name
	hosts  map[int]*Host       // by number, from 1
	number int                 // the last one
	ready  int                 // hosts that have both connections
	done   chan error          // gets nil when all are, or an error; has room for one
	closed bool
}

// Listen waits for nodes on a listening TCP socket, which belongs to it from now on;
// -1 stands for none: somebody else accepts connections, and Take gets them.
func Listen(fd int, cfg Config) (*Listener, error) {
	id, err := newIdentity(cfg.Name)
	if err != nil {
		return nil, err
	}
	called := cfg.Tokens != nil
	if called {
		cfg.Count = len(cfg.Tokens)
	}
	l := &Listener{
		cfg: cfg, fd: fd, identity: id, features: features(), slots: make(chan struct{}, maxStrangers),
		tokens: make(map[string]*secrets), hosts: make(map[int]*Host), done: make(chan error, 1),
	}
	for _, token := range cfg.Tokens {
		s, err := token.derive()
		if err != nil {
			return nil, err
		}
		l.tokens[s.name] = &s
	}
	for range cfg.Count {
		if called {
			break
		}
		if err := l.invite(); err != nil {
			return nil, err
		}
	}
	if fd >= 0 {
		go l.accept()
	}
	return l, nil
}

// Take serves a connection that somebody else has accepted.
func (l *Listener) Take(c *fds.Conn) { go l.serve(c) }

func (l *Listener) serve(c *fds.Conn) {
	from := peer(c)
	if err := l.meet(c, from); err != nil {
		l.cfg.Log.Debug("connection closed", "peer", from, "err", err)
	}
}

// invite makes a token for one node.
func (l *Listener) invite() error {
	token := newToken()
	s, err := token.derive()
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.tokens[s.name] = &s
	l.mu.Unlock()
	l.cfg.Waiting(token)
	return nil
}

// missed goes on after a node was not taken, or did not come back: with another one, if
// anybody may come.
func (l *Listener) missed(err error) error {
	if l.cfg.Tokens == nil {
		return l.invite()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finish(err)
	return nil
}

// Here returns the names of the nodes that have come so far.
func (l *Listener) Here() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.hosts {
		select {
		case <-h.complete:
			names = append(names, h.Name)
		default:
		}
	}
	return names
}

// Wait returns the nodes when all have joined; nobody can join any more then.
func (l *Listener) Wait(ctx context.Context) ([]*Host, error) {
	var err error
	select {
	case err = <-l.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && l.fd >= 0 {
		// Wakes accept, which closes it: after that the number is another descriptor's.
		syscall.Shutdown(l.fd, syscall.SHUT_RDWR)
	}
	l.closed = true
	if err != nil {
		for _, h := range l.hosts {
			h.lose(err)
		}
		return nil, err
	}
	hosts := make([]*Host, 0, len(l.hosts))
	for i := 1; i <= l.number; i++ {
		if h := l.hosts[i]; h != nil {
			hosts = append(hosts, h)
		}
	}
	introduceHosts(hosts)
	return hosts, nil
}

// accept takes connections until Wait returns.
func (l *Listener) accept() {
	defer func() {
		if l.cfg.Space != nil {
			l.cfg.Space.Close(l.fd)
		} else {
			syscall.Close(l.fd)
		}
	}()
	acceptAll(l.cfg.Space, l.fd, l.slots, l.serve)
}

// acceptAll has meet serve the connections of a listening socket until that is shut
// down: as many at a time as slots has room for.
func acceptAll(space *fds.Space, fd int, slots chan struct{}, meet func(*fds.Conn)) {
	for {
		c, err := fds.Accept(space, fd)
		switch {
		case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EBADF):
			return // shut down
		case err != nil:
			time.Sleep(10 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		select {
		case slots <- struct{}{}:
		default: // enough of them
			c.Close()
			continue
		}
		go func() {
			defer func() { <-slots }()
			meet(c)
		}()
	}
}

// peer names the other end of a connection.
func peer(c *fds.Conn) string {
	sa, err := syscall.Getpeername(c.FD)
	if err != nil {
		return "gone"
	}
	switch v := sa.(type) {
	case *syscall.SockaddrInet4:
		return fmt.Sprintf("%d.%d.%d.%d", v.Addr[0], v.Addr[1], v.Addr[2], v.Addr[3])
	case *syscall.SockaddrInet6:
		return ip6(v.Addr)
	}
	return "this host"
}

// errStranger ends the handshake of somebody who does not say a name that is waited for.
var errStranger = errors.New("a stranger")

// gate is a connection on which nothing goes out before the other end has said a name,
// not even an alert of TLS.
type gate struct {
	net.Conn
	open bool
}

func (g *gate) Write(p []byte) (int, error) {
	if !g.open {
		return 0, errStranger
	}
	return g.Conn.Write(p)
}

// meet finds out who a connection is of.
func (l *Listener) meet(c *fds.Conn, from string) error {
	syscall.SetsockoptInt(c.FD, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	raw, err := newFileConn(c.FD, "node")
	if err != nil {
		return err
	}
	var token *secrets // that it came with; nil for a certificate
	gate := &gate{Conn: raw}
	conn := tls.Server(gate, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		l.mu.Lock()
		token = l.tokens[h.ServerName]
		l.mu.Unlock()
		gate.open = token != nil || h.ServerName == l.identity.name
		switch {
		case token != nil:
			return token.joining()
		case gate.open:
			return l.identity.config(), nil
		}
		return nil, errStranger
	}})
	if err := shake(conn); err != nil {
		raw.Close()
		return err
	}
	if token == nil {
		if err := l.enter(conn, number(conn.ConnectionState().PeerCertificates[0])); err != nil {
			raw.Close()
			return err
		}
		return nil
	}
	defer raw.Close()
	if !l.use(token) {
		return errors.New("a token that was used at this moment")
	}
	conn.SetDeadline(time.Now().Add(introduction))
	if err := l.welcome(conn, from); err != nil {
		l.cfg.Refused(from, err)
		return l.missed(err)
	}
	return nil
}

// use takes a token out of use; it is false where that has happened.
func (l *Listener) use(token *secrets) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.tokens[token.name]
	delete(l.tokens, token.name)
	return ok
}

// welcome takes the owner of a token as a node, or says why not.
func (l *Listener) welcome(conn *tls.Conn, from string) error {
	var me hello
	if err := receive(conn, &me); err != nil {
		return fmt.Errorf("it did not say what it is: %w", err)
	}
	w := welcome{Protocol: protocol, Version: l.cfg.Version}
	h := &Host{Name: me.Name, Addr: from, CPUs: me.CPUs, complete: make(chan struct{}), features: l.features, debug: l.cfg.Log}
	if h.Name == "" {
		h.Name = from
	}
	w.Refused = me.check(l.cfg.Version, l.features)
	if w.Refused == "" {
		l.mu.Lock()
		l.number++
		n := l.number
		l.hosts[n] = h
		h.number = n
		h.limit = time.AfterFunc(2*introduction, func() { l.forget(h) })
		l.mu.Unlock()
		var err error
		w.Name, w.Authority = l.identity.name, l.identity.authority.Raw
		if w.Certificate, err = l.identity.issue(n, me.Key); err != nil {
			w = welcome{Protocol: protocol, Version: l.cfg.Version, Refused: err.Error()}
		}
	}
	err := send(conn, w)
	if err == nil && w.Refused != "" {
		err = fmt.Errorf("node %s: %s", h.Name, w.Refused)
	}
	if err != nil {
		l.mu.Lock()
		delete(l.hosts, h.number)
		l.mu.Unlock()
		if h.limit != nil {
			h.limit.Stop()
		}
		return err
	}
	return nil
}

// enter takes a connection of node n.
func (l *Listener) enter(conn *tls.Conn, n int) error {
	conn.SetDeadline(time.Now().Add(introduction))
	var o opening
	if err := receive(conn, &o); err != nil {
		return err
	}
	conn.SetDeadline(time.Time{})
	l.mu.Lock()
	h := l.hosts[n]
	l.mu.Unlock()
	if h == nil {
		return fmt.Errorf("node %d is not expected any more", n)
	}
	both, err := h.take(conn, o.Memory)
	if err != nil || !both {
		return err
	}
	go func() {
		if err := h.begin(l.cfg.Space); err != nil {
			l.forget(h)
			return
		}
		l.cfg.Joined(h.Name, h.Addr, h.CPUs)
		l.mu.Lock()
		defer l.mu.Unlock()
		h.limit.Stop()
		if l.ready++; l.ready == l.cfg.Count {
			l.finish(nil)
			return
		}
		go l.mind(h)
	}()
	return nil
}

// mind gives up where a node is lost before all have joined.
func (l *Listener) mind(h *Host) {
	<-h.Lost()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.finish(fmt.Errorf("node %s is lost before the program started: %w", h.Name, h.Err()))
	}
}

// finish ends Wait. l.mu is held.
func (l *Listener) finish(err error) {
	select {
	case l.done <- err:
	default:
	}
}

// forget gives up on a node that got a certificate and did not come back.
func (l *Listener) forget(h *Host) {
	select {
	case <-h.complete:
		return
	default:
	}
	l.mu.Lock()
	delete(l.hosts, h.number)
	over := l.closed
	l.mu.Unlock()
	h.lose(errors.New("it did not come back after it had joined"))
	why := fmt.Errorf("node %s did not come back after it had joined", h.Name)
	l.cfg.Refused(h.Addr, why)
	if !over {
		l.missed(why)
	}
}
