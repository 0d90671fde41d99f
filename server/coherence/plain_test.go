package coherence

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// fakePlain is a Plain over fakes that are all near: what a process maps of its home are the
// home's very pages.
type fakePlain struct {
	layout Layout
	fakes  []*fake
	mu     sync.Mutex
	free   map[uintptr]Range // by page: the memory without pointers around it
	common map[uintptr]bool  // by page: claimed
	fails  error             // of Map
	maps   int
}

func (l *fakePlain) Pointerless(home int, addr uintptr) bool {
	_, _, ok := l.Region(home, addr)
	return ok
}

func (l *fakePlain) Region(home int, addr uintptr) (r Range, large, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok = l.free[addr&^(PageSize-1)]
	return r, r.End-r.Start > 2*PageSize, ok
}

func (l *fakePlain) Claim(home int, r Range) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free[r.Start] != r {
		return false
	}
	for at := r.Start; at < r.End; at += PageSize {
		l.common[at] = true
	}
	return true
}

func (l *fakePlain) Release(home int, r Range) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for at := r.Start; at < r.End; at += PageSize {
		delete(l.common, at)
	}
}

func (l *fakePlain) Map(process, home int, r Range) error {
	l.maps++
	if l.fails != nil {
		return l.fails
	}
	to, from := l.fakes[process], l.fakes[home]
	for at := r.Start; at < r.End; at += PageSize {
		from.mu.Lock()
		if from.pages[at] == nil {
			from.pages[at] = &fakePage{writable: true}
		}
		p := from.pages[at]
		from.mu.Unlock()
		to.mu.Lock()
		if to.pages[at] != nil {
			to.mu.Unlock()
			return errors.New("a copy is mapped over")
		}
		to.pages[at] = p
		to.mu.Unlock()
	}
	return nil
}

func (l *fakePlain) Unmap(process int, r Range) error {
	to := l.fakes[process]
	to.mu.Lock()
	defer to.mu.Unlock()
	for at := r.Start; at < r.End; at += PageSize {
		delete(to.pages, at)
	}
	return nil
}

// span makes r memory without pointers, or takes that back, as its home does.
func (l *fakePlain) span(r Range, plain bool) (claimed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for at := r.Start; at < r.End; at += PageSize {
		if plain {
			l.free[at] = r
		} else {
			delete(l.free, at)
		}
		claimed = claimed || l.common[at]
	}
	return claimed
}

func newPlainFakes(layout Layout) (*Directory, []*fake, *fakePlain) {
	l := &fakePlain{layout: layout, free: make(map[uintptr]Range), common: make(map[uintptr]bool)}
	d := NewDirectory(layout, NewPins(layout), Options{Plain: l})
	for i := range layout.Slots {
		l.fakes = append(l.fakes, &fake{id: i, directory: d, pages: make(map[uintptr]*fakePage)})
		d.SetMemory(i, l.fakes[i])
	}
	return d, l.fakes, l
}

// TestPlainModel compares all that processes read with one plain memory, while parts of it have
// no pointers for a time.
func TestPlainModel(t *testing.T) {
	made := 0
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 4).Draw(t, "processes")
		layout := smallLayout(n)
		d, _, l := newPlainFakes(layout)
		if rapid.IntRange(0, 9).Draw(t, "fails") == 0 {
			l.fails = errors.New("no more mappings")
		}
		var spans []Range
		for k := range n {
			at := layout.Slot(k).Start
			for _, pages := range []uintptr{1, 2, 5} {
				spans = append(spans, Range{at, at + pages*PageSize})
				at += pages * PageSize
			}
		}
		plain := make([]bool, len(spans))
		memory := make(map[uintptr]uintptr)
		process, span := rapid.IntRange(0, n-1), rapid.IntRange(0, len(spans)-1)
		word := rapid.Custom(func(t *rapid.T) uintptr {
			r := spans[span.Draw(t, "span")]
			return r.Start + uintptr(rapid.IntRange(0, int(r.End-r.Start)/512-1).Draw(t, "offset"))*512
		})
		t.Repeat(map[string]func(*rapid.T){
			"load": func(t *rapid.T) {
				m, addr := l.fakes[process.Draw(t, "process")], word.Draw(t, "addr")
				got, err := m.load(addr)
				if err != nil {
					t.Fatal(err)
				}
				if got != memory[addr] {
					t.Fatalf("process %d reads %d at %#x, want %d", m.id, got, addr, memory[addr])
				}
			},
			"store": func(t *rapid.T) {
				m, addr := l.fakes[process.Draw(t, "process")], word.Draw(t, "addr")
				value := uintptr(rapid.IntRange(1, 1000).Draw(t, "value"))
				if err := m.store(addr, value); err != nil {
					t.Fatal(err)
				}
				memory[addr] = value
			},
			"bounce": func(t *rapid.T) {
				addr := word.Draw(t, "addr")
				for i := range uintptr(2 * plainMoves) {
					if err := l.fakes[int(i)%n].store(addr, i); err != nil {
						t.Fatal(err)
					}
					memory[addr] = i
				}
			},
			"allocate or free": func(t *rapid.T) {
				i := span.Draw(t, "span")
				plain[i] = !plain[i]
				if claimed := l.span(spans[i], plain[i]); claimed && !plain[i] {
					home, _ := layout.Home(spans[i].Start)
					if err := d.Uncommon(home, spans[i]); err != nil {
						t.Fatal(err)
					}
				}
			},
			"": func(t *rapid.T) {
				for home := range d.plain {
					for _, r := range d.plain[home].regions {
						made++
						for at := r.Start; at < r.End; at += PageSize {
							if s, _ := d.State(at); !s.Exclusive || !s.Holders.Has(home) {
								t.Fatalf("page %#x of a region: %+v", at, s)
							}
							if !l.common[at] {
								t.Fatalf("page %#x of a region is not claimed", at)
							}
						}
					}
				}
			},
		})
	})
	if made == 0 {
		t.Error("no region was made")
	}
}

// TestPlainConcurrent adds to words that all processes share, while the home of some takes their
// memory back now and then.
func TestPlainConcurrent(t *testing.T) {
	const processes, adds = 3, 400
	layout := smallLayout(processes)
	d, fakes, l := newPlainFakes(layout)
	start := layout.Slot(1).Start
	words := Range{start, start + PageSize}
	other := Range{start + PageSize, start + 4*PageSize}
	l.span(words, true)
	l.span(other, true)
	var all sync.WaitGroup
	for _, m := range fakes {
		all.Go(func() {
			for i := range uintptr(adds) {
				if err := m.access(start+i%8*8, true, func(w *uintptr) { atomic.AddUintptr(w, 1) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for range adds {
			if _, err := fakes[0].load(other.Start + 2*PageSize); err != nil {
				t.Error(err)
			}
			if l.span(other, false) {
				if err := d.Uncommon(1, other); err != nil {
					t.Error(err)
				}
			}
			l.span(other, true)
		}
	})
	all.Wait()
	sum := uintptr(0)
	for i := range uintptr(8) {
		v, err := fakes[2].load(start + i*8)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	if sum != processes*adds {
		t.Errorf("%d adds are left of %d", sum, processes*adds)
	}
	if l.maps == 0 {
		t.Error("nothing was made common")
	}
}

// TestPlainTellsNothing moves pages whose words look like addresses: what is on those
// without pointers, as on stacks, is neither pinned nor a root.
func TestPlainTellsNothing(t *testing.T) {
	layout := smallLayout(3)
	d, fakes, l := newPlainFakes(layout)
	object := layout.Slot(0).Start + 8*PageSize
	plain, other := layout.Slot(0).Start, layout.Slot(0).Start+PageSize
	l.span(Range{plain, plain + PageSize}, true)
	for _, page := range []uintptr{plain, other} {
		for process := 1; process < 3; process++ { // a steal from the home, and one from another
			if err := fakes[process].store(page, object); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := fakes[0].load(page + 8); err != nil { // shared
			t.Fatal(err)
		}
		if err := fakes[1].store(page+8, 1); err != nil {
			t.Fatal(err)
		}
		holders, _ := d.pins.Holders(0, object)
		held := d.HeldExclusive(1)
		if page == plain && (holders.Len() != 0 || len(held) != 0) {
			t.Errorf("without pointers: pinned for %v, roots are %#x", holders, held)
		}
		if page == other && (holders.Len() != 2 || len(held) != 1 || held[0] != other) {
			t.Errorf("with pointers: pinned for %v, roots are %#x", holders, held)
		}
	}
}
