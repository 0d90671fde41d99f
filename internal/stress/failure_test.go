package stress

import (
	"bytes"
	"fmt"
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

// outcome is how a run of program failing ended.
type outcome struct {
	status         int // exit status, or 128 + N for signal N
	stdout, stderr string
}

// output collects what a program says, which others may look at.
type output struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.String()
}

// fails runs program failing, plain or in several processes, until it has said
// that it is ready; then it sends a signal, if that is not 0, to the session
// process, or to the program's process of the given number. All processes must
// be gone within 5 seconds.
func fails(t *testing.T, remote bool, sig syscall.Signal, process int, args ...string) outcome {
	t.Helper()
	words := append([]string{filepath.Join(dir, "failing-plain")}, args...)
	if remote {
		words = append([]string{filepath.Join(dir, "remotec"), "run", "-n", "4", "-placement", "spread", filepath.Join(dir, "failing")}, args...)
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr output
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GOTRACEBACK=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	limit := time.After(40 * time.Second)
	var pids []int
	if sig != 0 {
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(stdout.String(), "ready"); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the program is not ready:\n%s%s", stdout.String(), stderr.String())
			}
		}
		pid := cmd.Process.Pid
		if remote {
			pids = childrenOf(pid)
			slices.Sort(pids)
			if len(pids) != 4 {
				t.Fatalf("%d processes, want 4", len(pids))
			}
			if process >= 0 {
				pid = pids[process]
			}
		}
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
		limit = time.After(5 * time.Second)
	}
	select {
	case <-ended:
	case <-limit:
		for _, pid := range append(childrenOf(cmd.Process.Pid), cmd.Process.Pid) {
			syscall.Kill(pid, syscall.SIGQUIT)
		}
		time.Sleep(2 * time.Second)
		cmd.Process.Kill()
		<-ended
		t.Fatalf("%v does not end:\n%s%s", args, stdout.String(), stderr.String())
	}
	for _, pid := range pids {
		for deadline := time.Now().Add(5 * time.Second); alive(pid); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d of the program is left behind", pid)
			}
		}
	}
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	status := ws.ExitStatus()
	if ws.Signaled() {
		status = 128 + int(ws.Signal())
	}
	return outcome{status, stdout.String(), stderr.String()}
}

// alive reports whether a process is there and no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := bytes.Cut(b, []byte(") "))
	return err == nil && !bytes.HasPrefix(rest, []byte("Z"))
}

var buildFailing = sync.OnceValue(func() error {
	for _, args := range [][]string{
		{"build", "-o", filepath.Join(dir, "failing-plain"), "remotec.dev/internal/stress/failing"},
		{"build", "-toolexec=" + filepath.Join(dir, "remotec"), "-o", filepath.Join(dir, "failing"), "remotec.dev/internal/stress/failing"},
	} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
})

// headline is what a program that fails says first.
var headline = regexp.MustCompile(`(?m)^(panic:|fatal error:|SIG[A-Z]+:|giving up).*$`)

func prepare(t *testing.T) {
	t.Helper()
	if err := build(t); err != nil {
		t.Fatal(err)
	}
	if err := buildFailing(); err != nil {
		t.Fatal(err)
	}
}

// TestFailure ends a program from any of its goroutines, and thus processes, in
// all ways that programs have: as the plain one does, and with one report.
func TestFailure(t *testing.T) {
	prepare(t)
	for _, how := range []string{"panic", "nil", "exit", "fatal", "log", "goexit", "deadlock", "raise"} {
		for _, at := range []string{"0", "1", "2", "3"} {
			t.Run(how+"/"+at, func(t *testing.T) {
				plain, remote := fails(t, false, 0, 0, how, at), fails(t, true, 0, 0, how, at)
				if plain.status != remote.status || plain.stdout != remote.stdout {
					t.Errorf("status %d, output %q; of the plain program %d and %q\n%s", remote.status, remote.stdout, plain.status, plain.stdout, remote.stderr)
				}
				if p, r := headline.FindAllString(plain.stderr, -1), headline.FindAllString(remote.stderr, -1); !slices.Equal(p, r) {
					t.Errorf("it says %q, the plain program %q:\n%s", r, p, remote.stderr)
				}
				if strings.Contains(remote.stderr, "remotec: ") {
					t.Errorf("remotec says what the program does not:\n%s", remote.stderr)
				}
			})
		}
	}
}

// TestSignals sends signals to the session process, which are the program's.
func TestSignals(t *testing.T) {
	prepare(t)
	for _, how := range []string{"wait", "busy", "notify"} {
		for _, at := range []string{"0", "1"} {
			for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT} {
				t.Run(fmt.Sprint(how, "/", at, "/", sig), func(t *testing.T) {
					plain, remote := fails(t, false, sig, -1, how, at), fails(t, true, sig, -1, how, at)
					if plain.status != remote.status || plain.stdout != remote.stdout {
						t.Errorf("status %d, output %q; of the plain program %d and %q\n%s", remote.status, remote.stdout, plain.status, plain.stdout, remote.stderr)
					}
					if p, r := headline.FindAllString(plain.stderr, -1), headline.FindAllString(remote.stderr, -1); !slices.Equal(p, r) {
						t.Errorf("it says %q, the plain program %q:\n%s", r, p, remote.stderr)
					}
				})
			}
		}
	}
}

// TestKilled kills one process: the others end, too, and remotec says why.
func TestKilled(t *testing.T) {
	prepare(t)
	for _, how := range []string{"wait", "busy", "talk"} {
		for _, process := range []int{-1, 0, 2} {
			t.Run(fmt.Sprint(how, "/", process), func(t *testing.T) {
				got := fails(t, true, syscall.SIGKILL, process, how, "1")
				if got.status != 128+int(syscall.SIGKILL) {
					t.Errorf("status %d", got.status)
				}
				want := fmt.Sprintf(`^remotec: process %d of the program was killed .*\n$`, process)
				if process < 0 {
					want = `^$`
				}
				if !regexp.MustCompile(want).MatchString(got.stderr) {
					t.Errorf("it says %q, which %s does not match", got.stderr, want)
				}
			})
		}
	}
}
