package toolexec

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"remotec.dev"
)

func TestInvoked(t *testing.T) {
	for _, test := range []struct {
		argv []string
		want bool
	}{
		{[]string{"remotec", "/goroot/pkg/tool/linux_amd64/compile", "-V=full"}, true},
		{[]string{"remotec", "run", "/bin/prog"}, false},
		{[]string{"remotec"}, false},
	} {
		if got := Invoked(test.argv); got != test.want {
			t.Errorf("Invoked(%q) = %v", test.argv, got)
		}
	}
}

func TestExpandResponseFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "args")
	if err := os.WriteFile(name, []byte("-p\nmain\n-X=a\\nb\\\\c\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := expand([]string{"-o", "x.a", "@" + name, "a.go"})
	want := []string{"-o", "x.a", "-p", "main", "-X=a\nb\\c", "a.go"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := expand([]string{"@" + name + ".missing"}); err == nil {
		t.Error("no error for a missing response file")
	}
}

func TestFlags(t *testing.T) {
	args := []string{"-o", "x.a", "-p", "main", "-trimpath=/w=>", "-std", "-race=false", "-pack", "/s/a.go", "b.go"}
	flags, files := splitFiles(args, ".go")
	if !slices.Equal(files, []string{"/s/a.go", "b.go"}) {
		t.Errorf("files %q", files)
	}
	if value(flags, "-o") != "x.a" || value(flags, "-trimpath") != "/w=>" || value(flags, "-importcfg") != "" {
		t.Errorf("wrong values in %q", flags)
	}
	if !isSet(flags, "-std") || isSet(flags, "-race") || isSet(flags, "-complete") {
		t.Errorf("wrong switches in %q", flags)
	}
	if got := setValue(setValue(flags, "-trimpath", "/n"), "-o", "y.a"); value(got, "-trimpath") != "/n" || value(got, "-o") != "y.a" || len(got) != len(flags) {
		t.Errorf("setValue gave %q", got)
	}
	if got := setValue(flags, "-importcfg", "c"); value(got, "-importcfg") != "c" {
		t.Errorf("setValue gave %q", got)
	}
}

func TestRecordedNames(t *testing.T) {
	t.Setenv("GOROOT", "/goroot")
	for _, test := range []struct{ rewrites, name, want string }{
		{"/w/b001=>", "/goroot/src/runtime/proc.go", "$GOROOT/src/runtime/proc.go"},
		{"/goroot/src/runtime=>runtime;/w/b001=>", "/goroot/src/runtime/proc.go", "runtime/proc.go"},
		{"/w/b001=>", "/w/b001/x.cover.go", "x.cover.go"},
		{"/w/b001=>", "/home/me/mod/unix/a.go", "/home/me/mod/unix/a.go"},
		{"/home/me/mod/unix=>golang.org/x/sys@v1/unix;/w=>", "/home/me/mod/unix/a.go", "golang.org/x/sys@v1/unix/a.go"},
		{"/home/me/mo=>x", "/home/me/mod/a.go", "/home/me/mod/a.go"},
	} {
		w := &rewriter{inv: &invocation{tool: "/goroot/pkg/tool/linux_amd64/compile"}, rewrites: test.rewrites}
		if got := w.recorded(test.name); got != test.want {
			t.Errorf("with %q %s is recorded as %s, want %s", test.rewrites, test.name, got, test.want)
		}
	}
}

func TestRefuseBuild(t *testing.T) {
	for _, test := range []struct {
		args, env string
		want      string // start of the error
	}{
		{"build .", "", ""},
		{"build -race .", "", "-race is"},
		{"test --race ./...", "", "-race is"},
		{"build -race=true", "", "-race is"},
		{"build -race=false", "", ""},
		{"build -o -race .", "", ""},
		{"run . -race", "", ""},
		{"test -run x -args -race", "", ""},
		{"build -ldflags -race -asan", "", "-asan is"},
		{"build -buildmode pie", "", "-buildmode=pie is"},
		{"build -buildmode=exe", "", ""},
		{"build -buildmode=archive", "", ""},
		{"build -buildmode=other", "", "-buildmode=other is"},
		{"build -compiler=gccgo", "", "-compiler=gccgo is"},
		{"build", "GOFLAGS=-trimpath -buildmode=pie", "-buildmode=pie is"},
		{"build -buildmode=exe", "GOFLAGS=-buildmode=pie", ""},
		{"build", "GOARCH=arm64", "/arm64 is"},
		{"build", "GOOS=plan9", "plan9/ is"},
		{"", "", ""},
	} {
		err := refuseBuild(strings.Fields(test.args), func(name string) string {
			if n, v, _ := strings.Cut(test.env, "="); n == name {
				return v
			}
			return ""
		})
		switch {
		case err == nil && test.want == "":
		case err == nil || test.want == "" || !strings.HasPrefix(err.Error(), test.want):
			t.Errorf("go %s (%s): got %v, want %q", test.args, test.env, err, test.want)
		}
	}
}

func TestRefuseTool(t *testing.T) {
	for _, test := range []struct{ tool, flags, want string }{
		{"compile", "-p main -complete", ""},
		{"compile", "-race", "-race is"},
		{"compile", "-shared", "-buildmode=pie is"},
		{"compile", "-dynlink -shared", "-buildmode=shared is"},
		{"asm", "-p main", ""},
		{"link", "-buildmode=exe", ""},
		{"link", "-buildmode=c-shared", "-buildmode=c-shared is"},
		{"link", "-asan -buildmode=exe", "-asan is"},
		{"link", "-linkshared -buildmode=exe", "-buildmode=shared is"},
	} {
		err := refuseTool(test.tool, strings.Fields(test.flags))
		switch {
		case err == nil && test.want == "":
		case err == nil || test.want == "" || !strings.HasPrefix(err.Error(), test.want):
			t.Errorf("%s %s: got %v, want %q", test.tool, test.flags, err, test.want)
		}
	}
}

// TestIdentityCoversWhatBuilds: every package of this module that takes part
// in a tool invocation is in the identity; else a change of it would leave
// stale objects in the users' build caches.
func TestIdentityCoversWhatBuilds(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "remotec.dev/internal/toolexec").Output()
	if err != nil {
		t.Fatal(err)
	}
	// What has a version of its own, or does not influence the result.
	apart := []string{
		"remotec.dev",                   // embeds the rest
		"remotec.dev/internal/linker",   // linker.Version
		"remotec.dev/internal/cachedir", // where, not what
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		dir, ok := strings.CutPrefix(pkg, "remotec.dev/")
		if !ok || slices.Contains(apart, pkg) {
			continue
		}
		if _, err := fs.Stat(remotec.Builder, dir); err != nil {
			t.Errorf("%s is imported, but remotec.Builder does not have it", pkg)
		}
	}
}

// TestToolexecIsLight: a build starts the tool hundreds of times, so what a
// step does not need must not be initialised there.
func TestToolexecIsLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "remotec.dev/internal/toolexec").Output()
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		for _, heavy := range []string{"net", "net/http", "capnproto.org/", "remotec.dev/server", "remotec.dev/capnp", "text/template"} {
			if pkg == heavy || strings.HasSuffix(heavy, "/") && strings.HasPrefix(pkg, heavy) || strings.HasPrefix(pkg, heavy+"/") && strings.HasPrefix(heavy, "remotec") {
				t.Errorf("package toolexec imports %s", pkg)
			}
		}
	}
}
