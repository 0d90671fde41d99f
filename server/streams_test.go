package server

import (
	"bytes"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
	"remotec.dev/server/servertest"
)

// attachAfar attaches a client that carries its standard streams, flags added
// to what it says, and opens n of them.
func (d *daemon) attachAfar(flags uint32, n uint32) (*servertest.Client, *servertest.Link, []*fds.Conn) {
	d.t.Helper()
	c, err := servertest.Dial(d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	hello := servertest.Hello()
	hello.Token, hello.Flags = "secret", wire.AttachStdio|flags
	if err := c.Attach(hello); err != nil {
		d.t.Fatal(err)
	}
	if c.Attached.Policy&wire.PolicyStdio == 0 {
		d.t.Fatal("the server does not take the standard streams")
	}
	var streams []*fds.Conn
	for i := range n {
		s, err := c.Stream(i)
		if err != nil {
			d.t.Fatal(err)
		}
		s.SetTimeout(20 * time.Second)
		streams = append(streams, s)
		d.t.Cleanup(func() { s.Close() })
	}
	l, err := c.Link(0)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		c.Conn.Close()
		l.Conn.Close()
	})
	return c, l, streams
}

// rest reads a stream to its end.
func rest(t *testing.T, c *fds.Conn) string {
	t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("reading a stream: %v", err)
	}
	return string(b)
}

func TestStreamsCarryBothWays(t *testing.T) {
	d := serve(t, "127.0.0.1:0", "secret")
	c, l, std := d.attachAfar(0, 3)
	for fd, text := range map[int]string{1: "to the output", 2: "to the error"} {
		if err := l.Write(fd, text); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := std[0].Write([]byte("from the input")); err != nil {
		t.Fatal(err)
	}
	if r, err := l.Call(syscall.SYS_READ, 0, 0, 100); err != nil || string(r.Blobs[1]) != "from the input" {
		t.Errorf("read %q, %v", r.Blobs[1], err)
	}
	syscall.Shutdown(std[0].FD, syscall.SHUT_WR)
	if r, err := l.Call(syscall.SYS_READ, 0, 0, 100); err != nil || r.R1 != 0 {
		t.Errorf("after the end of the input: read %d bytes, %v", r.R1, err)
	}
	// The end of the session is the end of the streams, and not before what
	// was written.
	syscall.Shutdown(c.Conn.FD, syscall.SHUT_WR)
	if got := rest(t, std[1]); got != "to the output" {
		t.Errorf("output %q", got)
	}
	if got := rest(t, std[2]); got != "to the error" {
		t.Errorf("error %q", got)
	}
}

func TestClosedDescriptorEndsItsStream(t *testing.T) {
	d := serve(t, "127.0.0.1:0", "secret")
	_, l, std := d.attachAfar(0, 3)
	l.Write(1, "last")
	if _, err := l.Call(syscall.SYS_CLOSE, 1); err != nil {
		t.Fatal(err)
	}
	if got := rest(t, std[1]); got != "last" {
		t.Errorf("output %q", got)
	}
	if err := l.Write(2, "x"); err != nil {
		t.Error(err)
	}
}

func TestJoinedStreamsKeepTheirOrder(t *testing.T) {
	d := serve(t, "127.0.0.1:0", "secret")
	c, l, std := d.attachAfar(wire.AttachJoined, 2)
	var want bytes.Buffer
	for i := range 200 {
		line := itoa(i) + "\n"
		want.WriteString(line)
		if err := l.Write(1+i%2, line); err != nil {
			t.Fatal(err)
		}
	}
	syscall.Shutdown(c.Conn.FD, syscall.SHUT_WR)
	if got := rest(t, std[1]); got != want.String() {
		t.Errorf("got %q", got)
	}
	if _, err := c.Stream(2); err == nil {
		t.Error("a stream that does not exist is taken")
	}
}

func TestClosedStreamBreaksThePipe(t *testing.T) {
	d := serve(t, "127.0.0.1:0", "secret")
	_, l, std := d.attachAfar(0, 3)
	std[1].Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := l.Write(1, "x")
		if err == syscall.EPIPE {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("writing to a closed stream: %v", err)
		}
	}
}

// TestChildrenHoldStreamsForATime: what they write after the end of the
// session still comes, and then the stream ends although they live.
func TestChildrenHoldStreamsForATime(t *testing.T) {
	d := serve(t, "127.0.0.1:0", "secret")
	c, l, std := d.attachAfar(0, 3)
	script := "sh\x00-c\x00read x; sleep 0.3; echo late; exec sleep 60 2>&-\x00"
	r, w := fifo(t)
	if _, err := l.Call(syscall.SYS_OPENAT, -100, r, syscall.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	files := []byte{3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0}
	child, err := l.Call(wire.NrSpawn, "/bin/sh", script, "PATH=/bin:/usr/bin\x00", "", files)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(int(child.R1), syscall.SIGKILL) })
	start := time.Now()
	syscall.Shutdown(c.Conn.FD, syscall.SHUT_WR)
	d.expect("ended " + itoa(int(c.Attached.PID)))
	w()
	if got := rest(t, std[1]); got != "late\n" {
		t.Errorf("output %q", got)
	}
	if took := time.Since(start); took < lingering/2 || took > lingering+5*time.Second {
		t.Errorf("the stream ended after %v", took)
	}
}

// fifo makes a named pipe; say writes a line to it.
func fifo(t *testing.T) (name string, say func()) {
	t.Helper()
	name = t.TempDir() + "/fifo"
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return name, func() { f.WriteString("go\n") }
}

// TestSlowReaderGetsEverything: more than the pipe holds is on its way when
// the session is over for longer than children are waited for.
func TestSlowReaderGetsEverything(t *testing.T) {
	d := serve(t, "127.0.0.1:0", "secret")
	c, l, std := d.attachAfar(0, 3)
	const most = 64 << 20
	written := 0
	chunk := string(make([]byte, 1<<16))
	l.Conn.SetTimeout(500 * time.Millisecond)
	for written < most && l.Write(1, chunk) == nil {
		written += len(chunk)
	}
	if written == most {
		t.Fatal("the stream has no bound")
	}
	syscall.Shutdown(c.Conn.FD, syscall.SHUT_WR)
	d.expect("ended " + itoa(int(c.Attached.PID)))
	time.Sleep(lingering + lingering/4)
	// Of the write that was under way the kernel may have taken a part.
	if got := len(rest(t, std[1])); got < written || got > written+len(chunk) {
		t.Errorf("got %d bytes of %d", got, written)
	}
}

func TestStreamsNeedTheKey(t *testing.T) {
	d := serve(t, "127.0.0.1:0", "secret")
	c, l, _ := d.attachAfar(0, 1)
	key := c.Attached.Key
	c.Attached.Key = make([]byte, len(key))
	if s, err := c.Stream(1); err == nil {
		s.Close()
		t.Error("a stream with a wrong key is taken")
	}
	c.Attached.Key = key
	if s, err := c.Stream(0); err == nil {
		s.Close()
		t.Error("a stream is taken twice")
	}
	for _, n := range []uint32{3, 1 << 31} {
		if s, err := c.Stream(n); err == nil {
			s.Close()
			t.Errorf("stream %d is taken", n)
		}
	}
	works(t, c, l)
	plain, pl := d.attach()
	if s, err := plain.Stream(1); err == nil {
		s.Close()
		t.Error("a stream that was not announced is taken")
	}
	works(t, plain, pl)
}

// TestWorkingDirectoryAfar: the client's directory if there is one of that
// name here, else the root.
func TestWorkingDirectoryAfar(t *testing.T) {
	d := serve(t, "127.0.0.1:0", "secret")
	dir := t.TempDir()
	for sent, want := range map[string]string{dir: dir, dir + "/none": "/", "": "/"} {
		c, err := servertest.Dial(d.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Conn.Close()
		hello := servertest.Hello()
		hello.Token, hello.Flags, hello.Cwd, hello.Umask = "secret", wire.AttachStdio, sent, 0o37
		if err := c.Attach(hello); err != nil {
			t.Fatal(err)
		}
		l, err := c.Link(0)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Conn.Close()
		r, err := l.Call(syscall.SYS_GETCWD, 0, 200)
		if err != nil || string(bytes.TrimRight(r.Blobs[0], "\x00")) != want {
			t.Errorf("%q: the session is in %q, %v", sent, r.Blobs[0], err)
		}
		if r, err := l.Call(syscall.SYS_UMASK, 0); err != nil || r.R1 != 0o37 {
			t.Errorf("umask %#o, %v", r.R1, err)
		}
	}
}
