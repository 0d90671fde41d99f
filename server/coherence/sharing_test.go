package coherence

import (
	"testing"
	"time"
)

// bouncing returns a directory of three processes, and their faults one after the other.
func bouncing(t *testing.T, options Options) (*Directory, func(process int, addr uintptr, write bool)) {
	t.Helper()
	layout := Layout{Base: 1 << 30, SlotSize: Granule, Slots: 3}
	d, _ := newFakes(layout, options)
	return d, func(process int, addr uintptr, write bool) {
		t.Helper()
		st, err := d.State(addr)
		if err != nil {
			t.Fatal(err)
		}
		f := Fault{Process: process, Addr: addr, Write: write, WP: write && st.Holders.Has(process), Thread: 100 + process}
		if _, _, err := d.Handle(f); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatBouncesIsTracked(t *testing.T) {
	var asked []int
	d, fault := bouncing(t, Options{NoMigration: true, Where: func(thread int) uintptr {
		asked = append(asked, thread)
		return uintptr(thread) * 16
	}})
	const page = 1<<30 + 5*PageSize
	for range 100 { // neighbours, in two processes; a third one reads now and then
		fault(1, page+8, true)
		fault(0, page+24+3, true)
	}
	fault(2, page+24, false)
	if len(asked) != 0 {
		t.Errorf("places were looked up while nobody watched: %v", asked)
	}
	d.Watch(time.Now().Add(time.Minute))
	for range 64 {
		fault(1, page+8, true)
		fault(0, page+24, true)
	}
	list := d.Bounces()
	if len(list) != 1 {
		t.Fatalf("%d pages: %+v", len(list), list)
	}
	b := list[0]
	if b.Page != page || b.Home != 0 || b.Moves != 328 || b.Copies != 1 {
		t.Errorf("%+v", b)
	}
	// Before it was tracked it moved 8 times.
	words := map[Word]bool{}
	for _, w := range b.Words {
		words[w] = true
	}
	for _, w := range []Word{{8, 1, 0, 160}, {24, 0, 0, 161}, {24, 2, 1, 0}} {
		if !words[w] {
			t.Errorf("no %+v in %+v", w, b.Words)
		}
	}
	if len(b.Places) != 2 || b.Places[0].Count+b.Places[1].Count != uint64(len(asked)) || len(asked) < 16 || len(asked) > 64 {
		t.Errorf("places %+v, looked up %d times", b.Places, len(asked))
	}
	traffic := map[Traffic]bool{}
	for _, pair := range d.Traffic() {
		traffic[pair] = true
	}
	if len(traffic) != 3 || !traffic[Traffic{From: 0, To: 1, Moves: 164}] || !traffic[Traffic{From: 1, To: 0, Moves: 164}] {
		t.Errorf("traffic %+v", traffic)
	}
}

// TestTrackingIsBounded has more pages bounce than there is room for: those with most
// moves stay.
func TestTrackingIsBounded(t *testing.T) {
	d, fault := bouncing(t, Options{NoMigration: true})
	page := func(i int) uintptr { return 1<<30 + uintptr(i)*PageSize }
	for i := range 3 * tracked {
		n := 20
		if i == 7 || i == 2*tracked {
			n = 500
		}
		for range n {
			fault(1, page(i), true)
			fault(0, page(i), true)
		}
	}
	list := d.Bounces()
	if len(list) != tracked {
		t.Fatalf("%d pages are tracked", len(list))
	}
	if a, b := list[0].Page, list[1].Page; min(a, b) != page(7) || max(a, b) != page(2*tracked) {
		t.Errorf("most moves have %#x and %#x", a, b)
	}
	for i := range list {
		if n := len(list[i].Words); n > bounceWords {
			t.Errorf("%d words", n)
		}
	}
	for i := range PageSize / 8 { // words, more than there is room for
		fault(i%2+1, page(7)+uintptr(8*i), true)
	}
	for _, b := range d.Bounces() {
		if len(b.Words) > bounceWords || cap(b.Words) > bounceWords {
			t.Errorf("%d words", len(b.Words))
		}
	}
}

// BenchmarkCount measures what a fault on a tracked page costs for reports.
func BenchmarkCount(b *testing.B) {
	layout := Layout{Base: 1 << 30, SlotSize: Granule, Slots: 2}
	d, _ := newFakes(layout, Options{})
	const addr = 1 << 30
	p, err := d.page(addr)
	if err != nil {
		b.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := 0; b.Loop(); i++ {
		f := Fault{Process: i % 2, Addr: addr + uintptr(i%16)*8, Write: true}
		from, at := p.source(f.Process), d.sample(p, addr, f)
		d.count(p, addr, f, Stolen, from, at)
	}
}
