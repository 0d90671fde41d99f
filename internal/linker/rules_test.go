package linker

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLocalRule(t *testing.T) {
	for _, tt := range []struct {
		pkg, name string
		local     bool
	}{
		{"main", "main.counter", false},
		{"os", "os.Args", false},
		{"time", "time.startNano", false},
		{"runtime", "runtime.sched", true},
		{"runtime", "runtime.itabTable", false},
		{"syscall", "syscall.ForkLock", false},
		{"syscall", "syscall.env", false},
		{"syscall", "syscall..inittask", false},
		{"internal/runtime/maps", "internal/runtime/maps.x", true},
		{"runtimes", "runtimes.x", false},
		{"runtime/trace", "runtime/trace.x", true},
		{"runtime/pprof", "runtime/pprof.cpu", false},
		{"runtime/pprof/x", "runtime/pprof/x.x", true},
		{"runtime/trace_test", "runtime/trace_test.x", false},
		{"runtime/trace_test", "runtime/trace_test..inittask", false},
		{"math", "math.useFMA", true},
		{"math/big", "math/big.natOne", false},
		{"math/big", "math/big.cacheBase10", true},
		{"math/rand", "math/rand.globalRandGenerator", false},
		{"net", "net.hosts", true},
		{"net", "net.hosts2", false},
		{"net/http", "net/http.bufioReaderPool", false},
		{"main", "main..stmp_4", false},
		{"syscall", "syscall..stmp_4", true},
		{"main", "main..inittask", false},
		{"main", "main.f..typeAssert.3", true},
		{"main", "main..interfaceSwitch.0", true},
		{"main", "runtime.zeroVal", true}, // pulled by a linkname
		{"runtime", "main.pushed", true},
		{"", "go:main.inittasks", true},
		{"", "net(.data)", true},
		{"main", "go:string.x", true},
		{"a.org/v1.0/b", "a.org/v1.0/b.x", false},
		{"golang.org/x/sys/cpu", "golang.org/x/sys/cpu.X86", true},
		{"golang.org/x/sys/unix", "golang.org/x/sys/unix.mapper", false},
		{"main", "main.F[runtime.Func].x", false},
		{StubPackage, StubPackage + ".conn", true},
		{StubPackage + "/capnp", StubPackage + "/capnp.x", true},
		{"remotec.dev/remote", "remotec.dev/remote.x", false},
	} {
		why, local := LocalRule(tt.pkg, tt.name)
		if local != tt.local {
			t.Errorf("LocalRule(%q, %q) = %q, %v, want %v", tt.pkg, tt.name, why, local, tt.local)
		}
	}
}

func TestOwner(t *testing.T) {
	for name, want := range map[string]string{
		"main.x":                                "main",
		"a.org/b%2ev1.x":                        "a.org/b.v1",
		"a.org/b.F[go.shape.int]..stmp_1":       "a.org/b",
		"a.org/b.F[c.org/d%2ee.T]..typeAssert.": "a.org/b",
		"environ":                               "",
		"net/http..inittask":                    "net/http",
	} {
		if got := remoteOwner(name); got != want {
			t.Errorf("remoteOwner(%q) = %q, want %q", name, got, want)
		}
	}
}

// A rule that names nothing is a mistake, or has outlived its package.
func TestRulesNameWhatExists(t *testing.T) {
	var all []remoteRule
	for _, table := range [][]remoteRule{remoteLocalPackages, remoteSharedPackages, remoteSharedSymbols, remoteLocalSymbols, remoteLocalParts} {
		all = append(all, table...)
	}
	seen := make(map[string]bool)
	for _, r := range all {
		if r.why == "" || seen[r.match] {
			t.Errorf("rule %q has no reason, or is there twice", r.match)
		}
		seen[r.match] = true
	}
	eachTree(t, func(t *testing.T, tr tree) {
		for _, r := range remoteLocalPackages {
			dir := strings.TrimSuffix(r.match, "/...")
			if strings.HasPrefix(dir, "golang.org/") || strings.HasPrefix(dir, remoteStub) {
				continue // of the program
			}
			if _, err := os.Stat(filepath.Join(tr.root, "src", dir)); err != nil {
				t.Errorf("rule %q: %v", r.match, err)
			}
		}
		for _, r := range remoteLocalSymbols {
			i := strings.LastIndex(r.match, ".")
			dir, name := r.match[:i], r.match[i+1:]
			files, _ := filepath.Glob(filepath.Join(tr.root, "src", dir, "*.go"))
			if !slices.ContainsFunc(files, func(file string) bool {
				text, _ := os.ReadFile(file)
				return strings.Contains(string(text), "var "+name+" ") || strings.Contains(string(text), "\n\t"+name+" ")
			}) {
				t.Errorf("rule %q: package %s declares no such variable", r.match, dir)
			}
		}
	})
}
