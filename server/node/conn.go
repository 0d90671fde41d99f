package node

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/hashicorp/yamux"

	"remotec.dev/server/fds"
)

const (
	// beat is how often each end says that it is there.
	beat = 500 * time.Millisecond
	// Silence is how long the other end may say nothing.
	Silence = 3 * time.Second
	// Patience is how long an operation on a page may take.
	Patience = Silence + beat
	// introduction bounds how long a connection may take to say what it is.
	introduction = 5 * time.Second
)

// fileConn is a stream socket under the Go runtime's poller, whose descriptor the
// caller has chosen: package net would take one of the lowest free number, which in a
// session process is the program's.
type fileConn struct{ *os.File }

// newFileConn takes over fd.
func newFileConn(fd int, name string) (fileConn, error) {
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return fileConn{}, os.NewSyscallError("fcntl", err)
	}
	return fileConn{os.NewFile(uintptr(fd), name)}, nil
}

func (fileConn) LocalAddr() net.Addr  { return &net.UnixAddr{Net: "unix"} }
func (fileConn) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// pair returns two connected sockets: one for somebody who makes blocking calls, out
// of the program's way where there is a space, and one of the poller's.
func pair(space *fds.Space) (theirs *fds.Conn, ours fileConn, err error) {
	two, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fileConn{}, os.NewSyscallError("socketpair", err)
	}
	if theirs, err = fds.NewConn(space, two[0]); err != nil {
		syscall.Close(two[1])
		return nil, fileConn{}, err
	}
	own := two[1]
	if space != nil {
		if own, err = space.Adopt(own); err != nil {
			theirs.Close()
			return nil, fileConn{}, err
		}
	}
	if ours, err = newFileConn(own, "relay"); err != nil {
		theirs.Close()
		return nil, fileConn{}, err
	}
	return theirs, ours, nil
}

// relay copies both ways until one of the two ends, and closes both.
func relay(a, b io.ReadWriteCloser) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(a, b)
		a.Close()
		b.Close()
	}()
	io.Copy(b, a)
	a.Close()
	b.Close()
	<-done
}

// multiplex starts the streams of a connection. The memory connection beside it
// tells when the other end is lost.
func multiplex(c net.Conn, client bool) (*yamux.Session, error) {
	config := yamux.DefaultConfig()
	config.EnableKeepAlive = false
	config.ConnectionWriteTimeout = Silence
	config.StreamOpenTimeout = 0 // whoever opens one loses all when it loses the connection
	config.MaxStreamWindowSize = 1 << 20
	config.LogOutput = io.Discard
	start := yamux.Server
	if client {
		start = yamux.Client
	}
	session, err := start(&joined{Conn: c}, config)
	if err != nil {
		return nil, fmt.Errorf("starting streams: %w", err)
	}
	return session, nil
}

// joined makes one record of what yamux writes in two: a header, and what it announces.
type joined struct {
	net.Conn
	head []byte // a header whose data is still to come
}

// Write implements [net.Conn]. Only the sender of a yamux session calls it.
func (j *joined) Write(p []byte) (int, error) {
	// github.com/hashicorp/yamux/spec.md: version, type (0 is data), flags 2,
	// stream 4, length 4.
	if len(j.head) == 0 && len(p) == 12 && p[1] == 0 && p[8]|p[9]|p[10]|p[11] != 0 {
		j.head = append(j.head, p...)
		return len(p), nil
	}
	if len(j.head) == 0 {
		return j.Conn.Write(p)
	}
	head := len(j.head)
	whole := append(j.head, p...)
	j.head = j.head[:0]
	n, err := j.Conn.Write(whole)
	return max(n-head, 0), err
}

// shake makes the handshake of a TLS connection within the time that a stranger has.
func shake(c *tls.Conn) error {
	c.SetDeadline(time.Now().Add(introduction))
	err := c.Handshake()
	c.SetDeadline(time.Time{})
	return err
}
