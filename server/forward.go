package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/control"
	"remotec.dev/server/fds"
	"remotec.dev/server/node"
	"remotec.dev/server/session"
)

// Programs that are started on a node's host attach to the node's server by way of the
// node: it listens on a loopback address, and forwards what comes there over connections
// that are encrypted and made with its certificate. To the programs, it is a server of
// another host that they reach by TCP.

// forwarder is a node's end.
type forwarder struct {
	l     net.Listener
	terms session.Terms
	file  string // of the token
	open  func(context.Context) (node.HalfConn, error)
	log   *slog.Logger
}

// openForwarder listens for programs of this host's user.
func openForwarder(addr string, log *slog.Logger) (*forwarder, error) {
	at, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for programs on %s: %w; want host:port", addr, err)
	}
	if !at.IP.IsLoopback() {
		return nil, fmt.Errorf("listening for programs on %s: other machines reach that, and programs do not encrypt: take a loopback address, as 127.0.0.1:0", addr)
	}
	f := &forwarder{log: log}
	if f.l, err = net.ListenTCP("tcp", at); err != nil {
		return nil, fmt.Errorf("listening for programs: %w", err)
	}
	b := make([]byte, 16)
	rand.Read(b) // never fails: crypto/rand
	f.terms.Token = hex.EncodeToString(b)
	if f.file, err = TokenFile(f.l.Addr().(*net.TCPAddr).Port); err == nil {
		os.Remove(f.file) // of a server that had the port before
		err = os.WriteFile(f.file, []byte(f.terms.Token), 0o600)
	}
	if err != nil {
		f.l.Close()
		return nil, fmt.Errorf("listening for programs on %s: %w", addr, err)
	}
	return f, nil
}

func (f *forwarder) close() {
	f.l.Close()
	os.Remove(f.file)
}

// serve forwards until close.
func (f *forwarder) serve() {
	strangers := make(chan struct{}, maxStrangers)
	for {
		c, err := f.l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		select {
		case strangers <- struct{}{}:
		default:
			c.Close()
			continue
		}
		go func() {
			to, err := f.meet(c)
			<-strangers
			if err != nil {
				f.log.Warn("connection of a program closed", "err", err)
				c.Close()
				return
			}
			node.Forward(c.(*net.TCPConn), to)
		}()
	}
}

// meet finds out whether a connection is of this user, and opens the one to the server.
func (f *forwarder) meet(c net.Conn) (node.HalfConn, error) {
	c.SetDeadline(time.Now().Add(attachTimeout))
	head := make([]byte, 8)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, session.Early(err)
	}
	switch string(head) {
	case wire.PreambleRPC: // the server, to which the node has proved itself, wants no token
		token, err := control.ReadToken(c)
		if err == nil && !f.terms.Knows(token) {
			err = errors.New("RPC with a wrong token")
		}
		if err != nil {
			return nil, err
		}
	case wire.PreambleFramed:
		frame := make([]byte, 8)
		if _, err := io.ReadFull(c, frame); err != nil {
			return nil, session.Early(err)
		}
		n, err := wire.FrameSize(frame, wire.MaxAttach)
		if err != nil {
			return nil, err
		}
		frame = append(frame, make([]byte, n-8)...)
		if _, err := io.ReadFull(c, frame[8:]); err != nil {
			return nil, session.Early(err)
		}
		// A link has the session's key, which the session looks at.
		if kind, err := wire.Kind(frame); err != nil || kind != wire.TagLink {
			if _, err := f.terms.Attach(c, frame); err != nil {
				return nil, err
			}
		}
		head = append(head, frame...)
	default:
		return nil, session.NotFramed(string(head))
	}
	ctx, cancel := context.WithTimeout(context.Background(), attachTimeout)
	defer cancel()
	to, err := f.open(ctx)
	if err == nil {
		if _, err = to.Write(head); err != nil {
			to.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("forwarding to the server: %w", err)
	}
	c.SetDeadline(time.Time{})
	return to, nil
}

// forwarded serves a connection that came by way of a node.
func (m *master) forwarded(from string, conn node.HalfConn) {
	defer conn.Close()
	ours, theirs, err := socketpair()
	if err != nil {
		m.cfg.log.Warn("a program of another host", "address", from, "err", err)
		return
	}
	f := os.NewFile(uintptr(theirs), "forwarded")
	end, err := net.FileConn(f)
	f.Close()
	c := &fds.Conn{FD: ours}
	if err != nil {
		c.Close()
		m.cfg.log.Warn("a program of another host", "address", from, "err", err)
		return
	}
	m.enter(c)
	go m.greet(c, true, from)
	node.Forward(end.(*net.UnixConn), conn)
}
