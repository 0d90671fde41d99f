package linker

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestEnsureBuildsOnce(t *testing.T) {
	eachTree(t, func(t *testing.T, tr tree) {
		var log bytes.Buffer
		cfg := tr.config()
		cfg.CacheDir = t.TempDir()
		cfg.Log = &log
		var wg sync.WaitGroup
		paths := make([]string, 3)
		for i := range paths {
			wg.Go(func() {
				cfg := cfg
				if i > 0 {
					cfg.Log = nil
				}
				path, err := Ensure(context.Background(), cfg)
				if err != nil {
					t.Error(err)
				}
				paths[i] = path
			})
		}
		wg.Wait()
		if paths[0] != paths[1] || paths[1] != paths[2] {
			t.Errorf("paths differ: %q", paths)
		}
		left, _ := filepath.Glob(filepath.Join(cfg.CacheDir, "linker", "*", "*"))
		if len(left) != 2 { // link and lock
			t.Errorf("the cache holds %q", left)
		}
		out, err := exec.Command(paths[0], "-V").CombinedOutput()
		if err != nil || !strings.Contains(string(out), tr.version) {
			t.Errorf("link -V: %v, %s", err, out)
		}

		// From now on neither the go command nor the sources are touched.
		cfg.GOROOT = tr.root
		before, _ := os.Stat(paths[0])
		if path, err := Ensure(context.Background(), cfg); err != nil || path != paths[0] {
			t.Errorf("second call: %q, %v", path, err)
		}
		if after, _ := os.Stat(paths[0]); !os.SameFile(before, after) {
			t.Error("the cached linker was built again")
		}
	})
}

// A user's environment sets what the linker must not be built with.
func TestEnsureInHostileEnvironment(t *testing.T) {
	tr := trees()[0]
	cfg := tr.config()
	cfg.CacheDir = t.TempDir()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module cmd/link\n\ngo 1.26\n",
		"go.work": "go 1.26\n\nuse /nowhere\n",
		"env":     "GOFLAGS=-mod=vendor -toolexec=false\nGOOS=plan9\nGOEXPERIMENT=nosuch\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOCACHE", goCacheOnce())
	for name, value := range map[string]string{
		"GOENV":               filepath.Join(dir, "env"),
		"GOFLAGS":             "-toolexec=false -mod=vendor -tags=purego",
		"GOWORK":              filepath.Join(dir, "go.work"),
		"GOOS":                "plan9",
		"GOARCH":              "arm",
		"GOEXPERIMENT":        "nosuch",
		"GOTOOLCHAIN":         "go1.99.0",
		"GO111MODULE":         "off",
		"GOFIPS140":           "latest",
		"GOGC":                "1",
		"GODEBUG":             "gctrace=1",
		"CGO_ENABLED":         "1",
		"CC":                  "false",
		"TOOLEXEC_IMPORTPATH": "main",
	} {
		t.Setenv(name, value)
	}
	t.Chdir(dir)
	path, err := Ensure(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-V")
	cmd.Env = []string{}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), tr.version) {
		t.Errorf("link -V: %v, %s", err, out)
	}
}

// The first link of a user's first build is where the linker gets built: below
// a go command that waits, with that command's environment.
func TestEnsureBelowGoCommand(t *testing.T) {
	src, err := filepath.Abs("testdata/globals.go")
	if err != nil {
		t.Fatal(err)
	}
	eachTree(t, func(t *testing.T, tr tree) {
		sc := newScaffold(t, tr, "")
		dir := t.TempDir()
		exe, err := sc.build(t, src, []string{"LINKER_TEST_CACHE=" + dir, "LINKER_TEST_GOROOT=" + tr.root, "LINKER_TEST_GOVERSION=" + tr.version}, "-ldflags=-X main.unused="+dir)
		if err != nil {
			t.Fatal(err)
		}
		if links, _ := filepath.Glob(filepath.Join(dir, "linker", "*", "link")); len(links) != 1 {
			t.Errorf("%d linkers were built, want 1", len(links))
		}
		if err := Check(exe); err != nil {
			t.Error(err)
		}
	})
}

func TestEnsureErrors(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	tr := trees()[0]
	for _, tt := range []struct {
		name string
		ctx  context.Context
		cfg  Config
		want string
	}{
		{"no GOROOT", context.Background(), Config{GoVersion: "go1.26.0", CacheDir: t.TempDir()}, "must all be known"},
		{"empty GOROOT", context.Background(), Config{GOROOT: t.TempDir(), GoVersion: "go1.26.0", CacheDir: t.TempDir()}, "go1.26.0"},
		{"cancelled", ctx, Config{GOROOT: tr.root, GoVersion: tr.version, CacheDir: t.TempDir()}, context.Canceled.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Ensure(tt.ctx, tt.cfg)
			if err == nil || !strings.HasPrefix(err.Error(), "remotec: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestVersionIsStable(t *testing.T) {
	if v := Version(); len(v) != 12 || v != Version() {
		t.Errorf("Version() = %q", v)
	}
}

// BenchmarkEnsure is what each link step pays when nothing changed.
func BenchmarkEnsure(b *testing.B) {
	cfg := trees()[0].config()
	if _, err := Ensure(context.Background(), cfg); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Ensure(context.Background(), cfg); err != nil {
			b.Fatal(err)
		}
	}
}
