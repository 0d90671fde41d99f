package coherence

import (
	"sync"
	"time"
)

// Whole coordinates whole marks: marks of all processes that begin and end together,
// in which pins are no roots, so that garbage cycles across slots are found. See
// the package comment.
//
// A process takes part in these steps, each of which it repeats while the answer is
// Wait: Ready; with the world stopped Begin, and Begun until all are there;
// Met and Since while it marks; Quiet when it has no more to mark; with the world
// stopped Vote; Pins.End. An answer of No makes its mark an ordinary one at any time
// before the end. A whole mark that takes too long fails, for all processes at once.
type Whole struct {
	pins   *Pins
	limits WholeLimits
	now    func() time.Time
	all    Set

	mu       sync.Mutex // before a pinOwner's; guards what follows
	asked    bool
	stopped  bool
	phase    wholePhase
	deadline time.Time // of the phase
	ready    Set       // while gathering and beginning
	begun    Set       // whose mark is part of it, from Begin to the end or the failure
	quiet    Set       // had nothing to do when asked last
	voted    Set       // have nothing to do, and stopped their worlds
	over     Set       // whose mark was part of one that succeeded, and has not ended
	done     int       // whole marks that succeeded
	failed   int
}

// WholeLimits are how long a whole mark may take.
type WholeLimits struct {
	Gather time.Duration // until all processes are about to begin a mark
	Begin  time.Duration // until all have: some have stopped their worlds meanwhile
	Mark   time.Duration // from then on
}

// Answer is what a process is to do in a whole mark.
type Answer uint8

const (
	// No means that there is no whole mark, or not any more: a mark is, or goes on
	// as, an ordinary one.
	No Answer = iota
	// Wait means to ask again.
	Wait
	// Go means to do the next step.
	Go
	// Again means that Since returns something. If that is nothing new to the mark,
	// the process may ask again; else it says Withdraw.
	Again
	// Back means that another process has more to mark, so that the world need not
	// be stopped.
	Back
)

type wholePhase uint8

const (
	wholeIdle wholePhase = iota
	wholeGathering
	wholeBeginning
	wholeMarking
)

// NewWhole returns the whole marks of a session.
func NewWhole(pins *Pins, limits WholeLimits) *Whole {
	w := &Whole{pins: pins, limits: limits, now: time.Now}
	for process := range pins.layout.Slots {
		w.all.Add(process)
	}
	return w
}

// Ask asks for a whole mark of the marks that begin next.
func (w *Whole) Ask() {
	w.mu.Lock()
	w.asked = true
	w.mu.Unlock()
}

// Counts returns how many whole marks succeeded, and how many failed.
func (w *Whole) Counts() (done, failed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done, w.failed
}

// late says whether the phase has taken too long, and the whole mark fails.
// w.mu is held.
func (w *Whole) late() bool {
	if !w.now().After(w.deadline) {
		return false
	}
	w.fail()
	return true
}

// enter starts a phase; w.mu is held.
func (w *Whole) enter(phase wholePhase, limit time.Duration) {
	w.phase, w.deadline = phase, w.now().Add(limit)
}

// fail makes the marks that are part of the whole mark ordinary ones. None of them has
// ended, so that no floor has changed since they began: what was pinned
// then is a root of them now. w.mu is held.
func (w *Whole) fail() {
	for process := range w.begun.All() {
		w.pins.fall(process)
	}
	w.ready, w.begun, w.quiet, w.voted = Set{}, Set{}, Set{}, Set{}
	w.phase = wholeIdle
	w.failed++
}

// Ready says that process is about to begin a mark, with its world running: to Wait,
// to Go with all others, or that there is No whole mark.
func (w *Whole) Ready(process int) Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.phase == wholeIdle && w.asked && !w.stopped {
		w.asked = false
		w.enter(wholeGathering, w.limits.Gather)
	}
	if w.phase == wholeGathering {
		w.ready.Add(process)
		if w.ready == w.all {
			w.enter(wholeBeginning, w.limits.Begin)
		} else if !w.late() {
			return Wait
		}
	}
	if w.phase == wholeBeginning && w.ready.Has(process) && !w.begun.Has(process) {
		return Go
	}
	return No
}

// Begin is Pins.Begin for a process that was told to Go; part is false if the mark is
// an ordinary one all the same.
func (w *Whole) Begin(process int) (roots []uintptr, part bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	part = w.phase == wholeBeginning && w.ready.Has(process) && !w.late()
	roots = w.pins.begin(process, part)
	if part {
		w.begun.Add(process)
		if w.begun == w.all {
			w.ready = Set{}
			w.enter(wholeMarking, w.limits.Mark)
		}
	}
	return roots, part
}

// Begun says whether all have begun: only then may process mark, or its program go
// on.
func (w *Whole) Begun(process int) Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.begun.Has(process):
		return No
	case w.phase == wholeMarking:
		return Go
	case w.late():
		return No
	}
	return Wait
}

// Met is Pins.Met: the owners mark what process met. It reports whether the mark is
// part of a whole one.
func (w *Whole) Met(process int, met []uintptr) bool {
	w.mu.Lock()
	part := w.begun.Has(process)
	w.voted.Remove(process) // the whole mark does not end while these are on their way
	w.mu.Unlock()
	w.pins.Met(process, met)
	return part
}

// Got is Pins.Pin for what came in messages to process that nobody has told of before.
// It has those from before it began in its roots.
func (w *Whole) Got(process int, addrs []uintptr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, addr := range addrs {
		if w.pins.layout.slots().Contains(addr) {
			owner := int((addr - w.pins.layout.Base) / w.pins.layout.SlotSize)
			w.pins.pin(owner, process, addr, w.begun.Has(process))
		}
	}
}

// Quiet says that process has nothing to mark, and has told all that it met: to Wait,
// to stop the world and Go to the Vote, or Again. It is no promise.
func (w *Whole) Quiet(process int) Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.check(process); a != Wait {
		return a
	}
	w.quiet.Add(process)
	if w.quiet == w.all {
		return Go
	}
	return Wait
}

// Vote says what Quiet says, of a process whose world is stopped and remains so while
// the answer is Wait. Go means that all have voted: the whole mark is complete.
func (w *Whole) Vote(process int) Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over.Has(process) {
		return Go
	}
	if a := w.check(process); a != Wait {
		return a
	}
	if w.quiet != w.all {
		w.voted.Remove(process)
		return Back
	}
	w.voted.Add(process)
	if w.voted != w.all {
		return Wait
	}
	for other := range w.all.All() {
		if w.pins.logged(other) {
			return Wait // that one will see it
		}
	}
	for other := range w.all.All() {
		w.pins.forget(other)
	}
	w.over = w.all
	w.begun, w.quiet, w.voted = Set{}, Set{}, Set{}
	w.phase = wholeIdle
	w.done++
	return Go
}

// check is what Quiet and Vote have in common; w.mu is held.
func (w *Whole) check(process int) Answer {
	switch {
	case !w.begun.Has(process) || w.late():
		return No
	case w.pins.logged(process):
		w.voted.Remove(process)
		return Again
	}
	return Wait
}

// Withdraw takes back the vote of process, whose world does not wait any longer, and
// with busy, because it has more to mark, what it said to Quiet. It reports false if
// all have voted meanwhile.
func (w *Whole) Withdraw(process int, busy bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over.Has(process) {
		return false
	}
	w.voted.Remove(process)
	if busy {
		w.quiet.Remove(process)
	}
	return true
}

// End is Pins.End. It reports whether the mark was part of a whole one that succeeded.
func (w *Whole) End(process int, met []uintptr) (succeeded bool) {
	w.mu.Lock()
	if w.begun.Has(process) {
		w.fail() // out of turn: its mark is no part of a whole one
	}
	succeeded = w.over.Has(process)
	w.over.Remove(process)
	w.mu.Unlock()
	w.pins.End(process, met)
	return succeeded
}
