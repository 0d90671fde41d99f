package linker

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// harsh are the environments under which a program finds out that a pointer
// mask is wrong.
var harsh = [][]string{nil, {"GOGC=1"}, {"GOGC=5", "GODEBUG=gccheckmark=1"}}

func TestLinkPlacesGlobals(t *testing.T) {
	eachTree(t, func(t *testing.T, tr tree) {
		sc := newScaffold(t, tr, "")
		for _, tt := range []struct {
			name, src string
			flags     []string
		}{
			{"plain", "testdata/globals.go", nil},
			{"stripped", "testdata/globals.go", []string{"-ldflags=-s -w"}},
			{"cover", "testdata/globals.go", []string{"-cover"}},
			{"external", "testdata/globals.go", []string{"-ldflags=-linkmode=external"}},
			{"cgo", "testdata/cgo.go", nil},
			{"cgo internal", "testdata/cgo.go", []string{"-ldflags=-linkmode=internal"}},
			{"cgo stripped", "testdata/cgo.go", []string{"-ldflags=-s -w"}},
			{"std", "testdata/std.go", nil},
		} {
			t.Run(tt.name, func(t *testing.T) {
				needs := tt.name
				if testing.Short() && needs == "std" {
					t.Skip("builds much of the standard library")
				}
				if _, err := exec.LookPath("gcc"); err != nil && (strings.Contains(needs, "cgo") || needs == "external") {
					t.Skip("no C compiler")
				}
				src, err := filepath.Abs(tt.src)
				if err != nil {
					t.Fatal(err)
				}
				exe, err := sc.build(t, src, nil, tt.flags...)
				if err != nil {
					t.Fatal(err)
				}
				if err := Check(exe); err != nil {
					t.Error(err)
				}
				var first string
				for i, env := range harsh {
					out, err := run(exe, append(env, "GOCOVERDIR="+t.TempDir())...)
					if err != nil {
						t.Fatal(err)
					}
					if i == 0 {
						first = out
					} else if out != first {
						t.Errorf("%v: output differs:\n%s\nwant\n%s", env, out, first)
					}
				}
			})
		}
	})
}

// What a user, or the author of a runtime patch, can get wrong.
func TestLinkErrors(t *testing.T) {
	tr := trees()[0]
	src, err := filepath.Abs("testdata/globals.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, stub, runtime string
		flags, env          []string
		want                string
	}{
		{name: "no stub", env: []string{"LINKER_TEST_STUB=none"}, want: "importcfg has no packagefile for " + StubPackage},
		{name: "pie", flags: []string{"-buildmode=pie"}, want: "a remote binary needs fixed addresses"},
		{name: "init", stub: stubSource + "\nfunc init() { attached = false }\n", want: StubPackage + " has init functions"},
		{name: "plain runtime", runtime: "plain", want: "package runtime has no runtime.remoteShared"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sc := newScaffold(t, tr, tt.stub)
			if tt.runtime == "plain" {
				src = filepath.Join(t.TempDir(), "hello.go")
				if err := os.WriteFile(src, []byte("package main\n\nfunc main() { println(1) }\n"), 0o666); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(sc.overlay, []byte("{}"), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			_, err := sc.build(t, src, tt.env, tt.flags...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// TestGoPrograms runs programs of the Go distribution's own test suite, which
// print what they expect, or nothing.
func TestGoPrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("builds many programs")
	}
	tr := trees()[0]
	files, _ := filepath.Glob(filepath.Join(tr.root, "test", "*.go"))
	if len(files) == 0 {
		t.Skipf("%s has no test programs", tr.root)
	}
	sc := newScaffold(t, tr, "")
	for i, ran := 0, 0; i < len(files) && ran < 30; i++ {
		src := files[i]
		text, err := os.ReadFile(src)
		if err != nil {
			t.Fatal(err)
		}
		// Some are for other systems, or run the go command themselves.
		if !bytes.HasPrefix(text, []byte("// run\n")) || bytes.Contains(text, []byte("//go:build")) || bytes.Contains(text, []byte(`"os/exec"`)) {
			continue
		}
		ran++
		i += 6 // a sample of what there is
		t.Run(filepath.Base(src), func(t *testing.T) {
			exe, err := sc.build(t, src, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := Check(exe); err != nil {
				t.Error(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(src, ".go") + ".out")
			for _, env := range harsh[1:] {
				got, runErr := run(exe, env...)
				if runErr != nil {
					t.Fatal(runErr)
				}
				if err == nil && got != string(want) {
					t.Errorf("%v: got\n%s\nwant\n%s", env, got, want)
				}
			}
		})
	}
}
