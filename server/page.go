package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"remotec.dev/server/control"
	"remotec.dev/server/fds"
	"remotec.dev/server/web"
)

// Page is a web page about sessions; package web has what is on it.
type Page struct {
	Addr string // host:port to serve it at; empty: there is no page
	// Any lets Addr be one that other machines can reach. The token is all that
	// protects the page then, and it travels in clear.
	Any bool
	// Ready is told the page's address, with the token, when it can be opened.
	Ready func(url string)
	// Actor carries out what the page has buttons for, beside what every server can do; it
	// may be nil.
	Actor func(control.Source) web.Actor
	// Metrics makes what answers /metrics; it may be nil.
	Metrics func(control.Source) http.Handler
}

// page is a Page that is listened for.
type page struct {
	Page
	token    string
	addr     string
	listener *pageListener
}

// listen starts to listen for viewers. What they ask waits until serve. It returns nil where
// there is no page.
func (p Page) listen(space *fds.Space) (*page, error) {
	if p.Addr == "" {
		return nil, nil
	}
	at, err := net.ResolveTCPAddr("tcp", p.Addr)
	if err != nil {
		return nil, fmt.Errorf("serving a page at %s: %w; want host:port, as 127.0.0.1:0", p.Addr, err)
	}
	if at.IP == nil {
		at.IP = net.IPv4(127, 0, 0, 1)
		if p.Any {
			at.IP = net.IPv4zero
		}
	}
	if !at.IP.IsLoopback() && !p.Any {
		return nil, fmt.Errorf("serving a page at %s: other machines can reach that address, and who has the token can see and move the program's goroutines; use a loopback address, or add -http-any if that is meant", p.Addr)
	}
	fd, port, err := listenTCP(at)
	if err != nil {
		return nil, fmt.Errorf("serving a page at %s: %w", p.Addr, err)
	}
	if space != nil {
		if fd, err = space.Adopt(fd); err != nil {
			return nil, err
		}
	}
	secret := make([]byte, 16)
	rand.Read(secret) // never fails: crypto/rand
	l := &page{
		Page: p, token: hex.EncodeToString(secret), addr: net.JoinHostPort(at.IP.String(), strconv.Itoa(port)),
		listener: &pageListener{fd: fd, space: space},
	}
	if p.Ready != nil {
		p.Ready("http://" + l.addr + "/?token=" + l.token)
	}
	return l, nil
}

// serve answers viewers from src, from now on.
func (l *page) serve(src control.Source) {
	if l == nil {
		return
	}
	o := web.Options{Token: l.token, Addr: l.addr, Any: l.Any}
	if l.Actor != nil {
		o.Actor = l.Actor(src)
	}
	if l.Metrics != nil {
		o.Metrics = l.Metrics(src)
	}
	s := &http.Server{
		Handler: web.Handler(src, o), ErrorLog: log.New(io.Discard, "", 0),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 16,
	}
	go s.Serve(l.listener)
}

// pageListener accepts connections whose descriptors are out of the program's way,
// which those of package net would not be.
type pageListener struct {
	fd    int
	space *fds.Space
	once  sync.Once
}

// Accept implements [net.Listener].
func (l *pageListener) Accept() (net.Conn, error) {
	for {
		c, err := fds.Accept(l.space, l.fd)
		if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EBADF) {
			return nil, net.ErrClosed
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors, or a peer that is gone again
			continue
		}
		if err := syscall.SetNonblock(c.FD, true); err != nil {
			c.Close()
			continue
		}
		setTCP(c.FD)
		return &pageConn{File: os.NewFile(uintptr(c.FD), "viewer"), fd: c.FD, space: l.space, from: peer(c)}, nil
	}
}

// Close implements [net.Listener].
func (l *pageListener) Close() error {
	l.once.Do(func() { syscall.Shutdown(l.fd, syscall.SHUT_RDWR) })
	return nil
}

// Addr implements [net.Listener].
func (l *pageListener) Addr() net.Addr { return &net.TCPAddr{} }

// pageConn is a connection of a viewer, under the Go runtime's poller.
type pageConn struct {
	*os.File
	fd    int
	space *fds.Space
	from  string
	once  sync.Once
}

// Read implements [net.Conn]. Package http wants to know a timeout by its type, a
// net.Error, which that of an os.File is around.
func (c *pageConn) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return n, err
}

// Write implements [net.Conn]. It raises no SIGPIPE, which would be the program's.
func (c *pageConn) Write(p []byte) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	done := 0
	for done < len(p) {
		n, sent := 0, error(nil)
		err := raw.Write(func(fd uintptr) bool {
			n, sent = syscall.SendmsgN(int(fd), p[done:], nil, nil, syscall.MSG_NOSIGNAL)
			return sent != syscall.EAGAIN
		})
		if err == nil && sent != nil && sent != syscall.EINTR {
			err = os.NewSyscallError("sendmsg", sent)
		}
		if err != nil {
			return done, err
		}
		done += max(n, 0)
	}
	return done, nil
}

// Close implements [net.Conn].
func (c *pageConn) Close() (err error) {
	c.once.Do(func() {
		if c.space != nil {
			c.space.Disown(c.fd)
		}
		err = c.File.Close()
	})
	return err
}

// LocalAddr implements [net.Conn].
func (c *pageConn) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements [net.Conn].
func (c *pageConn) RemoteAddr() net.Addr {
	if at, err := netip.ParseAddrPort(c.from); err == nil {
		return net.TCPAddrFromAddrPort(at)
	}
	return &net.TCPAddr{}
}

// where returns the program counter at which a thread of this host waits, not in a system
// call: /proc/TID/syscall, proc(5). 0 stands for unknown.
func where(thread int) uintptr {
	fd, err := syscall.Open("/proc/"+strconv.Itoa(thread)+"/syscall", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer syscall.Close(fd)
	var buf [256]byte
	n, err := syscall.Read(fd, buf[:])
	if err != nil {
		return 0
	}
	var state int
	var sp, pc uint64
	if got, _ := fmt.Sscanf(string(buf[:n]), "%d 0x%x 0x%x", &state, &sp, &pc); got != 3 || state != -1 {
		return 0
	}
	return uintptr(pc)
}
