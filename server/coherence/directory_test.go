package coherence

import (
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func smallLayout(processes int) Layout {
	return Layout{
		Base:     1 << 32,
		SlotSize: 4 << 20,
		Slots:    processes,
		Globals:  []Range{{0x400000, 0x403000}},
	}
}

// TestModel compares all that processes read with one plain memory.
func TestModel(t *testing.T) {
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "processes")
		layout := smallLayout(n)
		d, fakes := newFakes(layout, Options{NoMigration: rapid.Bool().Draw(t, "no migration")})
		for i := range fakes {
			if rapid.Bool().Draw(t, "direct") {
				makeDirect(d, fakes, i)
			}
		}
		words := []uintptr{layout.Globals[0].Start + 16, layout.Globals[0].End - 8}
		for k := range n {
			words = append(words, layout.Slot(k).Start, layout.Slot(k).Start+8, layout.Slot(k).End-8)
		}
		const walked = 12 // pages
		for i := range uintptr(walked) {
			words = append(words, layout.Slot(0).Start+(i+1)*PageSize, layout.Slot(n-1).Start+i*PageSize+32)
		}
		memory := make(map[uintptr]uintptr)
		forget := func(page uintptr) {
			for addr := range memory {
				if addr&^(PageSize-1) == page {
					delete(memory, addr)
				}
			}
		}
		process := rapid.IntRange(0, n-1)
		word := rapid.SampledFrom(words)
		t.Repeat(map[string]func(*rapid.T){
			"load": func(t *rapid.T) {
				m, addr := fakes[process.Draw(t, "process")], word.Draw(t, "addr")
				got, err := m.load(addr)
				if err != nil {
					t.Fatal(err)
				}
				if got != memory[addr] {
					t.Fatalf("process %d reads %d at %#x, want %d", m.id, got, addr, memory[addr])
				}
			},
			"store": func(t *rapid.T) {
				m, addr := fakes[process.Draw(t, "process")], word.Draw(t, "addr")
				value := uintptr(rapid.IntRange(1, 1000).Draw(t, "value"))
				if err := m.store(addr, value); err != nil {
					t.Fatal(err)
				}
				memory[addr] = value
			},
			"push": func(t *rapid.T) { // whether or not it is about to write
				if err := d.Push(process.Draw(t, "process"), word.Draw(t, "addr")); err != nil {
					t.Fatal(err)
				}
			},
			"walk": func(t *rapid.T) {
				m, write := fakes[process.Draw(t, "process")], rapid.Bool().Draw(t, "write")
				first := layout.Slot(rapid.IntRange(0, n-1).Draw(t, "slot")).Start + uintptr(rapid.IntRange(0, 3).Draw(t, "first"))*PageSize
				for i := range uintptr(rapid.IntRange(2, walked).Draw(t, "pages")) {
					addr := first + i*PageSize
					got, err := m.load(addr)
					if write && err == nil {
						memory[addr] = memory[addr] + i
						err = m.store(addr, got+i)
					}
					if err != nil {
						t.Fatal(err)
					}
					if !write && got != memory[addr] {
						t.Fatalf("process %d reads %d at %#x, want %d", m.id, got, addr, memory[addr])
					}
				}
			},
			"release": func(t *rapid.T) {
				page := word.Draw(t, "addr") &^ (PageSize - 1)
				home, _ := layout.Home(page)
				state, _ := d.State(page)
				if state.Exclusive && state.Holders.Has(home) {
					// Nobody else has the contents.
					forget(page)
				}
				fakes[home].release(page)
			},
			"stale fault": func(t *rapid.T) {
				// One that was answered before, or by another thread.
				f := Fault{Process: process.Draw(t, "process"), Addr: word.Draw(t, "addr"),
					Write: rapid.Bool().Draw(t, "write"), WP: rapid.Bool().Draw(t, "wp")}
				page := f.Addr &^ (PageSize - 1)
				released := fakes[f.Process].pages[page] == nil
				got, _, err := d.Handle(f)
				if err != nil {
					t.Fatal(err)
				}
				if got == Upgraded && released {
					// The home wanted to write to a page that it has released since:
					// nobody misses the contents.
					forget(page)
				}
			},
			"": func(t *rapid.T) { checkStates(t, d, fakes, words) },
		})
		for _, m := range fakes {
			runs += m.runs
		}
		if n := staged(fakes); n > 0 {
			t.Errorf("%d pages stay staged", n)
		}
	})
	if runs == 0 {
		t.Error("no fault was answered with several pages")
	}
}

// checkStates checks the memories against the directory.
func checkStates(t *rapid.T, d *Directory, fakes []*fake, words []uintptr) {
	for _, addr := range words {
		page := addr &^ (PageSize - 1)
		s, err := d.State(addr)
		if err != nil {
			t.Fatal(err)
		}
		if s.Holders.Len() == 0 || s.Exclusive && s.Holders.Len() != 1 {
			t.Fatalf("%#x: %+v", page, s)
		}
		for _, m := range fakes {
			p := m.pages[page]
			switch {
			case p == nil:
				if s.Holders.Has(m.id) && m.id != s.Home {
					t.Fatalf("%#x: process %d holds it and has a hole", page, m.id)
				}
			case !s.Holders.Has(m.id):
				t.Fatalf("%#x: process %d has a copy and is no holder", page, m.id)
			case p.writable && !s.Exclusive:
				t.Fatalf("%#x: process %d can write to a shared page", page, m.id)
			}
			held := false
			for _, h := range d.HeldExclusive(m.id) {
				held = held || h == page
			}
			if want := s.Exclusive && s.Holders.Has(m.id) && m.id != s.Home; held != want {
				t.Fatalf("%#x: held exclusively by process %d: %v, want %v", page, m.id, held, want)
			}
		}
	}
}

// TestConcurrentAdds has threads of all processes add to the same few words.
func TestConcurrentAdds(t *testing.T) {
	layout := smallLayout(3)
	_, fakes := newFakes(layout, Options{})
	const threads, adds = 2, 3000
	words := []uintptr{layout.Base, layout.Base + 8, layout.Slot(1).Start, layout.Globals[0].Start}
	var wg sync.WaitGroup
	for _, m := range fakes {
		for seed := range uint64(threads) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(seed, uint64(m.id)))
				for range adds {
					addr := words[r.IntN(len(words))]
					if r.IntN(4) == 0 {
						m.load(addr)
					}
					if err := m.access(addr, true, func(word *uintptr) { *word++ }); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	var total uintptr
	for _, addr := range words {
		value, _ := fakes[0].load(addr)
		total += value
	}
	if want := uintptr(threads * adds * len(fakes)); total != want {
		t.Errorf("the words add up to %d, want %d", total, want)
	}
}

func outcome(t *testing.T, d *Directory, f Fault, want Outcome) {
	t.Helper()
	got, _, err := d.Handle(f)
	if err != nil || got != want {
		t.Errorf("%+v: %v, %v; want %v", f, got, err, want)
	}
}

func TestStaleWriteProtectFault(t *testing.T) {
	layout := smallLayout(2)
	d, fakes := newFakes(layout, Options{})
	page := layout.Slot(1).Start
	// Not a holder: nothing comes into being, the thread tries again.
	outcome(t, d, Fault{Process: 0, Addr: page, Write: true, WP: true}, Retried)
	if fakes[0].pages[page] != nil || fakes[0].woken != 1 {
		t.Errorf("page %v, woken %d times", fakes[0].pages[page], fakes[0].woken)
	}
	// The exclusive holder.
	outcome(t, d, Fault{Process: 0, Addr: page, Write: true}, Stolen)
	outcome(t, d, Fault{Process: 0, Addr: page, Write: true, WP: true}, Retried)
}

func TestMigration(t *testing.T) {
	layout := smallLayout(2)
	d, _ := newFakes(layout, Options{})
	page := layout.Base
	read := func(process int) Fault { return Fault{Process: process, Addr: page} }
	upgrade := func(process int) Fault { return Fault{Process: process, Addr: page, Write: true, WP: true} }
	outcome(t, d, read(1), Shared)
	outcome(t, d, upgrade(1), Upgraded)
	outcome(t, d, read(0), Shared)
	outcome(t, d, upgrade(0), Upgraded)
	for i := range migrationGrants {
		outcome(t, d, read(1-i%2), Migrated)
	}
	// Now and then a look whether it is still so.
	outcome(t, d, read(1), Shared)
	outcome(t, d, upgrade(1), Upgraded)
	outcome(t, d, read(0), Migrated)
	// It is not: two readers.
	for range migrationGrants - 1 {
		outcome(t, d, Fault{Process: 1, Addr: page, Write: true}, Stolen)
		outcome(t, d, read(0), Migrated)
	}
	outcome(t, d, read(1), Shared)
	outcome(t, d, upgrade(0), Upgraded)
	outcome(t, d, read(1), Shared)
}

func TestLayout(t *testing.T) {
	l := Layout{Base: 0xc000000000, SlotSize: 1 << 40, Slots: 2,
		Globals: []Range{{0x401000, 0x402000}, {0x5ff000, 0x801000}}}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		addr   uintptr
		home   int
		offset int64
		ok     bool
	}{
		{0xc000000000, 0, 0, true},
		{0xc000000000 + 1<<40, 1, 1 << 40, true},
		{0xc000000000 + 2<<40, 0, 0, false},
		{0x401ff8, 0, 2<<40 + 0xff8, true},
		{0x402000, 0, 0, false},
		{0x5ff000, 0, 2<<40 + 2<<20, true},
	} {
		home, ok := l.Home(c.addr)
		offset, ok2 := l.Offset(c.addr)
		if home != c.home || ok != c.ok || offset != c.offset || ok2 != c.ok {
			t.Errorf("%#x: home %d, %v; offset %#x, %v", c.addr, home, ok, offset, ok2)
		}
	}
	if size := l.FileSize(); size != 2<<40+2<<20+4<<20 {
		t.Errorf("size %#x", size)
	}
	for _, c := range []struct {
		addr uintptr
		want Range
	}{
		{0x5ff008, Range{0x5ff000, 0x600000}},
		{0x600008, Range{0x600000, 0x800000}},
		{0x800008, Range{0x800000, 0x801000}},
		{0xc000212345, Range{0xc000200000, 0xc000400000}},
	} {
		if got := l.GranuleOf(c.addr); got != c.want {
			t.Errorf("granule of %#x: %#x", c.addr, got)
		}
	}
	for _, bad := range []Layout{
		{},
		{Base: 1 << 40, SlotSize: 3 << 20, Slots: 1},
		{Base: 1 << 40, SlotSize: 2 << 20, Slots: 1000},
		{Base: 1 << 40, SlotSize: 1 << 40, Slots: 1, Globals: []Range{{1<<40 + 4096, 1<<40 + 8192}}},
		{Base: 1 << 40, SlotSize: 1 << 40, Slots: 1, Globals: []Range{{4096, 4096}}},
		{Base: 1 << 40, SlotSize: 1 << 40, Slots: 1, Globals: []Range{{4096, 16384}, {8192, 12288}}},
	} {
		if bad.Check() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}
