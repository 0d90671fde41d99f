package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// cluster is a program in processes on two hosts, which are network namespaces with a cable
// between them.
type cluster struct {
	*hosts
	run   *exec.Cmd
	nodes []*exec.Cmd
	out   *lines // of run
	err   *lines
	words []*bytes.Buffer // of the nodes
}

// lines is what a command writes, to be waited for.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // has room for one
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await returns the first n matches of an expression's first group in what was written.
func (l *lines) await(t *testing.T, pattern string, n int) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for limit := time.After(30 * time.Second); ; {
		if m := re.FindAllStringSubmatch(l.String(), n); len(m) == n {
			var found []string
			for _, groups := range m {
				found = append(found, groups[len(groups)-1])
			}
			return found
		}
		select {
		case <-l.more:
		case <-limit:
			t.Fatalf("not %d times %q in %q", n, pattern, l)
		}
	}
}

// cluster starts the program in n processes, with nodes on the other host, that reach the first
// one with the given delay each way.
func (h *hosts) cluster(t *testing.T, n, nodes int, delay time.Duration, args ...string) *cluster {
	t.Helper()
	c := &cluster{hosts: h, out: &lines{more: make(chan struct{}, 1)}, err: &lines{more: make(chan struct{}, 1)}}
	c.run = h.in(h.server, append([]string{h.tool, "run", "-n", fmt.Sprint(n), "-nodes", fmt.Sprint(nodes),
		"-listen", serverIP + ":0", "-placement", cmp.Or(h.placement, "spread"), h.prog}, args...)...)
	c.run.Stdout, c.run.Stderr = c.out, c.err
	if err := c.run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-c.run.Process.Pid, syscall.SIGKILL) })
	tokens := c.err.await(t, `remotec join \S+ -token (\w+)`, nodes)
	addr := c.err.await(t, `remotec join (\S+)`, 1)[0]
	if delay > 0 {
		addr = h.slow(t, addr, delay)
	}
	for _, token := range tokens {
		words := new(bytes.Buffer)
		node := h.in(h.client, append([]string{h.tool, "join", addr}, h.join...)...)
		node.Env = append(node.Env, "REMOTEC_TOKEN="+token)
		node.Stdout, node.Stderr = words, words
		if err := node.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Kill(-node.Process.Pid, syscall.SIGKILL) })
		c.nodes, c.words = append(c.nodes, node), append(c.words, words)
	}
	return c
}

// slow starts a proxy before addr, as long as the test runs, and returns its address.
func (h *hosts) slow(t *testing.T, addr string, delay time.Duration) string {
	t.Helper()
	name, err := exec.LookPath("remotec-slow") // this test binary, see TestMain
	if err != nil {
		t.Fatal(err)
	}
	proxy := h.in(h.server, name, addr, serverIP+":0", delay.String())
	out, err := proxy.StdoutPipe()
	if err == nil {
		err = proxy.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-proxy.Process.Pid, syscall.SIGKILL); proxy.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// slowProxy is the command remotec-slow: it passes on what comes to a listening address, later.
func slowProxy() {
	to, at := os.Args[1], os.Args[2]
	delay, err := time.ParseDuration(os.Args[3])
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	type chunk struct {
		data []byte
		due  time.Time
	}
	pass := func(from, to net.Conn) {
		queue := make(chan chunk, 10000)
		go func() {
			for c := range queue {
				time.Sleep(time.Until(c.due))
				to.Write(c.data)
			}
			to.Close()
		}()
		defer close(queue)
		for {
			buf := make([]byte, 64<<10)
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			queue <- chunk{buf[:n], time.Now().Add(delay)}
		}
	}
	for {
		a, err := l.Accept()
		if err != nil {
			panic(err)
		}
		b, err := net.Dial("tcp", to)
		if err != nil {
			a.Close()
			continue
		}
		go pass(a, b)
		go pass(b, a)
	}
}

// ends waits for all commands, for at most limit, and returns the statuses of run and the
// nodes. It is an error if a process of the program is left.
func (c *cluster) ends(t *testing.T, limit time.Duration) (run int, nodes []int) {
	t.Helper()
	start := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run.Wait()
		for _, n := range c.nodes {
			n.Wait()
		}
	}()
	select {
	case <-done:
	case <-time.After(limit):
		syscall.Kill(-c.run.Process.Pid, syscall.SIGKILL)
		for _, n := range c.nodes {
			syscall.Kill(-n.Process.Pid, syscall.SIGKILL)
		}
		<-done
		t.Errorf("not all ended within %v", limit)
	}
	t.Logf("ended after %v; run: %s", time.Since(start).Round(time.Millisecond), c.err)
	for i, n := range c.nodes {
		t.Logf("node %d: %s", i, c.words[i])
		nodes = append(nodes, n.ProcessState.ExitCode())
	}
	if left := c.processes(); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
		for _, pid := range left {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return c.run.ProcessState.ExitCode(), nodes
}

// processes lists the processes of the program, wherever it was started from.
func (c *cluster) processes() (pids []int) {
	want, err := os.Stat(c.prog)
	if err != nil {
		c.t.Fatal(err)
	}
	list, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range list {
		st, err := os.Stat(exe)
		if err != nil || st.Size() != want.Size() || !st.Mode().IsRegular() {
			continue
		}
		if args, _ := os.ReadFile(filepath.Join(filepath.Dir(exe), "cmdline")); bytes.HasPrefix(args, []byte(c.prog+"\x00")) {
			var pid int
			fmt.Sscanf(exe, "/proc/%d/", &pid)
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestNodes is about programs in processes on several hosts.
func TestNodes(t *testing.T) {
	h := newNamespaces(t)
	h.build("common")
	t.Run("Work", func(t *testing.T) { testNodesWork(t, h) })
	t.Run("Balance", func(t *testing.T) { testNodesBalance(t, h) })
	t.Run("Computes", func(t *testing.T) { testNodesComputes(t, h) })
	t.Run("Stacks", func(t *testing.T) { testNodesStacks(t, h) })
	t.Run("Ends", func(t *testing.T) { testNodesEnds(t, h) })
	t.Run("Lost", func(t *testing.T) { testNodesLost(t, h) })
	t.Run("Account", func(t *testing.T) { testNodesAccount(t, h) })
	t.Run("Stranger", func(t *testing.T) { testNodesStranger(t, h) })
}

// testNodesWork: a program does what it does in one process.
func testNodesWork(t *testing.T, h *hosts) {
	here := filepath.Join(t.TempDir(), "here")
	if err := os.WriteFile(here, []byte("here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	alone := finish(t, exec.Command(h.tool, "run", h.prog, "work", here))
	if alone.code != 0 || !strings.Contains(alone.out, "clock true\nfile true\n") {
		t.Fatalf("alone: %+v", alone)
	}
	for _, test := range []struct {
		processes, nodes int
		delay            time.Duration
	}{{2, 1, 0}, {2, 1, time.Millisecond}, {5, 2, 0}} {
		t.Run(fmt.Sprintf("%d processes, %d nodes, %v", test.processes, test.nodes, test.delay), func(t *testing.T) {
			c := h.cluster(t, test.processes, test.nodes, test.delay, "work", here)
			status, nodes := c.ends(t, time.Minute)
			if status != 0 || slices.Max(nodes) != 0 || c.out.String() != alone.out {
				t.Errorf("status %d, of the nodes %v, got\n%swant\n%s", status, nodes, c.out, alone.out)
			}
		})
	}
	t.Run("faults", func(t *testing.T) {
		for _, delay := range []time.Duration{0, time.Millisecond} {
			c := h.cluster(t, 2, 1, delay, "fault")
			if status, _ := c.ends(t, time.Minute); status != 0 {
				t.Errorf("status %d", status)
			}
			t.Logf("delay %v each way:\n%s", delay, c.out)
		}
	})
	t.Run("moves", func(t *testing.T) {
		for _, delay := range []time.Duration{0, time.Millisecond} {
			c := h.cluster(t, 2, 1, delay, "move")
			if status, _ := c.ends(t, time.Minute); status != 0 {
				t.Errorf("status %d", status)
			}
			t.Logf("delay %v each way:\n%s", delay, c.out)
		}
	})
}

// testNodesBalance: of a program that starts all its goroutines in one process, with one P each, those that wait for that go to
// other hosts; two that talk to each other come together.
func testNodesBalance(t *testing.T, h *hosts) {
	t.Setenv("GOMAXPROCS", "1")
	h.placement = "balance"
	defer func() { h.placement = "" }()
	for _, test := range []struct {
		processes, nodes int
		delay            time.Duration
	}{{2, 1, 0}, {2, 1, time.Millisecond}, {3, 2, 0}} {
		t.Run(fmt.Sprintf("%d processes, %d nodes, %v", test.processes, test.nodes, test.delay), func(t *testing.T) {
			c := h.cluster(t, test.processes, test.nodes, test.delay, "spread")
			status, _ := c.ends(t, time.Minute)
			if want := fmt.Sprintf("processes %d\n", test.processes); status != 0 || c.out.String() != want {
				t.Errorf("status %d, got %q, want %q\n%s", status, c.out, want, c.err)
			}
			t.Logf("%s", c.err)
		})
	}
	for _, delay := range []time.Duration{0, time.Millisecond} {
		t.Run(fmt.Sprintf("a pair, %v", delay), func(t *testing.T) {
			c := h.cluster(t, 2, 1, delay, "pair")
			if status, _ := c.ends(t, time.Minute); status != 0 || c.out.String() != "together true\n" {
				t.Errorf("status %d, got %q\n%s", status, c.out, c.err)
			}
			t.Logf("%s", c.err)
		})
	}
}

// testNodesComputes: who computes makes room for messages of other hosts as for those of its own, not after its
// 10 ms.
func testNodesComputes(t *testing.T, h *hosts) {
	t.Setenv("GOMAXPROCS", "1")
	h.placement = "local"
	defer func() { h.placement = "" }()
	c := h.cluster(t, 2, 1, 0, "computes")
	status, _ := c.ends(t, time.Minute)
	var n int
	if _, err := fmt.Sscanf(c.out.String(), "values %d\n", &n); err != nil || status != 0 || n < 200 {
		t.Errorf("status %d, got %q, want 200 or more in two seconds", status, c.out)
	}
	t.Logf("%d in two seconds", n)
}

// testNodesStacks: no two stacks are on one page.
func testNodesStacks(t *testing.T, h *hosts) {
	c := h.cluster(t, 2, 1, 0, "stacks")
	const want = "64 goroutines on 64 pages\n"
	if status, _ := c.ends(t, time.Minute); status != 0 || c.out.String() != want+want {
		t.Errorf("status %d, got %q", status, c.out)
	}
}

// testNodesEnds: a process on another host ends the program as any does.
func testNodesEnds(t *testing.T, h *hosts) {
	t.Run("exit", func(t *testing.T) {
		c := h.cluster(t, 2, 1, 0, "exit")
		if status, nodes := c.ends(t, 5*time.Second); status != 7 || nodes[0] != 0 {
			t.Errorf("status %d, of the node %v", status, nodes)
		}
	})
	t.Run("panic", func(t *testing.T) {
		c := h.cluster(t, 2, 1, 0, "panic")
		if status, nodes := c.ends(t, 5*time.Second); status != 2 || nodes[0] != 0 || !strings.Contains(c.err.String(), "panic: in another process") {
			t.Errorf("status %d, of the node %v", status, nodes)
		}
	})
}

// testNodesLost: whatever is lost ends all of a session, within seconds and with a reason.
func testNodesLost(t *testing.T, h *hosts) {
	for _, test := range []struct {
		name      string
		lose      func(c *cluster)
		run, node string // what they say
		status    [2]int // -1: killed
	}{
		{"node", func(c *cluster) { syscall.Kill(c.nodes[0].Process.Pid, syscall.SIGKILL) },
			"a node is lost: the session ends", "", [2]int{1, -1}},
		{"node stopped", func(c *cluster) { syscall.Kill(c.nodes[0].Process.Pid, syscall.SIGTERM) },
			"it was stopped by a signal", "stopped by a signal", [2]int{1, 1}},
		{"server", func(c *cluster) { syscall.Kill(c.run.Process.Pid, syscall.SIGKILL) },
			"", "is lost: its connection ended", [2]int{-1, 1}},
		{"link", func(c *cluster) {
			if out, err := exec.Command("ip", "-n", c.client, "link", "set", "cable", "down").CombinedOutput(); err != nil {
				t.Fatalf("%s", out)
			}
			t.Cleanup(func() { exec.Command("ip", "-n", c.client, "link", "set", "cable", "up").Run() })
		}, "nothing was heard from it for 3s", "nothing was heard from it for 3s", [2]int{1, 1}},
		{"node frozen", func(c *cluster) { freeze(c.nodes[0]) },
			"nothing was heard from it for 3s", "is lost", [2]int{1, 1}},
		{"server frozen", func(c *cluster) { freeze(c.run) },
			"a node is lost", "nothing was heard from it for 3s", [2]int{1, 1}},
		{"process", func(c *cluster) {
			for _, pid := range c.processes() {
				if parentOf(pid) == c.nodes[0].Process.Pid {
					syscall.Kill(pid, syscall.SIGKILL)
				}
			}
		}, "of the program was killed by signal 9: the session ends", "", [2]int{137, 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := h.cluster(t, 4, 1, 0, "wait")
			c.out.await(t, "ready", 1)
			if n := len(c.processes()); n != 4 {
				t.Errorf("there are %d processes, want 4", n)
			}
			test.lose(c)
			run, nodes := c.ends(t, 5*time.Second)
			exec.Command("ip", "-n", c.client, "link", "set", "cable", "up").Run()
			if run != test.status[0] || nodes[0] != test.status[1] {
				t.Errorf("statuses %d and %d, want %v", run, nodes[0], test.status)
			}
			if !strings.Contains(c.err.String(), test.run) || !strings.Contains(c.words[0].String(), test.node) {
				t.Errorf("run and node say\n%s%s, want %q and %q", c.err, c.words[0], test.run, test.node)
			}
		})
	}
}

// freeze stops a process for longer than the other end waits.
func freeze(cmd *exec.Cmd) {
	cmd.Process.Signal(syscall.SIGSTOP)
	time.AfterFunc(4*time.Second, func() { cmd.Process.Signal(syscall.SIGCONT) })
}

func parentOf(pid int) (ppid int) {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if i := bytes.LastIndexByte(stat, ')'); i >= 0 {
		var state string
		fmt.Sscan(string(stat[i+1:]), &state, &ppid)
	}
	return ppid
}

// testNodesAccount: the account of a goroutine that has computed and allocated in two processes on two hosts is the sum.
func testNodesAccount(t *testing.T, h *hosts) {
	t.Setenv("REMOTEC_ACCOUNT", "true")
	c := h.cluster(t, 2, 1, 0, "account")
	c.out.await(t, "used .*\n", 1)
	var id uint64
	var took int64
	fmt.Sscanf(c.out.String(), "used %d %d", &id, &took)
	o := finish(t, h.in(h.server, h.tool, "top", "-session", fmt.Sprint(c.run.Process.Pid), "-once", "-goroutines", "-lines", "0", "-json"))
	var looks []struct {
		Lines []struct {
			Goroutine uint64
			Process   int
			Use       useJSON
		}
	}
	if err := json.Unmarshal([]byte(o.out), &looks); err != nil || len(looks) != 1 {
		t.Fatalf("remotec top: %v: %+v", err, o)
	}
	found := false
	for _, l := range looks[0].Lines {
		if l.Goroutine != id {
			continue
		}
		found = true
		t.Logf("it computed for %v, and is charged with %v and %d bytes", time.Duration(took), time.Duration(l.Use.CPU), l.Use.Bytes)
		if l.Process != 1 || l.Use.CPU < took*3/4 || l.Use.CPU > took*5/4 {
			t.Errorf("goroutine %d in process %d is charged with %d ns, not %d", id, l.Process, l.Use.CPU, took)
		}
		if l.Use.Bytes < 15<<20 || l.Use.Bytes > 19<<20 { // it is charged by spans
			t.Errorf("it is charged with %d bytes, not with %d", l.Use.Bytes, 16<<20)
		}
	}
	if !found {
		t.Errorf("goroutine %d is not listed: %s", id, o.out)
	}
	syscall.Kill(c.run.Process.Pid, syscall.SIGTERM)
	c.ends(t, 5*time.Second)
}

// testNodesStranger: nobody joins a session that is complete.
func testNodesStranger(t *testing.T, h *hosts) {
	c := h.cluster(t, 2, 1, 0, "wait")
	addr := c.err.await(t, `remotec join (\S+)`, 1)[0]
	c.out.await(t, "ready", 1)
	join := func(token string) outcome {
		cmd := h.in(h.client, h.tool, "join", addr)
		cmd.Env = append(cmd.Env, "REMOTEC_TOKEN="+token)
		return finish(t, cmd)
	}
	used := c.err.await(t, `-token (\w+)`, 1)[0]
	if o := join(used); o.code != 1 || !strings.Contains(o.err, "nothing listens there") {
		t.Errorf("a second node: %+v", o)
	}
	syscall.Kill(c.run.Process.Pid, syscall.SIGTERM)
	if run, nodes := c.ends(t, 5*time.Second); run == 0 || nodes[0] != 0 {
		t.Errorf("statuses %d and %v", run, nodes)
	}
}
