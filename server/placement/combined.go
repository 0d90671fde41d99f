package placement

import (
	"fmt"
	"time"
)

// Combined is the policy of placement "balance": what labels want, then affinity, then
// balance, with the memory that keeps these from undoing each other's moves for ever.
//
//   - A goroutine that was moved stays for a while, twice as long each time. So does one that
//     could not be moved.
//   - A move by affinity that did no good is undone, once.
//   - Where affinity takes back what balance has moved, or what balance moved spends its
//     time on the process that it came from, the program has nothing to gain from more processes, as
//     far as is known: balance makes a pause, four times as long each time.
type Combined struct {
	// LabelsOnly turns the rest off.
	LabelsOnly bool

	affinity Affinity
	balance  Balance
	states   map[uint64]*state
	undo     []Move
	pause    time.Duration // of balance, the last one
	paused   time.Duration // until then
	swept    time.Duration
}

// state is what is known of a goroutine that was moved, or is to stay.
type state struct {
	pinned bool
	stays  time.Duration // until then
	stay   time.Duration // how long that was
	moved  time.Duration // the last time
	by     Kind
	from   int
	undone bool
}

const (
	stayFirst  = 200 * time.Millisecond
	stayMost   = time.Minute
	stayForget = 5 * time.Minute // after which a goroutine is as any other
	askedStay  = 5 * time.Second // half of how long one stays that the user moved
	failFirst  = 500 * time.Millisecond
	pauseFirst = time.Second
	pauseMost  = 5 * time.Minute
	// A goroutine that balance has moved is looked at for a while, from when its pages may have
	// followed.
	regretAfter = 12 * time.Millisecond
	regretSoon  = 300 * time.Millisecond
	// regretShare is the part of its time that a goroutine which was moved to share the load may spend
	// on other processes.
	regretShare = 0.4
	// worthwhile is the part of the time spent on other processes that is left, at most, after a move
	// that did good.
	worthwhile = 0.8
)

func (c *Combined) state(g uint64) *state {
	if c.states == nil {
		c.states = make(map[uint64]*state)
	}
	st := c.states[g]
	if st == nil {
		st = &state{from: -1}
		c.states[g] = st
	}
	return st
}

// Pin has a goroutine stay where it is, or not any more.
func (c *Combined) Pin(goroutine uint64, pinned bool) { c.state(goroutine).pinned = pinned }

// Moved tells of a move that somebody else decided on. The goroutine stays there for a while; for good
// only if it is pinned.
func (c *Combined) Moved(now time.Duration, m Move) {
	st := c.state(m.Goroutine)
	st.stay = max(st.stay, askedStay)
	c.moving(now, m)
}

// Pinned reports whether a goroutine was pinned.
func (c *Combined) Pinned(goroutine uint64) bool {
	st := c.states[goroutine]
	return st != nil && st.pinned
}

// Decide implements Policy.
func (c *Combined) Decide(s *Snapshot) (moves []Move) {
	taken := map[uint64]bool{}
	weights := map[uint64][]float64{}
	for i := range s.Goroutines {
		if g := &s.Goroutines[i]; g.Weights != nil {
			weights[g.ID] = g.Weights
		}
	}
	take := func(m Move) {
		if taken[m.Goroutine] || m.From == m.To || !s.Processes[m.From].Here || !s.Processes[m.To].Here {
			return
		}
		st := c.states[m.Goroutine]
		if st != nil && (st.pinned || m.Kind != Undoing && s.Now < st.stays) {
			return
		}
		if w := weights[m.Goroutine]; m.Kind != Labelled && w != nil && w[m.To] < w[m.From] {
			return
		}
		taken[m.Goroutine] = true
		moves = append(moves, m)
	}
	for _, m := range c.undo {
		take(m)
	}
	c.undo = c.undo[:0]
	for _, m := range labelled(s) {
		take(m)
	}
	if !c.LabelsOnly {
		for _, m := range c.regretted(s) {
			take(m)
		}
	}
	var affine, balancing []Move
	if !c.LabelsOnly {
		// Balance looks at each snapshot, or its memory would be of before a pause.
		affine, balancing = c.affinity.Decide(s), c.balance.Decide(s)
	}
	for _, m := range affine {
		take(m)
	}
	together := len(moves) > 0
	for _, m := range balancing {
		if s.Now >= c.paused && !together {
			take(m)
		}
	}
	for _, m := range moves {
		c.moving(s.Now, m)
	}
	c.sweep(s.Now)
	return moves
}

// regretted returns the moves that take back what balance did to goroutines which since then
// spend their time on the process that they came from. Others that would follow them do not.
func (c *Combined) regretted(s *Snapshot) (moves []Move) {
	for i := range s.Goroutines {
		g := &s.Goroutines[i]
		st := c.states[g.ID]
		if st == nil || st.by != Balancing || st.from == g.At || s.Now-st.moved < regretAfter+2*s.moveCost(st.from, g.At) || s.Now-st.moved > regretSoon {
			continue
		}
		if share := s.Shares(g)[st.from]; share > regretShare {
			moves = append(moves, Move{Goroutine: g.ID, From: g.At, To: st.from, Kind: Undoing, Share: share,
				Reason: fmt.Sprintf("it was moved to share the load, and spends %.0f %% of its time on process %d", 100*share, st.from)})
			c.affinity.turn(s.Now, g.At, st.from)
		}
	}
	return moves
}

// labelled returns the moves of goroutines to where their labels weigh most.
func labelled(s *Snapshot) (moves []Move) {
	const most = 64
	for i := range s.Goroutines {
		g := &s.Goroutines[i]
		if g.Weights == nil || len(moves) == most {
			continue
		}
		best := g.At
		for k, w := range g.Weights {
			if s.Processes[k].Here && w > g.Weights[best] {
				best = k
			}
		}
		if best != g.At && s.Processes[g.At].Here {
			moves = append(moves, Move{Goroutine: g.ID, From: g.At, To: best, Kind: Labelled,
				Reason: fmt.Sprintf("its labels weigh %g in process %d, %g in process %d", g.Weights[best], best, g.Weights[g.At], g.At)})
		}
	}
	return moves
}

// moving notes a move.
func (c *Combined) moving(now time.Duration, m Move) {
	st := c.state(m.Goroutine)
	if m.Kind == Undoing && st.by == Balancing && now-st.moved < regretSoon {
		c.pause = min(max(4*c.pause, pauseFirst), pauseMost)
		c.paused = now + c.pause
	}
	st.stay = min(max(2*st.stay, stayFirst), stayMost)
	st.stays, st.moved, st.by, st.from = now+st.stay, now, m.Kind, m.From
	st.undone = m.Kind == Undoing
}

// Learn implements Policy.
func (c *Combined) Learn(now time.Duration, r *Result) {
	c.affinity.Learn(now, r)
	c.balance.Learn(now, r)
	st := c.state(r.Goroutine)
	switch {
	case !r.Arrived:
		st.stay = min(max(4*st.stay, failFirst), stayMost)
		st.stays = now + st.stay
		st.by = Asked
	case r.Kind == Balancing && r.After > regretShare:
		c.undo = append(c.undo, Move{Goroutine: r.Goroutine, From: r.To, To: r.From, Kind: Undoing,
			Reason: fmt.Sprintf("it was moved to share the load, and spends %.0f %% of its time on other processes", 100*r.After)})
	case r.Kind == Affine && !st.undone && r.After > worthwhile*r.Before:
		c.undo = append(c.undo, Move{Goroutine: r.Goroutine, From: r.To, To: r.From, Kind: Undoing,
			Reason: fmt.Sprintf("it spends %.0f %% of its time on other processes, %.0f %% before it was moved", 100*r.After, 100*r.Before)})
		st.stay = stayMost / 4
	}
}

// sweep forgets goroutines of which nothing was heard for long.
func (c *Combined) sweep(now time.Duration) {
	if now-c.swept < time.Minute {
		return
	}
	c.swept = now
	for g, st := range c.states {
		if !st.pinned && now > st.stays && now-st.moved > stayForget {
			delete(c.states, g)
		}
	}
}
