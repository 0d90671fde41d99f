package coherence

import (
	"testing"
	"time"
)

const (
	testHold = 30 * time.Microsecond
	testMove = 12 * time.Microsecond
	testTime = 200 * time.Millisecond
)

// contest is processes that each write to n pages over and over, on a clock that moves when
// it is looked at or slept on. An access takes a microsecond.
type contest struct {
	pages   int
	now     time.Duration
	writers []*writer
	busy    *writer // has its fault handled
}

type writer struct {
	memory   *fake
	at, did  int
	until    time.Duration // when it can go on
	fault    bool
	since    time.Duration // of the fault
	longest  time.Duration
	deferred int
}

func (c *contest) page(w *writer) uintptr { return pinLayout().Base + uintptr(w.at%c.pages)*PageSize }

// pass lets time pass, in which the writers work that can.
func (c *contest) pass(d time.Duration) {
	c.now += d
	for _, w := range c.writers {
		if w != c.busy {
			c.work(w)
		}
	}
}

// work has w make accesses until now, or to the next fault.
func (c *contest) work(w *writer) {
	for w.until <= c.now {
		if p := w.memory.pages[c.page(w)]; p == nil || !p.writable {
			return
		}
		if w.fault {
			w.fault = false
			w.longest = max(w.longest, c.now-w.since)
		}
		w.until += time.Microsecond
		w.did++
		w.at++
	}
}

// handle has the fault of w handled.
func (c *contest) handle(t *testing.T, d *Directory, w *writer) {
	w.until = c.now
	if !w.fault {
		w.fault, w.since = true, c.now
	}
	addr := c.page(w)
	c.busy = w
	outcome, wait, err := d.Handle(Fault{Process: w.memory.id, Addr: addr, Write: true, WP: w.memory.pages[addr] != nil})
	c.busy = nil
	if err != nil {
		t.Fatal(err)
	}
	if (outcome == Deferred) != (wait > 0) {
		t.Fatalf("outcome %v with a wait of %v", outcome, wait)
	}
	if wait > 0 {
		w.deferred++
	} else {
		c.pass(testMove)
	}
	w.until = c.now + wait
}

func TestTurns(t *testing.T) {
	for _, test := range []struct {
		processes, pages int
		working          float64 // at least so much of the time
		longest          time.Duration
	}{
		{2, 1, 0.5, 3 * testHold}, // the window of one page
		{2, 40, 0.5, turnMax + time.Millisecond},
		{2, 150, 0.5, turnMax + time.Millisecond},
		{3, 150, 0.5, 2*turnMax + 2*time.Millisecond},
	} {
		c := &contest{pages: test.pages}
		d, fakes := newFakes(pinLayout(), Options{
			NoMigration: true, NoAhead: true, Hold: testHold,
			Now:   func() time.Duration { return c.now },
			Sleep: c.pass,
			Idle:  func(int) bool { return false },
		})
		for k := range test.processes {
			c.writers = append(c.writers, &writer{memory: fakes[k], at: k * test.pages / 2})
		}
		for c.now < testTime {
			next := c.writers[0]
			for _, w := range c.writers {
				if w.until < next.until {
					next = w
				}
			}
			c.pass(max(next.until-c.now, 0))
			if next.until <= c.now {
				c.handle(t, d, next)
			}
		}
		var did int
		for k, w := range c.writers {
			did += w.did
			if w.longest > test.longest {
				t.Errorf("%+v: a fault of process %d took %v", test, k, w.longest)
			}
			if w.did < int(testTime/time.Microsecond)/test.processes/5 {
				t.Errorf("%+v: process %d had %d accesses", test, k, w.did)
			}
			t.Logf("%+v: process %d: %d accesses, %d times put off, longest fault %v", test, k, w.did, w.deferred, w.longest)
		}
		if working := float64(did) / float64(testTime/time.Microsecond); working < test.working {
			t.Errorf("%+v: work is done in %.2f of the time", test, working)
		}
	}
}
