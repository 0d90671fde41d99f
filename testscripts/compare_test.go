package testscripts

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The ways in which scripts run a program. The first is what the others are
// compared with.
var modes = []struct {
	name string
	tree string // which of the two binaries
	run  []string
}{
	{"plain", "plain", nil},
	{"handing descriptors over", "remote", []string{"remotec", "run", "-hand=true"}},
	{"handing nothing over", "remote", []string{"remotec", "run", "-hand=false"}},
	{underServer, "remote", nil},
}

const underServer = "under remotec serve"

// buildBoth is the script command "buildboth DIR...": the program in DIR,
// plain as plain/DIR and as a remote binary as remote/DIR. Nothing may be
// said in the course of it.
func buildBoth(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: buildboth DIR...")
	}
	for _, dir := range args {
		for _, flags := range [][]string{{"plain"}, {"remote", "-toolexec=remotec"}} {
			build := append([]string{"build", "-C", dir, "-o", ts.Getenv("WORK") + "/" + flags[0] + "/" + filepath.Base(dir)}, flags[1:]...)
			ts.Check(ts.Exec("go", append(build, ".")...))
			if said := ts.ReadFile("stdout") + ts.ReadFile("stderr"); said != "" {
				ts.Fatalf("building %s said:\n%s", dir, said)
			}
		}
	}
}

// compare is the script command "compare [-status N] [-in FILE] [-stdout]
// [-alone] PROGRAM [ARG...]": the program that buildboth built does the same in all
// modes, each time in an empty directory of the same name: standard output,
// standard error (addresses apart; not with -stdout) and exit status, which
// must be N, default 0. With -alone it is not run under a server with others.
func compare(ts *testscript.TestScript, neg bool, args []string) {
	status, input, onlyOut, alone := 0, []byte(nil), false, false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch {
		case args[0] == "-stdout":
			onlyOut, args = true, args[1:]
			continue
		case args[0] == "-alone":
			alone, args = true, args[1:]
			continue
		case len(args) > 1 && args[0] == "-status":
			n, err := strconv.Atoi(args[1])
			ts.Check(err)
			status = n
		case len(args) > 1 && args[0] == "-in":
			input = []byte(ts.ReadFile(args[1]))
		default:
			ts.Fatalf("unknown flag %s", args[0])
		}
		args = args[2:]
	}
	if neg || len(args) == 0 {
		ts.Fatalf("usage: compare [-status N] [-in FILE] [-stdout] [-alone] PROGRAM [ARG...]")
	}
	var want result
	for _, mode := range modes {
		if alone && mode.name == underServer {
			continue
		}
		work := ts.Getenv("WORK")
		dir := filepath.Join(work, "run")
		ts.Check(os.RemoveAll(dir))
		ts.Check(os.Mkdir(dir, 0o777))
		words := append(append(append([]string(nil), mode.run...), filepath.Join(work, mode.tree, args[0])), args[1:]...)
		env := append(environment(ts), "PWD="+dir)
		if mode.name == underServer {
			env = append(env, "GORUNTIMESERVER="+serverOf(ts))
		}
		got, err := runProgram(ts, dir, input, env, words)
		ts.Check(err)
		show := fmt.Sprintf("%s (%s)\n[status] %d\n[stdout]\n%s[stderr]\n%s",
			strings.Join(args, " "), mode.name, got.status, got.stdout, got.stderr)
		if got.late {
			ts.Fatalf("no end in sight: %s", show)
		}
		if got.status != status {
			ts.Fatalf("status is not %d: %s", status, show)
		}
		if mode.tree == "plain" {
			want = got
			continue
		}
		if got.stdout != want.stdout {
			ts.Fatalf("%s (%s): another output than the plain program's: %s", strings.Join(args, " "), mode.name, difference(want.stdout, got.stdout))
		}
		if !onlyOut && got.stderr != want.stderr {
			ts.Fatalf("%s (%s): another standard error than the plain program's: %s", strings.Join(args, " "), mode.name, difference(want.stderr, got.stderr))
		}
	}
	fmt.Fprint(ts.Stdout(), want.stdout)
	fmt.Fprint(ts.Stderr(), want.stderr)
}

// difference shows where two outputs part.
func difference(want, got string) string {
	a, b := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	same := 0
	for same < len(a) && same < len(b) && a[same] == b[same] {
		same++
	}
	part := func(lines []string) string {
		return strings.Join(lines[max(same-2, 0):min(same+5, len(lines))], "")
	}
	return fmt.Sprintf("from line %d\n[plain]\n%s[remote]\n%s", same+1, part(a), part(b))
}

// result is how a program ended and what it said.
type result struct {
	stdout, stderr string
	status         int
	late           bool // it was killed for taking too long
}

// addresses are what differs between two builds of a program and between two
// runs of one.
var addresses = regexp.MustCompile(`\+?0x[0-9a-f]+|goroutine \d+`)

// patience is how long a program of a script may take: a second, on a machine
// that is busy with something else.
const patience = time.Minute

func runProgram(ts *testscript.TestScript, dir string, input []byte, env, words []string) (r result, err error) {
	cmd := exec.Command(lookPath(ts, words[0]), words[1:]...)
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = env
	// What outlives the program holds the pipes: that is an error, not a hang.
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		return r, err
	}
	alarm := time.AfterFunc(patience, func() {
		r.late = true
		cmd.Process.Signal(syscall.SIGQUIT)
		time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
	})
	err = cmd.Wait()
	alarm.Stop()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return r, fmt.Errorf("%s: %w\n%s", strings.Join(words, " "), err, stderr.String())
	}
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if r.status = ws.ExitStatus(); ws.Signaled() {
		r.status = 128 + int(ws.Signal())
	}
	r.stdout = stdout.String()
	r.stderr = addresses.ReplaceAllString(stderr.String(), "?")
	return r, nil
}

// serverOf returns the address of the script's server, which is started for
// the first program that needs it.
func serverOf(ts *testscript.TestScript) string {
	sock := filepath.Join(ts.Getenv("WORK"), ".serve")
	addr := "unix:" + sock
	if _, err := os.Stat(sock); err == nil {
		return addr
	}
	cmd := exec.Command(lookPath(ts, "remotec"), "serve", "-listen", addr)
	cmd.Env = environment(ts)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	_, err = fmt.Fscanf(out, "listening on %s\n", &addr)
	ts.Check(err)
	return addr
}

// environment is the script's, which testscript keeps to itself: the current
// values of the variables that scripts start with.
func environment(ts *testscript.TestScript) (env []string) {
	for _, name := range ts.Value(scriptVariables{}).([]string) {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

// scriptVariables is the key of a script's list of variables.
type scriptVariables struct{}

// lookPath finds name in the script's PATH.
func lookPath(ts *testscript.TestScript, name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode()&0o111 != 0 {
			return file
		}
	}
	ts.Fatalf("%s is not in PATH", name)
	return ""
}

// exitStatusIs is the script command "status N PROGRAM [ARG...]": exec of a
// program that ends with status N.
func exitStatusIs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM [ARG...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("status %d, want %s", got, args[0])
	}
}
