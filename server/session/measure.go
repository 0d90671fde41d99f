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

// Measures is what is known of the traffic between the processes of a session: the page faults,
// which the pager tells of as they are answered (Answered), and what the processes write into their
// ledgers. Those of this host are read; of others their nodes tell (Told), once they are asked to.
//
// Its cost is a lookup of the thread and an addition for each fault that brings a page from
// elsewhere, and a pass over the ledgers for each snapshot. With one process there is none.
type Measures struct {
	mail    *mail.Mail
	threads *mail.Threads
	started time.Time
	hosts   []MeasuredHost // the session's first
	hostOf  func(process int) int
	faulted atomic.Bool    // faults are counted
	faults  []faultAccount // by process
	far     []farAccount   // the same; of those on other hosts

	// The rest is that of who takes snapshots, one at a time.
	auditor *mail.Auditor
	at      map[uint64]place
	last    time.Duration
	asked   bool     // the nodes, to tell what their processes do
	labels  []uint64 // hashes of the labels that are asked for
}

// MeasuredHost is a host of a session.
type MeasuredHost struct {
	CPUs int
	// Watch has its node tell what its processes do, and which goroutines have labels with these hashes; nil where
	// it is the session's own.
	Watch func(labels []uint64)
}

// farAccount is what the node of a process has told and no snapshot was taken of.
type farAccount struct {
	mu        sync.Mutex
	told      time.Duration // the last time; 0: never; guarded by mu
	roundTrip time.Duration // to the node; guarded by mu
	mail.Account
}

// farStale is after how long a process on another host of which nothing was told counts as not there.
const farStale = 2 * time.Second

// faultAccount counts the faults of one process.
type faultAccount struct {
	mu   sync.Mutex
	sums map[origin]*placement.Traffic
}

// origin is a goroutine and the process that its pages came from.
type origin struct {
	goroutine uint64
	from      int
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
		mail: m, threads: mail.NewThreads(m), started: time.Now(), faults: make([]faultAccount, n), far: make([]farAccount, n),
		hosts: []MeasuredHost{{CPUs: cpus}}, hostOf: func(int) int { return 0 },
		auditor: mail.NewAuditor(m), at: make(map[uint64]place),
	}
}

// Join has other hosts take part, in the order of their numbers, from 1 on; hostOf tells where a process is. It is called before
// the session begins.
func (m *Measures) Join(others []MeasuredHost, hostOf func(process int) int) {
	m.hosts, m.hostOf = append(m.hosts, others...), hostOf
}

// faultAccountMost is how many goroutines' faults are counted between two snapshots.
const faultAccountMost = 1 << 14

// Answered counts a fault.
func (m *Measures) Answered(f coherence.Fault, from coherence.Origin, took time.Duration) {
	if !m.faulted.Load() || f.Process < 0 || f.Process >= len(m.faults) {
		return
	}
	goroutine := f.Goroutine
	if goroutine == 0 {
		goroutine = m.threads.Goroutine(f.Process, uint32(f.Thread))
	}
	if goroutine == 0 {
		return // a thread of the runtime
	}
	if m.hostOf(f.Process) != 0 {
		took += m.far[f.Process].distance()
	}
	a := &m.faults[f.Process]
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sums == nil {
		a.sums = make(map[origin]*placement.Traffic)
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

// farMost bounds what is kept of a process on another host until a snapshot is taken.
const farMost = 1 << 12

// Told notes what a node says of a process of its host, to which a message and its answer take roundTrip. What it
// says is not trusted further than that goroutines of its own processes may be moved for it.
func (m *Measures) Told(process int, roundTrip time.Duration, a mail.Account) {
	if process < 0 || process >= len(m.far) || m.hostOf(process) == 0 {
		return
	}
	const most = 1 << 16
	a.Procs, a.Running, a.Waiting = max(min(a.Procs, most), 0), max(min(a.Running, most), 0), max(min(a.Waiting, most), 0)
	f := &m.far[process]
	f.mu.Lock()
	defer f.mu.Unlock()
	a.Came = append(f.Came, a.Came...)
	a.Operations = append(f.Operations, a.Operations...)
	a.Came, a.Operations = a.Came[:min(len(a.Came), farMost)], a.Operations[:min(len(a.Operations), farMost)]
	a.Ready, a.Labelled = a.Ready[:min(len(a.Ready), farMost)], a.Labelled[:min(len(a.Labelled), farMost)]
	f.Account, f.told, f.roundTrip = a, m.now(), max(roundTrip, 0)
}

func (f *farAccount) distance() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.roundTrip
}

// take returns what was told since the last call.
func (f *farAccount) take(now time.Duration) (a mail.Account, roundTrip time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told == 0 || now-f.told > farStale {
		return a, 0, false
	}
	a = f.Account
	f.Came, f.Operations = nil, nil
	return a, f.roundTrip, true
}

// account returns what is new of a process.
func (m *Measures) account(k int, now time.Duration) (a mail.Account, roundTrip time.Duration, ok bool) {
	if m.hostOf(k) != 0 {
		return m.far[k].take(now)
	}
	a, ok = m.auditor.Take(k, len(m.labels) > 0)
	return a, 0, ok
}

// now returns the time on the clock of snapshots.
func (m *Measures) now() time.Duration { return time.Since(m.started) }

// take returns what was measured since the last call, and calls arrived for each goroutine
// that has come to a process since.
func (m *Measures) take(arrived func(goroutine uint64, process int)) *placement.Snapshot {
	if !m.asked {
		m.watch()
	}
	now := m.now()
	s := &placement.Snapshot{Now: now, Elapsed: now - m.last, Processes: make([]placement.Process, len(m.faults))}
	for _, h := range m.hosts {
		s.CPUs = append(s.CPUs, h.CPUs)
	}
	m.last = now
	accounts := make([]mail.Account, len(m.faults))
	for k := range m.faults {
		a, roundTrip, ok := m.account(k, now)
		if !ok {
			continue
		}
		accounts[k] = a
		for _, g := range a.Came {
			m.at[g] = place{k, now}
			arrived(g, k)
		}
		s.Processes[k] = placement.Process{
			Here: a.Procs > 0, Host: m.hostOf(k), RoundTrip: roundTrip,
			Procs: a.Procs, Running: a.Running, Waiting: a.Waiting, Stamp: a.Stamp, Ready: a.Ready,
		}
		if a.Running < a.Procs {
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
		m.takeTraffic(k, accounts[k].Operations, goroutine)
	}
	for k := range m.faults {
		for _, l := range accounts[k].Labelled {
			if g := goroutine(l.Goroutine, k); g.At == k {
				g.Weights = []float64{float64(l.Mask)} // the mask, until somebody knows the weights
			}
		}
	}
	m.forget(now)
	return s
}

// takeTraffic adds what goroutines of process k did.
func (m *Measures) takeTraffic(k int, operations []mail.Operation, goroutine func(id uint64, process int) *placement.Goroutine) {
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
	for _, o := range operations {
		add(o.Goroutine, placement.Traffic{With: o.With, Operations: o.Count})
	}
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
	m.labels = hashes
	for k := range m.faults {
		m.mail.Ask(k, hashes)
	}
	m.watch()
}

// watch has the nodes tell what their processes do, from now on.
func (m *Measures) watch() {
	m.asked = true
	for _, h := range m.hosts {
		if h.Watch != nil {
			h.Watch(m.labels)
		}
	}
}
