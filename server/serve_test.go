package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/control"
	"remotec.dev/server/servertest"
)

func itoa(n int) string { return strconv.Itoa(n) }

// daemon is a running Serve.
type daemon struct {
	*process
	addr   string
	killed bool // by the test
}

// kill ends the server without its doing.
func (d *daemon) kill() {
	d.t.Helper()
	d.killed = true
	d.signal(syscall.SIGKILL)
	d.wait()
}

// serve starts a server. At the end of the test it must end by itself, leave
// no child, and still have served until then.
func serve(t *testing.T, listen, token string) *daemon {
	t.Helper()
	d := &daemon{process: start(t, self, "as-server", "serve", listen, token)}
	d.addr = d.expect("ready ")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s", d.err.String())
		}
		if d.killed {
			return
		}
		d.cmd.Process.Signal(syscall.SIGTERM)
		for d.lines.Scan() {
		}
		d.wait()
		if code := d.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("the server ended with %v", d.cmd.ProcessState)
		}
	})
	return d
}

// unixServer serves on a socket in a directory of the test.
func unixServer(t *testing.T) *daemon {
	t.Helper()
	return serve(t, "unix:"+filepath.Join(t.TempDir(), "s"), "")
}

// attach attaches a client and returns it with the link of its first thread.
func (d *daemon) attach() (*servertest.Client, *servertest.Link) {
	d.t.Helper()
	c, err := servertest.Dial(d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	hello := servertest.Hello()
	hello.Token = "secret"
	if err := c.Attach(hello); err != nil {
		d.t.Fatal(err)
	}
	l, err := c.Link(0)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		c.Conn.Close()
		l.Conn.Close()
	})
	return c, l
}

// works checks that calls are answered.
func works(t *testing.T, c *servertest.Client, l *servertest.Link) {
	t.Helper()
	r, err := l.Call(syscall.SYS_GETPID)
	if err != nil || r.R1 != uint64(c.Attached.PID) {
		t.Errorf("getpid: got %+v, %v, want %d", r, err, c.Attached.PID)
	}
}

func TestServeOverUnixAndTCP(t *testing.T) {
	for _, listen := range []string{"unix:" + filepath.Join(t.TempDir(), "s"), "127.0.0.1:0", "[::1]:0"} {
		d := serve(t, listen, "secret")
		c, l := d.attach()
		works(t, c, l)
		second, err := c.Link(1)
		if err != nil {
			t.Fatal(err)
		}
		works(t, c, second)
		second.Conn.Close()
	}
}

func TestNearSocketOfATCPPort(t *testing.T) {
	d := serve(t, "127.0.0.1:0", "")
	_, port, _ := strings.Cut(d.addr, ":")
	cmd := exec.Command(self, asProgram("hello", "near")[1:]...)
	cmd.Env = append(os.Environ(), "GORUNTIMESERVER=unix:"+nearName+port)
	if out, status := output(t, cmd); out != "hello from near\n" || status != 0 {
		t.Errorf("got %q, status %d", out, status)
	}
}

func TestTokenOfALoopbackServer(t *testing.T) {
	d := serve(t, "127.0.0.1:0", "")
	_, port, _ := strings.Cut(d.addr, ":")
	n, _ := strconv.Atoi(port)
	name, err := TokenFile(n)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(name)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("token file: %v, %v", st, err)
	}
	token, err := os.ReadFile(name)
	if err != nil || len(token) != 32 {
		t.Fatalf("token %q, %v", token, err)
	}
	for _, c := range []struct {
		token string
		ok    bool
	}{{string(token), true}, {"", false}, {"wrong", false}} {
		client, err := servertest.Dial(d.addr)
		if err != nil {
			t.Fatal(err)
		}
		hello := servertest.Hello()
		hello.Token = c.token
		err = client.Attach(hello)
		var refused *servertest.Refused
		if c.ok && err != nil || !c.ok && (!errors.As(err, &refused) || refused.Code != wire.RefuseToken) {
			t.Errorf("token %q: got %v", c.token, err)
		}
		client.Conn.Close()
	}
	d.signal(syscall.SIGTERM)
	d.wait()
	if _, err := os.Stat(name); err == nil {
		t.Errorf("%s is left behind", name)
	}
}

func TestServeRefusesToListen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := unixServer(t)
	for addr, want := range map[string]string{
		"0.0.0.0:0":    "needs a token",
		":0":           "needs a token",
		"nonsense":     "want host:port or unix:/path",
		"unix:":        "no path",
		"unix:" + file: "not a socket",
		d.addr:         "another server is there",
	} {
		l, err := listen(addr, "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", addr, err, want)
		}
		if l != nil {
			l.close()
		}
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	d := unixServer(t)
	d.kill()
	again := serve(t, d.addr, "")
	c, l := again.attach()
	works(t, c, l)
}

func TestSessionsDoNotMix(t *testing.T) {
	d := unixServer(t)
	var procs []*exec.Cmd
	var outs []*strings.Builder
	var dirs []string
	for i := range 4 {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
		cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf("umask %03o; exec %s as-program where", 0o20+i, self))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GORUNTIMESERVER="+d.addr)
		out := new(strings.Builder)
		cmd.Stdout, cmd.Stderr = out, os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		procs, outs = append(procs, cmd), append(outs, out)
	}
	for i, cmd := range procs {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if want := fmt.Sprintf("%s %#o\n", dirs[i], 0o20+i); outs[i].String() != want {
			t.Errorf("program %d is at %q, want %q", i, outs[i], want)
		}
	}
	// Signals of one session are not another's.
	a, la := d.attach()
	b, lb := d.attach()
	if err := syscall.Kill(int(a.Attached.PID), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if e, err := a.Event(); err != nil || e.Kind != wire.EventSignal || e.N != uint32(syscall.SIGUSR1) {
		t.Errorf("got %+v, %v", e, err)
	}
	if err := syscall.Kill(int(b.Attached.PID), syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	if e, err := b.Event(); err != nil || e.N != uint32(syscall.SIGUSR2) {
		t.Errorf("the other session got %+v, %v first", e, err)
	}
	works(t, a, la)
	works(t, b, lb)
}

func TestEndOfASessionLeavesNothing(t *testing.T) {
	d := unixServer(t)
	c, l := d.attach()
	// A pipe whose writing end only the session process holds.
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := syscall.Open(fifo, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(r)
	if _, err := l.Call(syscall.SYS_OPENAT, -100, fifo, syscall.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	}
	// A thread that is inside a call for ever.
	stuck, err := c.Link(1)
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Conn.Close()
	frame, _ := wire.PutCall(make([]byte, 512), &wire.Call{Nr: syscall.SYS_PAUSE})
	if _, err := stuck.Conn.Write(frame); err != nil {
		t.Fatal(err)
	}
	pid := int(c.Attached.PID)
	fd := pidfd(t, pid)
	c.Conn.Shutdown()
	waitPidfd(t, fd)
	d.expect("ended " + itoa(pid))
	if _, err := syscall.Read(r, make([]byte, 1)); err != nil {
		t.Errorf("the session's descriptor is still open: %v", err)
	}
	if left := children(t, d.cmd.Process.Pid); len(left) > 0 {
		t.Errorf("the server still has children %v", left)
	}
}

func TestStrangersHarmNobody(t *testing.T) {
	attach, _ := wire.PutAttach(make([]byte, wire.MaxAttach), servertest.Hello())
	for _, listen := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "s")} {
		d := serve(t, listen, "secret")
		good, gl := d.attach()
		for name, send := range map[string]string{
			"garbage":         "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
			"other preamble":  "REMOTEC9" + string(attach),
			"oversized frame": wire.PreambleFramed + "\x00\x00\x00\x00\xff\xff\xff\x7f",
			"too large":       wire.PreambleFramed + "\x00\x00\x00\x00\x01\x80\x00\x00",
			"two segments":    wire.PreambleFramed + "\x01\x00\x00\x00\x01\x00\x00\x00",
			"wild pointers":   wire.PreambleFramed + string(attach[:16]) + strings.Repeat("\xff", len(attach)-16),
			"unknown session": wire.PreambleFramed + string(linkFrame(99)),
		} {
			c, err := servertest.Dial(d.addr)
			if err != nil {
				t.Fatal(err)
			}
			c.Conn.Write([]byte(send))
			answered := closedBy(c)
			if !answered {
				t.Errorf("%s over %s: the connection stays open", name, listen)
			}
			c.Conn.Close()
		}
		for _, part := range []string{"REM", wire.PreambleFramed, wire.PreambleFramed + string(attach[:20])} {
			c, err := servertest.Dial(d.addr)
			if err != nil {
				t.Fatal(err)
			}
			c.Conn.Write([]byte(part))
			c.Conn.Close() // half, and gone
		}
		works(t, good, gl)
		again, al := d.attach()
		works(t, again, al)
	}
}

func linkFrame(session uint64) []byte {
	b, _ := wire.PutLink(make([]byte, 256), &wire.Link{Session: session, Key: make([]byte, 16)})
	return b
}

// closedBy reports whether the server closes the connection, after a refusal
// or without.
func closedBy(c *servertest.Client) bool {
	c.Conn.SetTimeout(20 * time.Second)
	for {
		if _, err := c.Frames.Next(); err != nil {
			return err == io.EOF || err == syscall.ECONNRESET || err == io.ErrUnexpectedEOF
		}
	}
}

func TestSilentStrangersMakeRoom(t *testing.T) {
	d := unixServer(t)
	var silent []*servertest.Client
	for range maxStrangers + 40 {
		c, err := servertest.Dial(d.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Conn.Close()
		silent = append(silent, c)
	}
	c, l := d.attach()
	works(t, c, l)
	if !closedBy(silent[0]) {
		t.Error("the oldest stranger is still connected")
	}
	// The others have their time.
	if !closedBy(silent[len(silent)-1]) {
		t.Errorf("a silent connection is open for more than %v", attachTimeout)
	}
}

func TestLinkOverTCPNeedsTheKey(t *testing.T) {
	d := serve(t, "127.0.0.1:0", "secret")
	c, l := d.attach()
	key := c.Attached.Key
	c.Attached.Key = make([]byte, len(key))
	bad, err := c.Link(5)
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Conn.Close()
	if _, err := bad.Call(syscall.SYS_GETPID); err == nil {
		t.Error("a link with a wrong key is served")
	}
	works(t, c, l)
}

func TestAClientThatDoesNotReadHarmsNobody(t *testing.T) {
	d := unixServer(t)
	c, l := d.attach()
	other, ol := d.attach()
	l.Conn.SetTimeout(50 * time.Millisecond)
	frame, _ := wire.PutCall(make([]byte, 512), &wire.Call{Nr: syscall.SYS_GETPID})
	for {
		if _, err := l.Conn.Write(frame); err != nil {
			break // both directions are full
		}
	}
	works(t, other, ol)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tool, err := control.Dial(ctx, d.addr, "")
	if err != nil {
		t.Fatal(err)
	}
	defer tool.Close()
	if list, err := tool.Sessions(ctx); err != nil || len(list) != 2 {
		t.Errorf("got %d sessions, %v", len(list), err)
	}
	// Nor does it hold up the server's end: see serve.
	_ = c
}

func TestShutdownTellsThePrograms(t *testing.T) {
	d := unixServer(t)
	c, _ := d.attach()
	d.signal(syscall.SIGTERM)
	if e, err := c.Event(); err != nil || e.Kind != wire.EventEnd || !strings.Contains(e.Text, "shutting down") {
		t.Errorf("got %+v, %v", e, err)
	}
	if _, err := c.Event(); err == nil {
		t.Error("the connection stays open")
	}
}

func TestSessionsEndWithTheMaster(t *testing.T) {
	d := unixServer(t)
	c, _ := d.attach()
	fd := pidfd(t, int(c.Attached.PID))
	d.kill()
	waitPidfd(t, fd)
}

func TestParallelSessionsAndLinks(t *testing.T) {
	d := unixServer(t)
	var wg sync.WaitGroup
	for range 8 {
		c, _ := d.attach()
		for id := range uint32(50) {
			l, err := c.Link(id + 1)
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				defer l.Conn.Close()
				for range 20 {
					works(t, c, l)
				}
			})
		}
	}
	wg.Wait()
}

func TestRunAt(t *testing.T) {
	d := unixServer(t)
	runAt := func(args ...string) []string {
		return append([]string{"as-server", "run-at", d.addr, ""}, asProgram(args...)...)
	}
	if out, status := output(t, exec.Command(self, runAt("hello", "afar")...)); out != "hello from afar\n" || status != 0 {
		t.Errorf("got %q, status %d", out, status)
	}
	if _, status := output(t, exec.Command(self, runAt("exit", "6")...)); status != 6 {
		t.Errorf("status %d, want 6", status)
	}
	p := start(t, append([]string{self}, runAt("signals")...)...)
	p.expect("ready")
	p.signal(syscall.SIGUSR1)
	p.expect("got it")
	p.wait()
}
