// Package testscripts runs the scripts of this directory: the manual that runs.
package testscripts

import (
	"debug/elf"
	"debug/gosym"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"remotec.dev/internal/cachedir"
	"remotec.dev/internal/linker"
	"remotec.dev/server/pager"
)

// newerGo is the release beside the default one with which the scripts build.
const newerGo = "go1.27.4"

func TestMain(m *testing.M) { os.Exit(withTool(m)) }

// withTool runs the tests with a remotec of this module in PATH.
func withTool(m *testing.M) int {
	dir, err := os.MkdirTemp("", "remotec-scripts")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "remotec"), "remotec.dev/cmd/remotec")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building remotec:", err)
		return 1
	}
	os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	defaultSignals()
	return m.Run()
}

// defaultSignals gives programs of the scripts the default action of signals
// that the tests were started with ignored, as by nohup or in the background
// of a script: exec resets those that are caught.
func defaultSignals() {
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}

// TestScripts runs *.txtar: the real go command with this tool.
// The scripts share the user's caches, so that the standard library is
// compiled once for many runs of the tests.
func TestScripts(t *testing.T) {
	cache, err := cachedir.Dir()
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"REMOTEC_CACHE": cache, "GOPROXY": "off", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
	for name, ask := range map[string]string{"GOCACHE": "GOCACHE", "GOMODCACHE": "GOMODCACHE", "TOOLS": "GOTOOLDIR"} {
		out, err := exec.Command("go", "env", ask).Output()
		if err != nil {
			t.Fatal(err)
		}
		env[name] = strings.TrimSpace(string(out))
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for i, version := range xsys {
		env[fmt.Sprint("XSYS", i)] = version
	}
	env["ROOT"] = root // for scripts whose programs import a package of this module
	testscript.Run(t, testscript.Params{
		Dir: ".",
		Setup: func(e *testscript.Env) error {
			for name, value := range env {
				e.Setenv(name, value)
			}
			// Its own go command: one that switches toolchains asks the
			// checksum database, which the scripts cannot reach.
			e.Setenv("NEWERGO", newerGo)
			e.Setenv("NEWERGOROOT", rootOf(newerGo))
			var names []string
			for _, kv := range e.Vars {
				name, _, _ := strings.Cut(kv, "=")
				if name != "GOTRACEBACK" { // programs are to say what users see
					names = append(names, name)
				}
			}
			e.Values[scriptVariables{}] = names
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "xsys":
				return haveModules(xsys), nil
			case "newergo":
				return rootOf(newerGo) != "", nil
			case "root":
				return os.Getuid() == 0, nil
			case "userfaultfd":
				return pager.Supported() == nil, nil
			case "cpus":
				return runtime.NumCPU() > 1, nil
			case "cc":
				_, err := exec.LookPath("gcc")
				return err == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"buildboth": buildBoth,
			"compare":   compare,
			"isremote":  isRemote,
			"samelines": sameLines,
			"status":    exitStatusIs,
		},
		RequireExplicitExec: true,
	})
}

// xsys are versions of golang.org/x/sys that programs may depend on: package
// unix has assembly of its own for some system calls.
var xsys = []string{"v0.1.0", "v0.20.0", "v0.49.0"}

// haveModules reports whether the versions of golang.org/x/sys are in the
// module cache, after a try to get them.
func haveModules(versions []string) bool {
	args := []string{"mod", "download"}
	for _, version := range versions {
		args = append(args, "golang.org/x/sys@"+version)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = os.TempDir() // outside this module
	return cmd.Run() == nil
}

// rootOf returns the GOROOT of a toolchain, or "" where it cannot be used
// without the network.
func rootOf(version string) string {
	cmd := exec.Command("go", "env", "GOROOT")
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+version, "GOPROXY=off")
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// isRemote is the script command "isremote FILE...".
func isRemote(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		_, _, err := linker.Bounds(ts.MkAbs(name))
		if neg && err == nil {
			ts.Fatalf("%s is a remote binary", name)
		}
		if !neg {
			ts.Check(err)
		}
	}
}

// sameLines is the script command "samelines PLAIN REMOTE": each function that
// both binaries have starts at the same line of the same file, unless it is
// one of those that remotec adds.
func sameLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: samelines PLAIN REMOTE")
	}
	plain, err := funcLines(ts.MkAbs(args[0]))
	ts.Check(err)
	remote, err := funcLines(ts.MkAbs(args[1]))
	ts.Check(err)
	same := 0
	for name, want := range plain {
		got, ok := remote[name]
		switch {
		case !ok, strings.HasPrefix(path.Base(got), "remotec_"):
		case got == want:
			same++
		default:
			ts.Fatalf("%s is at %s, in the plain binary at %s", name, got, want)
		}
	}
	// A reader that finds nothing proves nothing.
	if same < 500 {
		ts.Fatalf("only %d functions in common", same)
	}
}

// funcLines maps the functions of a binary to "file:line".
func funcLines(name string) (map[string]string, error) {
	f, err := elf.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	section := f.Section(".gopclntab")
	if section == nil {
		return nil, fmt.Errorf("%s has no .gopclntab", name)
	}
	data, err := section.Data()
	if err != nil {
		return nil, err
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, f.Section(".text").Addr))
	if err != nil {
		return nil, err
	}
	lines := map[string]string{}
	for i := range table.Funcs {
		fn := &table.Funcs[i]
		file, line, _ := table.PCToLine(fn.Entry)
		lines[fn.Name] = fmt.Sprintf("%s:%d", file, line)
	}
	return lines, nil
}
