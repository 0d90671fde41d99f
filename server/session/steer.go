package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"remotec.dev/runtimestub/wire"
)

// Processes that are drained, and goroutines and processes that pause. The processes do it; here is who asks them,
// again and again until it is done, as for moves.

// steering are the requests under way, one at a time.
type steering struct {
	asking sync.Mutex // held by who asks

	mu      sync.Mutex
	number  uint64        // of the last request; guarded by mu
	left    int           // processes that have not answered; guarded by mu
	awaits  []bool        // which they are; guarded by mu
	answers []steered     // by process; guarded by mu
	done    chan struct{} // closed when all have; guarded by mu
}

// steered is what a process answers.
type steered struct {
	args        wire.Args
	why, within string
}

// answer carries out NrSteered.
func (w *steering) answer(p *process, c *wire.Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Args[0] != w.number || w.left == 0 || !w.awaits[p.number] {
		return
	}
	w.answers[p.number] = steered{c.Args, string(c.Blobs[1]), string(c.Blobs[2])}
	w.gone(p.number)
}

// gone ends the wait for a process; mu is held.
func (w *steering) gone(process int) {
	w.awaits[process] = false
	if w.left--; w.left == 0 {
		close(w.done)
	}
}

// lost ends the wait for a process that has retired.
func (w *steering) lost(process int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.awaits) > 0 && w.awaits[process] {
		w.gone(process)
	}
}

// steer sends the event that make returns, for a request and a process, to each process that is not
// left out by nil, and returns their answers.
func (s *Session) steer(ctx context.Context, event_ func(number uint64, process int) *wire.Event) ([]steered, error) {
	w := &s.steering
	w.mu.Lock()
	w.number++
	w.answers, w.done, w.left = make([]steered, len(s.procs)), make(chan struct{}), 0
	w.awaits = make([]bool, len(s.procs))
	events := make([]*wire.Event, len(s.procs))
	for k := range s.procs {
		if s.Retired(k) {
			continue
		}
		if events[k] = event_(w.number, k); events[k] != nil {
			w.left++
			w.awaits[k] = true
		}
	}
	done := w.done
	if w.left == 0 {
		close(done)
	}
	w.mu.Unlock()
	for k, e := range events {
		if e == nil {
			continue
		}
		if err := s.eventTo(k, e); err != nil && !s.Retired(k) {
			return nil, err
		}
	}
	select {
	case <-done:
	case <-s.ended:
		return nil, errors.New("the session is over")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answers, nil
}

// Drained tells what a drain has done.
type Drained struct {
	Moved uint64        // goroutines that left
	Took  time.Duration // until none was left
	Gone  time.Duration // until the processes had ended; 0 if one has not
	Stays string        // which have not, and why
}

// Drain has all goroutines of some processes go to the others of their hosts, and gives
// those processes no new ones from then on; with on false they get some again. It waits until no
// goroutine is left there. Where ctx ends first, the error says which is, and why; it may go later.
//
// Then the processes end, unless keep is set: what they have others take over. Where one cannot, it stays, and
// Drained says why.
func (s *Session) Drain(ctx context.Context, processes []int, on, keep bool) (Drained, error) {
	for _, k := range processes {
		if k < 0 || k >= len(s.procs) {
			return Drained{}, fmt.Errorf("there is no process %d: the session has %d", k, len(s.procs))
		}
		if s.Retired(k) {
			return Drained{}, fmt.Errorf("process %d is gone: it was drained, and has ended", k)
		}
	}
	if len(s.procs) == 1 {
		return Drained{}, errors.New("the session has one process; remotec run -n 2 starts two")
	}
	w := &s.steering
	w.asking.Lock()
	defer w.asking.Unlock()
	start := time.Now()
	if !on || keep {
		if err := s.stay(ctx, processes); err != nil {
			return Drained{}, err
		}
	}
	for _, k := range processes {
		s.drained.set(k, on)
		_, err := s.steer(ctx, func(number uint64, process int) *wire.Event {
			e := &wire.Event{Kind: wire.EventDrain, N: uint32(k), A: number}
			if on && process != k { // it begins when all others know
				e.B = 1
			}
			return e
		})
		if err != nil {
			return Drained{}, err
		}
	}
	if !on {
		return Drained{Took: time.Since(start)}, nil
	}
	first := make(map[int]wire.Args)
	passed := make(map[int]uint64) // the first pass that counts
	var left steered
	of := 0
	for pause := moveFirst; ; pause = min(2*pause, moveEvery) {
		answers, err := s.steer(ctx, func(number uint64, process int) *wire.Event {
			if !slices.Contains(processes, process) {
				return nil
			}
			return &wire.Event{Kind: wire.EventDrain, N: uint32(process), A: number, B: 1}
		})
		if err != nil {
			if left.args[2] == 0 {
				return Drained{}, err
			}
			return Drained{}, fmt.Errorf("process %d still has %d goroutine(s): goroutine %d: %s%s", of, left.args[2], left.args[4], left.why, left.within)
		}
		empty := true
		d := Drained{Took: time.Since(start)}
		for _, k := range processes {
			a := answers[k]
			if _, ok := first[k]; !ok {
				// The pass that may be under way began when others did not know yet.
				first[k], passed[k] = a.args, a.args[1]+1
			}
			d.Moved += a.args[3] - first[k][3]
			if a.args[1] <= passed[k] || a.args[2] != 0 {
				empty = false
			}
			if a.args[2] != 0 {
				left, of = a, k
			}
		}
		if empty {
			return s.end(ctx, processes, keep, start, d), nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// end has processes that are drained end.
func (s *Session) end(ctx context.Context, processes []int, keep bool, start time.Time, d Drained) Drained {
	if keep {
		return d
	}
	var why stays
	for _, k := range processes {
		err := s.mayRetire(k)
		heir := s.drained.other(s)
		if err == nil && heir < 0 {
			err = errors.New("no other process takes what it has: all are drained")
		}
		if err == nil {
			if err = s.retire(ctx, k, heir); err != nil {
				s.keepOn(k)
			}
		}
		if err != nil && s.Retired(k) {
			err = nil // just then
		}
		if err != nil {
			why.add(k, err)
		}
	}
	if d.Stays = why.String(); d.Stays == "" {
		d.Gone = time.Since(start)
	}
	return d
}

// Pause has a goroutine pause, or all of a process if goroutine is 0, or all of the program if process is negative as well;
// with on false they go on. It waits until that is so. Where ctx ends first, the error says why it is not; it
// pauses when it can.
func (s *Session) Pause(ctx context.Context, goroutine uint64, process int, on bool) error {
	if process >= len(s.procs) {
		return fmt.Errorf("there is no process %d: the session has %d", process, len(s.procs))
	}
	if process >= 0 && s.Retired(process) {
		return fmt.Errorf("process %d is gone: it was drained, and has ended", process)
	}
	w := &s.steering
	w.asking.Lock()
	defer w.asking.Unlock()
	unknown, why := 0, ""
	for pause := moveFirst; ; pause = min(2*pause, moveEvery) {
		answers, err := s.steer(ctx, func(number uint64, k int) *wire.Event {
			if goroutine == 0 && process >= 0 && k != process {
				return nil
			}
			e := &wire.Event{Kind: wire.EventPause, A: goroutine, B: number}
			if on {
				e.N = 1
			}
			return e
		})
		if err != nil {
			if why != "" {
				return fmt.Errorf("goroutine %d still runs: %s", goroutine, why)
			}
			return err
		}
		found, asked := 0, 0
		for _, a := range answers {
			switch a.args[1] {
			case wire.PauseDone:
				found++
			case wire.PauseAsked:
				found, asked = found+1, asked+1
				why = a.why + a.within
			}
		}
		switch {
		case found == 0:
			if unknown++; unknown == moveUnknown {
				return fmt.Errorf("there is no goroutine %d", goroutine)
			}
		case asked == 0:
			return nil
		default:
			unknown = 0
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
