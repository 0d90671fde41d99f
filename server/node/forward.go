package node

import (
	"context"
	"io"
	"net"
	"sync"
	"syscall"
)

// HalfConn is a connection of which each direction has an end of its own.
type HalfConn interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// Forward copies both ways until both directions have ended, or one fails, and
// closes both connections.
func Forward(a, b HalfConn) {
	one := func(to, from HalfConn) {
		if _, err := io.Copy(to, from); err != nil || to.CloseWrite() != nil {
			to.Close()
			from.Close()
		}
	}
	var other sync.WaitGroup
	other.Go(func() { one(a, b) })
	one(b, a)
	other.Wait()
	a.Close()
	b.Close()
}

// open connects to the server for a program of this host. The connection ends with the
// standing one, at the latest.
func (s *standing) open(ctx context.Context) (HalfConn, error) {
	conn, err := dial(ctx, s.cfg.Addr, s.terms)
	if err != nil {
		return nil, err
	}
	if err := send(conn, opening{Program: true}); err != nil {
		conn.Close()
		return nil, err
	}
	f := &forwarded{HalfConn: conn, raw: conn.NetConn(), of: &s.programs}
	if !s.programs.add(f) {
		conn.Close()
		return nil, net.ErrClosed
	}
	return f, nil
}

// forwarded is a connection that is closed when what it depends on is lost.
type forwarded struct {
	HalfConn
	raw net.Conn
	of  *forwards
}

// Close implements [io.Closer].
func (f *forwarded) Close() error {
	f.of.mu.Lock()
	delete(f.of.list, f)
	f.of.mu.Unlock()
	return f.HalfConn.Close()
}

// forwards are the connections of programs that depend on a standing one.
type forwards struct {
	mu   sync.Mutex
	up   bool                    // the standing connection is there; guarded by mu
	list map[*forwarded]struct{} // guarded by mu
}

func (f *forwards) add(c *forwarded) bool {
	keepAlive(c.raw)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.up {
		f.list[c] = struct{}{}
	}
	return f.up
}

// set notes whether the standing connection is there.
func (f *forwards) set(up bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.up = up
	if f.list == nil {
		f.list = make(map[*forwarded]struct{})
	}
	for c := range f.list {
		c.raw.Close() // who copies sees that
	}
}

// keepAlive notices that the other host is gone even where nothing is sent.
func keepAlive(c net.Conn) {
	if f, ok := c.(fileConn); ok {
		if raw, err := f.SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) {
				syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
			})
		}
	}
}
