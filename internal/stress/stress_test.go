// Package stress tests programs in several processes by load: program does what
// Go programs do and checks it, and records histories that are checked here.
package stress

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"remotec.dev/server/pager"
)

var (
	length    = flag.Duration("stress-time", 10*time.Second, "how long the stress program runs, in all")
	processes = flag.Int("stress-n", 4, "its processes")
	placing   = flag.String("stress-placement", "spread", "where its goroutines go")
	seed      = flag.Uint64("stress-seed", uint64(time.Now().UnixNano()%1_000_000), "of its random choices")
	only      = flag.String("stress-only", "", "its loads")
)

// TestStress runs the stress program in several processes, with the collector as
// it is and in the modes in which it finds its own faults, while goroutines stay
// where they are and while they move all the time.
func TestStress(t *testing.T) {
	modes := []string{
		"", "GODEBUG=clobberfree=1 GOGC=20", "GODEBUG=gccheckmark=1",
		"REMOTEC_CHAOS=migrate=1ms GODEBUG=clobberfree=1 GOGC=20", "REMOTEC_CHAOS=migrate=1ms GODEBUG=gccheckmark=1",
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			part := *length / time.Duration(len(modes))
			t.Logf("seed %d", *seed)
			r := start(t, strings.Fields(mode), "-time", part.String(), "-seed", strconv.FormatUint(*seed, 10), "-only", *only)
			t.Logf("%s", r.finish(t, part+time.Minute))
		})
	}
}

// dir is where remotec and the stress program are.
var dir string

// build makes them, once.
func build(t *testing.T) error {
	t.Helper()
	if err := pager.Supported(); err != nil {
		t.Skip(err) // says what the kernel refuses; docs/compatibility.md, Several processes, what to allow
	}
	return buildOnce()
}

var buildOnce = sync.OnceValue(func() error {
	tool := filepath.Join(dir, "remotec")
	for _, args := range [][]string{
		{"build", "-o", tool, "remotec.dev/cmd/remotec"},
		{"build", "-toolexec=" + tool, "-o", filepath.Join(dir, "program"), "remotec.dev/internal/stress/program"},
	} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
})

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if dir, err = os.MkdirTemp("", "stress"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// running is a run of the stress program.
type running struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	ended          chan error
}

// start starts the program in several processes, with env added to the
// environment.
func start(t *testing.T, env []string, args ...string) *running {
	t.Helper()
	if err := build(t); err != nil {
		t.Fatal(err)
	}
	r := &running{ended: make(chan error, 1)}
	words := append([]string{"run", "-n", strconv.Itoa(*processes), "-placement", *placing, filepath.Join(dir, "program")}, args...)
	r.cmd = exec.Command(filepath.Join(dir, "remotec"), words...)
	r.cmd.Env = append(os.Environ(), env...)
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	r.cmd.WaitDelay = 5 * time.Second
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.cmd.Wait() }()
	return r
}

// finish waits for the program's end, which must be a good one, and returns its
// output. One that takes too long is asked for the stacks of its processes.
func (r *running) finish(t *testing.T, limit time.Duration) []byte {
	t.Helper()
	var err error
	select {
	case err = <-r.ended:
	case <-time.After(limit):
		for _, pid := range childrenOf(r.cmd.Process.Pid) {
			syscall.Kill(pid, syscall.SIGQUIT) // they write their stacks at the same time
		}
		time.Sleep(3 * time.Second)
		r.cmd.Process.Signal(syscall.SIGABRT)
		select {
		case <-r.ended:
		case <-time.After(5 * time.Second):
			r.cmd.Process.Kill()
			<-r.ended
		}
		err = errors.New("it does not end")
	}
	if err != nil {
		t.Fatalf("remotec %s: %v\n%s%s", strings.Join(r.cmd.Args[1:], " "), err, r.stdout.Bytes(), r.stderr.Bytes())
	}
	return r.stdout.Bytes()
}

// childrenOf lists the children of a process.
func childrenOf(pid int) (list []int) {
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, name := range tasks {
		b, _ := os.ReadFile(name)
		for word := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(word); err == nil {
				list = append(list, n)
			}
		}
	}
	return list
}
