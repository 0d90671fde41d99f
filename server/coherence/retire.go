package coherence

import (
	"fmt"
	"math/bits"
	"slices"
)

// Processes that retire: see the package comment.

// Estate is what a process that has retired may know: the parts of its slot that may refer to
// something.
type Estate struct {
	process int
	parts   []Range
}

// NewEstate returns the estate of a process, of which parts are the parts of its slot whose words may be
// addresses; what is not of the slot is left out.
func NewEstate(layout Layout, process int, parts []Range) *Estate {
	e := &Estate{process: process}
	slot := layout.Slot(process)
	for _, r := range parts {
		r.Start = max(r.Start, slot.Start) &^ (PageSize - 1)
		r.End = (min(r.End, slot.End) + PageSize - 1) &^ (PageSize - 1)
		if r.Start < r.End {
			e.parts = append(e.parts, r)
		}
	}
	slices.SortFunc(e.parts, func(a, b Range) int {
		if a.Start < b.Start {
			return -1
		}
		return 1
	})
	return e
}

// Bytes returns the size of the parts.
func (e *Estate) Bytes() (n uintptr) {
	for _, r := range e.parts {
		n += r.End - r.Start
	}
	return n
}

// Keep is a mark of a process that has retired, by what it has left (rule E2): it pins what that refers to,
// and the pins of the process that are older end.
func (d *Directory) Keep(e *Estate) (met int, err error) {
	process := e.process
	d.pins.start[process].Store(d.pins.seq.Add(1))
	span := uintptr(d.layout.Slots) * d.layout.SlotSize
	own := d.layout.Slot(process)
	buf := d.buffer()
	defer d.buffers.Put(buf)
	const portion = 1 << 16
	var words []uintptr
	look := func(addr uintptr) error {
		ok, err := d.contents(process, addr, buf)
		if !ok || err != nil {
			return err
		}
		for _, word := range pageWords(buf) {
			if word-d.layout.Base < span && !own.Contains(word) {
				words = append(words, word)
			}
		}
		if len(words) > portion {
			slices.Sort(words)
			words = slices.Compact(words)
			if len(words) > portion/2 {
				met += len(words)
				d.pins.Met(process, words)
				words = words[:0]
			}
		}
		return nil
	}
	for _, r := range e.parts {
		for addr := r.Start; addr < r.End; addr += PageSize {
			if err := look(addr); err != nil {
				return met, fmt.Errorf("coherence: looking at what process %d left: %w", process, err)
			}
		}
	}
	for _, addr := range d.HeldExclusive(process) {
		if err := look(addr); err != nil {
			return met, fmt.Errorf("coherence: looking at what process %d holds: %w", process, err)
		}
	}
	met += len(words)
	d.pins.Met(process, words)
	d.pins.forget(process)
	return met, nil
}

// contents reads the page at addr for a process that has retired; ok is false where another one has it to
// itself, or it has no pointers.
func (d *Directory) contents(process int, addr uintptr, buf *[PageSize]byte) (ok bool, err error) {
	s := &d.shards[addr/PageSize%uintptr(len(d.shards))]
	s.mu.Lock()
	p := s.pages[addr]
	s.mu.Unlock()
	if p == nil {
		// Nobody has asked for it, or does just now: then what is on it gets pinned after the mark
		// has begun.
		m, err := d.memory(process)
		if err != nil {
			return false, err
		}
		return true, d.readFrom(process, m, addr, buf)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.region != nil || p.exclusive && int(p.owner) != process:
		return false, nil
	case p.exclusive:
		m, err := d.memory(process)
		if err != nil {
			return false, err
		}
		return true, d.readFrom(process, m, addr, buf)
	}
	return true, d.read(p, addr, &contents{buf: buf})
}

// Retire notes that process has retired: of its slot nothing is freed, so that nobody needs
// to pin anything there.
func (p *Pins) Retire(process int) {
	for {
		old := p.retired.Load()
		if p.retired.CompareAndSwap(old, old|1<<process) {
			return
		}
	}
}

// keptBy reports whether a process that has retired is one of holders.
func (p *Pins) keptBy(holders Set) bool {
	if p.retired.Load() == 0 {
		return false
	}
	for holder := range holders.All() {
		if p.Retired(holder) {
			return true
		}
	}
	return false
}

// kept reports whether the address of row is pinned for a process that has retired.
func (p *Pins) kept(row pinRow) bool {
	for retired := p.retired.Load(); retired != 0; retired &= retired - 1 {
		holder := bits.TrailingZeros64(retired)
		if seq := row[cellSeq+holder]; seq != 0 && seq >= p.floors[holder].Load() {
			return true
		}
	}
	return false
}

// Retired reports whether a process has retired.
func (p *Pins) Retired(process int) bool { return p.retired.Load()>>process&1 != 0 }

// Leave has whole marks take place without a process, which has retired. One that is under way
// fails.
func (w *Whole) Leave(process int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all.Remove(process)
	w.over.Remove(process)
	if w.phase != wholeIdle {
		w.fail()
	}
}

// Stop has no whole mark take place, or lets them again. One that is under way fails.
func (w *Whole) Stop(stop bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = stop
	if stop {
		w.asked = false
		if w.phase != wholeIdle {
			w.fail()
		}
	}
}
