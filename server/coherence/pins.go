package coherence

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Pins is the set of addresses that other processes may know: the roots that
// distributed references add to the garbage collection of each process. See
// the package comment for why that is enough.
//
// A pin is (owner of the address, holder, address, seq). seq is the number of
// marks that have begun anywhere, so a pin of a holder is older than its
// present mark or not, which is all that is ever asked. A holder's floor is
// the seq below which its pins do not count: ending a mark is an increase of
// the floor, at all owners at once.
type Pins struct {
	layout Layout
	seq    atomic.Uint32
	floors []atomic.Uint32 // by holder
	start  []atomic.Uint32 // by holder: seq of its present mark
	owners []pinOwner

	mu      sync.Mutex // guards flights, token; taken before a pinOwner's
	flights map[uint64]flight
	token   uint64

	retired atomic.Uint64 // by process, a bit each: see Retire
	seed    uint64        // of the hash of pinned
	unsound unsoundness
}

// flight is a message under way that carries an address.
type flight struct {
	owner int
	addr  uintptr
}

type pinOwner struct {
	mu      sync.Mutex
	table   *pinTable
	mark    uint32 // number of the owner's marks
	marking bool
	whole   bool      // the owner's mark is part of a whole mark
	log     []uintptr // pinned in this mark, not yet returned by Since
	_       [64]byte  // the locks of two owners are in different cache lines
}

// pinned says what was pinned for whom when a page changed hands.
type pinned struct {
	hash    uint64 // of the addresses
	seq     uint32 // before the pins were made; 0: never
	holders Set
}

// mix is a step of a hash of words. (W. Yi's wyhash.)
func mix(hash, word uint64) uint64 {
	hi, lo := bits.Mul64(hash^word, 0x9e3779b97f4a7c15)
	return hi ^ lo
}

// unsoundness turns rules off, for tests that must then find a lost object.
type unsoundness struct {
	noLog  bool // Since returns nothing
	noPage bool // PinPage does nothing
	noFall bool // a whole mark that fails has no more roots for it
}

// NewPins returns the pins of a session with the given layout.
func NewPins(layout Layout) *Pins {
	processes := layout.Slots
	p := &Pins{
		layout:  layout,
		floors:  make([]atomic.Uint32, processes),
		start:   make([]atomic.Uint32, processes),
		owners:  make([]pinOwner, processes),
		flights: make(map[uint64]flight),
	}
	p.seq.Store(1)
	p.seed = rand.Uint64()
	for i := range p.owners {
		p.owners[i].table = newPinTable(processes, 0)
	}
	return p
}

// live says whether anybody holds the address of row.
func (p *Pins) live(row pinRow) bool {
	if row[cellFlights] != 0 {
		return true
	}
	for holder, seq := range row[cellSeq:] {
		if seq != 0 && seq >= p.floors[holder].Load() {
			return true
		}
	}
	return false
}

// row returns the row of addr and, in a mark of the owner, reports addr. Where
// the mark is part of a whole one, it reports only what is reached: somebody met it,
// or it is in a message. o.mu is held.
func (p *Pins) row(o *pinOwner, addr uintptr, reached bool) pinRow {
	if o.table.full() {
		o.table = o.table.rebuilt(p.live)
	}
	row := o.table.add(addr)
	if o.marking && (reached || !o.whole) && row[cellSeen] != o.mark {
		row[cellSeen] = o.mark
		if !p.unsound.noLog {
			o.log = append(o.log, addr)
		}
	}
	return row
}

// Pin notes that holder knows addr, which owner allocated. It counts until the
// end of holder's first mark that begins later and does not meet addr.
func (p *Pins) Pin(owner, holder int, addr uintptr) { p.pin(owner, holder, addr, true) }

// pin is Pin; in a whole mark the pin is a root only where addr was reached.
func (p *Pins) pin(owner, holder int, addr uintptr, reached bool) {
	if addr == 0 {
		return
	}
	o := &p.owners[owner]
	o.mu.Lock()
	p.row(o, addr, reached)[cellSeq+holder] = p.seq.Load()
	o.mu.Unlock()
}

// PinPage pins every aligned word of data that looks like an address in a slot
// for each of holders, but not for the address's own owner: what that does with
// its own objects is the business of its own marks.
//
// last, if it is not nil, is what PinPage left there for the page's last transition. Pages
// that wander have the same pointers on them most of the time: they are pinned
// already, unless a mark has begun since.
func (p *Pins) PinPage(data *[PageSize]byte, holders Set, last *pinned) {
	p.pinWords(pageWords(data)[:], holders, last)
}

// pinWords is PinPage for the words of a page, of which those may be left out that [Layout.Words]
// leaves out: the rest has the same hash.
func (p *Pins) pinWords(words []uintptr, holders Set, last *pinned) {
	if p.unsound.noPage {
		return
	}
	layout := &p.layout
	var (
		found  [PageSize / 8]uintptr
		n      int
		owners Set
		span   = uintptr(layout.Slots) * layout.SlotSize
		shift  = bits.TrailingZeros64(uint64(layout.SlotSize))
		before uintptr
		hash   = p.seed
		now    = p.seq.Load()
	)
	for _, word := range words {
		if word-layout.Base < span && word != before {
			found[n] = word
			n++
			before = word
			hash = mix(hash, uint64(word))
			owners.Add(int((word - layout.Base) >> shift))
		}
	}
	if n == 0 {
		return
	}
	if last != nil {
		if last.hash == hash && last.seq == now && last.holders.Includes(holders) {
			return
		}
		defer func() { *last = pinned{hash, now, holders} }()
	}
	var list [MaxProcesses]uint8
	kept := p.keptBy(holders)
	for owner := range owners.All() {
		if p.Retired(owner) {
			continue
		}
		k := 0
		for holder := range holders.All() {
			if holder != owner {
				list[k] = uint8(holder)
				k++
			}
		}
		if k == 0 {
			continue
		}
		slot := layout.Slot(owner)
		o := &p.owners[owner]
		o.mu.Lock()
		seq := p.seq.Load()
		for _, addr := range found[:n] {
			if addr-slot.Start >= layout.SlotSize {
				continue
			}
			row := p.row(o, addr, kept)
			for _, holder := range list[:k] {
				row[cellSeq+int(holder)] = seq
			}
		}
		o.mu.Unlock()
	}
}

// pageWords returns the words of a page.
func pageWords(data *[PageSize]byte) *[PageSize / 8]uintptr {
	return (*[PageSize / 8]uintptr)(unsafe.Pointer(data))
}

// Begin starts a mark of process, whose world is stopped. It returns the
// addresses in its slot that are pinned: roots of the mark. Those that get
// pinned from now on are returned by Since. Only after Begin may the caller
// ask for Directory.HeldExclusive.
func (p *Pins) Begin(process int) (roots []uintptr) { return p.begin(process, false) }

// begin is Begin; in a whole mark the roots are what messages under way refer to, and what is
// pinned for processes that have retired.
func (p *Pins) begin(process int, whole bool) (roots []uintptr) {
	// The holder's side first: an earlier start only keeps more.
	p.start[process].Store(p.seq.Add(1))

	o := &p.owners[process]
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mark++
	o.marking, o.whole = true, whole
	o.log = o.log[:0]
	live := 0
	for i, key := range o.table.keys {
		if key == 0 {
			continue
		}
		if row := o.table.row(i); p.live(row) {
			live++
			if !whole || row[cellFlights] != 0 || p.kept(row) {
				row[cellSeen] = o.mark
				roots = append(roots, key)
			}
		}
	}
	if dead := o.table.used - live; dead > o.table.used/2 {
		o.table = o.table.rebuilt(p.live)
	}
	return roots
}

// Since returns the addresses in process's slot that got pinned since Begin or
// the last Since, and were not pinned then.
func (p *Pins) Since(process int) []uintptr {
	o := &p.owners[process]
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.log) == 0 {
		return nil
	}
	log := o.log
	o.log = nil
	return log
}

// logged says whether Since would return something.
func (p *Pins) logged(process int) bool {
	o := &p.owners[process]
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.log) > 0
}

// fall makes the mark of process, part of a whole one, an ordinary one: Since
// returns all that was no root so far.
func (p *Pins) fall(process int) {
	o := &p.owners[process]
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.whole || p.unsound.noFall {
		return
	}
	o.whole = false
	for i, key := range o.table.keys {
		if key == 0 {
			continue
		}
		if row := o.table.row(i); row[cellSeen] != o.mark && p.live(row) {
			row[cellSeen] = o.mark
			o.log = append(o.log, key)
		}
	}
}

// forget has the pins of process end that are older than its present mark.
func (p *Pins) forget(process int) { p.floors[process].Store(p.start[process].Load()) }

// End ends the mark of process. met are the addresses in other slots that the
// mark met; others are ignored. What process holds is now what it met, and what
// was pinned for it since Begin.
func (p *Pins) End(process int, met []uintptr) {
	// All of met is pinned before anything ceases to count: an object that was
	// protected by way of another one is at no time without a pin.
	p.Met(process, met)
	p.forget(process)

	o := &p.owners[process]
	o.mu.Lock()
	o.marking, o.whole = false, false
	o.log = nil
	o.mu.Unlock()
}

// Met pins addresses in other slots that the mark of process met; others are
// ignored.
func (p *Pins) Met(process int, met []uintptr) {
	layout := &p.layout
	byOwner := make([][]uintptr, len(p.owners))
	for _, addr := range met {
		if !layout.slots().Contains(addr) {
			continue
		}
		if owner := int((addr - layout.Base) / layout.SlotSize); owner != process {
			byOwner[owner] = append(byOwner[owner], addr)
		}
	}
	for owner, addrs := range byOwner {
		if p.Retired(owner) {
			continue
		}
		// In portions, because faults wait for the lock.
		const portion = 256
		o := &p.owners[owner]
		for len(addrs) > 0 {
			n := min(len(addrs), portion)
			o.mu.Lock()
			seq := p.seq.Load()
			for _, addr := range addrs[:n] {
				p.row(o, addr, true)[cellSeq+process] = seq
			}
			o.mu.Unlock()
			addrs = addrs[n:]
		}
	}
}

// Hold pins addr for a message under way, until Deliver or Discard. The sender calls
// it while it still holds the reference itself.
func (p *Pins) Hold(owner int, addr uintptr) (token uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := &p.owners[owner]
	o.mu.Lock()
	p.row(o, addr, true)[cellFlights]++
	o.mu.Unlock()
	p.token++
	p.flights[p.token] = flight{owner, addr}
	return p.token
}

// Deliver turns the pin of a message into an ordinary one of holder, which has
// the address now or gets it before its next mark ends. holder may be the owner.
// An unknown token, or one delivered before, does nothing.
func (p *Pins) Deliver(token uint64, holder int) {
	p.land(token, func(row pinRow) { row[cellSeq+holder] = p.seq.Load() })
}

// Discard gives up the pin of a message that reaches nobody.
func (p *Pins) Discard(token uint64) { p.land(token, func(pinRow) {}) }

func (p *Pins) land(token uint64, at func(pinRow)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.flights[token]
	if !ok {
		return
	}
	delete(p.flights, token)
	o := &p.owners[f.owner]
	o.mu.Lock()
	defer o.mu.Unlock()
	row := p.row(o, f.addr, false) // it was reported by Hold
	at(row)
	row[cellFlights]--
}

// Abandon gives up all that process holds: it is gone.
func (p *Pins) Abandon(process int) {
	p.start[process].Store(math.MaxUint32)
	p.floors[process].Store(math.MaxUint32)
}

// Len returns how many addresses are pinned at owner.
func (p *Pins) Len(owner int) (n int) {
	o := &p.owners[owner]
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, key := range o.table.keys {
		if key != 0 && p.live(o.table.row(i)) {
			n++
		}
	}
	return n
}

// Holders returns who holds addr at owner, and how many messages under way do.
// It is meant for tests and reports.
func (p *Pins) Holders(owner int, addr uintptr) (holders Set, flights int) {
	o := &p.owners[owner]
	o.mu.Lock()
	defer o.mu.Unlock()
	if addr == 0 {
		return
	}
	for i, key := range o.table.keys {
		if key != addr {
			continue
		}
		row := o.table.row(i)
		for holder, seq := range row[cellSeq:] {
			if seq != 0 && seq >= p.floors[holder].Load() {
				holders.Add(holder)
			}
		}
		return holders, int(row[cellFlights])
	}
	return
}

// String returns the numbers of pins, by owner.
func (p *Pins) String() string {
	counts := make([]int, len(p.owners))
	for i := range counts {
		counts[i] = p.Len(i)
	}
	return fmt.Sprintf("pins by owner: %d", counts)
}
