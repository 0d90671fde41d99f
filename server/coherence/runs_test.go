package coherence

import (
	"slices"
	"testing"
	"time"
)

// TestAhead counts the operations that it takes to go through 256 pages.
func TestAhead(t *testing.T) {
	layout := smallLayout(3)
	const pages = 256
	at := func(i int) uintptr { return layout.Slot(0).Start + uintptr(i)*PageSize }
	for _, write := range []bool{false, true} {
		d, fakes := newFakes(layout, Options{})
		home, other := fakes[0], fakes[2]
		faults := func(m *fake, write bool) (n int) {
			for i := range pages {
				m.mu.Lock()
				p := m.pages[at(i)]
				if p == nil || write && !p.writable {
					n++
				}
				m.mu.Unlock()
				if err := m.access(at(i), write, func(*uintptr) {}); err != nil {
					t.Fatal(err)
				}
			}
			return n
		}
		if n := faults(home, true); n > 11 { // 1, 1, 2, 4, 8 ... 64, 64, 64
			t.Errorf("first touch of %d pages takes %d faults", pages, n)
		}
		if n := faults(other, write); n > 11 {
			t.Errorf("going through %d pages of another process, write %v, takes %d faults", pages, write, n)
		}
		for i := range pages {
			s, _ := d.State(at(i))
			want := State{Home: 0, Exclusive: write, Holders: SetOf(0, 2)}
			if write {
				want.Holders = SetOf(2)
			}
			if s != want {
				t.Fatalf("page %d: %+v, want %+v", i, s, want)
			}
		}
		held := len(d.HeldExclusive(2))
		if write && (held < pages || held > pages+maxRun) || !write && held != 0 {
			t.Errorf("write %v: %d pages are held exclusively", write, held)
		}
	}
}

// TestAheadStopsAt pages that the owner has not alone, and holes.
func TestAheadStopsAt(t *testing.T) {
	layout := smallLayout(3)
	d, fakes := newFakes(layout, Options{})
	at := func(i int) uintptr { return layout.Slot(0).Start + uintptr(i)*PageSize }
	for i := range 32 {
		if i != 10 { // a hole
			if err := fakes[0].store(at(i), 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := fakes[1].store(at(6), 2); err != nil { // now process 1's
		t.Fatal(err)
	}
	var holders []int
	for i := range 5 {
		if _, err := fakes[2].load(at(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 32 {
		if s, _ := d.State(at(i)); s.Holders.Has(2) {
			holders = append(holders, i)
		}
	}
	if want := []int{0, 1, 2, 3, 4, 5}; !slices.Equal(holders, want) {
		t.Errorf("process 2 has pages %d, want %d", holders, want)
	}
}

// TestHold has two processes take a page from each other.
func TestHold(t *testing.T) {
	var now, slept time.Duration
	const hold = 30 * time.Microsecond
	layout := smallLayout(3)
	_, fakes := newFakes(layout, Options{Hold: hold, Now: func() time.Duration { return now }, Sleep: func(d time.Duration) {
		slept += d
		now += d
	}})
	addr := layout.Slot(0).Start
	move := func(n int, every time.Duration) (took time.Duration) {
		slept = 0
		for i := range n {
			now += every
			if err := fakes[2*(i%2)].store(addr, 1); err != nil {
				t.Fatal(err)
			}
		}
		return slept
	}
	if got := move(100, time.Millisecond); got != 0 {
		t.Errorf("a page that moves now and then was kept for %v", got)
	}
	const quick = 10 * time.Microsecond
	if got, want := move(104, quick), 100*(hold-quick); got < want-10*hold || got > want {
		t.Errorf("a page that moves all the time was kept for %v, want about %v", got, want)
	}
	if got := move(100, 50*time.Microsecond); got != 0 {
		t.Errorf("a page that moves after the time was kept for %v", got)
	}
}

// TestAheadAgain: a ring that is written here and read there, over and over, moves at once.
func TestAheadAgain(t *testing.T) {
	layout := smallLayout(3)
	d, fakes := newFakes(layout, Options{})
	const pages = 16
	var faults int
	for round := range 6 {
		faults = 0
		for _, m := range []*fake{fakes[0], fakes[2]} {
			for i := range pages {
				addr := layout.Slot(0).Start + uintptr(i)*PageSize
				m.mu.Lock()
				if p := m.pages[addr]; p == nil || !p.writable {
					faults++
				}
				m.mu.Unlock()
				if err := m.store(addr, uintptr(round)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if faults != 2 {
		t.Errorf("the last round took %d faults; want one in each process", faults)
	}
	if s, _ := d.State(layout.Slot(0).Start); !s.Exclusive || !s.Holders.Has(2) {
		t.Errorf("first page: %+v", s)
	}
}

// TestUpgradeAhead has a process write again what others have read.
func TestUpgradeAhead(t *testing.T) {
	layout := smallLayout(3)
	const pages = 128
	at := func(i int) uintptr { return layout.Slot(0).Start + uintptr(i)*PageSize }
	for _, writer := range []int{0, 2} { // the home, and another process
		d, fakes := newFakes(layout, Options{NoMigration: true})
		through := func(m *fake, write bool) (faults int) {
			for i := range pages {
				m.mu.Lock()
				if p := m.pages[at(i)]; p == nil || write && !p.writable {
					faults++
				}
				m.mu.Unlock()
				if err := m.access(at(i), write, func(word *uintptr) {
					if write {
						*word = at(i) // an address, to be pinned
					}
				}); err != nil {
					t.Fatal(err)
				}
			}
			return faults
		}
		through(fakes[0], true)
		through(fakes[2], false)
		// One page has another reader, and of one the home has a hole: both are dealt with alone.
		if _, err := fakes[1].load(at(20)); err != nil {
			t.Fatal(err)
		}
		fakes[0].release(at(40))
		n := through(fakes[writer], true)
		if n > 26 { // 1, 1, 2, 4, 8, 4 up to 20; 1; 1, 2, 4, 8, 4 up to 40; 1; 1, 2, 4 ... 64
			t.Errorf("process %d: writing %d pages takes %d faults", writer, pages, n)
		}
		for i := range pages {
			if s, _ := d.State(at(i)); s != (State{Home: 0, Exclusive: true, Holders: SetOf(writer)}) {
				t.Fatalf("process %d, page %d: %+v", writer, i, s)
			}
			if reader := 2 - writer; fakes[reader].pages[at(i)] != nil {
				t.Fatalf("process %d still has page %d", reader, i)
			}
		}
		held := 0
		if writer != 0 {
			held = pages
		}
		if got := len(d.HeldExclusive(writer)); got < held || writer == 0 && got != 0 {
			t.Errorf("process %d: %d pages are held exclusively, want %d", writer, got, held)
		}
	}
}

// TestAheadInChunks has a process read a long run with holes, which several goroutines copy.
func TestAheadInChunks(t *testing.T) {
	layout := smallLayout(3)
	d, fakes := newFakes(layout, Options{})
	const pages = 256
	at := func(i int) uintptr { return layout.Slot(0).Start + uintptr(i)*PageSize }
	hole := func(i int) bool { return i == 70 || i == 71 || i == 200 }
	for i := range pages {
		if !hole(i) {
			if err := fakes[0].store(at(i), uintptr(1000+i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Reading all from the first on makes the run long; what is there is what was written.
	for i := range pages {
		value, err := fakes[2].load(at(i))
		if err != nil {
			t.Fatal(err)
		}
		if want := uintptr(1000 + i); value != want && !hole(i) || value != 0 && hole(i) {
			t.Errorf("page %d has %d", i, value)
		}
	}
	for i := range pages {
		if s, _ := d.State(at(i)); !s.Holders.Has(2) || s.Exclusive && !hole(i) {
			t.Errorf("page %d: %+v", i, s)
		}
	}
	// Who writes takes the copies back.
	for i := range pages {
		if err := fakes[0].store(at(i), 1); err != nil {
			t.Fatal(err)
		}
		if s, _ := d.State(at(i)); s.Holders.Has(2) {
			t.Fatalf("page %d: %+v", i, s)
		}
	}
}
