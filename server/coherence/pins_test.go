package coherence

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

func pinLayout() Layout { return Layout{Base: 1 << 32, SlotSize: 1 << 24, Slots: 3} }

func sorted(s []uintptr) []uintptr { slices.Sort(s); return s }

func wantHolders(t *testing.T, p *Pins, addr uintptr, want ...int) {
	t.Helper()
	owner, _ := p.layout.Home(addr)
	if got, _ := p.Holders(owner, addr); got != SetOf(want...) {
		t.Errorf("%#x is held by %b, want %d", addr, got, want)
	}
}

func TestPinLivesUntilNotMet(t *testing.T) {
	l := pinLayout()
	p := NewPins(l)
	a, b := l.Slot(0).Start+8, l.Slot(0).Start+24
	p.Pin(0, 1, a)
	p.Pin(0, 2, a)
	p.Begin(1)
	p.Pin(0, 1, b)
	p.End(1, nil)
	wantHolders(t, p, a, 2)
	wantHolders(t, p, b, 1) // made during the cycle
	p.Begin(1)
	p.End(1, []uintptr{b, l.Slot(1).Start}) // own addresses do not matter
	wantHolders(t, p, b, 1)
	if n := p.Len(1); n != 0 {
		t.Errorf("%d own addresses are pinned", n)
	}
	p.Begin(1)
	p.End(1, nil)
	wantHolders(t, p, b)
	p.Abandon(2)
	wantHolders(t, p, a)
	if roots := p.Begin(0); len(roots) != 0 {
		t.Errorf("roots: %#x", roots)
	}
}

func TestSinceReportsOnce(t *testing.T) {
	l := pinLayout()
	p := NewPins(l)
	base := l.Slot(0).Start
	p.Pin(0, 1, base+8)
	if since := p.Since(0); len(since) != 0 {
		t.Errorf("outside of a mark: %#x", since)
	}
	if roots := p.Begin(0); !slices.Equal(roots, []uintptr{base + 8}) {
		t.Errorf("roots: %#x", roots)
	}
	p.Pin(0, 2, base+8)
	p.Pin(0, 2, base+16)
	p.Pin(0, 1, base+16)
	token := p.Hold(0, base+32)
	p.Begin(2)
	p.End(2, []uintptr{base + 64})
	if since := sorted(p.Since(0)); !slices.Equal(since, []uintptr{base + 16, base + 32, base + 64}) {
		t.Errorf("since: %#x", since)
	}
	p.Deliver(token, 1)
	p.Pin(0, 1, base+16)
	if since := p.Since(0); len(since) != 0 {
		t.Errorf("again: %#x", since)
	}
	p.End(0, nil)
}

func TestMessages(t *testing.T) {
	l := pinLayout()
	p := NewPins(l)
	a := l.Slot(0).Start + 8
	first, second := p.Hold(0, a), p.Hold(0, a)
	for process := range l.Slots {
		p.Begin(process)
		p.End(process, nil)
	}
	if roots := p.Begin(0); !slices.Equal(roots, []uintptr{a}) {
		t.Errorf("roots: %#x", roots)
	}
	p.Deliver(first, 2)
	p.Deliver(first, 1) // nothing
	p.Discard(second)
	wantHolders(t, p, a, 2)
	if _, flights := p.Holders(0, a); flights != 0 {
		t.Errorf("%d messages under way", flights)
	}
	// To its owner: until the end of the owner's next whole cycle.
	p.Deliver(p.Hold(0, a), 0)
	wantHolders(t, p, a, 0, 2)
	p.End(0, nil)
	wantHolders(t, p, a, 0, 2)
	p.Begin(0)
	p.End(0, nil)
	wantHolders(t, p, a, 2)
}

func TestPinPage(t *testing.T) {
	l := pinLayout()
	p := NewPins(l)
	var page [PageSize]byte
	words := (*[PageSize / 8]uintptr)(unsafe.Pointer(&page))
	words[0] = l.Slot(0).Start
	words[1] = l.Slot(1).Start + 12345
	words[2] = l.Slot(2).End // in no slot
	words[511] = l.Slot(2).End - 1
	p.PinPage(&page, SetOf(0, 1), nil)
	wantHolders(t, p, words[0], 1)
	wantHolders(t, p, words[1], 0)
	wantHolders(t, p, words[511], 0, 1)
	if n := p.Len(0) + p.Len(1) + p.Len(2); n != 3 {
		t.Errorf("%d pins", n)
	}
}

// TestTableIsRebuilt has far more pins come and go than live at a time.
func TestTableIsRebuilt(t *testing.T) {
	l := pinLayout()
	p := NewPins(l)
	want := make(map[uintptr]bool)
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		p.Begin(1)
		var met []uintptr
		for addr := range want {
			if r.IntN(2) == 0 {
				delete(want, addr)
			} else {
				met = append(met, addr)
			}
		}
		for range 300 {
			addr := l.Slot(0).Start + 8*uintptr(r.IntN(1<<20))
			want[addr] = true
			p.Pin(0, 1, addr)
		}
		p.End(1, met)
		roots := p.Begin(0)
		p.End(0, nil)
		if len(roots) != len(want) {
			t.Fatalf("%d roots, want %d", len(roots), len(want))
		}
		for _, addr := range roots {
			if !want[addr] {
				t.Fatalf("%#x is a root", addr)
			}
		}
	}
	if size := len(p.owners[0].table.keys); size > 8192 {
		t.Errorf("the table has grown to %d", size)
	}
}

// BenchmarkPinPage pins pages with some numbers of pointers, which are
// pinned already.
func BenchmarkPinPage(b *testing.B) {
	for name, pointers := range map[string]int{"none": 0, "60": 60, "500": 500} {
		b.Run(name, func(b *testing.B) {
			l := pinLayout()
			p := NewPins(l)
			r := rand.New(rand.NewPCG(1, 1))
			for range 100000 {
				p.Pin(0, 1, l.Slot(0).Start+8*uintptr(r.IntN(1<<20)))
			}
			var page [PageSize]byte
			words := (*[PageSize / 8]uintptr)(unsafe.Pointer(&page))
			for i := range pointers {
				words[i] = l.Slot(0).Start + 8*uintptr(r.IntN(1<<20))
			}
			for b.Loop() {
				p.PinPage(&page, SetOf(0, 1, 2), nil)
			}
		})
	}
}

// TestPinPageAgain pins a page with the same addresses again, which is to matter only
// where something has ended the pins.
func TestPinPageAgain(t *testing.T) {
	l := pinLayout()
	p := NewPins(l)
	var page [PageSize]byte
	words := (*[PageSize / 8]uintptr)(unsafe.Pointer(&page))
	words[3] = l.Slot(1).Start + 64
	var last pinned
	p.PinPage(&page, SetOf(0), &last)
	p.PinPage(&page, SetOf(0), &last)
	wantHolders(t, p, words[3], 0)
	p.PinPage(&page, SetOf(0, 2), &last) // for another one, too
	wantHolders(t, p, words[3], 0, 2)
	p.Begin(0)
	p.End(0, nil)
	wantHolders(t, p, words[3], 2)
	p.PinPage(&page, SetOf(0, 2), &last)
	wantHolders(t, p, words[3], 0, 2)
	words[4] = l.Slot(1).Start + 128
	p.PinPage(&page, SetOf(0, 2), &last)
	wantHolders(t, p, words[4], 0, 2)
}
