// Package servertest has a client of the framed API for tests: what the stub
// in a remote binary does, in plain Go and one step at a time, so that a test
// can also leave steps out.
package servertest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
)

// Marker makes a program that refers to it a remote binary in the eyes of a
// server: it is a variable, as in the stub.
var Marker = []byte(wire.Marker + string(rune('0'+wire.APIVersion)) + "\x00")

// Client is the client's end of a control connection.
type Client struct {
	Conn     *fds.Conn
	Frames   *fds.FrameReader
	Attached *wire.Attached
	Addr     string // where links connect to; empty: by descriptor over Conn
}

// Dial connects to addr as GORUNTIMESERVER would name it: fd:N, host:port or
// unix:/path.
func Dial(addr string) (*Client, error) {
	conn, err := dial(addr)
	if err != nil {
		return nil, err
	}
	c := &Client{Conn: conn, Frames: &fds.FrameReader{Conn: conn, Max: wire.MaxFrame}}
	if !strings.HasPrefix(addr, "fd:") && !strings.HasPrefix(addr, "unix:") {
		c.Addr = addr
	}
	return c, nil
}

func dial(addr string) (*fds.Conn, error) {
	if n, ok := strings.CutPrefix(addr, "fd:"); ok {
		fd, err := strconv.Atoi(n)
		return &fds.Conn{FD: fd}, err
	}
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	c, err := net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	f, err := c.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return nil, err
	}
	fd, err := syscall.Dup(int(f.Fd())) // Fd also makes it blocking
	f.Close()
	syscall.CloseOnExec(fd)
	return &fds.Conn{FD: fd}, err
}

// Hello is an Attach that a server accepts.
func Hello() *wire.Attach {
	cwd, _ := os.Getwd()
	umask := syscall.Umask(0)
	syscall.Umask(umask)
	return &wire.Attach{
		APIVersion: wire.APIVersion, PID: uint32(os.Getpid()), Umask: uint32(umask), GoVersion: "go1.26.8",
		BuildID: "a/b/c/d", Path: "/proc/self/exe", Cwd: cwd, Args: os.Args,
	}
}

// Attach attaches with a, handing over descriptors hand, and reads the
// answer. A refusal is an error of type *Refused.
func (c *Client) Attach(a *wire.Attach, hand ...int) error {
	if _, err := c.Conn.Write([]byte(wire.PreambleFramed)); err != nil {
		return err
	}
	frame, ok := wire.PutAttach(make([]byte, wire.MaxAttach), a)
	if !ok {
		return errors.New("attach does not fit")
	}
	if _, err := c.Conn.Send(frame, hand); err != nil {
		return err
	}
	answer, err := c.Frames.Next()
	if err != nil {
		return err
	}
	if r, err := wire.GetRefused(answer); err == nil {
		return &Refused{*r}
	}
	c.Attached, err = wire.GetAttached(answer)
	if err == nil {
		c.Attached.Key = append([]byte(nil), c.Attached.Key...)
	}
	return err
}

// Refused is the error of an attach that was refused.
type Refused struct{ wire.Refused }

func (r *Refused) Error() string { return "refused: " + r.Message }

// Link opens the link of a thread.
func (c *Client) Link(thread uint32) (*Link, error) {
	frame, _ := wire.PutLink(make([]byte, 256), &wire.Link{
		Session: c.Attached.Session, Thread: thread, Key: c.Attached.Key,
	})
	if c.Addr != "" {
		conn, err := dial(c.Addr)
		if err != nil {
			return nil, err
		}
		if _, err = conn.Write([]byte(wire.PreambleFramed)); err == nil {
			_, err = conn.Write(frame)
		}
		return newLink(conn), err
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	_, err = c.Conn.Send(frame, pair[1:])
	syscall.Close(pair[1])
	return newLink(&fds.Conn{FD: pair[0]}), err
}

// Stream opens standard stream n, and waits for the server's answer. It is
// for clients over TCP that attached with wire.AttachStdio.
func (c *Client) Stream(n uint32) (*fds.Conn, error) {
	frame, _ := wire.PutLink(make([]byte, 256), &wire.Link{
		Session: c.Attached.Session, Thread: n, Flags: wire.LinkStdio, Key: c.Attached.Key,
	})
	conn, err := dial(c.Addr)
	if err != nil {
		return nil, err
	}
	if _, err = conn.Write([]byte(wire.PreambleFramed)); err == nil {
		_, err = conn.Write(frame)
	}
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func newLink(conn *fds.Conn) *Link {
	return &Link{Conn: conn, Frames: &fds.FrameReader{Conn: conn, Max: wire.MaxFrame}}
}

// Event reads the next event.
func (c *Client) Event() (*wire.Event, error) {
	frame, err := c.Frames.Next()
	if err != nil {
		return nil, err
	}
	e := new(wire.Event)
	return e, wire.GetEvent(frame, e)
}

// Report sends an account of goroutines.
func (c *Client) Report(g *wire.Goroutines) error {
	frame, ok := wire.PutGoroutines(make([]byte, wire.MaxFrame), g)
	if !ok {
		return errors.New("account does not fit")
	}
	_, err := c.Conn.Write(frame)
	return err
}

// Link is the client's end of a link.
type Link struct {
	Conn   *fds.Conn
	Frames *fds.FrameReader
	buf    []byte
}

// Do sends a call and reads its reply, valid until the next one.
func (l *Link) Do(call *wire.Call) (*wire.Reply, []int, error) {
	need := wire.CallHeader + 64
	for _, b := range call.Blobs {
		need += len(b) + 8
	}
	if len(l.buf) < need {
		l.buf = make([]byte, need)
	}
	frame, ok := wire.PutCall(l.buf, call)
	if !ok {
		return nil, nil, errors.New("call does not fit")
	}
	if _, err := l.Conn.Write(frame); err != nil {
		return nil, nil, err
	}
	answer, err := l.Frames.Next()
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, nil, err
	}
	r := new(wire.Reply)
	if err := wire.GetReply(answer, r); err != nil {
		return nil, nil, err
	}
	return r, l.Frames.Take(int(r.Handed)), nil
}

// Call carries out a system call whose arguments are numbers and buffers:
// ints, strings and []byte, as its shape wants them.
func (l *Link) Call(nr uint32, args ...any) (*wire.Reply, error) {
	call := &wire.Call{Nr: nr}
	for i, arg := range args {
		switch v := arg.(type) {
		case int:
			call.Args[i] = uint64(v)
		case string:
			call.Blobs[i] = []byte(v)
		case []byte:
			call.Blobs[i] = v
		default:
			return nil, fmt.Errorf("argument %d of type %T", i, arg)
		}
	}
	r, _, err := l.Do(call)
	if err == nil && r.Errno != 0 {
		err = syscall.Errno(r.Errno)
	}
	return r, err
}

// Write writes to a descriptor of the session.
func (l *Link) Write(fd int, p string) error {
	_, err := l.Call(syscall.SYS_WRITE, fd, p, len(p))
	return err
}

// Program attaches as a program that a server started or that was told where
// its server is, and opens the link of its first thread. It ends the process
// where that fails.
var Program = sync.OnceValues(func() (*Client, *Link) {
	addr := os.Getenv("GORUNTIMESERVER")
	c, err := Dial(addr)
	hello := Hello()
	hello.Token = os.Getenv("REMOTEC_TOKEN")
	switch {
	case err != nil:
	case strings.HasPrefix(addr, "fd:"):
		hello.Flags = wire.AttachChild
		err = c.Attach(hello)
	case strings.HasPrefix(addr, "unix:"):
		hello.Flags = wire.AttachFDs
		var cwd int
		if cwd, err = syscall.Open(".", syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err == nil {
			err = c.Attach(hello, 0, 1, 2, cwd)
			syscall.Close(cwd)
		}
	default:
		err = c.Attach(hello)
	}
	var l *Link
	if err == nil {
		l, err = c.Link(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake stub:", err)
		os.Exit(2)
	}
	return c, l
})
