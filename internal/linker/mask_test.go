package linker

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The collector must see the same pointers in every variable, wherever the
// variable lies.
func TestLinkKeepsPointerMasks(t *testing.T) {
	src := "testdata/std.go"
	if testing.Short() {
		src = "testdata/globals.go"
	}
	src, err := filepath.Abs(src)
	if err != nil {
		t.Fatal(err)
	}
	eachTree(t, func(t *testing.T, tr tree) {
		sc := newScaffold(t, tr, "")
		// The plain linker does not load the stub: let the runtime stand in.
		selfContained(t, sc)
		var masks [2]map[string]int
		for i, link := range []string{"", sc.link} {
			sc.link = link
			env := []string{"LINKER_TEST_STUB=none"}
			if link != "" {
				env = nil
			}
			exe, err := sc.build(t, src, env)
			if err != nil {
				t.Fatal(err)
			}
			masks[i] = pointerMasks(t, exe)
		}
		words := 0
		for _, mask := range slices.Sorted(maps.Keys(masks[0])) {
			words += strings.Count(mask, " ") * masks[0][mask]
			if masks[0][mask] != masks[1][mask] {
				t.Errorf("%s: %d times, want %d", mask, masks[1][mask], masks[0][mask])
			}
		}
		if words < 100 || len(masks[0]) != len(masks[1]) {
			t.Errorf("%d symbols with %d pointer words, want %d symbols", len(masks[1]), words, len(masks[0]))
		}
		t.Logf("%d pointer words in %d symbols", words, len(masks[0]))
	})
}

// selfContained changes sc's runtime so that it links without the stub too, and
// its stub so that it does not define what the runtime does.
func selfContained(t *testing.T, sc *scaffold) {
	t.Helper()
	dir := filepath.Dir(sc.overlay)
	text := strings.Replace(runtimeAddition, "func remoteAttach()\n", "func remoteAttach() {}\n", 1)
	if err := os.WriteFile(filepath.Join(dir, "remote.go"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	sc.compileStub(t, "package runtimestub\n")
}

// pointerMasks counts the symbols in .data and .bss by "name: offsets of its
// pointers, in words". Names are not unique.
func pointerMasks(t *testing.T, exe string) map[string]int {
	t.Helper()
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	addr := make(map[string]uint64)
	for _, s := range syms {
		if strings.HasPrefix(s.Name, "runtime.") {
			addr[s.Name] = s.Value
		}
	}
	masks := make(map[string]int)
	for _, r := range []struct{ lo, hi, prog string }{
		{"runtime.data", "runtime.edata", "runtime.gcdata"},
		{"runtime.bss", "runtime.ebss", "runtime.gcbss"},
	} {
		lo, hi := addr[r.lo], addr[r.hi]
		bits := runProgram(t, readFrom(t, f, addr[r.prog]), int(hi-lo)/8)
		for _, s := range syms {
			if s.Value < lo || s.Value >= hi || s.Size == 0 || strings.HasPrefix(s.Name, "runtime.remote") {
				continue
			}
			mask := s.Name + ":"
			for word := range s.Size / 8 {
				if bits[(s.Value-lo)/8+word] {
					mask += fmt.Sprint(" ", word)
				}
			}
			masks[mask]++
		}
	}
	return masks
}

// readFrom returns what the section that holds addr has from there on.
func readFrom(t *testing.T, f *elf.File, addr uint64) []byte {
	t.Helper()
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Addr <= addr && addr < s.Addr+s.Size {
			data, err := s.Data()
			if err != nil {
				t.Fatal(err)
			}
			return data[addr-s.Addr:]
		}
	}
	t.Fatalf("no section holds %#x", addr)
	return nil
}

// runProgram expands a program of cmd/internal/gcprog, whose package comment
// describes the encoding, to at most n bits; it ends with zeros.
func runProgram(t *testing.T, prog []byte, n int) []bool {
	t.Helper()
	varint := func() int {
		v, size := binary.Uvarint(prog)
		prog = prog[size:]
		return int(v)
	}
	var bits []bool
	for len(bits) <= n {
		op := prog[0]
		prog = prog[1:]
		count := int(op & 0x7f)
		switch {
		case op == 0:
			return append(bits, make([]bool, n+1-len(bits))...)
		case op&0x80 == 0:
			for i := range count {
				bits = append(bits, prog[i/8]>>(i%8)&1 != 0)
			}
			prog = prog[(count+7)/8:]
		default:
			if count == 0 {
				count = varint()
			}
			last := bits[len(bits)-count:]
			for range varint() {
				bits = append(bits, last...)
			}
		}
	}
	return bits
}
