package session

import (
	"slices"
	"testing"

	"remotec.dev/runtimestub/wire"
)

// TestMappings: addresses are given out, taken back in parts and given out again.
func TestMappings(t *testing.T) {
	const base = wire.MapBase
	var m maps
	add := func(size, want uint64) {
		t.Helper()
		at := m.place(size)
		if at != want {
			t.Fatalf("place(%#x) = %#x, want %#x", size, at, want)
		}
		if at != 0 {
			m.insert(mapping{at, at + size, true})
		}
	}
	add(0x3000, base)
	add(0x5000, base+0x3000)
	add(0x1000, base+0x8000)
	m.remove(base+0x4000, base+0x6000)
	want := []mapping{{base, base + 0x3000, true}, {base + 0x3000, base + 0x4000, true}, {base + 0x6000, base + 0x8000, true},
		{base + 0x8000, base + 0x9000, true}}
	if !slices.Equal(m.list, want) {
		t.Fatalf("after a part was removed: %+v", m.list)
	}
	if m.free(base+0x3000, 0x2000) || !m.free(base+0x4000, 0x2000) || m.free(wire.MapEnd-0x1000, 0x2000) {
		t.Fatal("free is wrong")
	}
	add(0x3000, base+0x9000)
	add(0x2000, base+0x4000)
	add(wire.MapEnd-wire.MapBase, 0)
	m.insert(mapping{wire.MapEnd - 0x1000, wire.MapEnd, false})
	if m.owns(base, wire.MapEnd) || !m.owns(base, wire.MapEnd-0x1000) {
		t.Fatal("owns is wrong")
	}
	m.remove(base, wire.MapEnd)
	add(wire.MapEnd-wire.MapBase, base)
}
