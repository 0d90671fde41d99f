package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// served is a server with nodes, on two hosts that are network namespaces.
type served struct {
	*hosts
	t     *testing.T
	cmd   *exec.Cmd
	addr  string // for programs
	join  string // for nodes
	words *lines // of the server
}

// served starts a server with nodes.
func (h *hosts) served(t *testing.T, flags ...string) *served {
	t.Helper()
	s := &served{hosts: h, t: t, words: &lines{more: make(chan struct{}, 1)}, addr: "unix:" + filepath.Join(t.TempDir(), "sock")}
	s.cmd = h.in(h.server, append([]string{h.tool, "serve", "-listen", s.addr, "-join", serverIP + ":0"}, flags...)...)
	out := &lines{more: make(chan struct{}, 1)}
	s.cmd.Stdout, s.cmd.Stderr = out, s.words
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		if t.Failed() {
			t.Logf("the server says\n%s", s.words)
		}
	})
	out.await(t, `listening on (\S+)`, 1)
	s.join = s.words.await(t, `remotec join (\S+)`, 1)[0]
	return s
}

// node starts node number i, from 1, and waits until it has joined.
func (s *served) node(i int, at string) (*exec.Cmd, *lines) {
	s.t.Helper()
	words := &lines{more: make(chan struct{}, 1)}
	cmd := s.in(s.client, s.tool, "join", at)
	cmd.Env = append(cmd.Env, "REMOTEC_TOKEN="+s.words.await(s.t, `-token (\w+)`, i)[i-1])
	cmd.Stdout, cmd.Stderr = words, words
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if s.t.Failed() {
			s.t.Logf("node %d says\n%s", i, words)
		}
	})
	words.await(s.t, `(joined )`, 1)
	s.words.await(s.t, `node \S+ (joined)`, i)
	return cmd, words
}

// program returns the program, started by hand on the server's host.
func (s *served) program(args ...string) *exec.Cmd {
	cmd := s.in(s.server, append([]string{s.prog, "-go.remote=" + s.addr}, args...)...)
	cmd.Stdin = strings.NewReader("word\n")
	return cmd
}

// alone waits until no process of the program is left.
func (s *served) alone() {
	s.t.Helper()
	c := &cluster{hosts: s.hosts}
	var left []int
	for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit); time.Sleep(10 * time.Millisecond) {
		if left = c.processes(); len(left) == 0 {
			return
		}
	}
	s.t.Errorf("processes are left: %v", left)
}

// TestServeNodes: programs of a server have processes on the hosts that have joined it.
func TestServeNodes(t *testing.T) {
	h := newNamespaces(t)
	h.build("common")
	here := filepath.Join(t.TempDir(), "here")
	if err := os.WriteFile(here, []byte("here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := finish(t, exec.Command(h.tool, "run", h.prog, "work", here))

	t.Run("sessions", func(t *testing.T) {
		s := h.served(t, "-placement", "spread")
		if o := finish(t, s.program("where", "x")); o.out != "processes 1 of 1, 1 arguments, heard word\n" {
			t.Errorf("without nodes: %+v", o)
		}
		first, words := s.node(1, s.join)
		// One session after the other, and two at a time.
		for range 2 {
			if o := finish(t, s.program("work", here)); o.out != plain.out || o.code != 0 {
				t.Errorf("got %+v, want %q", o, plain.out)
			}
		}
		s.alone()
		done := make(chan outcome, 2)
		for range 2 {
			go func() { done <- finish(t, s.program("where")) }()
		}
		for range 2 {
			if o := <-done; o.out != "processes 2 of 2, 0 arguments, heard word\n" {
				t.Errorf("got %+v", o)
			}
		}
		second, _ := s.node(2, s.slow(t, s.join, time.Millisecond))
		if o := finish(t, s.program("where")); o.out != "processes 3 of 3, 0 arguments, heard word\n" {
			t.Errorf("with two nodes: %+v", o)
		}
		for ask, want := range map[string]string{"1": "processes 1 of 1,", "2": "processes 2 of 2,", "5": "processes 5 of 5,"} {
			cmd := s.in(s.server, s.tool, "run", "-server", s.addr, "-n", ask, "-placement", "spread", s.prog, "where")
			if o := finish(t, cmd); !strings.HasPrefix(o.out, want) {
				t.Errorf("asked for %s: %+v", ask, o)
			}
		}
		// The server counts a session as long as its process is there, which ends after the program.
		var o outcome
		idle := func() bool {
			o = finish(t, s.in(s.server, s.tool, "ps", "-server", s.addr, "-nodes", "-json"))
			var list []psNode
			err := json.Unmarshal([]byte(o.out), &list)
			return err == nil && len(list) == 2 && list[0].Address == clientIP && list[0].Sessions == 0 && list[1].Sessions == 0
		}
		for limit := time.Now().Add(5 * time.Second); !idle(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(limit) {
				t.Errorf("remotec ps -nodes: %+v", o)
				break
			}
		}
		// A wait in the program, so that ps sees where its processes are.
		cmd := s.program("wait")
		out := &lines{more: make(chan struct{}, 1)}
		cmd.Stdout = out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out.await(t, "ready", 1)
		name, _ := os.Hostname()
		o = finish(t, s.in(s.server, s.tool, "ps", "-server", s.addr))
		for _, want := range []string{`process 0 +this host`, `process 1 +` + regexp.QuoteMeta(name), `process 2 +` + regexp.QuoteMeta(name),
			`NODE +ADDRESS +CPUS +SESSIONS +AGE\n(` + regexp.QuoteMeta(name) + ` +10\S+ +\d+ +1 +\d+s\n){2}`} {
			if ok, _ := regexp.MatchString(want, o.out); !ok {
				t.Errorf("remotec ps: no %q in\n%s%s", want, o.out, o.err)
			}
		}
		// A signal ends the program, on all hosts, and nothing else.
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		cmd.Wait()
		s.alone()
		if o := finish(t, s.program("where")); o.out != "processes 3 of 3, 0 arguments, heard word\n" {
			t.Errorf("after a signal: %+v", o)
		}
		// A node that is stopped is one no longer; the server's end is that of the other.
		second.Process.Signal(syscall.SIGTERM)
		second.Wait()
		s.words.await(t, `node \S+ at \S+ is gone: it was (stopped) by a signal`, 1)
		if o := finish(t, s.program("where")); o.out != "processes 2 of 2, 0 arguments, heard word\n" {
			t.Errorf("with one node left: %+v", o)
		}
		s.cmd.Process.Signal(syscall.SIGTERM)
		s.cmd.Wait()
		if err := first.Wait(); err != nil {
			t.Errorf("the node ends with %v: %s", err, words)
		}
	})
	t.Run("ends", func(t *testing.T) {
		s := h.served(t, "-placement", "spread")
		s.node(1, s.join)
		if o := finish(t, s.program("exit")); o.code != 7 {
			t.Errorf("exit: %+v", o)
		}
		if o := finish(t, s.program("panic")); o.code != 2 || !strings.Contains(o.err, "panic: in another process") {
			t.Errorf("panic: %+v", o)
		}
		s.alone()
	})
	t.Run("lost", func(t *testing.T) { testServeNodesLost(t, h) })
}

// TestForward: programs on a node's host attach to its server by way of the node.
func TestForward(t *testing.T) {
	h := newNamespaces(t)
	h.build("afar")
	s := h.served(t)
	words := &lines{more: make(chan struct{}, 1)}
	node := h.in(h.client, h.tool, "join", s.join, "-listen", "127.0.0.1:0", "-token", s.words.await(t, `-token (\w+)`, 1)[0])
	node.Stdout, node.Stderr = words, words
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-node.Process.Pid, syscall.SIGKILL)
		if t.Failed() {
			t.Logf("the node says\n%s", words)
		}
	})
	h.at = words.await(t, `listening on (\S+)`, 1)[0]
	wrong := h.program("quiet")
	if o := finish(t, wrong); o.code != 2 || !strings.Contains(o.err, "refused this binary: wrong token") {
		t.Errorf("with a wrong token: %+v", o)
	}
	h.env = []string{"REMOTEC_TOKEN="} // it is in a file, as that of a server of this host
	h.streams(t)
	if o := finish(t, h.in(h.client, h.tool, "ps", "-server", h.at, "-nodes")); !strings.Contains(o.out, clientIP) {
		t.Errorf("remotec ps: %+v", o)
	}
	asks := h.program("quiet")
	asks.Env = append(asks.Env, "REMOTEC_PROCESSES=2")
	if o := finish(t, asks); o.code != 2 || !strings.Contains(o.err, "a program that comes from another host runs in one process, not in 2") {
		t.Errorf("asked for two processes: %+v", o)
	}
	t.Run("lost", func(t *testing.T) {
		cmd, session, stderr := h.waiting(t, nil)
		node.Process.Kill()
		node.Wait()
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(stderr.String(), "connection to runtime server lost") {
			t.Errorf("status %d, %s", code, stderr)
		}
		gone(t, session, "node killed")
	})
	for listen, want := range map[string]string{clientIP + ":0": "other machines reach that", "nowhere": "want host:port"} {
		if o := finish(t, h.in(h.client, h.tool, "join", s.join, "-listen", listen, "-token", "x")); o.code != 1 || !strings.Contains(o.err, want) {
			t.Errorf("-listen %s: %+v", listen, o)
		}
	}
	run := h.in(h.server, h.tool, "run", "-nodes", "1", "-listen", serverIP+":0", h.prog, "quiet")
	said := &lines{more: make(chan struct{}, 1)}
	run.Stderr = said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	defer run.Wait()
	defer syscall.Kill(-run.Process.Pid, syscall.SIGKILL)
	o := finish(t, h.in(h.client, h.tool, "join", said.await(t, `remotec join (\S+)`, 1)[0], "-listen", "127.0.0.1:0", "-token", said.await(t, `-token (\w+)`, 1)[0]))
	if o.code != 1 || !strings.Contains(o.err, "it is a session, which takes no programs of this host") {
		t.Errorf("of a session: %+v", o)
	}
}

// testServeNodesLost: what is lost ends the sessions that it is a part of, and those only.
func testServeNodesLost(t *testing.T, h *hosts) {
	start := func(t *testing.T, s *served) (*exec.Cmd, *bytes.Buffer) {
		cmd := s.program("wait")
		out, words := &lines{more: make(chan struct{}, 1)}, new(bytes.Buffer)
		cmd.Stdout, cmd.Stderr = out, words
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		out.await(t, "ready", 1)
		return cmd, words
	}
	ends := func(t *testing.T, cmd *exec.Cmd, within time.Duration) {
		t.Helper()
		timer := time.AfterFunc(within, func() {
			t.Errorf("it has not ended within %v", within)
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		})
		cmd.Wait()
		timer.Stop()
	}
	t.Run("node killed", func(t *testing.T) {
		s := h.served(t, "-placement", "spread")
		node, _ := s.node(1, s.join)
		cmd, words := start(t, s)
		syscall.Kill(-node.Process.Pid, syscall.SIGKILL)
		node.Wait()
		ends(t, cmd, 5*time.Second)
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(words.String(), "a node is lost: the session ends") {
			t.Errorf("status %d, %s", cmd.ProcessState.ExitCode(), words)
		}
		s.alone()
		s.words.await(t, `(is gone): its connection ended`, 1)
		if o := finish(t, s.program("where")); !strings.HasPrefix(o.out, "processes 1 of 1,") {
			t.Errorf("afterwards: %+v", o)
		}
		s.node(2, s.join)
		if o := finish(t, s.program("where")); !strings.HasPrefix(o.out, "processes 2 of 2,") {
			t.Errorf("with another node: %+v", o)
		}
	})
	t.Run("server killed", func(t *testing.T) {
		s := h.served(t, "-placement", "spread")
		node, words := s.node(1, s.join)
		cmd, _ := start(t, s)
		syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		s.cmd.Wait()
		ends(t, cmd, 5*time.Second)
		if cmd.ProcessState.Success() {
			t.Error("the program ended well")
		}
		s.alone()
		node.Process.Signal(syscall.SIGTERM) // it tries to come back
		ends(t, node, 5*time.Second)
		if node.ProcessState.ExitCode() != 1 {
			t.Errorf("the node: status %d, %s", node.ProcessState.ExitCode(), words)
		}
	})
	t.Run("link", func(t *testing.T) {
		s := h.served(t, "-placement", "spread")
		_, words := s.node(1, s.join)
		cmd, said := start(t, s)
		cable := func(state string) {
			if out, err := exec.Command("ip", "-n", s.client, "link", "set", "cable", state).CombinedOutput(); err != nil {
				t.Fatalf("%s", out)
			}
		}
		cable("down")
		t.Cleanup(func() { cable("up") })
		ends(t, cmd, 6*time.Second)
		if code := cmd.ProcessState.ExitCode(); code != 1 {
			t.Errorf("status %d, %s", code, said)
		}
		s.words.await(t, `(is gone): nothing was heard from it for 3s`, 1)
		s.alone()
		cable("up")
		s.words.await(t, `node \S+ (joined)`, 2)
		words.await(t, `(joined)`, 2)
		if o := finish(t, s.program("where")); !strings.HasPrefix(o.out, "processes 2 of 2,") {
			t.Errorf("when it is back: %+v", o)
		}
	})
	t.Run("node that does not come", func(t *testing.T) {
		s := h.served(t, "-placement", "spread")
		node, _ := s.node(1, s.join)
		syscall.Kill(-node.Process.Pid, syscall.SIGSTOP)
		o := finish(t, s.program("where"))
		if o.code != 2 || !strings.Contains(o.err, "nodes did not come within 10s: ") || o.took > 15*time.Second {
			t.Errorf("got %+v", o)
		}
		syscall.Kill(-node.Process.Pid, syscall.SIGCONT)
		s.words.await(t, `node \S+ (joined)`, 2)
		if o := finish(t, s.program("where")); !strings.HasPrefix(o.out, "processes 2 of 2,") {
			t.Errorf("when it is back: %+v", o)
		}
	})
	t.Run("stranger", func(t *testing.T) {
		s := h.served(t)
		s.node(1, s.join)
		used := s.words.await(t, `-token (\w+)`, 1)[0]
		cmd := s.in(s.client, s.tool, "join", s.join)
		cmd.Env = append(cmd.Env, "REMOTEC_TOKEN="+used)
		if o := finish(t, cmd); o.code != 1 || !strings.Contains(o.err, "without a word: the token is wrong or was used before") {
			t.Errorf("a used token: %+v", o)
		}
		host, port, _ := strings.Cut(s.join, ":")
		for _, text := range []string{"REMOTEC1", "GET / HTTP/1.0\\r\\n\\r\\n", "\\x16\\x03\\x01\\x00\\x05hello"} {
			script := fmt.Sprintf(`exec 3<>/dev/tcp/%s/%s; printf '%s' >&3; timeout 2 cat <&3 | wc -c`, host, port, text)
			if o := finish(t, s.in(s.client, "bash", "-c", script)); strings.TrimSpace(o.out) != "0" {
				t.Errorf("%q: %+v", text, o)
			}
		}
	})
}
