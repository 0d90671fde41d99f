package node

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCache: a program is fetched once, is what was asked for, and goes when many others came.
func TestCache(t *testing.T) {
	dir := t.TempDir()
	prog := filepath.Join(dir, "prog")
	text := bytes.Repeat([]byte("program "), 1000)
	if err := os.WriteFile(prog, text, 0o700); err != nil {
		t.Fatal(err)
	}
	f, id, err := openBinary(nil, prog)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	c := cache{filepath.Join(dir, "cache")}
	fetched := 0
	fetch := func(text []byte) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) {
			fetched++
			return io.NopCloser(bytes.NewReader(text)), nil
		}
	}
	for _, wrong := range [][]byte{text[:100], append(text[:len(text):len(text)], 'x'), bytes.Repeat([]byte("Program "), 1000)} {
		if _, err := c.get(id, fetch(wrong)); err == nil || !strings.Contains(err.Error(), "is not the one that was announced") {
			t.Errorf("%d other bytes: %v", len(wrong), err)
		}
	}
	fetched = 0
	get := func(times int) string {
		t.Helper()
		path, err := c.get(id, fetch(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, text) || fetched != times {
			t.Fatalf("fetched %d times, want %d; contents %d bytes, %v", fetched, times, len(got), err)
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("mode %v, %v", st.Mode(), err)
		}
		return path
	}
	path := get(1)
	get(1)
	if err := os.WriteFile(path, []byte("broken"), 0o700); err != nil {
		t.Fatal(err)
	}
	get(2)
	if left, _ := filepath.Glob(filepath.Join(c.dir, "new-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	old := time.Now().Add(-time.Hour)
	os.Chtimes(path, old, old)
	for i := range keptBinaries + 2 {
		name := filepath.Join(c.dir, fmt.Sprint(i))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.prune()
	if list, _ := os.ReadDir(c.dir); len(list) != keptBinaries {
		t.Errorf("%d are kept", len(list))
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the oldest is kept")
	}
	if _, err := c.get(binaryID{Hash: "../../etc/passwd", Size: 1}, fetch(nil)); err == nil {
		t.Error("a path for a hash")
	}
}

// TestStreams: what yamux writes in two arrives, of any size, in both directions.
func TestStreams(t *testing.T) {
	a, b := wires(t)
	server, err := multiplex(a, false)
	if err != nil {
		t.Fatal(err)
	}
	client, err := multiplex(b, true)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	defer client.Close()
	go func() {
		for {
			s, err := server.AcceptStream()
			if err != nil {
				return
			}
			go func() {
				io.Copy(s, s)
				s.Close()
			}()
		}
	}()
	for _, size := range []int{0, 1, 11, 12, 13, 4096, 3 << 20} {
		s, err := client.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Repeat([]byte{byte(size), 0, 0, 1}, size/4+1)[:size]
		go func() {
			s.Write(want)
			s.Close()
		}()
		if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
}

// TestMasked: what the processor has beyond that of the session's first process is not used.
func TestMasked(t *testing.T) {
	all := features()
	env := []string{"A=b", "GODEBUG=gctrace=1"}
	if got := masked(env, all); !slices.Equal(got, env) {
		t.Errorf("with the same features: %v", got)
	}
	got := masked(env, slices.DeleteFunc(slices.Clone(all), func(f string) bool { return f == "sse42" || f == "osxsave" }))
	if want := []string{"A=b", "GODEBUG=gctrace=1,cpu.sse42=off"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := masked([]string{"A=b"}, slices.DeleteFunc(slices.Clone(all), func(f string) bool { return f == "sse42" })); got[1] != "GODEBUG=cpu.sse42=off" {
		t.Errorf("got %v", got)
	}
}
