package server

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// process is a started command whose standard output is read line by line.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
	err   lockedBuffer
	once  sync.Once
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start starts a command and kills it at the end of the test.
func start(t *testing.T, argv ...string) *process {
	t.Helper()
	return startCmd(t, exec.Command(argv[0], argv[1:]...))
}

func startCmd(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = &p.err
	p.lines = bufio.NewScanner(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		p.wait()
	})
	return p
}

// expect reads lines up to one with the prefix and returns what follows it.
func (p *process) expect(prefix string) string {
	p.t.Helper()
	for p.lines.Scan() {
		if rest, ok := strings.CutPrefix(p.lines.Text(), prefix); ok {
			return rest
		}
	}
	p.t.Fatalf("%v ended its output without %q; on stderr: %s", p.cmd.Args, prefix, p.err.String())
	return ""
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) wait() { p.once.Do(func() { p.cmd.Wait() }) }

// pidfd opens a descriptor of a process, which says when it is gone even if
// the number is used again.
func pidfd(t *testing.T, pid int) int {
	t.Helper()
	const sysPidfdOpen = 434
	fd, _, errno := syscall.Syscall(sysPidfdOpen, uintptr(pid), 0, 0)
	if errno != 0 {
		t.Fatalf("pidfd_open %d: %v", pid, errno)
	}
	t.Cleanup(func() { syscall.Close(int(fd)) })
	return int(fd)
}

// waitPidfd waits for the process to be gone.
func waitPidfd(t *testing.T, fd int) {
	t.Helper()
	set := struct {
		fd              int32
		events, revents int16
	}{int32(fd), 1, 0}
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		n, _, _ := syscall.Syscall(syscall.SYS_POLL, uintptr(unsafe.Pointer(&set)), 1, 1000)
		if n == 1 {
			return
		}
	}
	t.Errorf("a process is still there after 10 s")
}

// children lists the processes that pid started and that are not reaped.
func children(t *testing.T, pid int) []string {
	t.Helper()
	var all []string
	tasks, err := os.ReadDir("/proc/" + itoa(pid) + "/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile("/proc/" + itoa(pid) + "/task/" + task.Name() + "/children")
		if err == nil {
			all = append(all, strings.Fields(string(b))...)
		}
	}
	return all
}
