package coherence

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Memory without pointers. Processes of one host need no protocol for it: they map their
// home's memory in place of their own, and the hardware keeps it coherent. What pages with
// pointers are moved for, beside coherence, is to know who may have which address (R1); a
// page without any has nothing to tell. What is said here of memory without pointers is true of stacks,
// whose pointers are told in other ways.
//
// Such pages are made common by *regions*, each of a part of one object, or of one span of
// small ones, once others than their home use them: at once where they are many, else when
// they have moved for some times.
//
// Invariants:
//   - A page of a region is exclusive at its home, which may write to it, and nobody
//     else has a copy. Those that have mapped the region have no copy of their own either: they
//     see the home's.
//   - A page enters a region with the page locked, and leaves it when its home is about to use
//     the memory for something else, when no process refers to it any more.
//   - The home learns of a region (Claim) before any page is in it, and the directory looks
//     again afterwards whether the memory still has no pointers: one of the two sees the other.
//   - Nothing here runs on a thread that answers faults: the process that maps a region may have
//     to answer, or wait for, faults meanwhile.

// Plain is what the directory knows of and does with memory without pointers.
type Plain interface {
	// Pointerless reports whether the page at addr, of home's own slot, has no pointers that a page
	// has to tell of.
	Pointerless(home int, addr uintptr) bool
	// Region returns a range around addr, of the process's own slot and within a granule,
	// that has no pointers, and whether that is worth to be made common at the first fault;
	// ok is false where there is none.
	Region(home int, addr uintptr) (r Range, large, ok bool)
	// Claim tells home that r is about to be common. It reports false, and has done
	// nothing, where Region would not return r any more.
	Claim(home int, r Range) bool
	// Release takes Claim back.
	Release(home int, r Range)
	// Map has process map the home's memory at r in place of its own. An ErrLost is a
	// session that ends; after another error nothing has changed.
	Map(process, home int, r Range) error
	// Unmap has process map its own memory at r again, of which it has nothing.
	Unmap(process int, r Range) error
}

const (
	// plainMoves is how often a page of a small region has moved when it is made
	// common: what that costs is about that of as many faults.
	plainMoves = 6
	// plainMost bounds the regions of all processes: each costs those that map it a mapping,
	// of which Linux allows 65530 (vm.max_map_count).
	plainMost = 16384
)

// region is a range of pages that all processes map from their home.
type region struct {
	Range
	mapped Set // by whom, beside the home; guarded by the plainHome's mu
}

// plainHome is what is known of the regions of one home.
type plainHome struct {
	mu      sync.Mutex // held for the whole of a change
	regions []*region  // by start
	off     bool       // something failed: no further regions
}

// tells reports whether the collectors have to know what is on the page at addr, p. It is asked
// after the page was read: memory that has become plain since is garbage as what it was, and what becomes of
// plain memory is written to only later.
func (d *Directory) tells(p *page, addr uintptr) bool {
	return d.options.Plain == nil || !d.options.Plain.Pointerless(int(p.home), addr)
}

// pin applies R1 to p, the page at addr, which has those words.
func (d *Directory) pin(p *page, addr uintptr, words []uintptr, holders Set) {
	if d.tells(p, addr) {
		d.pins.pinWords(words, holders, &p.pinned)
	}
}

// plainly reports whether a fault is to be answered by Common: p, which is locked, is in a
// region, or could be.
func (d *Directory) plainly(p *page, addr uintptr, f Fault) bool {
	if p.region != nil {
		return true
	}
	if d.options.Plain == nil || p.exclusive && int(p.owner) == f.Process {
		return false
	}
	if p.uncommon {
		p.uncommon = false
		return false
	}
	if p.wanted < plainMoves {
		p.wanted++
	}
	_, large, ok := d.options.Plain.Region(int(p.home), addr)
	return ok && (large || p.wanted >= plainMoves)
}

// Common answers a fault for which Handle had the outcome Plain. It waits for the
// process, so it is not to be called by a thread that answers faults.
func (d *Directory) Common(f Fault) error {
	addr := f.Addr &^ (PageSize - 1)
	p, err := d.page(addr)
	if err == nil {
		err = d.common(p, addr, f)
	}
	if err == nil {
		// Who waits tries again: it finds the page, or a fault that is answered in
		// another way.
		err = d.wake(f.Process, addr)
	}
	if err != nil {
		return fmt.Errorf("coherence: process %d: common memory at %#x: %w", f.Process, f.Addr, err)
	}
	return nil
}

func (d *Directory) common(p *page, addr uintptr, f Fault) error {
	home := int(p.home)
	h := &d.plain[home]
	h.mu.Lock()
	defer h.mu.Unlock()
	p.mu.Lock()
	r := p.region
	p.mu.Unlock()
	if r == nil {
		var err error
		if r, err = d.makeCommon(h, home, addr); err != nil {
			return err
		}
	}
	switch {
	case r == nil:
		p.mu.Lock()
		p.uncommon = true
		p.mu.Unlock()
		return nil
	case f.Process == home:
		m, err := d.memory(home)
		if err != nil {
			return err
		}
		if f.WP {
			return m.Unprotect(addr)
		}
		return m.InstallZero(addr) // or wakes
	case r.mapped.Has(f.Process):
		return nil
	}
	switch err := d.options.Plain.Map(f.Process, home, r.Range); {
	case errors.Is(err, ErrLost):
		return err
	case err != nil:
		h.off = true
		return d.dissolve(h, home, r)
	}
	r.mapped.Add(f.Process)
	return nil
}

// makeCommon makes a region of the memory around addr. It returns nil where there is none.
func (d *Directory) makeCommon(h *plainHome, home int, addr uintptr) (*region, error) {
	plain := d.options.Plain
	if h.off || int(d.regions.Load()) >= plainMost {
		return nil, nil
	}
	bounds, _, ok := plain.Region(home, addr)
	if !ok || !plain.Claim(home, bounds) {
		return nil, nil
	}
	m, err := d.memory(home)
	if err != nil {
		return nil, err
	}
	r := &region{Range: bounds}
	for at := bounds.Start; at < bounds.End; at += PageSize {
		p, err := d.page(at)
		if err != nil {
			return nil, err
		}
		p.mu.Lock()
		if !p.exclusive || int(p.owner) != home {
			if err = d.steal(p, at, home, m); err == nil {
				err = m.Wake(at)
			}
		}
		p.region = r
		p.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
	h.regions = slices.Insert(h.regions, h.from(bounds.Start), r)
	d.regions.Add(1)
	return r, nil
}

// dissolve ends a region.
func (d *Directory) dissolve(h *plainHome, home int, r *region) error {
	for process := range r.mapped.All() {
		if err := d.options.Plain.Unmap(process, r.Range); err != nil {
			return err
		}
	}
	for at := r.Start; at < r.End; at += PageSize {
		p, err := d.page(at)
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.region, p.wanted = nil, 0
		p.mu.Unlock()
	}
	d.options.Plain.Release(home, r.Range)
	at := h.from(r.Start)
	h.regions = slices.Delete(h.regions, at, at+1)
	d.regions.Add(-1)
	return nil
}

// Uncommon ends all regions within r, memory of home that is about to be used for something
// else. Nobody refers to it any more.
func (d *Directory) Uncommon(home int, r Range) error {
	h := &d.plain[home]
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		at := h.from(r.Start)
		if at == len(h.regions) || h.regions[at].Start >= r.End {
			return nil
		}
		known := h.regions[at]
		if known.End > r.End {
			return fmt.Errorf("coherence: process %d gives up %#x-%#x of the common memory %#x-%#x", home, r.Start, r.End, known.Start, known.End)
		}
		if err := d.dissolve(h, home, known); err != nil {
			return fmt.Errorf("coherence: process %d: giving up common memory at %#x: %w", home, known.Start, err)
		}
	}
}

// from returns the index of the first region at addr or above.
func (h *plainHome) from(addr uintptr) int {
	at, _ := slices.BinarySearchFunc(h.regions, addr, func(r *region, addr uintptr) int { return cmp.Compare(r.Start, addr) })
	return at
}
