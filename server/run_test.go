package server

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
	"remotec.dev/server/servertest"
	"remotec.dev/server/session"
)

// programs are the remote binaries of these tests, by the word after
// "as-program".
var programs = map[string]func(args []string){
	"hello": func(args []string) {
		_, l := servertest.Program()
		must(l.Write(1, "hello from "+args[0]+"\n"))
	},
	"exit": func(args []string) {
		servertest.Program()
		n, _ := strconv.Atoi(args[0])
		os.Exit(n)
	},
	"kill": func(args []string) {
		servertest.Program()
		n, _ := strconv.Atoi(args[0])
		Exit{Signal: n}.Mirror()
	},
	// where tells what the session process is set to.
	"where": func([]string) {
		_, l := servertest.Program()
		cwd, err := l.Call(syscall.SYS_GETCWD, 0, 4096)
		must(err)
		mask, err := l.Call(syscall.SYS_UMASK, 0o22)
		must(err)
		dir, _, _ := strings.Cut(string(cwd.Blobs[0]), "\x00")
		must(l.Write(1, fmt.Sprintf("%s %#o\n", dir, mask.R1)))
	},
	// lowest tells which number a new descriptor gets.
	"lowest": func([]string) {
		_, l := servertest.Program()
		r, err := l.Call(syscall.SYS_OPENAT, -100, "/dev/null", syscall.O_RDONLY, 0)
		must(err)
		must(l.Write(1, fmt.Sprintln(r.R1)))
	},
	// own lists the program process's own descriptors.
	"own": func([]string) {
		_, l := servertest.Program()
		list, err := fds.Open()
		must(err)
		n := 0
		for _, fd := range list {
			flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
			if flags&syscall.FD_CLOEXEC == 0 {
				n++ // inherited
			}
		}
		must(l.Write(1, fmt.Sprintln(n)))
	},
	// exec replaces the session process.
	"exec": func(args []string) {
		_, l := servertest.Program()
		vector := func(list []string) string { return strings.Join(list, "\x00") + "\x00" }
		_, err := l.Call(syscall.SYS_EXECVE, args[0], vector(args), vector(os.Environ()))
		must(err)
	},
	// wait says it is ready and waits for its end.
	"wait": func([]string) {
		c, l := servertest.Program()
		must(l.Write(1, fmt.Sprintln("ready", c.Attached.PID, os.Getpid())))
		for {
			e, err := c.Event()
			if err != nil {
				os.Exit(3)
			}
			if e.Kind == wire.EventEnd {
				os.Exit(4)
			}
			if e.Kind == wire.EventSignal {
				must(l.Write(1, fmt.Sprintln("signal", e.N)))
			}
			if e.Kind == wire.EventReport {
				must(c.Report(&wire.Goroutines{Created: 5, Live: 3, Sites: []wire.Site{{Created: 5, Live: 3, Func: "main.f", File: "f.go", Line: 7}}}))
			}
		}
	},
	// signals is a program process that outlives signals of its own.
	"signals": func([]string) {
		_, l := servertest.Program()
		ch := make(chan os.Signal, 1)
		signal.Notify(ch, syscall.SIGUSR1)
		must(l.Write(1, "ready\n"))
		<-ch
		must(l.Write(1, "got it\n"))
	},
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "program:", err)
		os.Exit(5)
	}
}

var self = func() string {
	name, err := os.Executable()
	must(err)
	return name
}()

// asProgram is the command line of a program of the test binary.
func asProgram(args ...string) []string { return append([]string{self, "as-program"}, args...) }

// run runs a program in a session of its own process.
func run(t *testing.T, args ...string) (stdout string, status int) {
	t.Helper()
	return output(t, exec.Command(self, append([]string{"as-server", "run"}, asProgram(args...)...)...))
}

func output(t *testing.T, cmd *exec.Cmd) (stdout string, status int) {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestRunForwardsCalls(t *testing.T) {
	out, status := run(t, "hello", "fake stub")
	if out != "hello from fake stub\n" || status != 0 {
		t.Errorf("got %q, status %d", out, status)
	}
}

func TestRunEndsWithTheProgramsStatus(t *testing.T) {
	for _, c := range []struct {
		word string
		n    int
		want int
	}{{"exit", 0, 0}, {"exit", 7, 7}, {"kill", 15, 143}, {"kill", 9, 137}, {"kill", 11, 139}} {
		if _, status := run(t, c.word, strconv.Itoa(c.n)); status != c.want {
			t.Errorf("%s %d: status %d, want %d", c.word, c.n, status, c.want)
		}
	}
}

func TestServersDescriptorsAreOutOfTheWay(t *testing.T) {
	if out, _ := run(t, "lowest"); out != "3\n" {
		t.Errorf("the first descriptor of a program is %s, want 3", out)
	}
}

func TestProgramProcessInheritsOnlyItsConnection(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	cmd := exec.Command(self, append([]string{"as-server", "run"}, asProgram("own")...)...)
	cmd.ExtraFiles = []*os.File{r, w}
	if out, _ := output(t, cmd); out != "4\n" {
		t.Errorf("the program process has inherited %s descriptors, want 0 to 3", out)
	}
	// The session process keeps them, as the plain program would.
	cmd = exec.Command(self, append([]string{"as-server", "run"}, asProgram("lowest")...)...)
	cmd.ExtraFiles = []*os.File{r, w}
	if out, _ := output(t, cmd); out != "5\n" {
		t.Errorf("the first new descriptor beside 3 and 4 is %s, want 5", out)
	}
}

func TestSignalsReachTheProgram(t *testing.T) {
	p := start(t, append([]string{self, "as-server", "run"}, asProgram("wait")...)...)
	p.expect("ready ")
	p.signal(syscall.SIGTERM)
	if got := p.expect("signal "); got != "15" {
		t.Errorf("got signal %s", got)
	}
	p.signal(syscall.SIGUSR1) // not SIGHUP, which whoever runs the tests may have them ignore
	if got := p.expect("signal "); got != "10" {
		t.Errorf("got signal %s", got)
	}
	p.signal(syscall.SIGKILL)
	p.wait()
}

func TestProgramDiesWithItsSessionProcess(t *testing.T) {
	p := start(t, append([]string{self, "as-server", "run"}, asProgram("wait")...)...)
	var session, process int
	if _, err := fmt.Sscan(p.expect("ready "), &session, &process); err != nil || session != p.cmd.Process.Pid {
		t.Fatalf("session process %d, want %d: %v", session, p.cmd.Process.Pid, err)
	}
	fd := pidfd(t, process)
	p.signal(syscall.SIGKILL)
	p.wait()
	waitPidfd(t, fd)
}

func TestBeaconSaysThatThisIsASessionProcess(t *testing.T) {
	p := start(t, append([]string{self, "as-server", "run"}, asProgram("wait")...)...)
	p.expect("ready ")
	c, err := servertest.Dial("unix:" + session.BeaconName + strconv.Itoa(p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Conn.Close()
	b := make([]byte, 16)
	if n, err := c.Conn.Read(b); err != nil || string(b[:n]) != session.BeaconWord {
		t.Errorf("got %q, %v", b[:n], err)
	}
}

// Child mode: what the stub executes in place of itself.
func TestChildModeEndsAsTheProgramDoes(t *testing.T) {
	child := func(args ...string) *exec.Cmd {
		cmd := exec.Command(self)
		cmd.Args = append([]string{sessionName, "run", self, "a name"}, append([]string{"as-program"}, args...)...)
		return cmd
	}
	if out, status := output(t, child("hello", "child")); out != "hello from child\n" || status != 0 {
		t.Errorf("got %q, status %d", out, status)
	}
	if _, status := output(t, child("exit", "9")); status != 9 {
		t.Errorf("status %d, want 9", status)
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGQUIT, syscall.SIGABRT} {
		cmd := child("kill", strconv.Itoa(int(sig)))
		output(t, cmd)
		if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != sig {
			t.Errorf("ended with %v, want %v", cmd.ProcessState, sig)
		}
	}
}

func TestProgramThatExecutesARemoteBinary(t *testing.T) {
	out, status := run(t, "exec", self, "as-program", "exit", "8")
	if out != "" || status != 8 {
		t.Errorf("got %q, status %d", out, status)
	}
	if out, status = run(t, "exec", "/bin/sh", "-c", "echo shell; exit 3"); out != "shell\n" || status != 3 {
		t.Errorf("got %q, status %d", out, status)
	}
}
