package program

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"remotec.dev/runtimestub/wire"
)

// marker makes this test binary a remote binary as far as Check can tell.
var marker = []byte(wire.Marker + string(rune('0'+wire.APIVersion)) + "\x00")

func TestCheck(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(binary, marker); n != 1 {
		t.Fatalf("marker is %d times in the test binary, want once", n)
	}
	dir := t.TempDir()
	file := func(name string, content []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	replace := func(with string) []byte { return bytes.Replace(binary, marker, []byte(with), 1) }
	other := bytes.Clone(binary)
	other[18] = 183 // e_machine: EM_AARCH64

	for _, c := range []struct{ name, path, want string }{
		{"remote binary", self, ""},
		{"not there", filepath.Join(dir, "none"), "no such file"},
		{"directory", dir, "is a directory"},
		{"device", "/dev/null", "not a regular file"},
		{"not executable", file("plain", binary, 0o644), "chmod +x"},
		{"empty", file("empty", nil, 0o755), "does not start with an ELF header"},
		{"script", file("script", []byte("#!/bin/sh\n"), 0o755), "does not start with an ELF header"},
		{"magic only", file("magic", binary[:4], 0o755), "truncated or damaged"},
		{"cut in the headers", file("head", binary[:40], 0o755), "truncated or damaged"},
		{"cut in the middle", file("half", binary[:len(binary)/2], 0o755), "truncated"},
		{"cut at the end", file("end", binary[:len(binary)-1], 0o755), "truncated"},
		{"other processor", file("arm", other, 0o755), "for linux/amd64"},
		{"plain Go program", file("nomark", replace("\xffremotec stub\x00api:1\x00"), 0o755), "not a remote binary: build it with go build -toolexec=remotec"},
		{"other version", file("v7", replace("\xffremotec stub\x00api=7\x00"), 0o755), "version 7 of the API"},
		{"no version", file("v", replace("\xffremotec stub\x00api=x\x00"), 0o755), "not a remote binary"},
	} {
		t.Run(c.name, func(t *testing.T) {
			switch err := Check(c.path); {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestScanFindsTheMarkerAcrossBuffers(t *testing.T) {
	for _, at := range []int{0, 1, 256<<10 - 25, 256<<10 - 10, 256<<10 - 1, 256 << 10, 300 << 10} {
		text := append(make([]byte, at), marker...)
		text = append(text, make([]byte, 100)...)
		api, found, err := scan(bytes.NewReader(text))
		if api != wire.APIVersion || !found || err != nil {
			t.Errorf("at %d: got %d, %v, %v", at, api, found, err)
		}
	}
}

func TestFindNamesWhatIsMissing(t *testing.T) {
	t.Chdir(t.TempDir())
	b := &Builder{Tool: "remotec", Output: new(bytes.Buffer)}
	for _, name := range []string{"./none", "/none/at/all", "no-such-program"} {
		_, err := b.Find([]string{name})
		if err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

func FuzzVersion(f *testing.F) {
	self, err := os.Executable()
	if err != nil {
		f.Fatal(err)
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(binary[:4096])
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		version(bytes.NewReader(b), int64(len(b)))
	})
}
