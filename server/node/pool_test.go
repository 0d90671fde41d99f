package node

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"remotec.dev/server/fds"
)

// opened is a pool with what it is told.
type opened struct {
	*Pool
	addr   string
	tokens chan Token
	joined chan string
	left   chan error
}

func newPool(t *testing.T) *opened {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 10))
	}
	if err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	o := &opened{tokens: make(chan Token, 10), joined: make(chan string, 10), left: make(chan error, 10)}
	o.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*syscall.SockaddrInet4).Port))
	o.Pool, err = OpenPool(fd, PoolConfig{
		Version: "test", Log: slog.New(slog.DiscardHandler),
		Waiting: func(token Token) { o.tokens <- token },
		Joined:  func(name, _ string, _ int) { o.joined <- name },
		Refused: func(string, error) {},
		Left:    func(_, _ string, err error) { o.left <- err },
		Program: func(_ string, c HalfConn) { io.Copy(c, c); c.Close() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

// session makes a session with n nodes of the pool.
func (o *opened) session(t *testing.T, n int) []*Host {
	t.Helper()
	party, err := o.Gather(n)
	if err != nil || party == nil {
		t.Fatalf("no nodes: %v", err)
	}
	l, err := Listen(-1, Config{
		Tokens: party.Tokens, Name: party.Name, Version: "test", Log: slog.New(slog.DiscardHandler),
		Joined: func(string, string, int) {}, Refused: func(_ string, err error) { t.Log(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	party.Call(func(c *fds.Conn) {
		fd, err := syscall.Dup(c.FD)
		if err != nil {
			t.Error(err)
			return
		}
		l.Take(&fds.Conn{FD: fd})
	})
	t.Cleanup(party.End)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	hosts, err := l.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return hosts
}

// TestPool: nodes of a server take part in its sessions, and stay when those are over.
func TestPool(t *testing.T) {
	o := newPool(t)
	if party, err := o.Gather(1); party != nil || err != nil {
		t.Fatalf("nodes of an empty pool: %v, %v", party, err)
	}
	ended := make(chan error, 2)
	open := make(chan func(context.Context) (HalfConn, error), 2)
	for range 2 {
		token := <-o.tokens
		go func() {
			ended <- Join(t.Context(), JoinConfig{
				Addr: o.addr, Token: token, Version: "test", Cache: t.TempDir(),
				Opened: func(f func(context.Context) (HalfConn, error)) error { open <- f; return nil },
			})
		}()
		<-o.joined
	}
	for range 2 {
		for n := 1; n <= 3; n++ {
			hosts := o.session(t, n)
			if len(hosts) != min(n, 2) {
				t.Errorf("a session of %d nodes, want %d of 2", len(hosts), n)
			}
			for _, h := range hosts {
				h.Close()
			}
		}
	}
	// Connections of programs reach the server, and end with the node.
	c, err := (<-open)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "hello" {
		t.Errorf("got %q, %v", buf, err)
	}
	// A name that nobody waits for gets nothing, one of a session that is over neither.
	wrong, _ := newToken().derive()
	for _, name := range []string{wrong.name, newName(), ""} {
		c := dialCounting(t, o.addr)
		if err := tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: name}).Handshake(); err == nil || c.read > 0 {
			t.Errorf("a stranger that asks for %q got %d bytes: %v", name, c.read, err)
		}
	}
	o.Close()
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("a node ends with %v", err)
		}
	}
	if _, err := c.Read(buf); err == nil {
		t.Error("the connection of a program outlives its node")
	}
}

// TestPoolLoad: a session gets the nodes with the fewest sessions.
func TestPoolLoad(t *testing.T) {
	o := newPool(t)
	for range 2 {
		token := <-o.tokens
		go Join(t.Context(), JoinConfig{Addr: o.addr, Token: token, Version: "test", Cache: t.TempDir()})
		<-o.joined
	}
	first := o.session(t, 1)
	second := o.session(t, 1)
	for _, m := range o.Members() {
		if m.Sessions != 1 {
			t.Errorf("node %s has %d sessions, want 1", m.Name, m.Sessions)
		}
	}
	first[0].Close()
	second[0].Close()
}

// TestPoolLost: a node that loses its connection comes back with its certificate.
func TestPoolLost(t *testing.T) {
	o := newPool(t)
	token := <-o.tokens
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Join(ctx, JoinConfig{Addr: o.addr, Token: token, Version: "test", Cache: t.TempDir()})
	}()
	<-o.joined
	o.mu.Lock()
	for _, m := range o.members {
		m.conn.NetConn().Close()
	}
	o.mu.Unlock()
	<-o.left
	<-o.joined
	o.session(t, 1)[0].Close()
	stop()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "stopped by a signal") {
		t.Errorf("the node ends with %v", err)
	}
	if err := <-o.left; !strings.Contains(err.Error(), "stopped by a signal") {
		t.Errorf("it left with %v", err)
	}
}
