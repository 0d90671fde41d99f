package osys

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"remotec.dev/runtimestub/wire"
)

// Tests that change the state of the process run in a process of their own:
// the test binary again, with the name of a function in helperVar.
const helperVar = "OSYS_TEST_HELPER"

var helpers = map[string]func(c *client){}

func TestMain(m *testing.M) {
	if name := os.Getenv(helperVar); name != "" {
		runtime.LockOSThread()
		f := helpers[name]
		events := make(chan wire.Event, 64)
		c := newClient(Config{Hand: true, Events: func(_ int, e *wire.Event) error { events <- *e; return nil }})
		c.events = events
		f(c)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// helper prepares to run a helper.
func helper(t *testing.T, name string, env ...string) *exec.Cmd {
	t.Helper()
	if helpers[name] == nil {
		t.Fatalf("no helper %q", name)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), helperVar+"="+name), env...)
	return cmd
}

// runHelper runs a helper to its end and returns the lines it printed.
func runHelper(t *testing.T, name string, env ...string) []string {
	t.Helper()
	cmd := helper(t, name, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("helper %s: %v\n%s", name, err, out)
	}
	var lines []string
	for s := bufio.NewScanner(strings.NewReader(string(out))); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

// client makes calls on one thread.
type client struct {
	os     OS
	th     Thread
	dst    []byte
	reply  wire.Reply
	hand   []int
	events chan wire.Event
}

func newClient(cfg Config) *client {
	o := Passthrough(cfg)
	return &client{os: o, th: o.Thread(0), dst: make([]byte, 64<<10)}
}

// testClient is a client in the test's own process, closed at its end.
func testClient(t testing.TB, cfg Config) *client {
	c := newClient(cfg)
	t.Cleanup(func() {
		c.th.Close()
		c.os.Close()
	})
	return c
}

// do makes a call; blobs that are strings are given as such.
func (c *client) do(call wire.Call) (r1 uint64, e syscall.Errno) {
	frame, hand := c.th.Call(&call, c.dst)
	c.hand = hand
	if err := wire.GetReply(frame, &c.reply); err != nil {
		panic(err)
	}
	return c.reply.R1, syscall.Errno(c.reply.Errno)
}

// must is do for calls that have to succeed.
func (c *client) must(call wire.Call) uint64 {
	r, e := c.do(call)
	if e != 0 {
		panic(fmt.Sprintf("%s: %v", Format(&call, &c.reply), e))
	}
	return r
}

const atFdcwd = ^uint64(99) // -100

func openCall(path string, flags uint64) wire.Call {
	return wire.Call{Nr: wire.SYS_OPENAT, Args: wire.Args{atFdcwd, 0, flags, 0o666}, Blobs: wire.Blobs{1: []byte(path)}}
}

func (c *client) open(path string, flags uint64) uint64 { return c.must(openCall(path, flags)) }

func (c *client) close(fd uint64) {
	c.must(wire.Call{Nr: wire.SYS_CLOSE, Args: wire.Args{fd}})
}

func (c *client) read(fd uint64, n int) []byte {
	c.must(wire.Call{Nr: wire.SYS_READ, Args: wire.Args{fd, 0, uint64(n)}})
	return c.reply.Blobs[1]
}

func (c *client) write(fd uint64, s string) uint64 {
	return c.must(wire.Call{Nr: wire.SYS_WRITE, Args: wire.Args{fd, 0, uint64(len(s))}, Blobs: wire.Blobs{1: []byte(s)}})
}

func (c *client) readlink(path string) string {
	c.must(wire.Call{Nr: wire.SYS_READLINKAT, Args: wire.Args{atFdcwd, 0, 0, 4096}, Blobs: wire.Blobs{1: []byte(path)}})
	return string(c.reply.Blobs[2])
}

func tempFile(t testing.TB, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

func wantErrno(t *testing.T, what string, got, want syscall.Errno) {
	t.Helper()
	if got != want {
		t.Errorf("%s: errno %d (%v), want %v", what, got, got, want)
	}
}
