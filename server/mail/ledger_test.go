package mail

import (
	"reflect"
	"testing"

	"remotec.dev/server/fds"
)

// newMail returns the mail of two processes.
func newMail(t *testing.T) *Mail {
	m, err := New(1, 2, 0, &fds.Space{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func TestLedgersAreOfProcessesOfThisHost(t *testing.T) {
	m := newMail(t)
	for k, want := range []bool{false, true, true, false} {
		if m.Has(k) != want {
			t.Errorf("process %d: %v", k, m.Has(k))
		}
	}
	var none *Mail
	if none.Has(0) || none.Load(0).Procs != 0 {
		t.Error("no mail has a ledger")
	}
}

func TestLoad(t *testing.T) {
	m := newMail(t)
	l := m.ledger(2)
	l.procs, l.waiting, l.listed, l.stamp = 4, 100, 1000, 7 // more than there is room for: it is not believed
	for i := range l.ready {
		l.ready[i] = uint64(i)
	}
	load := m.Load(2)
	if load.Procs != 4 || load.Waiting != 100 || load.Stamp != 7 || len(load.Ready) != readyMost || load.Ready[5] != 5 {
		t.Errorf("got %+v", load)
	}
	if other := m.Load(1); other.Procs != 0 {
		t.Errorf("the other process has %+v", other)
	}
}

func TestThreads(t *testing.T) {
	m := newMail(t)
	l := m.ledger(1)
	l.threads[9].thread, l.threads[9].goroutine = 4711, 34
	l.threads[2].thread, l.threads[2].goroutine = 4712, 35
	hint := 0
	for range 2 {
		if g := m.Goroutine(1, 4711, &hint); g != 34 || hint != 9 {
			t.Errorf("goroutine %d, found at %d", g, hint)
		}
	}
	if g := m.Goroutine(1, 4712, &hint); g != 35 {
		t.Errorf("goroutine %d", g)
	}
	if g := m.Goroutine(1, 1, &hint); g != 0 {
		t.Errorf("a thread that is not known runs goroutine %d", g)
	}
}

func TestArrivals(t *testing.T) {
	m := newMail(t)
	l := m.ledger(1)
	var got []uint64
	seen := uint64(0)
	for n := range uint64(3) {
		l.arrived[n] = 10 + n
		l.came = n + 1
		seen = m.Came(1, seen, func(g uint64) { got = append(got, g) })
	}
	if want := []uint64{10, 11, 12}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	l.came = 3 + 2*arrivedMost
	n := 0
	if m.Came(1, seen, func(uint64) { n++ }); n != arrivedMost {
		t.Errorf("%d of many that came", n)
	}
}

func TestOperations(t *testing.T) {
	m := newMail(t)
	l := m.ledger(1)
	l.traffic[3].key, l.traffic[3].count = 34<<8|3, 50
	n := 0
	m.Operations(1, func(entry int, goroutine uint64, with int, count uint32) {
		n++
		if entry != 3 || goroutine != 34 || with != 2 || count != 50 {
			t.Errorf("entry %d: goroutine %d, with %d, %d operations", entry, goroutine, with, count)
		}
	})
	if n != 1 || l.tick != 1 {
		t.Errorf("%d entries, %d looks", n, l.tick)
	}
}

// TestLabels: the hash is that of the patched runtime.
func TestLabels(t *testing.T) {
	m := newMail(t)
	if h := LabelHash("a", "b"); h != 0xe65093190491a193 {
		t.Errorf("hash %#x", h)
	}
	if LabelHash("a", "b=c") == LabelHash("a", "b") {
		t.Error("different labels have one hash")
	}
	m.Ask(1, []uint64{5, 6})
	l := m.ledger(1)
	if l.weighed != 2 || l.wanted[1] != 6 {
		t.Errorf("%d labels are wanted, the second %d", l.weighed, l.wanted[1])
	}
	l.marked = 1
	l.labels[0].goroutine, l.labels[0].mask = 34, 2
	m.Labelled(1, func(g, mask uint64) {
		if g != 34 || mask != 2 {
			t.Errorf("goroutine %d has %b", g, mask)
		}
	})
}
