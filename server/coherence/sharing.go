package coherence

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// What goes between processes, for reports: how many faults each pair of them has, and
// which pages they take from each other most often, with the words that they
// wanted there. That tells *false sharing*, of neighbours that different processes use, from
// true sharing, of one value that all use.
//
// Each page counts its moves. Those with most are *tracked*: a bounded number of them has
// room for details. A page asks for that when its moves reach a power of two; it gets the room of one
// that has not moved for bounceIdle, or else of the one with fewest moves, if these are fewer.
//
// Invariants: what a fault costs here is bounded, and takes no lock that all faults take,
// but when a page asks to be tracked. Locks: a page's, then sharing.mu, then bounce.mu.

const (
	tracked     = 128 // pages
	trackFrom   = 8   // moves
	bounceWords = 32  // words of a tracked page, by process
	bouncePlace = 16  // places in the program that want it, by process
	bounceIdle  = 10 * time.Second
	placeFirst  = 16 // faults of a page whose place is looked up, from when it is tracked
	placeEvery  = 32 // then one of so many
)

// sharing is what a directory keeps for reports.
type sharing struct {
	slots   int
	traffic []pairTraffic // [from*slots+to]
	watched atomic.Int64  // Unix time in ns until when places are looked up

	mu    sync.Mutex
	pages [tracked]*bounce // those in use come first; guarded by mu
	used  int              // guarded by mu
}

type pairTraffic struct{ copies, moves atomic.Uint64 }

// Traffic is how many faults of process To were answered by process From's pages.
type Traffic struct {
	From, To int
	Copies   uint64 // pages that To may read since
	Moves    uint64 // pages that only To has since, or may write to
}

// Bounce is a page that processes take from each other.
type Bounce struct {
	Page   uintptr
	Home   int
	Moves  uint64 // since the session began; what follows, since it is tracked
	Copies uint64
	Since  time.Time
	Last   time.Time // move
	Words  []Word    // those wanted most often first
	Places []Place
}

// Word is a word of a page that a process wanted and had to wait for.
type Word struct {
	Offset  int // in bytes, a multiple of 8
	Process int
	Reads   uint64
	Writes  uint64
}

// Place is where a process did so.
type Place struct {
	PC      uintptr
	Process int
	Write   bool
	Offset  int    // of the word, the last time
	Count   uint64 // of the faults whose place was looked up
}

// bounce is the details of a tracked page.
type bounce struct {
	mu     sync.Mutex
	addr   uintptr // guarded by mu, as is the rest
	home   int
	moves  uint64
	copies uint64
	asked  uint32 // faults, for whose places are looked up
	since  time.Time
	last   time.Time
	words  []Word
	places []Place
}

func (s *sharing) init(slots int) {
	s.slots = slots
	s.traffic = make([]pairTraffic, slots*slots)
}

// source returns whose copy of p a fault of process is answered with.
func (p *page) source(process int) int {
	if p.exclusive {
		return int(p.owner)
	}
	if p.holders.Has(int(p.home)) && int(p.home) != process {
		return int(p.home)
	}
	for holder := range p.holders.All() {
		if holder != process {
			return holder
		}
	}
	return process
}

// details returns those of p, at addr, locked, or nil where it is not tracked; p is locked.
func (p *page) details(addr uintptr) *bounce {
	b := p.bounce
	if b == nil {
		return nil
	}
	b.mu.Lock()
	if b.addr != addr {
		b.mu.Unlock()
		p.bounce = nil
		return nil
	}
	return b
}

// sample returns the place of f in the program, if it is to be noted, or 0; p is locked.
func (d *Directory) sample(p *page, addr uintptr, f Fault) uintptr {
	if p.bounce == nil || d.options.Where == nil || f.Thread == 0 {
		return 0
	}
	until := d.sharing.watched.Load()
	if until == 0 || time.Now().UnixNano() > until {
		return 0
	}
	b := p.details(addr)
	if b == nil {
		return 0
	}
	b.asked++
	asked := b.asked
	b.mu.Unlock()
	if asked > placeFirst && asked%placeEvery != 0 {
		return 0
	}
	return d.options.Where(f.Thread)
}

// count notes how a fault on p was answered, with a page of from, and its place if that
// is known; p is locked.
func (d *Directory) count(p *page, addr uintptr, f Fault, outcome Outcome, from int, at uintptr) {
	move := false
	switch outcome {
	case Stolen, Migrated, Upgraded:
		move = true
	case Shared:
	default:
		return
	}
	s := &d.sharing
	pair := &s.traffic[from*s.slots+f.Process]
	if !move {
		pair.copies.Add(1)
	} else {
		pair.moves.Add(1)
		p.moves++
		if n := p.moves; n >= trackFrom && n&(n-1) == 0 {
			s.track(p, addr)
		}
	}
	b := p.details(addr)
	if b == nil {
		return
	}
	defer b.mu.Unlock()
	if move {
		b.moves = uint64(p.moves)
		b.last = time.Now()
	} else {
		b.copies++
	}
	b.note(f, at)
}

// track makes p, at addr, tracked, if it is not, and if there is room; p is locked.
func (s *sharing) track(p *page, addr uintptr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var least *bounce
	leastMoves, idle := uint64(p.moves), false
	for _, b := range s.pages[:s.used] {
		b.mu.Lock()
		switch stale := now.Sub(b.last) > bounceIdle; {
		case b.addr == addr:
			b.mu.Unlock()
			p.bounce = b
			return
		case stale && !idle, stale == idle && b.moves < leastMoves:
			least, leastMoves, idle = b, b.moves, stale
		}
		b.mu.Unlock()
	}
	if s.used < tracked {
		least = &bounce{words: make([]Word, 0, bounceWords), places: make([]Place, 0, bouncePlace)}
		s.pages[s.used] = least
		s.used++
	}
	if least == nil {
		return
	}
	b := least
	b.mu.Lock()
	b.addr, b.home, b.moves, b.copies, b.asked = addr, int(p.home), uint64(p.moves), 0, 0
	b.since, b.last, b.words, b.places = now, now, b.words[:0], b.places[:0]
	b.mu.Unlock()
	p.bounce = b
}

// note counts the word and the place that a fault was about; b is locked. Where there is no
// room, the one with fewest counts gives way, and hands them on, so that one that comes often stays.
// (Metwally, Agrawal and El Abbadi: Efficient computation of frequent and top-k elements, ICDT 2005.)
func (b *bounce) note(f Fault, at uintptr) {
	offset := int(f.Addr%PageSize) &^ 7
	var w *Word
	for i := range b.words {
		if o := &b.words[i]; o.Offset == offset && o.Process == f.Process {
			w = o
			break
		}
	}
	if w == nil && len(b.words) < bounceWords {
		b.words = append(b.words, Word{Offset: offset, Process: f.Process})
		w = &b.words[len(b.words)-1]
	}
	if w == nil {
		w = &b.words[0]
		for i := range b.words {
			if o := &b.words[i]; o.Reads+o.Writes < w.Reads+w.Writes {
				w = o
			}
		}
		w.Offset, w.Process = offset, f.Process
	}
	if f.Write {
		w.Writes++
	} else {
		w.Reads++
	}
	if at == 0 {
		return
	}
	least := 0
	for i := range b.places {
		o := &b.places[i]
		if o.PC == at && o.Process == f.Process && o.Write == f.Write {
			o.Count++
			o.Offset = offset
			return
		}
		if o.Count < b.places[least].Count {
			least = i
		}
	}
	next := Place{PC: at, Process: f.Process, Write: f.Write, Offset: offset, Count: 1}
	if len(b.places) < bouncePlace {
		b.places = append(b.places, next)
	} else {
		next.Count += b.places[least].Count
		b.places[least] = next
	}
}

// Watch has the places of faults looked up for a while: somebody wants a report.
func (d *Directory) Watch(until time.Time) { d.sharing.watched.Store(until.UnixNano()) }

// Traffic returns the faults of all pairs of processes that have any.
func (d *Directory) Traffic() (list []Traffic) {
	s := &d.sharing
	for i := range s.traffic {
		t := Traffic{From: i / s.slots, To: i % s.slots, Copies: s.traffic[i].copies.Load(), Moves: s.traffic[i].moves.Load()}
		if t.Copies|t.Moves != 0 {
			list = append(list, t)
		}
	}
	return list
}

// Bounces returns the pages that are tracked, those with most moves first.
func (d *Directory) Bounces() []Bounce {
	s := &d.sharing
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Bounce, 0, s.used)
	for _, b := range s.pages[:s.used] {
		b.mu.Lock()
		list = append(list, Bounce{
			Page: b.addr, Home: b.home, Moves: b.moves, Copies: b.copies, Since: b.since, Last: b.last,
			Words: slices.Clone(b.words), Places: slices.Clone(b.places),
		})
		b.mu.Unlock()
	}
	for i := range list {
		slices.SortFunc(list[i].Words, func(a, b Word) int { return cmp.Compare(b.Reads+b.Writes, a.Reads+a.Writes) })
		slices.SortFunc(list[i].Places, func(a, b Place) int { return cmp.Compare(b.Count, a.Count) })
	}
	slices.SortFunc(list, func(a, b Bounce) int { return cmp.Compare(b.Moves, a.Moves) })
	return list
}
