package coherence

import "time"

// hold keeps a page that processes take from each other in quick succession with
// each of them for a while. Without it the process that just got the page loses it
// again after one access, and the next access of both is a fault; with it, each
// makes many: throughput for latency. (The time window of Mirage: Fleisch and Popek,
// SOSP 1989.)
type hold struct {
	granted time.Duration // when the present owner got the page, on the directory's clock
	quick   uint8         // moves in sequence that came within holdQuick
	moves   uint8         // moves in sequence that came within holdWander
	noted   bool          // that it was asked for since
}

const (
	holdQuick   = 100 * time.Microsecond
	holdWander  = 2 * turnMax
	holdAfter   = 4                     // quick moves, from which on a page is kept
	holdWanders = 1                     // moves, from which on a page wanders
	holdSleep   = 40 * time.Microsecond // the longest wait that is not put off
	holdLook    = 50 * time.Microsecond // after which one that is put off is looked at again
)

// asked notes that another process asks for the page.
func (h *hold) asked(now time.Duration) {
	if h.noted {
		return
	}
	h.noted = true
	age := now - h.granted
	count := func(moves *uint8, within time.Duration) {
		if age > within {
			*moves = 0
		} else if *moves <= holdAfter {
			*moves++
		}
	}
	count(&h.quick, holdQuick)
	count(&h.moves, holdWander)
}

// bounces reports whether processes take the page from each other all the time.
func (h *hold) bounces() bool { return h.quick > holdAfter }

// wanders reports whether they do so now and then.
func (h *hold) wanders() bool { return h.moves > holdWanders }

// dwell lets the owner of p keep it for a while, if it is such a page; p is locked. It
// waits for short times, and returns for how long the fault is to be put off where
// it takes longer.
func (d *Directory) dwell(p *page, process int) (wait time.Duration) {
	if d.options.Hold == 0 || !p.exclusive {
		return 0
	}
	now := d.options.Now()
	p.hold.asked(now)
	if p.hold.bounces() {
		wait = max(d.options.Hold-(now-p.hold.granted), 0)
	}
	if left := d.turnLeft(p, now); left > 0 {
		d.turns.await(process)
		wait = max(wait, left)
	}
	if wait > holdSleep {
		return min(wait, holdLook)
	}
	if wait > 0 {
		d.options.Sleep(wait)
	}
	return 0
}

// kept reports whether the owner of q is to have it for a while.
func (d *Directory) kept(q *page) bool {
	if d.options.Hold == 0 {
		return false
	}
	now := d.options.Now()
	return now-q.hold.granted < d.options.Hold || d.turnLeft(q, now) > 0
}

// turnLeft returns for how long others have to wait for p, as it is its owner's turn.
func (d *Directory) turnLeft(p *page, now time.Duration) time.Duration {
	if d.options.Idle == nil || !p.hold.wanders() {
		return 0
	}
	return d.turns.left(int(p.owner), now, d.options.Hold, d.options.Idle)
}

// now returns the time, for granted.
func (d *Directory) now() time.Duration {
	if d.options.Hold == 0 {
		return 0
	}
	return d.options.Now()
}

// granted notes that p, at addr, was given to process to write to, which began at start.
func (d *Directory) granted(p *page, addr uintptr, process int, start time.Duration) {
	if d.options.Hold == 0 {
		return
	}
	now := d.options.Now()
	p.hold.granted, p.hold.noted = now, false
	if p.hold.wanders() && d.options.Idle != nil {
		d.turns.granted(process, addr, now, now-start, d.options.Hold)
	}
}
