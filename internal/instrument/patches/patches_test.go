package patches

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"remotec.dev/internal/instrument"
	"remotec.dev/internal/linkname"
)

// toolchains are the Go versions whose sources the patches must fit, beside
// the one that runs the tests.
var toolchains = []string{"local", "go1.26.8", "go1.26.11", "go1.27.1", "go1.27.4"}

// TestPatchesFit carries out all patches on the sources of each supported Go
// that is installed.
func TestPatchesFit(t *testing.T) {
	seen := map[string]bool{}
	for _, toolchain := range toolchains {
		env := append(os.Environ(), "GOTOOLCHAIN="+toolchain, "GOPROXY=off", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
		goCommand := func(dir string, args ...string) (string, error) {
			cmd := exec.Command("go", args...)
			cmd.Env, cmd.Dir = env, dir
			out, err := cmd.Output()
			return strings.TrimSpace(string(out)), err
		}
		version, err := goCommand("", "env", "GOVERSION")
		if err != nil {
			t.Logf("%s is not installed", toolchain)
			continue
		}
		if seen[version] {
			continue
		}
		seen[version] = true
		goroot, err := goCommand("", "env", "GOROOT")
		if err != nil {
			t.Fatal(err)
		}
		set, err := instrument.SetFor(version)
		if err != nil {
			t.Fatal(err)
		}
		for _, pkg := range set.Packages() {
			t.Run(version+"/"+pkg, func(t *testing.T) {
				dir, path := filepath.Join(goroot, "src"), pkg
				switch {
				case strings.HasPrefix(pkg, "golang.org/"):
					// The copy that comes with Go stands for the module.
					dir, path = filepath.Join(dir, "cmd"), "cmd/vendor/"+pkg
				case strings.HasPrefix(pkg, "remotec.dev/"):
					dir = ""
				}
				out, err := goCommand(dir, "list", "-json=Dir,GoFiles,SFiles", path)
				if err != nil {
					t.Fatal(err)
				}
				checkPackage(t, set, pkg, out)
			})
		}
	}
}

// checkPackage applies a set to the package that an answer of go list
// describes.
func checkPackage(t *testing.T, set *instrument.Set, pkg, answer string) {
	var p struct {
		Dir             string
		GoFiles, SFiles []string
	}
	if err := json.Unmarshal([]byte(answer), &p); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, name := range append(p.GoFiles, p.SFiles...) {
		data, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	patched, added, err := instrument.Apply(set, pkg, files)
	if err != nil {
		t.Fatal(err)
	}
	if len(patched)+len(added) == 0 {
		t.Error("the package is touched, but nothing changes")
	}
}

// TestPatchesAreNamed: each patch has a name of its own in its package, and a
// reason.
func TestPatchesAreNamed(t *testing.T) {
	for _, release := range instrument.Supported() {
		set, err := instrument.SetFor("go" + release)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, p := range set.Patches {
			id := p.Package + " " + p.Name
			switch {
			case p.Name == "" || seen[id]:
				t.Errorf("go%s: %s %s: the name %q is not unique", release, p.Package, p.File, p.Name)
			case p.Reason == "":
				t.Errorf("go%s: patch %q has no reason", release, id)
			}
			seen[id] = true
		}
	}
}

// TestChanHooks asserts what remotec_account.go says of the numbers of entry points.
func TestChanHooks(t *testing.T) {
	bits := map[string]int{"chansend": 0, "chanrecv": 1, "closechan": 2, "selectgo": 3}
	for _, e := range linkname.EntryPoints {
		if bit, ok := bits[e.Name]; ok != (e.Bit >= 0 && e.Bit < 4) || ok && bit != e.Bit {
			t.Errorf("%s has bit %d", e.Name, e.Bit)
		}
	}
}
