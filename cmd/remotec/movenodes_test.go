package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestMoveBetweenHosts: what testscripts/migrate.txtar shows of the processes of one host
// holds between hosts.
func TestMoveBetweenHosts(t *testing.T) {
	h := newNamespaces(t)
	h.build("common") // remotec
	archive, err := txtar.ParseFile("../../testscripts/migrate.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	want := map[string]string{}
	for _, f := range archive.Files {
		want[f.Name] = string(f.Data)
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	h.prog = filepath.Join(dir, "prog")
	for _, args := range [][]string{{"mod", "edit", "-require=remotec.dev@v0.0.0", "-replace=remotec.dev=" + root}, {"mod", "tidy"},
		{"build", "-toolexec=" + h.tool, "-o", h.prog, "."}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	t.Setenv("PATH", filepath.Dir(h.tool)+string(filepath.ListSeparator)+os.Getenv("PATH")) // "asked" runs remotec
	const many = "10000\n"
	for _, test := range []struct {
		name, env        string
		processes, nodes int
		delay            time.Duration
		want             string
		args             []string
		placement        string
	}{
		{"all", "", 2, 1, 0, want["want"], nil, ""},
		{"all, three hosts", "", 5, 2, 0, want["want"], nil, ""},
		{"all, 1 ms", "", 2, 1, time.Millisecond, want["want"], nil, ""},
		{"all, chaos", "REMOTEC_CHAOS=migrate=500us", 3, 1, 0, want["want"], nil, ""},
		{"all, chaos, 1 ms", "REMOTEC_CHAOS=migrate=1ms", 3, 1, time.Millisecond, want["want"], nil, ""},
		{"asked", "", 2, 1, 0, strings.Replace(want["asked"], "waits: \n", "waits: it waits, and goes when it has what it waits for: chan receive\n", 1), []string{"asked"}, "local"},
		{"pinned", "", 2, 1, 0, want["pinned"], []string{"pinned"}, ""},
		{"many", "GOGC=20", 3, 1, 0, many, []string{"many"}, ""},
		{"many, clobberfree", "GOGC=20 GODEBUG=clobberfree=1 REMOTEC_CHAOS=migrate=500us", 3, 2, 0, many, []string{"many"}, ""},
		{"many, gccheckmark", "GOGC=20 GODEBUG=gccheckmark=1 REMOTEC_CHAOS=migrate=500us", 2, 1, 0, many, []string{"many"}, ""},
		{"recovers", "REMOTEC_CHAOS=migrate=100us", 2, 1, 0, "ok\n", []string{"recovers"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, kv := range strings.Fields(test.env) {
				name, value, _ := strings.Cut(kv, "=")
				t.Setenv(name, value)
			}
			h.placement = test.placement
			c := h.cluster(t, test.processes, test.nodes, test.delay, test.args...)
			status, _ := c.ends(t, 2*time.Minute)
			if status != 0 || c.out.String() != test.want {
				t.Errorf("status %d, got\n%swant\n%s", status, c.out, test.want)
			}
		})
	}
}
