package server

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"remotec.dev/server/servertest"
)

var programs = map[string]func(args []string){
	"hello": func(args []string) {
		_, l := servertest.Program()
		if err := l.Write(1, "hello from "+args[0]+"\n"); err != nil {
			panic(err)
		}
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
}

// run runs a program of this test binary in a session of its own process.
func run(t *testing.T, args ...string) (stdout string, status int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{"as-server", "run", self, "as-program"}, args...)...)
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
	if _, status := run(t, "exit", "7"); status != 7 {
		t.Errorf("status %d, want 7", status)
	}
	if _, status := run(t, "kill", strconv.Itoa(int(syscall.SIGTERM))); status != 128+15 {
		t.Errorf("status %d, want 143", status)
	}
}
