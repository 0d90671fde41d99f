package session

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"remotec.dev/server/coherence"
	"remotec.dev/server/mail"
	"remotec.dev/server/placement"
)

// Measures is what is known of the traffic between the processes of a session that are on
// this host: the page faults, which the pager tells of as they are answered (Answered), and what
// the processes write into their ledgers.
//
// Its cost is a lookup of the thread and an addition for each fault that brings a page from
// elsewhere, and a pass over the ledgers for each snapshot. With one process there is none.
type Measures struct {
	mail    *mail.Mail
	started time.Time
	cpus    int
	faulted atomic.Bool    // faults are counted
	faults  []faultAccount // by process

	// The rest is that of who takes snapshots, one at a time.
	counted [][]counted // by process and entry of the ledger
	came    []uint64    // by process
	at      map[uint64]place
	last    time.Duration
	wanted  int // labels that are asked for
}

// faultAccount counts the faults of one process.
type faultAccount struct {
	mu    sync.Mutex
	hints map[uint32]int // where a thread is in the ledger; guarded by mu
	sums  map[origin]*placement.Traffic
}

// origin is a goroutine and the process that its pages came from.
type origin struct {
	goroutine uint64
	from      int
}

// counted is an entry of a ledger as it was the last time.
type counted struct {
	goroutine uint64
	with      int
	count     uint32
}

// place is where a goroutine has come to.
type place struct {
	process int
	since   time.Duration
}

// NewMeasures returns the measures of a session of n processes with that mail, on a host
// with so many CPUs.
func NewMeasures(n int, m *mail.Mail, cpus int) *Measures {
	return &Measures{
		mail: m, started: time.Now(), cpus: cpus, faults: make([]faultAccount, n),
		counted: make([][]counted, n), came: make([]uint64, n), at: make(map[uint64]place),
	}
}

// faultAccountMost is how many goroutines' faults are counted between two snapshots.
const faultAccountMost = 1 << 14

// Answered counts a fault.
func (m *Measures) Answered(f coherence.Fault, from coherence.Origin, took time.Duration) {
	if !m.faulted.Load() || f.Thread == 0 || !m.mail.Has(f.Process) {
		return
	}
	a := &m.faults[f.Process]
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sums == nil {
		a.hints, a.sums = make(map[uint32]int), make(map[origin]*placement.Traffic)
	}
	thread := uint32(f.Thread)
	hint := a.hints[thread]
	goroutine := m.mail.Goroutine(f.Process, thread, &hint)
	if len(a.hints) < faultAccountMost {
		a.hints[thread] = hint
	}
	if goroutine == 0 {
		return // a thread of the runtime
	}
	t := a.sums[origin{goroutine, from.Process}]
	if t == nil {
		if len(a.sums) == faultAccountMost {
			return
		}
		t = &placement.Traffic{With: from.Process}
		a.sums[origin{goroutine, from.Process}] = t
	}
	t.Faults++
	if from.Wanders {
		t.Bounced += took
	} else {
		t.Fetched += took
	}
}

// now returns the time on the clock of snapshots.
func (m *Measures) now() time.Duration { return time.Since(m.started) }

// take returns what was measured since the last call, and calls arrived for each goroutine
// that has come to a process since.
func (m *Measures) take(arrived func(goroutine uint64, process int)) *placement.Snapshot {
	now := m.now()
	s := &placement.Snapshot{Now: now, Elapsed: now - m.last, CPUs: m.cpus, Processes: make([]placement.Process, len(m.faults))}
	m.last = now
	for k := range m.faults {
		if !m.mail.Has(k) {
			continue
		}
		m.came[k] = m.mail.Came(k, m.came[k], func(g uint64) {
			m.at[g] = place{k, now}
			arrived(g, k)
		})
		load := m.mail.Load(k)
		s.Processes[k] = placement.Process{
			Here: load.Procs > 0, Procs: load.Procs, Running: load.Running, Waiting: load.Waiting, Stamp: load.Stamp, Ready: load.Ready,
		}
		if load.Running < load.Procs {
			s.Processes[k].Waiting = 0 // it did when the list was made
		}
	}
	index := map[uint64]int{} // of s.Goroutines
	goroutine := func(id uint64, process int) *placement.Goroutine {
		i, ok := index[id]
		if !ok {
			if p, moved := m.at[id]; moved {
				process = p.process
			}
			i = len(s.Goroutines)
			index[id] = i
			s.Goroutines = append(s.Goroutines, placement.Goroutine{ID: id, At: process})
		}
		return &s.Goroutines[i]
	}
	for k := range m.faults {
		m.takeTraffic(k, goroutine)
	}
	for k := range m.faults {
		if m.wanted > 0 {
			m.mail.Labelled(k, func(id, mask uint64) {
				if g := goroutine(id, k); g.At == k {
					g.Weights = []float64{float64(mask)} // the mask, until somebody knows the weights
				}
			})
		}
	}
	m.forget(now)
	return s
}

// takeTraffic adds what goroutines of process k did.
func (m *Measures) takeTraffic(k int, goroutine func(id uint64, process int) *placement.Goroutine) {
	add := func(id uint64, t placement.Traffic) {
		g := goroutine(id, k)
		if g.At != k {
			return // of before it moved
		}
		i := slices.IndexFunc(g.Traffic, func(o placement.Traffic) bool { return o.With == t.With })
		if i < 0 {
			g.Traffic = append(g.Traffic, t)
			return
		}
		o := &g.Traffic[i]
		o.Operations += t.Operations
		o.Faults += t.Faults
		o.Bounced += t.Bounced
		o.Fetched += t.Fetched
	}
	if m.counted[k] == nil && m.mail.Has(k) {
		m.counted[k] = make([]counted, 1024)
	}
	m.mail.Operations(k, func(i int, id uint64, with int, count uint32) {
		last := &m.counted[k][i]
		n := count
		if last.goroutine == id && last.with == with {
			n = count - last.count
		}
		*last = counted{id, with, count}
		if n > 0 && n < 1<<31 {
			add(id, placement.Traffic{With: with, Operations: int(n)})
		}
	})
	a := &m.faults[k]
	a.mu.Lock()
	sums := a.sums
	if len(sums) > 0 {
		a.sums = make(map[origin]*placement.Traffic)
	}
	a.mu.Unlock()
	for o, t := range sums {
		add(o.goroutine, *t)
	}
}

// where returns the process that a goroutine came to, -1 if it is not known to have moved.
func (m *Measures) where(goroutine uint64) int {
	if p, ok := m.at[goroutine]; ok {
		return p.process
	}
	return -1
}

// forget bounds what is kept of goroutines that have moved.
func (m *Measures) forget(now time.Duration) {
	const most = 1 << 16
	if len(m.at) < most {
		return
	}
	for g, p := range m.at {
		if now-p.since > time.Minute || len(m.at) > 2*most {
			delete(m.at, g)
		}
	}
}

// ask has all processes tell which goroutines have labels with these hashes.
func (m *Measures) ask(hashes []uint64) {
	m.wanted = len(hashes)
	for k := range m.faults {
		m.mail.Ask(k, hashes)
	}
}
