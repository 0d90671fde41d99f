package placement

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A model of a machine: goroutines that compute, talk to each other through channels that
// one of the processes made, and write to pages that others write to as well.

const tick = 10 * time.Millisecond

type simGoroutine struct {
	at       int
	computes bool    // all the time; else it waits for who it talks to
	talks    int     // to this one; -1: to nobody
	home     int     // of the channel that it talks through
	sticks   bool    // it cannot be moved
	moves    int     // how often it was
	share    float64 // of its time on other processes, in the last tick
	weights  []float64
}

type sim struct {
	now   time.Duration
	procs []int         // Ps of each process
	cpus  int           // of each host
	hosts []int         // of each process; none: they are on one
	trip  time.Duration // a round trip from the first host to any other
	gs    []*simGoroutine
	// harm is the share that a goroutine spends on others in its group where it is not with
	// them: false sharing.
	groups []int
	moved  []Move
	queue  uint64
	// away says which processes are drained: what goroutines are left there is moved by others.
	away []bool
}

// remoteShare is the part of its time that goroutine i spends on each process.
func (m *sim) shares(i int) []float64 {
	g := m.gs[i]
	shares := make([]float64, len(m.procs))
	if g.talks >= 0 {
		p := m.gs[g.talks]
		switch {
		case g.at == p.at: // worked on here, whoever made it
		case g.home != g.at:
			shares[g.home] = 0.9
		}
	}
	if group := m.groups[i]; group >= 0 {
		for k, other := range m.groups {
			if other == group && m.gs[k].at != g.at {
				shares[m.gs[k].at] = 0.5
			}
		}
	}
	return shares
}

// snapshot measures the model.
func (m *sim) snapshot() *Snapshot {
	m.now += tick
	s := &Snapshot{Now: m.now, Elapsed: tick}
	for range 3 {
		s.CPUs = append(s.CPUs, m.cpus)
	}
	lists := make([][]uint64, len(m.procs))
	for i, g := range m.gs {
		if g.computes {
			lists[g.at] = append(lists[g.at], uint64(i+1))
		}
		out := Goroutine{ID: uint64(i + 1), At: g.at, Weights: g.weights}
		g.share = 0
		for k, share := range m.shares(i) {
			if share > 0 {
				g.share += share
				out.Traffic = append(out.Traffic, Traffic{With: k, Bounced: time.Duration(share * float64(tick))})
			}
		}
		if out.Traffic != nil || out.Weights != nil {
			s.Goroutines = append(s.Goroutines, out)
		}
	}
	m.queue++
	for k, list := range lists {
		p := Process{Here: !m.isAway(k), Procs: m.procs[k], Running: min(len(list), m.procs[k]), Stamp: m.queue}
		if p.Host = m.host(k); p.Host > 0 {
			p.RoundTrip = m.trip
		}
		// Those that run take turns.
		if n := len(list); n > 0 {
			at := int(m.queue) * p.Procs % n
			list = append(slices.Clone(list[at:]), list[:at]...)
		}
		p.Ready = list[p.Running:]
		p.Waiting = len(p.Ready)
		s.Processes = append(s.Processes, p)
	}
	return s
}

// step lets the policy look once, and carries out what it decides.
func (m *sim) step(t interface{ Fatalf(string, ...any) }, p Policy) (moves []Move) {
	s := m.snapshot()
	moves = p.Decide(s)
	seen := map[uint64]bool{}
	for _, move := range moves {
		g := m.gs[move.Goroutine-1]
		switch {
		case g.at != move.From || move.To == move.From || move.To < 0 || move.To >= len(m.procs):
			t.Fatalf("%v: goroutine %d is in process %d", move, move.Goroutine, g.at)
		case m.isAway(move.From) || m.isAway(move.To):
			t.Fatalf("%v, of processes %v that are drained", move, m.away)
		case seen[move.Goroutine]:
			t.Fatalf("goroutine %d is moved twice at a time", move.Goroutine)
		}
		seen[move.Goroutine] = true
		r := Result{Move: move, Arrived: !g.sticks, Before: g.share}
		if !g.sticks {
			g.at = move.To
			g.moves++
			for _, share := range m.shares(int(move.Goroutine - 1)) {
				r.After += share
			}
		}
		defer p.Learn(m.now, &r)
		m.moved = append(m.moved, move)
	}
	return moves
}

func (m *sim) host(process int) int {
	if process < len(m.hosts) {
		return m.hosts[process]
	}
	return 0
}

func (m *sim) isAway(process int) bool { return process < len(m.away) && m.away[process] }

// drain has all goroutines of a process go to another one, and none come from then on. What
// it has made goes there as well.
func (m *sim) drain(process, to int) {
	m.away = append(m.away, make([]bool, len(m.procs)-len(m.away))...)
	m.away[process] = true
	for _, g := range m.gs {
		if g.at == process {
			g.at = to
		}
		if g.home == process {
			g.home = to
		}
	}
}

// loads returns how many goroutines compute in each process.
func (m *sim) loads() []int {
	loads := make([]int, len(m.procs))
	for _, g := range m.gs {
		if g.computes {
			loads[g.at]++
		}
	}
	return loads
}

func (m *sim) add(at int, computes bool) *simGoroutine {
	g := &simGoroutine{at: at, computes: computes, talks: -1}
	m.gs, m.groups = append(m.gs, g), append(m.groups, -1)
	return g
}

// policies under test; each is used once.
func newCombined() Policy { return &Combined{} }

func steps(t *testing.T, m *sim, p Policy, n int) (moves int) {
	for range n {
		moves += len(m.step(t, p))
	}
	return moves
}

func TestComputingSpreads(t *testing.T) {
	m := &sim{procs: []int{1, 1}, cpus: 2}
	for range 4 {
		m.add(0, true)
	}
	p := newCombined()
	steps(t, m, p, 20)
	if l := m.loads(); l[0] != 2 || l[1] != 2 {
		t.Errorf("after 200 ms the processes run %v goroutines, want 2 each", l)
	}
	if n := steps(t, m, p, 1000); n != 0 {
		t.Errorf("%d further moves", n)
	}
}

// TestHosts: goroutines that wait for a P go to another host when its processes have some for them, later than to another
// process of the same host, and no more than these have Ps.
func TestHosts(t *testing.T) {
	for _, trip := range []time.Duration{100 * time.Microsecond, 2 * time.Millisecond} {
		m := &sim{procs: []int{1, 1, 1}, cpus: 2, hosts: []int{0, 0, 1}, trip: trip}
		for range 6 {
			m.add(0, true)
		}
		p := newCombined()
		first := map[int]time.Duration{} // at which a goroutine went to a process
		for range 100 {
			for _, move := range m.step(t, p) {
				if _, ok := first[move.To]; !ok {
					first[move.To] = m.now
				}
			}
		}
		if l := m.loads(); l[2] != 1 || l[0]+l[1] != 5 || l[1] < 2 {
			t.Errorf("round trip %v: the processes run %v goroutines", trip, l)
		}
		if first[1] > first[2] || first[2] < 4*8*trip {
			t.Errorf("round trip %v: the first one went to process 1 after %v, to the other host after %v", trip, first[1], first[2])
		}
		if n := steps(t, m, p, 1000); n != 0 {
			t.Errorf("round trip %v: %d further moves", trip, n)
		}
	}
}

// TestPairsOfHosts: two that talk to each other come together from different hosts, too.
func TestPairsOfHosts(t *testing.T) {
	m := &sim{procs: []int{1, 1}, cpus: 1, hosts: []int{0, 1}, trip: time.Millisecond}
	a, b := m.add(0, false), m.add(1, false)
	a.talks, b.talks, a.home, b.home = 1, 0, 0, 0
	p := newCombined()
	steps(t, m, p, 30)
	if a.at != b.at {
		t.Errorf("they are in processes %d and %d", a.at, b.at)
	}
}

func TestPairsComeTogether(t *testing.T) {
	for _, home := range []int{0, 1} {
		m := &sim{procs: []int{1, 1}, cpus: 2}
		a, b := m.add(0, false), m.add(1, false)
		a.talks, b.talks, a.home, b.home = 1, 0, home, home
		p := newCombined()
		steps(t, m, p, 20)
		if a.at != b.at {
			t.Errorf("they are in processes %d and %d", a.at, b.at)
		}
		if n := steps(t, m, p, 1000); n != 0 {
			t.Errorf("%d further moves", n)
		}
	}
}

// TestNothingToGain: goroutines that compute and write to the same pages are slower apart. How
// often that is tried decreases.
func TestNothingToGain(t *testing.T) {
	m := &sim{procs: []int{1, 1}, cpus: 2}
	for i := range 4 {
		m.add(0, true)
		m.groups[i] = 0
	}
	p := newCombined()
	apart := 0
	for range 100 * 60 { // a minute
		m.step(t, p)
		if l := m.loads(); l[0] > 0 && l[1] > 0 {
			apart++
		}
	}
	if apart > 60 {
		t.Errorf("they were apart for %d of 6000 ticks", apart)
	}
}

func TestPinnedAndStuck(t *testing.T) {
	m := &sim{procs: []int{1, 1}, cpus: 2}
	for range 3 {
		m.add(0, true)
	}
	m.gs[1].sticks = true
	p := &Combined{}
	p.Pin(1, true)
	steps(t, m, p, 1000)
	if m.gs[0].at != 0 || m.gs[0].moves != 0 {
		t.Error("a pinned goroutine was moved")
	}
	tried := 0
	for _, move := range m.moved {
		if move.Goroutine == 2 {
			tried++
		}
	}
	if m.gs[2].at != 1 {
		t.Error("the third one has not moved")
	}
	if tried > 6 {
		t.Errorf("one that cannot move was asked for %d times in 10 s", tried)
	}
}

func TestLabels(t *testing.T) {
	m := &sim{procs: []int{1, 1, 1}, cpus: 2}
	for range 3 {
		m.add(0, true).weights = []float64{0, 0, 2}
	}
	p := &Combined{LabelsOnly: true}
	steps(t, m, p, 3)
	if l := m.loads(); l[2] != 3 {
		t.Errorf("the processes have %v, want all in process 2", l)
	}
	p.LabelsOnly = false
	steps(t, m, p, 100)
	if l := m.loads(); l[2] != 3 {
		t.Errorf("balance moved some against their labels: %v", l)
	}
}

// TestDrained: a process that is drained gets no goroutine, whatever speaks for it: a P that is idle, labels, that a
// goroutine came from there.
func TestDrained(t *testing.T) {
	m := &sim{procs: []int{1, 1, 1}, cpus: 3}
	for range 6 {
		m.add(0, true)
	}
	m.add(0, true).weights = []float64{0, 2, 1}
	p := newCombined()
	steps(t, m, p, 20)
	if l := m.loads(); l[1] == 0 || l[2] == 0 {
		t.Fatalf("before the drain the processes run %v goroutines", l)
	}
	m.drain(1, 0)
	// One that came from there does nothing but wait for others since.
	p.Learn(m.now, &Result{Move: Move{Goroutine: 1, From: 1, To: m.gs[0].at, Kind: Balancing}, Arrived: true, After: 1})
	steps(t, m, p, 3000) // who moves another one there fails in step
	if l := m.loads(); l[1] != 0 || l[2] < 2 {
		t.Errorf("after it they run %v", l)
	}
	if g := m.gs[6]; g.at != 2 {
		t.Errorf("the goroutine with labels is in process %d, not in the best one that is there", g.at)
	}
}

// TestRandom: whatever the goroutines do, moves become rare, and balance keeps its bounds.
func TestRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &sim{cpus: rapid.IntRange(1, 8).Draw(t, "cpus")}
		for range rapid.IntRange(2, 4).Draw(t, "processes") {
			m.procs = append(m.procs, rapid.IntRange(1, 4).Draw(t, "procs"))
			m.hosts = append(m.hosts, rapid.IntRange(0, 2).Draw(t, "host"))
		}
		m.trip = time.Duration(rapid.IntRange(50, 5000).Draw(t, "trip")) * time.Microsecond
		n := rapid.IntRange(1, 24).Draw(t, "goroutines")
		for i := range n {
			g := m.add(rapid.IntRange(0, len(m.procs)-1).Draw(t, "at"), rapid.Bool().Draw(t, "computes"))
			g.sticks = rapid.IntRange(0, 9).Draw(t, "sticks") == 0
			if i > 0 && rapid.IntRange(0, 2).Draw(t, "talks") == 0 {
				g.talks, g.home = rapid.IntRange(0, i-1).Draw(t, "to"), rapid.IntRange(0, len(m.procs)-1).Draw(t, "home")
			}
			if rapid.IntRange(0, 3).Draw(t, "shares") == 0 {
				m.groups[i] = rapid.IntRange(0, 2).Draw(t, "group")
			}
		}
		p := newCombined()
		drained := rapid.IntRange(0, 12000).Draw(t, "drained")
		for i := range 6000 { // a minute
			if i == drained {
				m.drain(len(m.procs)-1, 0)
			}
			before := m.loads()
			moves := m.step(t, p)
			checkBalance(t, m, before, moves)
		}
		last := len(m.moved)
		for range 6000 {
			m.step(t, p)
		}
		// A goroutine stays for up to a minute once it was moved often.
		if late := len(m.moved) - last; late > 4*n {
			t.Fatalf("%d goroutines were moved %d times in the second minute", n, late)
		}
	})
}

// checkBalance checks that moves for the sake of balance do not turn a difference around.
func checkBalance(t *rapid.T, m *sim, before []int, moves []Move) {
	loads := slices.Clone(before)
	for _, move := range moves {
		if move.Kind != Balancing {
			return // the others do not look at the load of the same moment
		}
		if loads[move.From]*m.procs[move.To] <= loads[move.To]*m.procs[move.From] {
			t.Fatalf("%v with loads %v before of %v Ps", move, before, m.procs)
		}
		loads[move.From]--
		loads[move.To]++
		if m.host(move.From) != m.host(move.To) && loads[move.To] > m.procs[move.To] {
			t.Fatalf("%v: loads %v of %v Ps: it has to wait there, on another host", move, loads, m.procs)
		}
		if loads[move.From]*m.procs[move.To] < (loads[move.To]-1)*m.procs[move.From] {
			t.Fatalf("%v: loads %v became %v of %v Ps", move, before, loads, m.procs)
		}
	}
}
