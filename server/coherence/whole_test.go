package coherence

import (
	"slices"
	"testing"
	"time"
	"unsafe"
)

// wholeClock is the time of a Whole in tests.
type wholeClock struct{ at time.Time }

func newTestWhole(p *Pins) (*Whole, *wholeClock) {
	c := &wholeClock{time.Unix(1, 0)}
	w := NewWhole(p, WholeLimits{Gather: time.Second, Begin: time.Second, Mark: time.Second})
	w.now = func() time.Time { return c.at }
	return w, c
}

// step has all processes ask, until the last one is told want.
func step(t *testing.T, name string, ask func(int) Answer, want Answer) {
	t.Helper()
	n := pinLayout().Slots
	for process := range n - 1 {
		if got := ask(process); got != Wait {
			t.Fatalf("%s, process %d: %d, want to wait", name, process, got)
		}
	}
	for process := n - 1; process >= 0; process-- {
		if got := ask(process); got != want {
			t.Fatalf("%s, process %d: %d, want %d", name, process, got, want)
		}
	}
}

// beginWhole begins a whole mark, and returns the roots of all processes.
func beginWhole(t *testing.T, w *Whole) (roots [][]uintptr) {
	t.Helper()
	w.Ask()
	step(t, "ready", w.Ready, Go)
	for process := range pinLayout().Slots {
		if process > 0 {
			if a := w.Begun(process - 1); a != Wait {
				t.Errorf("process %d marks before process %d begins: %d", process-1, process, a)
			}
		}
		list, part := w.Begin(process)
		if !part {
			t.Fatalf("process %d has no part", process)
		}
		roots = append(roots, list)
	}
	for process := range pinLayout().Slots {
		if a := w.Begun(process); a != Go {
			t.Fatalf("process %d does not go on: %d", process, a)
		}
	}
	return roots
}

func endWhole(t *testing.T, w *Whole) {
	t.Helper()
	step(t, "quiet", w.Quiet, Go)
	step(t, "vote", w.Vote, Go)
	for process := range pinLayout().Slots {
		if !w.End(process, nil) {
			t.Errorf("process %d ends an ordinary mark", process)
		}
	}
}

func TestWholeMarkForgetsPins(t *testing.T) {
	l := pinLayout()
	p := NewPins(l)
	w, _ := newTestWhole(p)
	if a := w.Ready(0); a != No {
		t.Errorf("nobody asked: %d", a)
	}
	a, b, c := l.Slot(0).Start+8, l.Slot(1).Start+8, l.Slot(2).Start+8
	p.Pin(0, 1, a) // a and b, a cycle
	p.Pin(1, 0, b)
	p.Pin(2, 0, c) // in use
	token := p.Hold(2, c+8)
	roots := beginWhole(t, w)
	if len(roots[0]) != 0 || len(roots[1]) != 0 || !slices.Equal(roots[2], []uintptr{c + 8}) {
		t.Errorf("roots: %#x", roots)
	}
	p.Deliver(token, 1)
	// A transition's pins are no roots, but remain.
	var page [PageSize]byte
	words := (*[PageSize / 8]uintptr)(unsafe.Pointer(&page))
	words[7] = b + 64
	p.PinPage(&page, SetOf(0, 1), nil)
	if !w.Met(0, []uintptr{c}) {
		t.Error("met: no part of a whole mark")
	}
	for process, want := range []Answer{Wait, Wait, Again} {
		if got := w.Quiet(process); got != want {
			t.Errorf("process %d: %d, want %d", process, got, want)
		}
	}
	if since := p.Since(2); !slices.Equal(since, []uintptr{c}) {
		t.Errorf("since: %#x", since)
	}
	endWhole(t, w)
	wantHolders(t, p, a)
	wantHolders(t, p, b)
	wantHolders(t, p, c, 0)
	wantHolders(t, p, c+8, 1)
	wantHolders(t, p, b+64, 0)
	if done, failed := w.Counts(); done != 1 || failed != 0 {
		t.Errorf("%d done, %d failed", done, failed)
	}
}

func TestWholeMarkEndsWithNothingLeft(t *testing.T) {
	l := pinLayout()
	p := NewPins(l)
	w, _ := newTestWhole(p)
	beginWhole(t, w)
	if a := w.Vote(0); a != Back {
		t.Errorf("nobody else is quiet: %d", a)
	}
	step(t, "quiet", w.Quiet, Go)
	if w.Vote(0) != Wait || w.Vote(1) != Wait {
		t.Fatal("a vote is not waited for")
	}
	w.Met(2, []uintptr{l.Slot(0).Start})
	if a := w.Vote(2); a != Wait {
		t.Errorf("process 0 has something to mark: %d", a)
	}
	if a := w.Vote(0); a != Again {
		t.Errorf("process 0: %d", a)
	}
	p.Since(0)
	if !w.Withdraw(0, true) {
		t.Error("the vote is not withdrawn")
	}
	if a := w.Vote(2); a != Back {
		t.Errorf("process 0 is busy: %d", a)
	}
	w.Quiet(0)
	if a := w.Vote(0); a != Wait {
		t.Errorf("the vote of process 2 was: %d", a)
	}
	if a := w.Vote(2); a != Go {
		t.Errorf("all have voted: %d", a)
	}
	if w.Withdraw(0, false) {
		t.Error("a vote is withdrawn after the end")
	}
	if a := w.Vote(0); a != Go {
		t.Errorf("after the end: %d", a)
	}
}

// TestWholeMarkFails has a whole mark fail in each of its phases, and the marks
// become ordinary ones.
func TestWholeMarkFails(t *testing.T) {
	l := pinLayout()
	p := NewPins(l)
	w, clock := newTestWhole(p)
	pass := func() { clock.at = clock.at.Add(2 * time.Second) }

	w.Ask()
	w.Ready(0)
	pass()
	if a := w.Ready(1); a != No {
		t.Errorf("too late to gather: %d", a)
	}
	if a := w.Ready(0); a != No {
		t.Errorf("it has failed: %d", a)
	}

	a, b := l.Slot(0).Start+8, l.Slot(0).Start+16
	p.Pin(0, 1, a)
	w.Ask()
	step(t, "ready", w.Ready, Go)
	if roots, part := w.Begin(0); !part || len(roots) != 0 {
		t.Errorf("roots %#x, part of a whole mark: %v", roots, part)
	}
	pass()
	if a := w.Begun(0); a != No {
		t.Errorf("too late to begin: %d", a)
	}
	if since := p.Since(0); !slices.Equal(since, []uintptr{a}) {
		t.Errorf("roots after all: %#x", since)
	}
	if roots, part := w.Begin(1); part || len(roots) != 0 {
		t.Errorf("process 1 begins late: roots %#x, part: %v", roots, part)
	}
	for process := range l.Slots {
		if w.End(process, nil) {
			t.Errorf("process %d ends a whole mark", process)
		}
	}
	wantHolders(t, p, a)

	p.Pin(0, 1, a)
	beginWhole(t, w)
	var page [PageSize]byte
	(*[PageSize / 8]uintptr)(unsafe.Pointer(&page))[0] = b
	p.PinPage(&page, SetOf(2), nil)
	w.Quiet(0)
	pass()
	if a := w.Vote(2); a != No {
		t.Errorf("too late to end: %d", a)
	}
	if a := w.Quiet(0); a != No {
		t.Errorf("it has failed: %d", a)
	}
	if since := sorted(p.Since(0)); !slices.Equal(since, []uintptr{a, b}) {
		t.Errorf("roots after all: %#x", since)
	}
	w.End(1, []uintptr{a})
	w.End(2, nil)
	wantHolders(t, p, a, 1)
	wantHolders(t, p, b, 2)
	if done, failed := w.Counts(); done != 0 || failed != 3 {
		t.Errorf("%d done, %d failed", done, failed)
	}
}

// TestReceivedBeforeBegin has what a process received before it began be its own
// business.
func TestReceivedBeforeBegin(t *testing.T) {
	l := pinLayout()
	p := NewPins(l)
	w, _ := newTestWhole(p)
	a := l.Slot(0).Start + 8
	w.Ask()
	step(t, "ready", w.Ready, Go)
	w.Begin(0)
	w.Got(1, []uintptr{a})
	w.Begin(1)
	w.Got(1, []uintptr{a + 8, 5})
	w.Begin(2)
	if since := p.Since(0); !slices.Equal(since, []uintptr{a + 8}) {
		t.Errorf("since: %#x", since)
	}
	wantHolders(t, p, a, 1)
}
