package instrument

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	for _, release := range []string{"1.26", "1.27"} {
		Register(release, func() *Set {
			return &Set{
				Patches: []Patch{
					{Name: "spawn", Reason: "goroutines are counted", Package: "runtime", File: "proc.go", Func: "newproc", Edit: InsertAtEntry{"hook()"}},
					{Name: "call", Package: "runtime", File: "asm.s", Func: "a", Edit: ReplaceText{"TEXT ·a(SB),NOSPLIT,$0"}},
					{Name: "forward", Package: "golang.org/x/sys/unix", File: "unix.go", Func: "Call", Edit: InsertAtEntry{"hook()"}},
				},
				Files: []File{
					{Package: "runtime", Name: "remotec_hooks.go", Content: []byte("package runtime\n")},
					{Package: "remotec.dev/remote", Name: "state.go", Content: []byte("package remote // attached\n"), Replace: true},
				},
			}
		})
	}
	os.Exit(m.Run())
}

func mustSet(t *testing.T, goVersion string) *Set {
	t.Helper()
	set, err := SetFor(goVersion)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestSetForKnowsReleases(t *testing.T) {
	for v, want := range map[string]string{
		"go1.26":                     "1.26",
		"go1.26.8":                   "1.26",
		"go1.27rc1":                  "1.27",
		"go1.27-devel_0123abc":       "1.27",
		"devel go1.27-0123abc Thu":   "1.27",
		"go1.26.8-vendor X:someexp":  "1.26",
		"go1.26.8 X:nodwarf5,greent": "1.26",
	} {
		if set := mustSet(t, v); set.Release != want {
			t.Errorf("%s is of release %s, not %s", v, set.Release, want)
		}
	}
	for _, v := range []string{"go1.25.9", "go1.28.0", "go2.0", "", "hello"} {
		_, err := SetFor(v)
		if err == nil || !strings.Contains(err.Error(), v+" is not supported: this remotec supports Go 1.26, 1.27 (") {
			t.Errorf("%s: %v", v, err)
		}
	}
}

func TestTouches(t *testing.T) {
	set := mustSet(t, "go1.26.8")
	for path, want := range map[string]bool{
		"runtime":                          true,
		"runtime [os.test]":                true,
		"golang.org/x/sys/unix":            true,
		"vendor/golang.org/x/sys/unix":     true,
		"cmd/vendor/golang.org/x/sys/unix": true,
		"remotec.dev/remote":               true,
		"runtime/pprof":                    false,
		"example.com/runtime":              false,
		"internal/runtime":                 false,
		"mygolang.org/x/sys/unix":          false,
		"main":                             false,
		"":                                 false,
	} {
		if set.Touches(path) != want {
			t.Errorf("Touches(%q) = %v", path, !want)
		}
	}
	if got := strings.Join(set.Packages(), " "); got != "golang.org/x/sys/unix remotec.dev/remote runtime" {
		t.Errorf("Packages() = %s", got)
	}
}

func TestApplyPatchesAndAdds(t *testing.T) {
	set := mustSet(t, "go1.26.8")
	files := map[string][]byte{
		"proc.cover.go": []byte("package runtime\n\nfunc newproc() {}\n"),
		"chan.go":       []byte("package runtime\n"),
	}
	patched, added, err := Apply(set, "runtime [os.test]", files)
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(patched)); !slices.Equal(names, []string{"proc.cover.go"}) {
		t.Errorf("patched %q", names)
	}
	if len(added) != 1 || added[0].Name != "remotec_hooks.go" {
		t.Errorf("added %v", added)
	}
	if _, _, err := Apply(set, "runtime", map[string][]byte{"proc.go": patched["proc.cover.go"]}); err == nil || !strings.Contains(err.Error(), "already patched") {
		t.Errorf("patched twice: %v", err)
	}
}

func TestApplyLeavesOtherPackagesAlone(t *testing.T) {
	patched, added, err := Apply(mustSet(t, "go1.26.8"), "fmt", map[string][]byte{"proc.go": []byte("no Go at all")})
	if err != nil || patched != nil || added != nil {
		t.Errorf("got %v, %v, %v", patched, added, err)
	}
}

func TestApplyReplacesFile(t *testing.T) {
	set := mustSet(t, "go1.26.8")
	patched, _, err := Apply(set, "remotec.dev/remote", map[string][]byte{"state.go": []byte("package remote\n")})
	if err != nil || string(patched["state.go"]) != "package remote // attached\n" {
		t.Errorf("got %q, %v", patched, err)
	}
	_, _, err = Apply(set, "remotec.dev/remote", map[string][]byte{"other.go": []byte("package remote\n")})
	if err == nil || !strings.Contains(err.Error(), "state.go, which is to be replaced, not found") {
		t.Errorf("got %v", err)
	}
}

func TestApplyMissingFile(t *testing.T) {
	set := mustSet(t, "go1.27.4")
	_, _, err := Apply(set, "vendor/golang.org/x/sys/unix", map[string][]byte{"other.go": []byte("package unix\n")})
	want := "compiling vendor/golang.org/x/sys/unix: file unix.go not found (go1.27.4; this remotec supports 1.26, 1.27)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestApplyAddedFileIsThere(t *testing.T) {
	_, _, err := Apply(mustSet(t, "go1.26.8"), "runtime", map[string][]byte{"remotec_hooks.go": nil, "proc.go": []byte("package runtime\nfunc newproc() {}\n")})
	if err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("got %v", err)
	}
}

// TestAssemblerGetsFilesOneByOne: the assembler runs once for all files of a
// package and then for each.
func TestAssemblerGetsFilesOneByOne(t *testing.T) {
	set := mustSet(t, "go1.26.8")
	other := map[string][]byte{"other.s": []byte("TEXT ·b(SB),NOSPLIT,$0\n")}
	if patched, err := ApplyFiles(set, "runtime", other); err != nil || len(patched) > 0 {
		t.Errorf("one file: %v, %v", patched, err)
	}
	if _, _, err := Apply(set, "runtime", other); err == nil {
		t.Error("all files: no error for the file that is missing")
	}
	mine := map[string][]byte{"asm.s": []byte("TEXT ·a(SB),NOSPLIT,$0\n\tRET\n")}
	if patched, err := ApplyFiles(set, "runtime", mine); err != nil || len(patched) != 1 {
		t.Errorf("the patched file: %v, %v", patched, err)
	}
}

// TestAnchorErrorNamesNewerGo: a release beyond those with patches explains a
// missing anchor.
func TestAnchorErrorNamesNewerGo(t *testing.T) {
	set := mustSet(t, "go1.27.0")
	set.goVersion = "go1.29.0"
	_, _, err := Apply(set, "runtime", map[string][]byte{"proc.go": []byte("package runtime\n")})
	want := `compiling runtime: anchor "func newproc" not found in proc.go (go1.29.0 is newer than this remotec supports: 1.26, 1.27)`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWriteDiffAndList(t *testing.T) {
	set := mustSet(t, "go1.26.8")
	var b strings.Builder
	if err := WriteDiff(&b, set, "runtime", map[string][]byte{"proc.go": []byte("package runtime\n\nfunc newproc() {}\n")}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--- go/runtime/proc.go\n", "+func newproc() { hook(); }\n", "+++ remotec/runtime/remotec_hooks.go\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := WriteList(&b, set); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\tspawn: proc.go newproc\n\t\tgoroutines are counted\n", "\tstate.go: replaced\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
