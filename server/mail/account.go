package mail

import "sync"

// Account is what the ledger of one process says that is new, in the form in which a node tells the
// session of it.
type Account struct {
	Load
	Came       []uint64    `json:",omitempty"` // goroutines that came from other processes since the last account
	Operations []Operation `json:",omitempty"` // that were counted since then
	Labelled   []Labelled  `json:",omitempty"` // goroutines with labels that were asked for
}

// Operation counts what a goroutine did with another process since the last account.
type Operation struct {
	Goroutine uint64
	With      int
	Count     int
}

// Labelled is a goroutine with labels: bit i of Mask stands for the i-th of those that were asked for.
type Labelled struct{ Goroutine, Mask uint64 }

// Auditor takes accounts of processes, one at a time.
type Auditor struct {
	mail    *Mail
	came    map[int]uint64
	counted map[int][]counted
}

// counted is an entry of a ledger as it was the last time.
type counted struct {
	goroutine uint64
	with      int
	count     uint32
}

// NewAuditor returns the auditor of processes that have their ledgers in m.
func NewAuditor(m *Mail) *Auditor {
	return &Auditor{m, make(map[int]uint64), make(map[int][]counted)}
}

// Take returns what is new of a process; labels says whether goroutines with labels are of interest. Where the
// process has no ledger, ok is false.
func (a *Auditor) Take(process int, labels bool) (account Account, ok bool) {
	m := a.mail
	if !m.Has(process) {
		return account, false
	}
	a.came[process] = m.Came(process, a.came[process], func(g uint64) { account.Came = append(account.Came, g) })
	account.Load = m.Load(process)
	entries := a.counted[process]
	if entries == nil {
		entries = make([]counted, trafficMost)
		a.counted[process] = entries
	}
	m.Operations(process, func(i int, id uint64, with int, count uint32) {
		last := &entries[i]
		n := count
		if last.goroutine == id && last.with == with {
			n = count - last.count
		}
		*last = counted{id, with, count}
		if n > 0 && n < 1<<31 {
			account.Operations = append(account.Operations, Operation{id, with, int(n)})
		}
	})
	if labels {
		m.Labelled(process, func(g, mask uint64) { account.Labelled = append(account.Labelled, Labelled{g, mask}) })
	}
	return account, true
}

// Threads finds the goroutines of threads that wait for pages, most of which it was asked for before.
type Threads struct {
	mail  *Mail
	mu    sync.Mutex
	hints map[thread]int // where they are in the ledger; guarded by mu
}

type thread struct {
	process int
	id      uint32
}

// threadsKnown bounds the hints.
const threadsKnown = 1 << 14

// NewThreads returns what finds the goroutines of processes that have their ledgers in m.
func NewThreads(m *Mail) *Threads { return &Threads{mail: m, hints: make(map[thread]int)} }

// Goroutine returns the number of the goroutine that a thread of a process runs, or ran
// last; 0 where it is not known, as of threads of the runtime.
func (t *Threads) Goroutine(process int, id uint32) uint64 {
	if t == nil || id == 0 || !t.mail.Has(process) {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at := thread{process, id}
	hint := t.hints[at]
	goroutine := t.mail.Goroutine(process, id, &hint)
	if len(t.hints) < threadsKnown {
		t.hints[at] = hint
	}
	return goroutine
}
