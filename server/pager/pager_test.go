package pager

import (
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"remotec.dev/server/coherence"
)

const page4K = coherence.PageSize

func quantile(all []uint64, q float64) uint64 {
	slices.Sort(all)
	return all[int(q*float64(len(all)-1))]
}

func slot(k int) uintptr { return testLayout(3).Slot(k).Start }

func TestWordTravels(t *testing.T) {
	pager, procs := start(t, 3, nil)
	layout := testLayout(3)
	places := []uintptr{slot(0) + 64<<20, slot(1) + 5*page4K, slot(2) + 8}
	for _, r := range layout.Globals {
		places = append(places, r.Start, r.End-8, (r.Start+page4K)|0x18)
	}
	for _, addr := range places {
		home, _ := layout.Home(addr)
		procs[home].store(t, addr, 1)
		for round := range uint64(3) {
			for i, p := range procs {
				want := round*3 + uint64(i) + 1
				for j, q := range procs {
					if got := q.load(t, addr); got != want {
						t.Fatalf("%#x: process %d reads %d, want %d", addr, j, got, want)
					}
				}
				p.store(t, addr, want+1)
			}
		}
	}
	t.Logf("%+v", pager.Stats().Processes[0].Granules)
}

func TestUntouchedHome(t *testing.T) {
	_, procs := start(t, 2, nil)
	a := slot(0) + 4<<20
	// Neither has touched it: zeros for the reader, then a write at home.
	if got := procs[1].load(t, a); got != 0 {
		t.Fatalf("read %d", got)
	}
	procs[0].store(t, a+8, 7)
	if got := procs[1].load(t, a+8); got != 7 {
		t.Errorf("after a write at home: read %d, want 7", got)
	}
	// The home fills other holes of the granule by faults now.
	procs[0].store(t, a+page4K, 8)
	if got := procs[1].load(t, a+page4K); got != 8 {
		t.Errorf("after a write to a hole at home: read %d, want 8", got)
	}
	// Written elsewhere first.
	procs[1].store(t, a+2*page4K, 9)
	if got := procs[0].load(t, a+2*page4K); got != 9 {
		t.Errorf("home reads %d, want 9", got)
	}
}

// TestProtectionOfUnmappedPages has a page protected that is there, but not in
// the process's page table: a missed write would be the end of coherence.
func TestProtectionOfUnmappedPages(t *testing.T) {
	_, procs := start(t, 2, nil)
	a := slot(0)
	procs[0].store(t, a, 1)
	procs[1].load(t, a)     // protects it at home
	procs[0].store(t, a, 2) // upgrade
	procs[1].load(t, a)
	// MADV_REMOVE by the home of a page that is read-only in both: no fault until
	// the home's next access, which must not see it writable.
	procs[0].call(t, "Release", Args{Addr: a})
	if got := procs[0].load(t, a); got != 2 && got != 0 {
		t.Fatalf("home reads %d of a released page", got)
	}
	procs[0].store(t, a, 3)
	if got := procs[1].load(t, a); got != 3 {
		t.Errorf("read %d, want 3", got)
	}
	// And with a write as the first access.
	procs[0].call(t, "Release", Args{Addr: a})
	procs[0].store(t, a, 4)
	if got := procs[1].load(t, a); got != 4 {
		t.Errorf("read %d, want 4", got)
	}
	// Of a page that is exclusive at home.
	procs[0].store(t, a, 5)
	procs[0].call(t, "Release", Args{Addr: a})
	if got := procs[1].load(t, a); got != 0 {
		t.Errorf("read %d of a released page, want 0", got)
	}
	procs[0].store(t, a, 6)
	if got := procs[1].load(t, a); got != 6 {
		t.Errorf("read %d, want 6", got)
	}
}

func TestSystemCallsOnForeignMemory(t *testing.T) {
	_, procs := start(t, 2, nil)
	procs[0].store(t, slot(0), 42)
	procs[1].call(t, "Syscall", Args{Addr: slot(0), Other: slot(0) + page4K})
	if got := procs[0].load(t, slot(0)+page4K); got != 42 {
		t.Errorf("read %d, want 42", got)
	}
}

func TestCounter(t *testing.T) {
	for _, n := range []int{2, 3} {
		for _, threads := range []int{1, 2} {
			pager, procs := start(t, n, func(c *Config) { c.Threads = threads })
			a := slot(1) + 8*page4K
			var total uint64
			var mu sync.Mutex
			var wg sync.WaitGroup
			for _, p := range procs {
				wg.Go(func() {
					n := p.call(t, "Add", Args{Addr: a, For: 500 * time.Millisecond, N: 2})
					mu.Lock()
					total += n
					mu.Unlock()
				})
			}
			wg.Wait()
			for i, p := range procs {
				if got := p.load(t, a); got != total {
					t.Errorf("%d processes, %d threads: process %d reads %d, want %d", n, threads, i, got, total)
				}
			}
			var s FaultStats
			for _, p := range pager.Stats().Processes {
				for _, f := range p.Faults {
					s = s.Add(f)
				}
			}
			t.Logf("%d processes, %d threads: %d additions, %d faults, p50 below %v", n, threads, total, s.Count, s.Quantile(0.5))
		}
	}
}

func TestMessagePassing(t *testing.T) {
	_, procs := start(t, 2, nil)
	var wg sync.WaitGroup
	a := Args{Addr: slot(0), Other: slot(1), N: 300}
	wg.Go(func() { procs[0].call(t, "Produce", a) })
	wg.Go(func() { procs[1].call(t, "Consume", a) })
	wg.Wait()
}

// TestStoreBuffering is Dekker's litmus test: with sequential consistency, one of
// the two sees the other's store.
func TestStoreBuffering(t *testing.T) {
	_, procs := start(t, 2, nil)
	x, y := slot(0), slot(1)
	for i := uint64(1); i <= 300; i++ {
		var r [2]uint64
		var wg sync.WaitGroup
		wg.Go(func() { r[0] = procs[0].call(t, "Pair", Args{Addr: x, Other: y, Value: i}) })
		wg.Go(func() { r[1] = procs[1].call(t, "Pair", Args{Addr: y, Other: x, Value: i}) })
		wg.Wait()
		if r[0] != i && r[1] != i {
			t.Fatalf("round %d: the processes read %d", i, r)
		}
	}
}

func TestScatteredAdds(t *testing.T) {
	_, procs := start(t, 3, func(c *Config) { c.Threads = 2 })
	const n, words = 3000, 30
	a := slot(2) + 2<<20 - 10*page4K // across two granules
	var wg sync.WaitGroup
	for _, p := range procs {
		for seed := range uint64(2) {
			wg.Go(func() { p.call(t, "Scatter", Args{Addr: a, Value: words, N: n, Seed: seed}) })
		}
	}
	wg.Wait()
	var total uint64
	for i := range uintptr(words) {
		total += procs[i%3].load(t, a+i*8000)
	}
	if want := uint64(2 * n * len(procs)); total != want {
		t.Errorf("the sum of all words is %d, want %d", total, want)
	}
}

// TestKilled has a process die that holds pages: the others go on with its last
// contents, and the pager closes.
func TestKilled(t *testing.T) {
	pager, procs := start(t, 3, nil)
	a := slot(0)
	procs[1].store(t, a, 5)
	procs[1].store(t, slot(1), 6)
	procs[2].load(t, slot(1))
	adding := make(chan error, 1)
	go func() {
		var n uint64
		adding <- procs[1].client.Call("Child.Add", Args{Addr: slot(2), For: time.Hour}, &n)
	}()
	for procs[2].load(t, slot(2)) == 0 {
	}
	procs[1].kill()
	if err := <-adding; err == nil {
		t.Fatal("the process was not killed")
	}
	if got := procs[0].load(t, a); got != 5 {
		t.Errorf("read %d of a page that a dead process had, want 5", got)
	}
	procs[0].store(t, slot(1), 7)
	if got := procs[2].load(t, slot(1)); got != 7 {
		t.Errorf("read %d of a dead process's slot, want 7", got)
	}
	procs[2].store(t, slot(2), 1)
	pager.Pins().Abandon(1)
}

// TestKilledAlone has a process die whose memory nobody has asked for so far.
func TestKilledAlone(t *testing.T) {
	_, procs := start(t, 2, nil)
	procs[1].store(t, slot(1), 6)
	procs[1].kill()
	if got := procs[0].load(t, slot(1)); got != 6 {
		t.Errorf("read %d of a page of a dead process, want 6", got)
	}
}

func TestPinsOfTravellingPages(t *testing.T) {
	pager, procs := start(t, 3, nil)
	object := slot(2) + 0x1230
	procs[0].store(t, slot(0)+64, uint64(object))
	if n := pager.Pins().Len(2); n != 0 {
		t.Fatalf("%d pins before any fault", n)
	}
	procs[1].load(t, slot(0))
	if holders, _ := pager.Pins().Holders(2, object); holders != coherence.SetOf(0, 1) {
		t.Errorf("held by %b, want 0 and 1", holders)
	}
	procs[1].store(t, slot(0), 1)
	if got := pager.Directory().HeldExclusive(1); !slices.Equal(got, []uintptr{slot(0)}) {
		t.Errorf("held exclusively: %#x", got)
	}
	if roots := pager.Pins().Begin(2); !slices.Equal(roots, []uintptr{object}) {
		t.Errorf("roots: %#x", roots)
	}
}

func TestSupported(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
}

// TestUnmapped has a process follow a pointer to where the home has nothing.
func TestUnmapped(t *testing.T) {
	failed := make(chan error, 1)
	_, procs := start(t, 2, func(c *Config) { c.Failed = func(_ int, err error) { failed <- err } })
	a := slot(0) + 8<<20
	procs[0].call(t, "Unmap", Args{Addr: a})
	if procs[1].call(t, "Poisoned", Args{Addr: a}) == 0 {
		t.Error("the read raised no signal")
	}
	if err := <-failed; !coherence.Unmapped(err) {
		t.Errorf("reported as %v", err)
	}
	// The rest works on.
	procs[1].store(t, a-8, 1)
	if got := procs[0].load(t, a-8); got != 1 {
		t.Errorf("read %d, want 1", got)
	}
}

// TestAnswered: who accounts for faults is told where each page came from, and which thread waited.
func TestAnswered(t *testing.T) {
	type fault struct {
		process, from int
		write         bool
	}
	var mu sync.Mutex
	var all []fault
	wanders := 0
	_, procs := start(t, 2, func(c *Config) {
		c.Answered = func(f coherence.Fault, from coherence.Origin, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, fault{f.Process, from.Process, f.Write})
			if from.Wanders {
				wanders++
			}
			if f.Thread == 0 || took <= 0 {
				t.Errorf("thread %d waited for %v", f.Thread, took)
			}
		}
	})
	a := slot(0) + 8<<20
	procs[0].store(t, a, 1) // its own memory
	procs[1].load(t, a)
	procs[1].store(t, a, 2)
	procs[0].load(t, a)
	// A thread goes on before its fault is reported, and reports of two processes overtake each other.
	want := map[fault]int{{1, 0, false}: 1, {1, 0, true}: 1, {0, 1, false}: 1}
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		got := map[fault]int{}
		mu.Lock()
		for _, f := range all {
			got[f]++
		}
		mu.Unlock()
		if maps.Equal(got, want) {
			break
		}
		if time.Since(start) > 5*time.Second {
			t.Fatalf("faults %v, want %v", got, want)
		}
	}
	for i := range uint64(6) {
		procs[i%2].load(t, a)
		procs[i%2].store(t, a, i)
	}
	mu.Lock()
	defer mu.Unlock()
	if wanders == 0 {
		t.Error("a page that two processes take from each other does not wander")
	}
}
