package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNodesDirect: memory goes from node to node without the first host. The nodes share a namespace, so
// that the cable has what goes between them and the session.
func TestNodesDirect(t *testing.T) {
	h := newNamespaces(t)
	h.build("common")
	alone := finish(t, exec.Command(h.tool, "run", h.prog, "pages", "0", "0"))
	if alone.code != 0 || !strings.HasPrefix(alone.out, "begin\nsum ") {
		t.Fatalf("alone: %+v", alone)
	}
	const size = 2 << 20 * 20 // of what is written, in all rounds
	for _, test := range []struct {
		name        string
		n, nodes    int
		delay       time.Duration
		from, to    string
		join        []string
		least, most int64 // bytes over the cable
	}{
		{"3 processes", 3, 2, 0, "1", "2", nil, 0, size / 4},
		{"4 processes", 4, 2, 0, "2", "3", nil, 0, size / 4},
		{"a node's own", 4, 1, 0, "2", "3", nil, 0, size / 4},
		{"3 processes, 1 ms", 3, 2, time.Millisecond, "1", "2", nil, 0, size / 4},
		{"not reached", 3, 2, 0, "1", "2", []string{"-peer", "192.0.2.1:0"}, 2 * size, 1 << 40},
	} {
		t.Run(test.name, func(t *testing.T) {
			h.join = test.join
			defer func() { h.join = nil }()
			c := h.cluster(t, test.n, test.nodes, test.delay, "pages", test.from, test.to)
			c.out.await(t, "(begin)", 1)
			before, start := h.cable(), time.Now()
			c.out.await(t, "(sum)", 1)
			carried := h.cable() - before
			t.Logf("%d bytes over the cable in %v", carried, time.Since(start))
			if status, _ := c.ends(t, time.Minute); status != 0 || c.out.String() != alone.out {
				t.Errorf("status %d, got %swant %s", status, c.out, alone.out)
			}
			if carried < test.least || carried > test.most {
				t.Errorf("%d bytes went over the cable, want %d to %d", carried, test.least, test.most)
			}
		})
	}
	t.Run("work", func(t *testing.T) {
		here := filepath.Join(t.TempDir(), "here")
		if err := os.WriteFile(here, []byte("here\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		alone := finish(t, exec.Command(h.tool, "run", h.prog, "work", here))
		for _, n := range []int{3, 4} {
			c := h.cluster(t, n, 2, 0, "work", here)
			if status, nodes := c.ends(t, time.Minute); status != 0 || nodes[0]+nodes[1] != 0 || c.out.String() != alone.out {
				t.Errorf("%d processes: status %d, of the nodes %v, got\n%swant\n%s", n, status, nodes, c.out, alone.out)
			}
		}
	})
	t.Run("lost", func(t *testing.T) {
		for i := range 2 {
			c := h.cluster(t, 3, 2, 0, "wait")
			c.out.await(t, "ready", 1)
			syscall.Kill(c.nodes[i].Process.Pid, syscall.SIGKILL)
			run, nodes := c.ends(t, 5*time.Second)
			if run != 1 || nodes[i] != -1 || nodes[1-i] != 0 || !strings.Contains(c.err.String(), "a node is lost: the session ends") {
				t.Errorf("statuses %d and %v", run, nodes)
			}
		}
	})
	t.Run("lost while pages go", func(t *testing.T) {
		c := h.cluster(t, 3, 2, 0, "pages", "1", "2")
		c.out.await(t, "(begin)", 1)
		before := h.cable()
		for limit := time.Now().Add(10 * time.Second); h.cable() < before+100_000 && time.Now().Before(limit); {
			time.Sleep(time.Millisecond)
		}
		freeze(c.nodes[1])
		if run, _ := c.ends(t, 10*time.Second); run == 0 {
			t.Errorf("status %d", run)
		}
	})
}

// cable returns how many bytes have gone over the cable between the namespaces.
func (h *hosts) cable() (n int64) {
	h.t.Helper()
	for _, dir := range []string{"rx", "tx"} {
		out, err := exec.Command("ip", "netns", "exec", h.server, "cat", fmt.Sprintf("/sys/class/net/cable/statistics/%s_bytes", dir)).Output()
		if err != nil {
			h.t.Fatal(err)
		}
		v, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
		if err != nil {
			h.t.Fatal(err)
		}
		n += v
	}
	return n
}
