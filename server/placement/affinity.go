package placement

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Affinity moves a goroutine to the process that it spends its time on: to who it talks to, to the
// pages that it writes to as others there do, or to data that it reads and would have to fetch.
//
// Of two that talk to each other one moves. So between two processes goroutines move in one
// direction only, until what that did has been seen. Where the other process is full the goroutine would
// take a P from others there: it has to gain more by the move than it computes.
type Affinity struct {
	known   map[uint64]*affine
	settles map[[2]int]settle // by pair of processes, smaller one first
}

// affine is what is known of a goroutine.
type affine struct {
	at     int
	shares []float64 // by process, moving averages
	above  int       // snapshots in sequence in which the largest was above the threshold
	seen   time.Duration
}

// settle says that goroutines moved between two processes.
type settle struct {
	to    int
	until time.Duration // when others may move the other way
}

const (
	affinityShare  = 0.15 // from which on a goroutine moves to a process that has room
	affinityTicks  = 3    // snapshots for which that has to last
	affinityKeep   = 0.6  // of an average, from one snapshot to the next
	affinityMost   = 32   // moves at once
	affinityForget = time.Second
	// After moves in one direction none goes in the other for so long: older averages are
	// forgotten by then.
	affinitySettle = 120 * time.Millisecond
)

// Decide implements Policy.
func (a *Affinity) Decide(s *Snapshot) []Move {
	if a.known == nil {
		a.known = make(map[uint64]*affine)
	}
	for i := range s.Goroutines {
		a.look(s, &s.Goroutines[i])
	}
	var wanted []Move
	for id, g := range a.known {
		if g.seen != s.Now {
			for k := range g.shares {
				g.shares[k] *= affinityKeep
			}
			g.above = 0
			if s.Now-g.seen > affinityForget {
				delete(a.known, id)
			}
			continue
		}
		if to := g.best(); g.above >= affinityTicks && g.shares[to] >= needed(s, to) && s.Processes[to].Here && s.Processes[g.at].Here {
			wanted = append(wanted, Move{Goroutine: id, From: g.at, To: to, Kind: Affine, Share: g.shares[to],
				Reason: fmt.Sprintf("it spends %.0f %% of its time on channels and pages of process %d", 100*g.shares[to], to)})
		}
	}
	slices.SortFunc(wanted, func(x, y Move) int {
		return cmp.Or(cmp.Compare(y.Share, x.Share), cmp.Compare(x.Goroutine, y.Goroutine))
	})
	return a.oneWay(s, wanted)
}

// look adds what g did to its averages.
func (a *Affinity) look(s *Snapshot, g *Goroutine) {
	k := a.known[g.ID]
	if k == nil || k.at != g.At || len(k.shares) != len(s.Processes) {
		k = &affine{at: g.At, shares: make([]float64, len(s.Processes))}
		a.known[g.ID] = k
	}
	k.seen = s.Now
	for i, share := range s.Shares(g) {
		if i == g.At {
			share = 0
		}
		k.shares[i] = affinityKeep*k.shares[i] + (1-affinityKeep)*share
	}
	if k.shares[k.best()] >= affinityShare {
		k.above++
	} else {
		k.above = 0
	}
}

// best returns the process with the largest share.
func (g *affine) best() int {
	best := 0
	for k, share := range g.shares {
		if share > g.shares[best] {
			best = k
		}
	}
	return best
}

// needed returns the share from which on a goroutine gains by going to a process.
func needed(s *Snapshot, to int) float64 {
	if !s.Processes[to].full() {
		return affinityShare
	}
	// It computes for 1-share of its time, and others there would wait as long.
	return (1 + affinityShare) / 2
}

// turn has goroutines move to one process only for a while, not away from it to the other.
func (a *Affinity) turn(now time.Duration, from, to int) {
	if a.settles == nil {
		a.settles = make(map[[2]int]settle)
	}
	a.settles[[2]int{min(from, to), max(from, to)}] = settle{to, now + affinitySettle}
}

// oneWay leaves out moves against the direction in which others move.
func (a *Affinity) oneWay(s *Snapshot, wanted []Move) (moves []Move) {
	for _, m := range wanted {
		pair := [2]int{min(m.From, m.To), max(m.From, m.To)}
		if last, ok := a.settles[pair]; ok && last.to != m.To && s.Now < last.until {
			continue
		}
		if len(moves) == affinityMost {
			break
		}
		a.turn(s.Now, m.From, m.To)
		moves = append(moves, m)
	}
	return moves
}

// Learn implements Policy.
func (a *Affinity) Learn(now time.Duration, r *Result) { delete(a.known, r.Goroutine) }
