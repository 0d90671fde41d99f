package coherence

import "time"

// hold keeps a page that processes take from each other in quick succession with
// each of them for a while. Without it the process that just got the page loses it
// again after one access, and the next access of both is a fault; with it, each
// makes many: throughput for latency. (The time window of Mirage: Fleisch and Popek,
// SOSP 1989.)
type hold struct {
	granted time.Duration // when the present owner got the page, on the directory's clock
	quick   uint8         // times in sequence that it went on within holdQuick
}

const (
	holdQuick = 100 * time.Microsecond
	holdAfter = 4 // quick moves, from which on a page is kept
)

// keep returns how long the owner keeps the page, which another process asks for now.
func (h *hold) keep(now, hold time.Duration) time.Duration {
	age := now - h.granted
	if age > holdQuick {
		h.quick = 0
		return 0
	}
	if h.quick < holdAfter {
		h.quick++
		return 0
	}
	return max(hold-age, 0)
}

// dwell lets the owner of p keep it for a while, if it is such a page; p is locked.
func (d *Directory) dwell(p *page) {
	if d.options.Hold == 0 || !p.exclusive {
		return
	}
	if wait := p.hold.keep(d.options.Now(), d.options.Hold); wait > 0 {
		d.options.Sleep(wait)
	}
}

// justGranted reports whether the owner of q has it for a short time only.
func (d *Directory) justGranted(q *page) bool {
	return d.options.Hold != 0 && d.options.Now()-q.hold.granted < d.options.Hold
}

// granted notes that p was given to a process to write to.
func (d *Directory) granted(p *page) {
	if d.options.Hold != 0 {
		p.hold.granted = d.options.Now()
	}
}
