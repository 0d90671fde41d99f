package linker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The test binary is also the -toolexec program of the builds it starts.
func TestMain(m *testing.M) {
	if os.Getenv("LINKER_TEST_TOOLEXEC") != "" {
		if err := toolexec(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "linker-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cacheDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// cacheDir is the remotec cache of this test run.
var cacheDir string

// newerGo is a toolchain that is tested too when it has been downloaded.
const newerGo = "go1.27.4"

// A tree is a Go tree to test with.
type tree struct{ root, version string }

func (tr tree) config() Config {
	return Config{GOROOT: tr.root, GoVersion: tr.version, CacheDir: cacheDir}
}

// trees returns the Go trees at hand, the one that runs the test first.
var trees = sync.OnceValue(func() (trees []tree) {
	for _, toolchain := range []string{"", newerGo} {
		cmd := exec.Command("go", "env", "GOROOT", "GOVERSION")
		cmd.Env = append(os.Environ(), "GOPROXY=off") // do not download for a test
		if toolchain != "" {
			cmd.Env = append(cmd.Env, "GOTOOLCHAIN="+toolchain)
		}
		out, err := cmd.Output()
		if err != nil {
			continue
		}
		root, version, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if len(trees) == 0 || trees[0].version != version {
			trees = append(trees, tree{root, version})
		}
	}
	return trees
})

// eachTree runs f for each Go tree at hand.
func eachTree(t *testing.T, f func(t *testing.T, tr tree)) {
	if len(trees()) == 0 {
		t.Fatal("no go command")
	}
	for _, tr := range trees() {
		t.Run(tr.version, func(t *testing.T) { f(t, tr) })
	}
}

// A scaffold builds programs with a runtime patched just enough for the linker:
// remoteShared, and a call of the stub before the first init task of main. With
// link empty it links with the plain linker.
type scaffold struct {
	tree
	overlay, stub, link string
}

const runtimeAddition = `package runtime

import _ "unsafe"

//go:linkname remoteShared
var remoteShared = [4]uintptr{1, 1, 1, 1}

//go:linkname remoteAttached
var remoteAttached bool

func remoteAttach()

func remoteStart() {
	remoteAttach()
	if remoteShared[0] == 1 {
		throw("remoteShared was not set by the linker")
	}
}
`

const stubSource = `package runtimestub

import _ "unsafe"

//go:linkname attached runtime.remoteAttached
var attached bool

//go:linkname attach runtime.remoteAttach
func attach() { attached = true }
`

// newScaffold prepares tr; stub is the text of the stub, "" for a good one.
func newScaffold(t *testing.T, tr tree, stub string) *scaffold {
	t.Helper()
	if stub == "" {
		stub = stubSource
	}
	link, err := Ensure(context.Background(), tr.config())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sc := &scaffold{tree: tr, overlay: filepath.Join(dir, "overlay.json"), stub: filepath.Join(dir, "stub.a"), link: link}

	proc, err := os.ReadFile(filepath.Join(tr.root, "src/runtime/proc.go"))
	if err != nil {
		t.Fatal(err)
	}
	const anchor = "doInit(runtime_inittasks)"
	if !strings.Contains(string(proc), anchor) {
		t.Fatalf("no %q in proc.go", anchor)
	}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	procFile := write("proc.go", strings.Replace(string(proc), anchor, "remoteStart(); "+anchor, 1))
	addition := write("remote.go", runtimeAddition)
	write("overlay.json", fmt.Sprintf(`{"Replace": {%q: %q, %q: %q}}`,
		filepath.Join(tr.root, "src/runtime/proc.go"), procFile,
		filepath.Join(tr.root, "src/runtime/remote.go"), addition))

	sc.compileStub(t, stub)
	return sc
}

// compileStub makes the archive of the stub. It imports nothing but unsafe.
func (sc *scaffold) compileStub(t *testing.T, text string) {
	t.Helper()
	src := filepath.Join(filepath.Dir(sc.stub), "stub.go")
	if err := os.WriteFile(src, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(sc.root, "bin/go"), "tool", "compile", "-p", StubPackage, "-o", sc.stub, src)
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOROOT="+sc.root)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// build builds the file src, which belongs to no module, and returns the path
// of the executable.
func (sc *scaffold) build(t *testing.T, src string, env []string, flags ...string) (string, error) {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "exe")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"build", "-toolexec=" + self, "-overlay=" + sc.overlay, "-buildvcs=false", "-o", exe}, flags...)
	cmd := exec.Command(filepath.Join(sc.root, "bin/go"), append(args, filepath.Base(src))...)
	cmd.Dir = filepath.Dir(src)
	cmd.Env = append(os.Environ(),
		"LINKER_TEST_TOOLEXEC=1", "LINKER_TEST_LINK="+sc.link, "LINKER_TEST_STUB="+sc.stub,
		"GOROOT="+sc.root, "GOTOOLCHAIN=local", "GOWORK=off", "GOFLAGS=",
		"GOCACHE="+goCacheOnce(), "GOMODCACHE="+filepath.Join(cacheDir, "nomodules"))
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %v\n%s", cmd, err, out)
	}
	if len(out) > 0 {
		t.Errorf("%s: want a silent build, got\n%s", cmd, out)
	}
	return exe, nil
}

var goCacheOnce = sync.OnceValue(func() string { return goCache(context.Background(), "go", "/") })

// run runs exe with more variables in its environment.
func run(exe string, env ...string) (string, error) {
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %v: %w\n%.2000s", exe, env, err, out)
	}
	return string(out), err
}

// toolexec runs one tool, with the patched linker in the place of the plain one.
func toolexec(args []string) error {
	cmd := exec.Command(args[0], args[1:]...)
	link := os.Getenv("LINKER_TEST_LINK")
	if filepath.Base(args[0]) == "link" && len(args) > 1 {
		if args[1] == "-V=full" {
			out, err := cmd.Output()
			// Another linker, another result.
			fmt.Printf("%s remotec-%s-%s\n", strings.TrimSpace(string(out)), Version(), filepath.Base(filepath.Dir(link)))
			return err
		}
		for i, arg := range args {
			if arg != "-importcfg" {
				continue
			}
			cfg, err := os.OpenFile(args[i+1], os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			if stub := os.Getenv("LINKER_TEST_STUB"); stub != "none" {
				fmt.Fprintf(cfg, "packagefile %s=%s\n", StubPackage, stub)
			}
			cfg.Close()
		}
		if dir := os.Getenv("LINKER_TEST_CACHE"); dir != "" {
			cfg := Config{GOROOT: os.Getenv("LINKER_TEST_GOROOT"), GoVersion: os.Getenv("LINKER_TEST_GOVERSION"), CacheDir: dir}
			var err error
			if link, err = Ensure(context.Background(), cfg); err != nil {
				return err
			}
		}
		if link != "" {
			cmd = exec.Command(link, args[1:]...)
		}
	}
	cmd.Env = os.Environ()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}
