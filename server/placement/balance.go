package placement

import (
	"fmt"
	"slices"
	"time"
)

// Balance moves goroutines that wait for a P to processes that have Ps for them: work stealing
// of goroutines that have begun. (Those that have not the processes share by themselves.)
//
// Only those count that were preempted as they computed. What was made ready just now may be done in
// no time, and made ready again by others that would then be elsewhere. And it must last: a goroutine is
// worth to be moved if it was found so at two looks some time apart, so what it does takes longer than a
// move. A process gets half of the difference, no more: the next look sees what that did.
type Balance struct {
	stamps []uint64                 // of the last lists, by process
	busy   []int                    // lists in sequence in which somebody waited, by process
	first  map[uint64]time.Duration // when goroutines were first listed
	last   map[uint64]time.Duration // and last
}

const (
	balanceLists  = 2
	balanceAge    = 8 * time.Millisecond
	balanceForget = 200 * time.Millisecond
	balanceMost   = 64 // goroutines at once
	// balanceRepays is how many times the cost of its move a goroutine has computed and waited, at least, when it goes. It goes
	// to another host only where it has a P to itself: what it leaves behind there, pages and who it talks to, is far.
	balanceRepays = 4
)

// Decide implements Policy.
func (b *Balance) Decide(s *Snapshot) (moves []Move) {
	b.look(s)
	load := make([]int, len(s.Processes))
	// A goroutine on an idle P beyond the CPUs of a host would take its CPU from another one. Processes whose
	// Ps are all busy may have more or fewer to run.
	spare := slices.Clone(s.CPUs)
	for k := range s.Processes {
		p := &s.Processes[k]
		load[k] = p.Running + len(p.Ready)
		if p.Host < len(spare) {
			spare[p.Host] -= p.Running
		}
	}
	for k := range s.Processes {
		p := &s.Processes[k]
		if !p.Here || b.busy[k] < balanceLists || len(p.Ready) == 0 {
			continue
		}
		// First to processes of the same host, what is left then to others.
		moved := map[uint64]bool{}
		for _, near := range []bool{true, false} {
			for len(moves) < balanceMost {
				to := b.idlest(s, load, k, near)
				if to < 0 {
					break
				}
				q := &s.Processes[to]
				idle := max(q.Procs-load[to], 0)
				if q.Host >= len(spare) || idle > 0 && spare[q.Host] <= 0 || !near && idle == 0 {
					break
				}
				ready := b.candidates(s, p, moved, max(balanceAge, balanceRepays*s.moveCost(k, to)))
				// Half of the difference, in relation to the Ps.
				count := (load[k]*q.Procs - load[to]*p.Procs) / (p.Procs + q.Procs)
				count = min(count, len(ready), balanceMost-len(moves))
				if !near {
					count = min(count, idle)
				}
				if count <= 0 {
					break
				}
				reason := fmt.Sprintf("%d goroutines that compute wait for a P in process %d, and process %d uses %d of %d", len(p.Ready), k, to, q.Running, q.Procs)
				for _, g := range ready[:count] {
					moves = append(moves, Move{Goroutine: g, From: k, To: to, Kind: Balancing, Reason: reason})
					moved[g] = true
				}
				load[k] -= count
				load[to] += count
				spare[q.Host] -= min(count, idle)
				b.busy[k] = 0 // a new list shows what that did
			}
		}
	}
	return moves
}

// look notes who is ready.
func (b *Balance) look(s *Snapshot) {
	if b.first == nil {
		b.first, b.last = make(map[uint64]time.Duration), make(map[uint64]time.Duration)
	}
	for len(b.busy) < len(s.Processes) {
		b.busy, b.stamps = append(b.busy, 0), append(b.stamps, 0)
	}
	for k := range s.Processes {
		p := &s.Processes[k]
		if p.Running < p.Procs || len(p.Ready) == 0 && p.Stamp != b.stamps[k] {
			b.busy[k] = 0
			continue
		}
		if p.Stamp == b.stamps[k] {
			continue
		}
		b.stamps[k] = p.Stamp
		b.busy[k]++
		for _, g := range p.Ready {
			if _, ok := b.first[g]; !ok {
				b.first[g] = s.Now
			}
			b.last[g] = s.Now
		}
	}
	for g, at := range b.last {
		if s.Now-at > balanceForget {
			delete(b.first, g)
			delete(b.last, g)
		}
	}
}

// candidates returns the goroutines of p that are worth to be moved, but those that are: they were first seen
// to compute that long ago.
func (b *Balance) candidates(s *Snapshot, p *Process, but map[uint64]bool, age time.Duration) (ready []uint64) {
	for _, g := range p.Ready {
		if at, ok := b.first[g]; ok && s.Now-at >= age && !but[g] {
			ready = append(ready, g)
		}
	}
	return ready
}

// idlest returns the process with the least load for its Ps, as it would be after the moves so
// far, of those on the same host or of the others; -1 where there is none.
func (b *Balance) idlest(s *Snapshot, load []int, from int, near bool) int {
	best := -1
	for k := range s.Processes {
		q := &s.Processes[k]
		if k == from || !q.Here || q.Procs == 0 || near != (q.Host == s.Processes[from].Host) {
			continue
		}
		if best < 0 || load[k]*s.Processes[best].Procs < load[best]*q.Procs {
			best = k
		}
	}
	return best
}

// Learn implements Policy.
func (b *Balance) Learn(now time.Duration, r *Result) {
	delete(b.first, r.Goroutine)
	delete(b.last, r.Goroutine)
}
