package coherence

import (
	"slices"
	"sync"
	"time"
)

// Turns. Processes that share more than a few pages, all of which they take from each
// other again and again, would each mostly wait: what one needs next the other has, and
// by the time that it comes something else is gone. So they take turns. Who has its turn
// gets such pages at once and keeps those that it has; who else wants one of them
// waits for the end.
//
// How long a turn is depends on what it cost: each page that comes in it makes it longer by
// turnGain times the time since the one before. So however many pages move, most of the time is
// left for the work on them. A program that hands over a few pages (turnFree) has no turns,
// and waits for Options.Hold at most. Nor has a process whose threads have nothing to do: it
// may wait for what the others would do, had they the pages.
//
// Invariants: a turn ends, at most turnMax after it began; nobody else's fault
// waits for it on a page that does not wander, or that is not the owner's.
type turns struct {
	mu      sync.Mutex
	owner   int           // whose turn it is, or was last; nobody at first; guarded by mu
	start   time.Duration // guarded by mu
	end     time.Duration // guarded by mu
	waiting []int         // who gets the next turns; guarded by mu
	streaks []streak      // by process; guarded by mu
}

// streak is a sequence of pages that came to a process, one soon after the other.
type streak struct {
	last   time.Duration
	length int
	recent [turnFree]uintptr // the pages that came last, oldest first
}

const (
	turnGain = 4
	turnFree = 3
	turnSoon = 100 * time.Microsecond // between pages of a streak, beside what a page takes
	turnMax  = 20 * time.Millisecond
)

func (t *turns) init(processes int) {
	t.owner = nobody
	t.streaks = make([]streak, processes)
}

// left returns for how long it is owner's turn. idle is asked whether a process has nothing
// to do.
func (t *turns) left(owner int, now, hold time.Duration, idle func(int) bool) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pass(now, hold)
	if t.owner != owner || now >= t.end {
		return 0
	}
	if idle(owner) {
		t.end = now
		return 0
	}
	return t.end - now
}

// await notes that process waits for the end of another's turn.
func (t *turns) await(process int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.waiting, process) {
		t.waiting = append(t.waiting, process)
	}
}

// granted notes that process got page, which wanders, and that it took some time.
func (t *turns) granted(process int, page uintptr, now, took, hold time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	gap, counts := t.streaks[process].add(page, now, took)
	if !counts {
		return
	}
	t.pass(now, hold)
	if now >= t.end {
		t.begin(process, now, 0)
	}
	if t.owner == process {
		t.end = min(t.end+turnGain*gap, t.start+turnMax)
	}
}

// add notes that page came, gap after the one before, and reports whether a turn is to be
// longer for it.
func (s *streak) add(page uintptr, now, took time.Duration) (gap time.Duration, counts bool) {
	again := slices.Contains(s.recent[:], page)
	gap, s.last = now-s.last, now
	if gap > turnSoon+turnGain*took {
		s.length = 0
	}
	if again {
		return 0, false
	}
	copy(s.recent[:], s.recent[1:])
	s.recent[turnFree-1] = page
	s.length++
	return gap, s.length > turnFree
}

// pass begins the turn of who has waited longest; t.mu is held.
func (t *turns) pass(now, hold time.Duration) {
	if now >= t.end && len(t.waiting) > 0 {
		next := t.waiting[0]
		t.waiting = slices.Delete(t.waiting, 0, 1)
		t.begin(next, now, hold)
	}
}

// begin begins a turn of process; t.mu is held.
func (t *turns) begin(process int, now, length time.Duration) {
	t.owner, t.start, t.end = process, now, now+length
	s := &t.streaks[process] // goes on: it could not do better as long as it waited
	s.last, s.length = now, max(s.length, turnFree)
}
