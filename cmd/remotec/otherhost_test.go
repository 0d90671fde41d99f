package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hosts are two network namespaces with a cable between them, which stand
// for two hosts: one has the server, the other one starts the programs.
type hosts struct {
	t      *testing.T
	server string // names of the namespaces
	client string
	prog   string // testdata/afar as a remote binary
	tool   string // remotec

	at        string   // where programs attach
	env       []string // of commands
	placement string   // of clusters; empty: spread
	join      []string // further arguments of their nodes

	serve *exec.Cmd
	log   bytes.Buffer // of the server, complete when that has ended
}

const (
	serverIP = "10.119.7.1"
	clientIP = "10.119.7.2"
	token    = "not a secret"
)

// newHosts makes the namespaces, builds the program and starts the server.
func newHosts(t *testing.T) *hosts {
	t.Helper()
	h := newNamespaces(t)
	h.build("afar")
	h.at = serverIP + ":" + port
	h.start()
	t.Cleanup(h.stop)
	return h
}

// newNamespaces makes the namespaces.
func newNamespaces(t *testing.T) *hosts {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("making network namespaces takes root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("there is no ip command to make network namespaces with")
	}
	h := &hosts{t: t}
	for _, ns := range []*string{&h.server, &h.client} {
		*ns = fmt.Sprintf("remotec-test-%d-%s", os.Getpid(), map[bool]string{true: "s", false: "c"}[ns == &h.server])
		if out, err := exec.Command("ip", "netns", "add", *ns).CombinedOutput(); err != nil {
			t.Skipf("network namespaces cannot be made here: %s", out)
		}
		t.Cleanup(func() { exec.Command("ip", "netns", "del", *ns).Run() })
	}
	for _, args := range []string{
		"-n " + h.server + " link add cable type veth peer name cable netns " + h.client,
		"-n " + h.server + " addr add " + serverIP + "/24 dev cable",
		"-n " + h.client + " addr add " + clientIP + "/24 dev cable",
		"-n " + h.server + " link set cable up",
		"-n " + h.client + " link set cable up",
		"-n " + h.server + " link set lo up",
		"-n " + h.client + " link set lo up",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Skipf("namespaces cannot be connected here: ip %s: %s", args, out)
		}
	}
	return h
}

// build builds remotec and a program of testdata.
func (h *hosts) build(name string) {
	h.t.Helper()
	dir := h.t.TempDir()
	h.tool, h.prog = filepath.Join(dir, "remotec"), filepath.Join(dir, name)
	for _, args := range [][]string{{"-o", h.tool, "."}, {"-toolexec=" + h.tool, "-o", h.prog, "./testdata/" + name}} {
		if out, err := exec.Command("go", append([]string{"build", "-buildvcs=false"}, args...)...).CombinedOutput(); err != nil {
			h.t.Fatalf("go build %v: %v\n%s", args, err, out)
		}
	}
}

// in returns a command that runs in a namespace, with a time limit.
func (h *hosts) in(ns string, argv ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	h.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns}, argv...)...)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with what a shell starts
	cmd.Env = append(append(os.Environ(), "REMOTEC_TOKEN="+token), h.env...)
	return cmd
}

const port = "7700"

// start starts the server.
func (h *hosts) start() {
	h.t.Helper()
	h.serve = h.in(h.server, h.tool, "serve", "-v", "-listen", serverIP+":"+port)
	h.serve.Stderr = &h.log
	out, err := h.serve.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.serve.Start(); err != nil {
		h.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		h.t.Fatalf("the server does not start: %v", err)
	}
	if want := "listening on " + serverIP + ":" + port + "\n"; line != want {
		h.t.Fatalf("the server says %q, want %q", line, want)
	}
}

func (h *hosts) stop() {
	h.serve.Process.Signal(syscall.SIGTERM)
	h.serve.Wait()
	if h.t.Failed() {
		h.t.Logf("the server's log:\n%s", h.log.String())
	}
}

// program returns the command that runs the program on the client's host.
func (h *hosts) program(args ...string) *exec.Cmd {
	return h.in(h.client, append([]string{h.prog, "-go.remote=" + h.at}, args...)...)
}

// outcome is how a command ended.
type outcome struct {
	out, err string
	code     int            // -1: by signal
	signal   syscall.Signal // 0: by itself
	took     time.Duration
}

func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var out, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	start := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	o := outcome{out: out.String(), err: stderr.String(), code: cmd.ProcessState.ExitCode(), took: time.Since(start)}
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		o.signal = ws.Signal()
	}
	return o
}

// numbers is what the program's "write" writes.
func numbers(n int) string {
	var b strings.Builder
	for i := 0; i < n; i += 8 {
		fmt.Fprintf(&b, "%07d\n", i)
	}
	return b.String()
}

// TestOtherHost: a program whose server is on another host has the standard
// streams, the end and the status that it would have here.
func TestOtherHost(t *testing.T) {
	h := newHosts(t)
	h.streams(t)
	t.Run("idle", h.idle)
	t.Run("killed", h.killed)
	t.Run("refused", func(t *testing.T) {
		for value, want := range map[string]string{"wrong": "wrong token", "": "asks for a token"} {
			cmd := h.program("quiet")
			cmd.Env = append(cmd.Env, "REMOTEC_TOKEN="+value)
			if o := finish(t, cmd); o.code != 2 || o.out != "" || !strings.Contains(o.err, "refused this binary: ") || !strings.Contains(o.err, want) {
				t.Errorf("token %q: status %d, %q", value, o.code, o.err)
			}
		}
	})
	t.Run("silent", h.silent)
}

// streams is about what a program on the other host is started with.
func (h *hosts) streams(t *testing.T) {
	random := make([]byte, 5_000_000)
	rand.New(rand.NewSource(1)).Read(random)

	t.Run("output", func(t *testing.T) {
		const size = 10_000_000
		o := finish(t, h.program("write", strconv.Itoa(size), "1", "7"))
		if o.out != numbers(size) || o.err != "" || o.code != 7 {
			t.Errorf("got %d bytes, status %d, on stderr %.200q", len(o.out), o.code, o.err)
		}
		t.Logf("10 MB in %v", o.took)
		o = finish(t, h.program("write", strconv.Itoa(size/10), "2"))
		if o.err != numbers(size/10) || o.out != "" || o.code != 0 {
			t.Errorf("stderr: got %d bytes, status %d, on stdout %.200q", len(o.err), o.code, o.out)
		}
	})
	t.Run("input", func(t *testing.T) {
		for _, kind := range []string{"pipe", "file"} {
			cmd := h.program("cat")
			cmd.Stdin = bytes.NewReader(random)
			if kind == "file" {
				name := filepath.Join(t.TempDir(), "in")
				if err := os.WriteFile(name, random, 0o600); err != nil {
					t.Fatal(err)
				}
				f, err := os.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				cmd.Stdin = f
			}
			o := finish(t, cmd)
			if o.out != string(random) || o.code != 0 {
				t.Errorf("%s: got %d bytes, status %d, on stderr %.200q", kind, len(o.out), o.code, o.err)
			}
			t.Logf("5 MB there and back from a %s in %v", kind, o.took)
		}
		cmd := h.program("sum")
		cmd.Stdin = bytes.NewReader(random)
		if o := finish(t, cmd); o.out != fmt.Sprintf("%d %x\n", len(random), sha256.Sum256(random)) {
			t.Errorf("got %q, on stderr %.200q", o.out, o.err)
		}
	})
	t.Run("dialogue", func(t *testing.T) {
		cmd := h.program("line")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(out)
		for i := range 100 {
			fmt.Fprintln(in, i)
			if line, err := r.ReadString('\n'); err != nil || line != fmt.Sprintln("got", i) {
				t.Fatalf("line %d: got %q, %v", i, line, err)
			}
		}
		in.Close()
		if line, _ := r.ReadString('\n'); line != "end <nil>\n" {
			t.Errorf("at the end: %q", line)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	t.Run("order of stdout and stderr", func(t *testing.T) {
		cmd := h.program("order", "2000")
		var both bytes.Buffer
		cmd.Stdout, cmd.Stderr = &both, &both // one descriptor
		finish(t, cmd)
		var want strings.Builder
		for i := range 2000 {
			fmt.Fprintf(&want, "out %d\nerr %d\n", i, i)
		}
		if both.String() != want.String() {
			t.Errorf("got %.300q ...", both.String())
		}
	})
	t.Run("input is left to others", func(t *testing.T) {
		cmd := h.in(h.client, "sh", "-c", h.prog+" -go.remote="+h.at+" quiet; cat")
		name := filepath.Join(t.TempDir(), "in")
		if err := os.WriteFile(name, []byte("one\ntwo\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.Stdin = f
		if o := finish(t, cmd); o.out != "quiet\none\ntwo\n" {
			t.Errorf("got %q", o.out)
		}
	})
	t.Run("ends", func(t *testing.T) {
		const size = 1_000_000
		for _, c := range []struct {
			args   []string
			env    string
			code   int
			signal syscall.Signal
			out    string
			err    string // regular expression
		}{
			{args: []string{"panic", strconv.Itoa(size)}, code: 2, out: numbers(size),
				err: `(?s)^panic: this is the end\n\ngoroutine 1 \[running\]:\nmain.main\(\)\n.*main\.go:\d+ .*\n$`},
			{args: []string{"fault", strconv.Itoa(size)}, code: 2, out: numbers(size),
				err: `(?s)^panic: runtime error: invalid memory address.*\[signal SIGSEGV.*main\.go:\d+ .*\n$`},
			{args: []string{"deadlock"}, code: 2, out: "waiting\n",
				err: `(?s)^fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 .*main\.go:\d+ .*\n$`},
			{args: []string{"crash", "80000"}, env: "GOTRACEBACK=crash", code: -1, signal: syscall.SIGABRT, out: numbers(80000),
				err: `(?s)^panic: this is the end\n.*main\.main\(\)\n`},
			{args: []string{"die", "3"}, env: "GOTRACEBACK=crash", code: -1, signal: syscall.SIGABRT, out: numbers(1 << 20),
				err: `(?s)^SIGQUIT: quit\n.*main\.main\(\)\n.*\n-----\n\n.*\n-----\n\n`},
			{args: []string{"die", "15"}, code: -1, signal: syscall.SIGTERM, out: numbers(1 << 20), err: "^$"},
			{args: []string{"die", "3"}, code: 2, out: numbers(1 << 20), err: `(?s)^SIGQUIT: quit\n.*main\.main.*rflags.*\ngs .*\n$`},
		} {
			cmd := h.program(c.args...)
			cmd.Env = append(cmd.Env, c.env)
			o := finish(t, cmd)
			if o.out != c.out || o.code != c.code || o.signal != c.signal {
				t.Errorf("%v: %d bytes of output instead of %d, status %d, signal %v", c.args, len(o.out), len(c.out), o.code, o.signal)
			}
			if ok, _ := regexp.MatchString(c.err, o.err); !ok {
				t.Errorf("%v: on stderr\n%s", c.args, o.err)
			}
			if o.took > 5*time.Second {
				t.Errorf("%v took %v", c.args, o.took)
			}
		}
	})
	t.Run("children", func(t *testing.T) {
		cmd := h.program("sh", "echo first; cat; echo second >&2; sleep 0.2; echo third")
		cmd.Stdin = strings.NewReader("input\n")
		if o := finish(t, cmd); o.out != "first\ninput\nthird\ndone\n" || o.err != "second\n" {
			t.Errorf("got %q and %q", o.out, o.err)
		}
		o := finish(t, h.program("sh", "(sleep 0.3; echo late) & echo first"))
		if o.out != "first\ndone\nlate\n" {
			t.Errorf("from a child that outlives the program: %q", o.out)
		}
		o = finish(t, h.program("sh", "(exec sleep 20) & echo first"))
		if o.out != "first\ndone\n" || o.took > 10*time.Second {
			t.Errorf("with a child that goes on: %q in %v", o.out, o.took)
		}
	})
	t.Run("exec", func(t *testing.T) {
		cmd := h.program("exec", "echo executed; cat; sleep 0.2; echo over")
		cmd.Stdin = strings.NewReader("input\n")
		if o := finish(t, cmd); o.out != "executed\ninput\nover\n" || o.code != 0 {
			t.Errorf("got %q, status %d, on stderr %q", o.out, o.code, o.err)
		}
	})
	t.Run("reader that goes away", func(t *testing.T) {
		sh := func(line string) outcome {
			return finish(t, h.in(h.client, "bash", "-c", strings.ReplaceAll(line, "PROG", h.prog+" -go.remote="+h.at)))
		}
		if o := sh("PROG endless | head -1; echo ${PIPESTATUS[0]}"); o.out != "line 0\n141\n" || o.err != "" {
			t.Errorf("got %q and %q", o.out, o.err)
		}
		if o := sh("PROG endless-ignoring | head -1; echo ${PIPESTATUS[0]}"); o.out != "line\n9\n" || o.err != "write: broken pipe\n" {
			t.Errorf("got %q and %q", o.out, o.err)
		}
		// The other way round.
		if o := sh("yes | PROG quiet; echo ${PIPESTATUS[0]}"); o.out != "quiet\n141\n" {
			t.Errorf("got %q and %q", o.out, o.err)
		}
		cmd := h.program("closed")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(out); err != nil {
			t.Error(err)
		}
		cmd.Process.Kill() // it waits
		if cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
			t.Errorf("a program that closed its output ended: %v", cmd.ProcessState)
		}
		if o := sh("PROG write 80 1 >/dev/full"); o.err != "remotec: output of the program cannot be written: errno 28\n" {
			t.Errorf("got %q", o.err)
		}
		if o := sh("PROG quiet >&-; echo $?; PROG cat <&-"); o.out != "0\n" || o.err != "" {
			t.Errorf("got %q and %q", o.out, o.err)
		}
		// A reader that is slow, longer than anybody waits for anything.
		if o := sh("PROG write 3000000 1 | (sleep 7; wc -c)"); o.out != "3000000\n" {
			t.Errorf("a slow reader got %q and %q", o.out, o.err)
		}
	})
	t.Run("place", func(t *testing.T) {
		dir := t.TempDir()
		cmd := h.in(h.client, "sh", "-c", "umask 027; exec "+h.prog+" -go.remote="+h.at+" where")
		cmd.Dir = dir
		if o := finish(t, cmd); o.out != dir+" 027\n" {
			t.Errorf("got %q and %q", o.out, o.err)
		}
		gone := h.in(h.client, "sh", "-c", "mkdir gone; cd gone; rmdir ../gone; exec "+h.prog+" -go.remote="+h.at+" where")
		gone.Dir = dir
		if o := finish(t, gone); !strings.HasPrefix(o.out, "/ ") {
			t.Errorf("got %q and %q", o.out, o.err)
		}
	})
}

// waiting starts a program that waits and returns its session's process id.
func (h *hosts) waiting(t *testing.T, stdin io.Reader) (cmd *exec.Cmd, session int, stderr *bytes.Buffer) {
	t.Helper()
	cmd, stderr = h.program("wait"), new(bytes.Buffer)
	cmd.Stdin, cmd.Stderr = stdin, stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := fmt.Fscanf(out, "ready %d", &session); err != nil {
		t.Fatalf("the program does not start: %v\n%s", err, stderr)
	}
	return cmd, session, stderr
}

// idle: nothing turns in circles while the program waits, or while its output
// cannot be written.
func (h *hosts) idle(t *testing.T) {
	zero, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer zero.Close()
	cmd, session, _ := h.waiting(t, zero)
	blocked := h.program("write", "100000000", "1")
	out, err := blocked.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := blocked.Start(); err != nil {
		t.Fatal(err)
	}
	defer blocked.Wait()
	defer out.Close()
	pids := []int{cmd.Process.Pid, session, h.serve.Process.Pid, blocked.Process.Pid}
	used := func() (list []int) {
		for _, pid := range pids {
			list = append(list, ticks(t, pid))
		}
		return list
	}
	time.Sleep(300 * time.Millisecond) // until all buffers are full
	before := used()
	time.Sleep(time.Second)
	for i, after := range used() {
		if n := after - before[i]; n > 5 {
			t.Errorf("process %d of %v used %d hundredths of a second of CPU time in one second", i, pids, n)
		}
	}
}

// ticks is the CPU time that a process has used, in hundredths of a second.
func ticks(t *testing.T, pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return user + system
}

// killed: no process of a session outlives the others.
func (h *hosts) killed(t *testing.T) {
	lost := regexp.MustCompile(`^panic: (connection to runtime server lost|runtime server ended the session)\n$`)
	ends := func(cmd *exec.Cmd, stderr *bytes.Buffer, who string) {
		t.Helper()
		start := time.Now()
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 2 || !lost.MatchString(stderr.String()) {
			t.Errorf("%s: status %d, %q", who, code, stderr)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: the program ended after %v", who, took)
		}
	}
	cmd, session, _ := h.waiting(t, nil)
	cmd.Process.Kill()
	gone(t, session, "client killed")

	cmd, session, stderr := h.waiting(t, nil)
	syscall.Kill(session, syscall.SIGKILL)
	ends(cmd, stderr, "session process killed")

	cmd, session, stderr = h.waiting(t, nil)
	h.serve.Process.Kill()
	h.serve.Wait()
	ends(cmd, stderr, "server killed")
	gone(t, session, "server killed")

	h.start()
	cmd, session, stderr = h.waiting(t, nil)
	h.serve.Process.Signal(syscall.SIGTERM)
	ends(cmd, stderr, "server shut down")
	gone(t, session, "server shut down")
	h.serve.Wait()
	h.start()
}

// gone waits for the end of a process that is not ours.
func gone(t *testing.T, pid int, why string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("%s: the session process %d is still there", why, pid)
			return
		}
	}
}

// silent: a server that does not answer is not waited for for ever.
func (h *hosts) silent(t *testing.T) {
	l := h.listen(t)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
		}
	}()
	o := finish(t, h.in(h.client, h.prog, "-go.remote="+l.Addr().String(), "quiet"))
	if o.code != 2 || o.took > 30*time.Second || !strings.Contains(o.err, "did not answer the attach") {
		t.Errorf("status %d after %v, %q", o.code, o.took, o.err)
	}
}

// listen listens on the server's host.
func (h *hosts) listen(t *testing.T) net.Listener {
	t.Helper()
	type result struct {
		l   net.Listener
		err error
	}
	done := make(chan result)
	go func() {
		// Not unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		f, err := os.Open("/run/netns/" + h.server)
		if err == nil {
			defer f.Close()
			const sysSetns = 308
			if _, _, errno := syscall.RawSyscall(sysSetns, f.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
				err = errno
			}
		}
		var l net.Listener
		if err == nil {
			l, err = net.Listen("tcp", serverIP+":0")
		}
		done <- result{l, err}
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.l
}
