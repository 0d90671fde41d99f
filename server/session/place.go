package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/mail"
	"remotec.dev/server/placement"
)

// Placement. One goroutine takes a snapshot of what the processes do every few milliseconds,
// asks the policy, has goroutines moved, and looks what that did. While nothing happens between the
// processes it looks less often, and does nothing but look at their ledgers.
//
// Every decision is kept for a while, with its reason and its effect: "why is it here?"

const (
	placeEvery = 10 * time.Millisecond // between two snapshots
	placeQuiet = 40 * time.Millisecond // where nothing happens
	placeLimit = 150 * time.Millisecond
	placeAgain = 25 * time.Millisecond // after which a goroutine that has not gone is asked again
	// The effect of a move is measured for a while, after the pages that the goroutine
	// works on have followed.
	placeSettles = 30 * time.Millisecond
	placeEffect  = 100 * time.Millisecond
	placeKept    = 1024 // decisions
	placeLabels  = 50 * time.Millisecond
)

// Decision is a move that was decided on.
type Decision struct {
	Number int
	Time   time.Time
	placement.Move
	State  string // "asked", "moved", "not moved"
	Why    string // it was not
	Took   time.Duration
	Known  bool // the effect, which is:
	Before float64
	After  float64 // parts of its time that the goroutine spent on other processes
}

// Weight is how much goroutines with a label are drawn to a process, or away from it.
type Weight struct {
	Key, Value string
	Process    int
	Weight     float64
}

// places is the state of the placement.
type places struct {
	mu        sync.Mutex
	policy    placement.Combined // guarded by mu
	decisions []*Decision        // the last ones, oldest first; guarded by mu
	number    int                // of the last one; guarded by mu
	moving    map[uint64]*pending
	weights   []Weight  // guarded by mu
	asked     time.Time // for labels, the last time; guarded by mu
	wake      chan struct{}
}

// pending is a move under way, or whose effect is being measured.
type pending struct {
	*Decision
	asked, arrived time.Duration // arrived is 0 as long as it has not
	again          time.Duration // when it was asked the last time
	share          float64       // sum over snapshots, weighted by time
	measured       time.Duration
}

// place runs until the session is over.
func (s *Session) place() {
	w, m := &s.places, s.cfg.Measures
	timer := time.NewTimer(placeEvery)
	defer timer.Stop()
	every := placeEvery
	w.policy.LabelsOnly = !s.cfg.Place
	shares := map[uint64]float64{} // what goroutines spent on other processes in the last snapshot
	for {
		select {
		case <-s.ended:
			return
		case <-w.wake:
			every = placeEvery
		case <-timer.C:
		}
		w.mu.Lock()
		if !s.cfg.Place && len(w.weights) == 0 {
			w.mu.Unlock()
			continue // until woken
		}
		snapshot := m.take(func(g uint64, process int) { w.arrived(m.now(), g, process) })
		s.leaveOut(snapshot)
		w.weigh(snapshot)
		labels := w.labelsDue()
		clear(shares)
		for i := range snapshot.Goroutines {
			g := &snapshot.Goroutines[i]
			for k, share := range snapshot.Shares(g) {
				if k != g.At {
					shares[g.ID] += share
				}
			}
		}
		late, moves := w.follow(snapshot, shares)
		if s.cfg.Place || len(w.weights) > 0 {
			for _, move := range w.policy.Decide(snapshot) {
				if w.moving[move.Goroutine] == nil {
					w.begin(snapshot.Now, move, shares[move.Goroutine])
					moves = append(moves, move)
				}
			}
		}
		busy := len(w.moving) > 0 || len(snapshot.Goroutines) > 0
		w.mu.Unlock()
		for k := range snapshot.Processes {
			busy = busy || snapshot.Processes[k].Waiting > 0
			if labels && snapshot.Processes[k].Running > 0 {
				s.eventTo(k, &wire.Event{Kind: wire.EventLabels}) // an error is a process that ends
			}
		}
		s.sendAway(moves)
		if len(late) > 0 {
			go s.giveUpAll(late)
		}
		if every = min(2*every, placeQuiet); busy {
			every = placeEvery
		}
		timer.Reset(every)
	}
}

// leaveOut has the policy move no goroutine to or from processes that are drained: they go elsewhere anyway. Of a
// process that has retired nothing is left but what its ledger said last.
func (s *Session) leaveOut(snapshot *placement.Snapshot) {
	for k := range snapshot.Processes {
		switch p := &snapshot.Processes[k]; {
		case s.Retired(k):
			*p = placement.Process{}
		case s.drained.has(k):
			p.Here = false
		}
	}
}

// sendAway asks processes to send goroutines away, all that go the same way at once.
func (s *Session) sendAway(moves []placement.Move) {
	ways := map[[2]int][]byte{}
	for _, m := range moves {
		way := [2]int{m.From, m.To}
		ways[way] = binary.LittleEndian.AppendUint64(ways[way], m.Goroutine)
	}
	for way, list := range ways {
		s.eventTo(way[0], &wire.Event{Kind: wire.EventMoveMany, N: uint32(way[1]), Text: string(list)})
	}
}

// begin notes a decision; w.mu is held.
func (w *places) begin(now time.Duration, m placement.Move, before float64) {
	if w.moving == nil {
		w.moving = make(map[uint64]*pending)
	}
	w.moving[m.Goroutine] = &pending{Decision: w.note(m, "asked", before), asked: now, again: now}
}

// note keeps a decision; w.mu is held.
func (w *places) note(m placement.Move, state string, before float64) *Decision {
	w.number++
	d := &Decision{Number: w.number, Time: time.Now(), Move: m, State: state, Before: before}
	if len(w.decisions) == placeKept {
		w.decisions = w.decisions[1:]
	}
	w.decisions = append(w.decisions, d)
	return d
}

// arrived notes that a goroutine has come to a process; w.mu is held.
func (w *places) arrived(now time.Duration, g uint64, process int) {
	if p := w.moving[g]; p != nil && p.To == process && p.arrived == 0 {
		p.arrived = now
		p.State, p.Took = "moved", now-p.asked
	}
}

// follow looks what became of moves, and returns those that take too long, and those to be
// asked for again; w.mu is held.
func (w *places) follow(s *placement.Snapshot, shares map[uint64]float64) (late []*pending, again []placement.Move) {
	for g, p := range w.moving {
		switch {
		case p.arrived == 0 && s.Now-p.asked > placeLimit:
			delete(w.moving, g)
			p.State = "not moved"
			late = append(late, p)
			continue
		case p.arrived == 0 && s.Now-p.again >= placeAgain:
			p.again = s.Now
			again = append(again, p.Move)
			continue
		case p.arrived == 0 || s.Now-p.arrived < placeSettles:
			continue
		}
		p.share += shares[g] * float64(s.Elapsed)
		p.measured += s.Elapsed
		if p.measured < placeEffect {
			continue
		}
		p.Known, p.After = true, p.share/float64(p.measured)
		w.policy.Learn(s.Now, &placement.Result{Move: p.Move, Arrived: true, Before: p.Before, After: p.After})
		delete(w.moving, g)
	}
	return late, again
}

// giveUpAll finds out why goroutines do not go, and has them stay. It asks about a few of them: who
// waits for many would keep others from moving goroutines.
func (s *Session) giveUpAll(late []*pending) {
	const asked = 3
	for i, p := range late {
		why := "it has not come to a point at which it can"
		if i < asked {
			why = s.whyNot(p)
		}
		list := binary.LittleEndian.AppendUint64(nil, p.Goroutine)
		for k := range s.procs {
			s.eventTo(k, &wire.Event{Kind: wire.EventMoveMany, N: uint32(k), Text: string(list)})
		}
		w := &s.places
		w.mu.Lock()
		p.Why = why
		w.policy.Learn(s.cfg.Measures.now(), &placement.Result{Move: p.Move, Why: why})
		w.mu.Unlock()
	}
}

// whyNot asks why a goroutine does not go.
func (s *Session) whyNot(p *pending) string {
	ctx, cancel := context.WithTimeout(context.Background(), placeLimit)
	defer cancel()
	s.moves.asking.Lock()
	m, err := s.askMove(ctx, p.Goroutine, p.To)
	s.moves.asking.Unlock()
	switch {
	case err != nil:
		return err.Error()
	case m.state == wire.MoveUnknown:
		return "it has ended"
	case m.state == wire.MoveWaits:
		return "it waits: " + m.why
	case m.reason() != "":
		return m.reason()
	}
	return "it has not come to a point at which it can"
}

// weigh replaces the masks of labels by weights; w.mu is held.
func (w *places) weigh(s *placement.Snapshot) {
	labels := w.labels()
	for i := range s.Goroutines {
		g := &s.Goroutines[i]
		if g.Weights == nil {
			continue
		}
		mask := uint64(g.Weights[0])
		g.Weights = make([]float64, len(s.Processes))
		for _, weight := range w.weights {
			for b, l := range labels {
				if mask&(1<<b) != 0 && l == [2]string{weight.Key, weight.Value} {
					g.Weights[weight.Process] += weight.Weight
				}
			}
		}
	}
}

// labels returns the labels that have weights, in the order in which they are asked for.
func (w *places) labels() (list [][2]string) {
	known := map[[2]string]bool{}
	for _, weight := range w.weights {
		if l := [2]string{weight.Key, weight.Value}; !known[l] {
			known[l] = true
			list = append(list, l)
		}
	}
	return list
}

// labelsDue reports whether the processes should look at labels again; w.mu is held.
func (w *places) labelsDue() bool {
	if len(w.weights) == 0 || time.Since(w.asked) < placeLabels {
		return false
	}
	w.asked = time.Now()
	return true
}

// moved notes that a goroutine has gone where somebody wanted it.
func (s *Session) moved(goroutine uint64, to int, took time.Duration) {
	if s.cfg.Measures == nil {
		return
	}
	w := &s.places
	w.mu.Lock()
	defer w.mu.Unlock()
	m := placement.Move{Goroutine: goroutine, From: s.cfg.Measures.where(goroutine), To: to, Kind: placement.Asked, Reason: "the user asked for it"}
	w.note(m, "moved", 0).Took = took
	w.policy.Moved(s.cfg.Measures.now(), m)
}

// errNoPlacement is the error of a session in which nothing can be placed.
var errNoPlacement = errors.New("the session has one process: there is nothing to place")

// Decisions returns the decisions about a goroutine, or all for 0, oldest first. Only the last
// ones are kept.
func (s *Session) Decisions(goroutine uint64) (list []Decision) {
	w := &s.places
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.decisions {
		if goroutine == 0 || d.Goroutine == goroutine {
			list = append(list, *d)
		}
	}
	return list
}

// Pin has no policy move a goroutine any more, or lets them again.
func (s *Session) Pin(goroutine uint64, pinned bool) error {
	if s.cfg.Measures == nil {
		return errNoPlacement
	}
	w := &s.places
	w.mu.Lock()
	defer w.mu.Unlock()
	w.policy.Pin(goroutine, pinned)
	return nil
}

// Pinned reports whether a goroutine was pinned.
func (s *Session) Pinned(goroutine uint64) bool {
	w := &s.places
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.policy.Pinned(goroutine)
}

// Weigh sets the weight that a label of goroutines has in a process; 0 removes it.
func (s *Session) Weigh(weight Weight) error {
	if s.cfg.Measures == nil {
		return errNoPlacement
	}
	if weight.Process < 0 || weight.Process >= len(s.procs) {
		return fmt.Errorf("there is no process %d: the session has %d", weight.Process, len(s.procs))
	}
	w := &s.places
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]Weight, 0, len(w.weights)+1)
	for _, old := range w.weights {
		if old.Key != weight.Key || old.Value != weight.Value || old.Process != weight.Process {
			list = append(list, old)
		}
	}
	if weight.Weight != 0 {
		list = append(list, weight)
	}
	old := w.weights
	w.weights = list
	labels := w.labels()
	if len(labels) > mail.LabelsMost {
		w.weights = old
		return fmt.Errorf("%d labels have weights already", mail.LabelsMost)
	}
	hashes := make([]uint64, len(labels))
	for i, l := range labels {
		hashes[i] = mail.LabelHash(l[0], l[1])
	}
	s.cfg.Measures.ask(hashes)
	w.asked = time.Time{}
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}
