package coherence

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
)

// The explorer visits the states of a small model of the distributed garbage
// collection, breadth first, and looks for one in which an object is swept that
// some process can reach. Objects have one field, processes one or two registers
// (a stack without write barriers); transitions of pages, pins, marks and sweeps
// follow the package comment, one small step at a time. Pages move for no
// reason, too, which covers prefetching and migration. A state is remembered by a
// hash of 64 bits.

const (
	maxProcs, maxObjects, maxRegs = 3, 3, 2
	none                          = -1
)

// model is a configuration and which rules are left out.
type model struct {
	procs, regs int
	home        []int8 // of each object, which has a page to itself
	flights     bool   // references travel in messages, too
	limit       int    // of states
	linked      bool   // the first object refers to the second
	stray       bool   // it lies on a page that process 1 holds, who alone knows
	demand      bool   // pages move to who has a use for them only
	collectors  uint8  // who collects; 0: all
	whole       bool   // there are whole marks, too
	fails       bool   // which may fail
	cycle       bool   // at first, two objects refer to each other, which nobody knows
	queues      bool   // the sender of a message keeps what it refers to, until the receiver pinned it
	delays      bool   // messages are pinned some time after they were sent
	retires     bool   // process 1 may retire
	left        int8   // it has: with object 1, which refers to object left-1; 0: it has not
	leftHeld    bool   // on a page that process 0 holds, who alone has that pinned

	// A state in which complain returns something is as bad as a lost object.
	complain func(*exState) string

	// Rules that can be left out.
	noTransitionPins bool // no pins at transitions
	noHomePin        bool // none for the page's home
	noRequesterPin   bool // none for who gets the page exclusively
	noLoserPin       bool // none for who loses it
	noSince          bool // roots pinned during a mark are not scanned
	noHeldRoots      bool // pages held exclusively are no roots
	noForeignBarrier bool // a write to a foreign page shades nothing
	noNewPins        bool // End drops pins of this cycle, too
	pruneFirst       bool // End drops at all owners, then pins what was met
	noHold           bool // a message under way pins nothing

	noGather    bool // a process marks in a whole mark while others have not begun
	noVote      bool // a process ends its part of a whole mark when it has no more to do
	noTelling   bool // what was met in a whole mark is told at the end only
	noFallPins  bool // when a whole mark fails, the pins do not become roots
	noFallHeld  bool // nor do the pages held exclusively
	noSendShade bool // what is sent during a mark is not shaded
	noAwait     bool // a mark begins when what was sent before is not yet pinned
	noGot       bool // the receiver does not pin what the sender ceases to keep
	queueOnce   bool // what the sender keeps is marked some time, not right before the end

	noKeepMet   bool // a look at what a retired process left meets nothing
	noKeptRoots bool // what is pinned for a retired process is no root of a whole mark
	noKeptSince bool // nor is what gets pinned for it during one
	noKeptHeld  bool // nor are pages of its slot that are held exclusively
}

type exState struct {
	field  [maxObjects]int8
	reg    [maxProcs][maxRegs]int8
	alive  uint8
	owner  [maxObjects]int8 // exclusive holder of the page, or none
	hold   [maxObjects]uint8
	old    [maxProcs]uint8 // by holder: objects pinned
	new    [maxProcs]uint8 // by holder: since its mark began
	flight int8            // object in a message
	from   int8            // its sender, with queues or delays
	unheld bool            // it is not yet pinned
	queue  [maxProcs]exQueued
	gone   uint8 // processes that have retired
	gc     [maxProcs]exMark
}

// exQueued is a message that its sender keeps.
type exQueued struct {
	object int8
	by     int8 // who received it, or none
}

type exMark struct {
	phase   uint8 // idle, marking, terminated (world stopped), pruned, gathered
	whole   bool  // part of a whole mark
	won     bool  // which is complete
	told    uint8 // foreign objects that the owner knows to be met
	stack   bool  // scanned
	queue   bool  // scanned
	marked  uint8 // own objects
	scanned uint8 // own objects
	met     uint8 // foreign objects
	pages   uint8 // foreign pages yet to be scanned
	log     uint8 // pinned, not yet seen by Since
	seen    uint8 // roots or logged
}

const (
	idle = iota
	marking
	terminated
	pruned   // only with pruneFirst: dropped, what was met not yet pinned
	gathered // in a whole mark: world stopped, until all are
)

func (m *model) initial() exState {
	s := exState{flight: none}
	for o := range maxObjects {
		s.field[o], s.owner[o] = none, none
	}
	for p := range maxProcs {
		for r := range maxRegs {
			s.reg[p][r] = none
		}
		s.queue[p] = exQueued{object: none, by: none}
	}
	for o, home := range m.home {
		s.owner[o], s.hold[o] = home, 1<<home
	}
	if m.cycle {
		s.field[0], s.field[1], s.alive = 1, 0, 3
		m.pin(&s, 1, int(m.home[0]))
		m.pin(&s, 0, int(m.home[1]))
		return s
	}
	if m.left != 0 {
		refers := m.left - 1
		s.gone = 1 << 1
		s.alive = 1<<1 | 1<<refers
		s.field[1] = refers
		s.reg[0][0] = 1
		if m.leftHeld {
			s.owner[1], s.hold[1] = 0, 1
			if m.home[refers] != 0 {
				m.pin(&s, refers, 0)
			}
		} else {
			m.pin(&s, refers, 1)
		}
		return s
	}
	// Each process has an object of its own, and all know the first.
	for o, home := range m.home {
		if s.reg[home][0] == none {
			s.reg[home][0] = int8(o)
			s.alive |= 1 << o
		}
	}
	if m.linked {
		s.field[0] = 1
		s.alive |= 2
		if m.stray {
			s.owner[0], s.hold[0] = 1, 1<<1
			s.reg[1][0] = none
		} else if m.home[1] != m.home[0] {
			m.pin(&s, 1, int(m.home[0]))
		}
	}
	for p := 1; p < m.procs; p++ {
		if m.stray && p == 1 {
			continue
		}
		s.reg[p][m.regs-1] = 0
		m.pin(&s, 0, p)
	}
	return s
}

func (m *model) pin(s *exState, object int8, holder int) { m.pinReached(s, object, holder, true) }

// pinReached is pin; in a whole mark a pin is a root only if the object was reached.
func (m *model) pinReached(s *exState, object int8, holder int, reached bool) {
	owner := m.home[object]
	bit := uint8(1) << object
	if g := &s.gc[holder]; g.phase != idle {
		s.new[holder] |= bit
		s.old[holder] &^= bit
	} else {
		s.old[holder] |= bit
	}
	if reached || !s.gc[owner].whole || s.gone&(1<<holder) != 0 && !m.noKeptSince {
		m.log(s, object)
	}
}

// log makes object a root of its owner's mark.
func (m *model) log(s *exState, object int8) {
	bit := uint8(1) << object
	if g := &s.gc[m.home[object]]; g.phase != idle && g.seen&bit == 0 {
		g.seen |= bit
		g.log |= bit
	}
}

// transition pins what page o refers to.
func (m *model) transition(s *exState, o int, requester int, losers uint8, exclusive bool) {
	f := s.field[o]
	if f == none || m.noTransitionPins {
		return
	}
	var holders uint8
	if !m.noHomePin {
		holders |= 1 << m.home[o]
	}
	if !m.noLoserPin {
		holders |= losers
	}
	if !exclusive || !m.noRequesterPin {
		holders |= 1 << requester
	}
	if m.noRequesterPin && exclusive {
		holders &^= 1 << requester
	}
	for p := range m.procs {
		if holders&(1<<p) != 0 && p != int(m.home[f]) {
			m.pinReached(s, f, p, false)
		}
	}
}

// endMark ends a mark phase of p, or a look at what it has left: foreign objects that it has met are pinned, and pins
// of the phase before go.
func (m *model) endMark(s *exState, met uint8, p int) {
	for o := range m.home {
		if met&(1<<o) != 0 {
			m.pin(s, int8(o), p)
		}
	}
	s.old[p] |= s.new[p]
	s.new[p] = 0
	s.gc[p] = exMark{}
}

func (m *model) shade(s *exState, p int, object int8) {
	if object == none {
		return
	}
	if int(m.home[object]) == p {
		s.gc[p].marked |= 1 << object
	} else {
		s.gc[p].met |= 1 << object
	}
}

// reachable returns the objects that anybody can get at.
func (m *model) reachable(s *exState) uint8 {
	var set uint8
	var visit func(o int8)
	visit = func(o int8) {
		if o != none && set&(1<<o) == 0 {
			set |= 1 << o
			visit(s.field[o])
		}
	}
	visit(s.flight)
	for p := range m.procs {
		if s.gone&(1<<p) != 0 {
			for o := range m.home {
				if int(m.home[o]) == p && s.alive&(1<<o) != 0 {
					visit(int8(o)) // for good
				}
			}
		}
		for _, o := range s.reg[p] {
			visit(o)
		}
	}
	return set
}

// next calls yield with each successor. It returns a lost object's name.
func (m *model) next(s *exState, yield func(string, exState)) (lost string) {
	if s.unheld {
		n := *s
		n.unheld = false
		m.log(&n, s.flight)
		yield(fmt.Sprintf("the message with %d is pinned", s.flight), n)
	}
	if m.retires && s.gone == 0 && m.mayRetire(s, 1) {
		n := *s
		n.gone |= 1 << 1
		yield("1 retires", n)
	}
	for p := range m.procs {
		if s.gone&(1<<p) != 0 {
			m.keep(s, p, yield)
			continue
		}
		m.moves(s, p, yield)
		if n := *s; m.queues && m.count(&n, p) {
			yield(fmt.Sprintf("%d counts", p), n)
		}
		if phase := s.gc[p].phase; phase == idle || phase == marking {
			m.mutate(s, p, yield)
		}
		if l := m.collect(s, p, yield); l != "" {
			lost = l
		}
	}
	return lost
}

// mayRetire reports whether p has nothing any more that is under way.
func (m *model) mayRetire(s *exState, p int) bool {
	for q := range m.procs {
		if s.gc[q].whole {
			return false // it would fail first
		}
	}
	for _, o := range s.reg[p] {
		if o != none {
			return false
		}
	}
	for q := range s.queue {
		if e := &s.queue[q]; e.object != none && (q == p || int(e.by) == p) {
			return false
		}
	}
	return s.gc[p].phase == idle && !(s.unheld && int(s.from) == p)
}

// keep are the looks at what p has left, which has retired.
func (m *model) keep(s *exState, p int, yield func(string, exState)) {
	g := &s.gc[p]
	if g.phase == idle {
		n := *s
		n.old[p] |= n.new[p]
		n.new[p] = 0
		pages := m.own(p) & s.alive
		for o := range m.home {
			if int(s.owner[o]) == p && int(m.home[o]) != p {
				pages |= 1 << o
			}
		}
		n.gc[p] = exMark{phase: marking, pages: pages}
		yield(fmt.Sprintf("a look at what %d left begins", p), n)
		return
	}
	for pages := g.pages; pages != 0; pages &= pages - 1 {
		o := bits.TrailingZeros8(pages)
		n := *s
		n.gc[p].pages &^= 1 << o
		if f := s.field[o]; f != none && int(m.home[f]) != p && (s.owner[o] == none || int(s.owner[o]) == p) && !m.noKeepMet {
			n.gc[p].met |= 1 << f
		}
		yield(fmt.Sprintf("%d, which %d left, is looked at", o, p), n)
	}
	if g.pages == 0 {
		n := *s
		n.old[p] = 0
		m.endMark(&n, g.met, p)
		yield(fmt.Sprintf("a look at what %d left ends", p), n)
	}
}

// leftBy returns the objects of processes that have retired.
func (m *model) leftBy(s *exState) (set uint8) {
	for p := range m.procs {
		if s.gone&(1<<p) != 0 {
			set |= m.own(p)
		}
	}
	return set
}

// moves are the transitions of pages that p asks for.
func (m *model) moves(s *exState, p int, yield func(string, exState)) {
	bit := uint8(1) << p
	for o := range m.home {
		read, write := m.uses(s, p, o)
		if read && s.hold[o]&bit == 0 {
			n := *s
			var downgraded uint8
			if n.owner[o] != none {
				downgraded = 1 << n.owner[o]
			}
			n.owner[o] = none
			n.hold[o] |= bit
			m.transition(&n, o, p, downgraded, false)
			yield(fmt.Sprintf("%d gets page %d", p, o), n)
		}
		if write && int(s.owner[o]) != p {
			n := *s
			losers := n.hold[o] &^ bit
			n.owner[o], n.hold[o] = int8(p), bit
			m.transition(&n, o, p, losers, true)
			yield(fmt.Sprintf("%d takes page %d", p, o), n)
		}
	}
}

// uses says whether p can have a fault on page o, unless pages move for no reason.
func (m *model) uses(s *exState, p, o int) (read, write bool) {
	if !m.demand {
		return true, true
	}
	write = slices.Contains(s.reg[p][:], int8(o)) || int(m.home[o]) == p && s.alive&(1<<o) == 0
	return write || m.grey(s, p)&(1<<o) != 0, write
}

// grey returns the objects and pages that p is yet to scan.
func (m *model) grey(s *exState, p int) uint8 {
	g := &s.gc[p]
	grey := g.marked &^ g.scanned
	switch {
	case !g.whole:
		grey |= g.pages
	case !m.noKeptHeld:
		grey |= g.pages & m.leftBy(s)
	}
	return grey
}

// mutate are the steps of p's program.
func (m *model) mutate(s *exState, p int, yield func(string, exState)) {
	bit := uint8(1) << p
	barrier := func(n *exState, o int, old, new int8) {
		if n.gc[p].phase == marking && (int(m.home[o]) == p || !m.noForeignBarrier) {
			m.shade(n, p, old)
			m.shade(n, p, new)
		}
	}
	for r := range m.regs {
		v := s.reg[p][r]
		if v != none {
			n := *s
			n.reg[p][r] = none
			yield(fmt.Sprintf("%d drops %d", p, v), n)
			if s.hold[v]&bit != 0 && s.field[v] != none {
				for to := range m.regs {
					n := *s
					n.reg[p][to] = s.field[v]
					yield(fmt.Sprintf("%d loads %d from %d", p, s.field[v], v), n)
				}
			}
			if int(s.owner[v]) == p {
				for from := range m.regs {
					if x := s.reg[p][from]; x != s.field[v] && x != none {
						n := *s
						barrier(&n, int(v), n.field[v], x)
						n.field[v] = x
						yield(fmt.Sprintf("%d stores %d into %d", p, x, v), n)
					}
				}
				if s.field[v] != none {
					n := *s
					barrier(&n, int(v), n.field[v], none)
					n.field[v] = none
					yield(fmt.Sprintf("%d clears %d", p, v), n)
				}
			}
			if m.flights && s.flight == none && (!m.queues || s.queue[p].object == none) {
				n := *s
				n.flight = v
				switch {
				case m.queues:
					n.from = int8(p)
					n.queue[p] = exQueued{object: v, by: none}
				case m.delays:
					n.from, n.unheld = int8(p), true
				case !m.noHold:
					m.log(&n, v) // Hold is an ordinary root
				}
				if n.gc[p].phase == marking && m.delays && !m.noSendShade {
					m.shade(&n, p, v)
				}
				yield(fmt.Sprintf("%d sends %d", p, v), n)
			}
			continue
		}
		if m.flights && s.flight != none && !s.unheld {
			n := *s
			n.flight, n.from = none, 0
			n.reg[p][r] = s.flight
			switch {
			case m.queues:
				n.queue[s.from].by = int8(p)
			case !m.noHold:
				m.pinReached(&n, s.flight, p, false)
			}
			yield(fmt.Sprintf("%d receives %d", p, s.flight), n)
		}
		for o := range m.home {
			if int(m.home[o]) == p && s.alive&(1<<o) == 0 && int(s.owner[o]) == p {
				n := *s
				n.alive |= 1 << o
				n.reg[p][r] = int8(o)
				if n.gc[p].phase == marking {
					n.gc[p].marked |= 1 << o
					n.gc[p].scanned |= 1 << o
				}
				yield(fmt.Sprintf("%d allocates %d", p, o), n)
			}
		}
	}
}

// collect are the steps of p's garbage collection.
func (m *model) collect(s *exState, p int, yield func(string, exState)) (lost string) {
	bit := uint8(1) << p
	g := &s.gc[p]
	own := m.own(p)
	switch g.phase {
	case idle:
		if m.collectors != 0 && m.collectors&bit == 0 {
			return ""
		}
		part, others := false, false
		for q := range m.procs {
			if s.gone&(1<<q) != 0 {
				continue
			}
			part = part || s.gc[q].whole && !s.gc[q].won
			others = others || s.gc[q].phase != idle && s.gc[q].phase != gathered
		}
		if !part {
			n := *s
			m.begin(&n, p, false)
			yield(fmt.Sprintf("%d begins", p), n)
		}
		if m.whole && (!others || m.noGather) {
			n := *s
			m.begin(&n, p, true)
			yield(fmt.Sprintf("%d begins its part", p), n)
		}
	case gathered:
		for q := range m.procs {
			if s.gc[q].phase == idle && s.gone&(1<<q) == 0 {
				return m.failing(s, p, yield)
			}
		}
		n := *s
		n.gc[p].phase = marking
		yield(fmt.Sprintf("%d starts", p), n)
		return m.failing(s, p, yield)
	case marking:
		work := false
		if !g.stack {
			work = true
			n := *s
			for _, o := range n.reg[p] {
				m.shade(&n, p, o)
			}
			n.gc[p].stack = true
			yield(fmt.Sprintf("%d scans its stack", p), n)
		}
		if o := s.queue[p].object; m.queues && (!g.queue || !m.queueOnce && o != none && (g.marked|g.met)&(1<<o) == 0) {
			work = true
			n := *s
			m.shade(&n, p, n.queue[p].object)
			n.gc[p].queue = true
			yield(fmt.Sprintf("%d scans its queue", p), n)
		}
		for grey := m.grey(s, p); grey != 0; grey &= grey - 1 {
			work = true
			o := bits.TrailingZeros8(grey)
			if s.hold[o]&bit == 0 {
				continue // it faults first
			}
			n := *s
			m.shade(&n, p, n.field[o])
			if own&(1<<o) != 0 {
				n.gc[p].scanned |= 1 << o
			}
			n.gc[p].pages &^= 1 << o
			yield(fmt.Sprintf("%d scans %d", p, o), n)
		}
		if g.log != 0 && !m.noSince {
			work = true
			n := *s
			n.gc[p].marked |= g.log & own
			n.gc[p].log = 0
			yield(fmt.Sprintf("%d scans new pins", p), n)
		}
		if untold := g.met &^ g.told; g.whole && untold != 0 && !m.noTelling {
			work = true
			n := *s
			for o := range m.home {
				if untold&(1<<o) != 0 {
					m.pin(&n, int8(o), p)
				}
			}
			n.gc[p].told = g.met
			yield(fmt.Sprintf("%d tells what it met", p), n)
		}
		if !work {
			n := *s
			n.gc[p].phase = terminated
			n.gc[p].log = 0
			yield(fmt.Sprintf("%d terminates", p), n)
		}
		return m.failing(s, p, yield)
	case terminated, pruned:
		if g.whole && !g.won && !m.noVote {
			m.vote(s, p, yield)
			return m.failing(s, p, yield)
		}
		n := *s
		if m.noNewPins {
			n.new[p] = 0
		}
		if g.phase == terminated {
			dead := own & s.alive &^ g.marked
			if l := dead & m.reachable(s); l != 0 {
				return fmt.Sprintf("%d sweeps %d", p, bits.TrailingZeros8(l))
			}
			for o := range m.home {
				if dead&(1<<o) != 0 {
					// What the page says of a dead object is garbage for its home, which
					// may not even have the page: the words stay until it is reused.
					// Here they go, which only makes pins fewer.
					n.field[o] = none
				}
			}
			n.alive &^= dead
			n.old[p] = 0
			if m.pruneFirst {
				n.gc[p].phase = pruned
				yield(fmt.Sprintf("%d prunes", p), n)
				return ""
			}
		}
		m.endMark(&n, g.met, p)
		yield(fmt.Sprintf("%d ends", p), n)
	}
	return ""
}

// begin begins p's mark.
func (m *model) begin(s *exState, p int, whole bool) {
	own := m.own(p)
	m.count(s, p)
	if s.unheld && int(s.from) == p && !m.noAwait {
		s.unheld = false
		m.log(s, s.flight)
	}
	s.old[p] |= s.new[p]
	s.new[p] = 0
	mark := exMark{phase: marking, whole: whole}
	if whole && !m.noGather {
		mark.phase = gathered
	}
	if !whole {
		mark.marked = m.pinned(s) & own
	} else if !m.noKeptRoots {
		for q := range m.procs {
			if s.gone&(1<<q) != 0 {
				mark.marked |= (s.old[q] | s.new[q]) & own
			}
		}
	}
	if s.flight != none && !s.unheld && !m.noHold && !m.queues {
		mark.marked |= 1 << s.flight & own
	}
	mark.seen = mark.marked
	if !m.noHeldRoots {
		for o := range m.home {
			if int(s.owner[o]) == p && own&(1<<o) == 0 {
				mark.pages |= 1 << o
			}
		}
	}
	s.gc[p] = mark
}

// count has p pin what it received, which the senders keep no longer.
func (m *model) count(s *exState, p int) (any bool) {
	for q := range s.queue {
		if e := &s.queue[q]; e.object != none && int(e.by) == p {
			if !m.noGot {
				m.pinReached(s, e.object, p, s.gc[p].phase != idle)
			}
			*e = exQueued{object: none, by: none}
			any = true
		}
	}
	return any
}

func (m *model) pinned(s *exState) (set uint8) {
	for h := range m.procs {
		set |= s.old[h] | s.new[h]
	}
	return set
}

// vote are the steps of p in a whole mark when it has no more to do: to go on after all,
// and to find that all have no more to do.
func (m *model) vote(s *exState, p int, yield func(string, exState)) {
	if s.gc[p].log != 0 {
		n := *s
		n.gc[p].phase = marking
		yield(fmt.Sprintf("%d goes on", p), n)
		return
	}
	for q := range m.procs {
		if g := &s.gc[q]; s.gone&(1<<q) == 0 && (g.phase != terminated || !g.whole || g.log != 0) {
			return
		}
	}
	n := *s
	for q := range m.procs {
		if s.gone&(1<<q) == 0 {
			n.gc[q].won = true
			n.old[q] = 0
		}
	}
	yield("the whole mark is complete", n)
}

// failing is the failure of the whole mark of which p is a part.
func (m *model) failing(s *exState, p int, yield func(string, exState)) string {
	if !s.gc[p].whole || !m.fails {
		return ""
	}
	n := *s
	for q := range m.procs {
		g := &n.gc[q]
		if !g.whole {
			continue
		}
		g.whole, g.phase = false, marking
		if !m.noFallPins {
			more := m.pinned(&n) & m.own(q) &^ g.seen
			g.seen |= more
			g.log |= more
		}
		if m.noFallHeld {
			g.pages = 0
		}
	}
	yield("the whole mark fails", n)
	return ""
}

func (m *model) own(p int) (set uint8) {
	for o, home := range m.home {
		if int(home) == p {
			set |= 1 << o
		}
	}
	return set
}

// explore returns how many states there are, whether these are all, and the way to
// a lost object.
func (m *model) explore() (states int, all bool, trace []string) {
	type node struct {
		state  exState
		parent int32
	}
	seed := maphash.MakeSeed()
	seen := map[uint64]struct{}{}
	nodes := []node{{m.initial(), -1}}
	seen[maphash.Comparable(seed, nodes[0].state)] = struct{}{}
	for i := 0; i < len(nodes); i++ {
		if len(nodes) > m.limit {
			return len(nodes), false, nil
		}
		s := nodes[i].state
		lost := m.next(&s, func(_ string, n exState) {
			h := maphash.Comparable(seed, n)
			if _, ok := seen[h]; !ok {
				seen[h] = struct{}{}
				nodes = append(nodes, node{n, int32(i)})
			}
		})
		if lost == "" && m.complain != nil {
			lost = m.complain(&s)
		}
		if lost == "" {
			continue
		}
		trace := []string{lost}
		for at := i; nodes[at].parent >= 0; at = int(nodes[at].parent) {
			parent := nodes[nodes[at].parent].state
			step := "?"
			m.next(&parent, func(name string, n exState) {
				if n == nodes[at].state {
					step = name
				}
			})
			trace = append(trace, step)
		}
		slices.Reverse(trace)
		return len(nodes), false, trace
	}
	return len(nodes), true, nil
}
