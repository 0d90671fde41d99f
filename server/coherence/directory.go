package coherence

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the switches of a Directory.
type Options struct {
	// NoMigration turns off that a read of a page that wanders from process to
	// process gets it writable at once.
	NoMigration bool
	// NoAhead turns off that a process which goes from page to page gets several at
	// once.
	NoAhead bool
	// Hold is how long a process keeps a page at least that is asked for by others
	// again and again; 0: not at all. Otherwise Now is a clock, and Sleep waits.
	Hold  time.Duration
	Now   func() time.Duration
	Sleep func(time.Duration)
	// Idle reports whether a process has nothing to do, or is not known to have. Without
	// it there are no turns.
	Idle func(process int) bool
	// Plain makes memory without pointers common, see plain.go; nil: that moves as
	// other memory does.
	Plain Plain
	// Where returns the program counter at which a thread of this host waits for a page, or
	// 0. It may be nil. It is asked only while somebody watches: see Watch.
	Where func(thread int) uintptr
}

// Directory knows for each page who has it, and moves pages.
type Directory struct {
	layout   Layout
	options  Options
	pins     *Pins
	memories []atomic.Pointer[Memory] // by process
	held     []held                   // by process
	shards   [256]shard
	readers  []readers // by process
	writers  []readers // by process: where it writes to its copies
	turns    turns
	plain    []plainHome  // by home
	regions  atomic.Int64 // of all homes
	sharing  sharing
	buffers  sync.Pool // of *[PageSize]byte
	runs     sync.Pool // of *runBuffer
}

// shard is a part of the table of pages. Its lock is held for a lookup only.
type shard struct {
	mu    sync.Mutex
	pages map[uintptr]*page
}

// page is the state of one page.
type page struct {
	mu        sync.Mutex
	holders   Set   // who has a copy; never empty
	owner     int16 // who may write, where exclusive
	exclusive bool  // then owner is the only holder
	home      int16
	migration migration
	hold      hold
	pinned    pinned
	region    *region // nil: none
	wanted    uint8   // faults that count for plainMoves
	uncommon  bool    // the next fault is answered by moving it
	moves     uint32  // faults that took it from a process, or a right from it
	bounce    *bounce // details of it, nil or stale; see sharing.go
}

// held is the set of pages of other homes that a process may write to.
type held struct {
	mu    sync.Mutex
	pages map[uintptr]struct{}
}

// NewDirectory returns the directory of a session in which every page is at its
// home, and the memories are yet to be set.
func NewDirectory(layout Layout, pins *Pins, options Options) *Directory {
	d := &Directory{
		layout:   layout,
		options:  options,
		pins:     pins,
		memories: make([]atomic.Pointer[Memory], layout.Slots),
		held:     make([]held, layout.Slots),
		readers:  make([]readers, layout.Slots),
		writers:  make([]readers, layout.Slots),
		plain:    make([]plainHome, layout.Slots),
	}
	for i := range d.shards {
		d.shards[i].pages = make(map[uintptr]*page)
	}
	for i := range d.held {
		d.held[i].pages = make(map[uintptr]struct{})
	}
	d.turns.init(layout.Slots)
	d.sharing.init(layout.Slots)
	d.buffers.New = func() any { return new([PageSize]byte) }
	d.runs.New = func() any { return new(runBuffer) }
	return d
}

// SetMemory tells the directory what the memory of process is. Faults that need
// the memory of a process that has none yet fail.
func (d *Directory) SetMemory(process int, memory Memory) {
	d.memories[process].Store(&memory)
}

func (d *Directory) memory(process int) (Memory, error) {
	if m := d.memories[process].Load(); m != nil {
		return *m, nil
	}
	return nil, fmt.Errorf("process %d has not joined the session", process)
}

// page returns the state of the page at addr, unlocked.
func (d *Directory) page(addr uintptr) (*page, error) {
	s := &d.shards[addr/PageSize%uintptr(len(d.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pages[addr]
	if p == nil {
		home, ok := d.layout.Home(addr)
		if !ok {
			return nil, fmt.Errorf("%#x is in no slot and no range of globals", addr)
		}
		p = &page{holders: SetOf(home), owner: int16(home), exclusive: true, home: int16(home)}
		p.migration.reader = nobody
		s.pages[addr] = p
	}
	return p, nil
}

// HeldExclusive returns the pages that process may write to and is not home of.
// It may have put pointers there that no other process has seen: they are roots
// of its garbage collection, which calls this after Pins.Begin, with the world
// still stopped, and has to read every page in full during the mark, even where
// another process has taken the page since. Memory without pointers, and stacks, are left out.
func (d *Directory) HeldExclusive(process int) []uintptr {
	h := &d.held[process]
	h.mu.Lock()
	pages := slices.AppendSeq(make([]uintptr, 0, len(h.pages)), maps.Keys(h.pages))
	h.mu.Unlock()
	if d.options.Plain != nil {
		pages = slices.DeleteFunc(pages, func(page uintptr) bool {
			home, ok := d.layout.Home(page)
			return ok && d.options.Plain.Pointerless(home, page)
		})
	}
	slices.Sort(pages)
	return pages
}

func (d *Directory) hold(process int, addr uintptr) {
	h := &d.held[process]
	h.mu.Lock()
	h.pages[addr] = struct{}{}
	h.mu.Unlock()
}

func (d *Directory) release(process int, addr uintptr) {
	h := &d.held[process]
	h.mu.Lock()
	delete(h.pages, addr)
	h.mu.Unlock()
}

// State is what the directory knows of a page.
type State struct {
	Home      int
	Exclusive bool // the only holder may write
	Holders   Set
}

// State returns the state of the page at addr, for tests and reports.
func (d *Directory) State(addr uintptr) (State, error) {
	p, err := d.page(addr &^ (PageSize - 1))
	if err != nil {
		return State{}, fmt.Errorf("coherence: state: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return State{Home: int(p.home), Exclusive: p.exclusive, Holders: p.holders}, nil
}

// Pages returns for how many pages the directory keeps a state: those that had a
// fault.
func (d *Directory) Pages() (n int) {
	for i := range d.shards {
		s := &d.shards[i]
		s.mu.Lock()
		n += len(s.pages)
		s.mu.Unlock()
	}
	return n
}
