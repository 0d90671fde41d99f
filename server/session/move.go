package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"remotec.dev/runtimestub/wire"
)

// Goroutines that go to another process because somebody asks for it. The processes
// do it among themselves; here is who asks them. All are asked, as only they
// know who has the goroutine, again and again: what they answer is how far it is. One
// under way is nobody's for a moment.

const (
	moveEvery   = 2 * time.Millisecond // between two requests, at most
	moveFirst   = 50 * time.Microsecond
	moveUnknown = 20 // times in sequence that nobody has a goroutine which there is not
)

// moves are the requests under way, one at a time.
type moves struct {
	asking sync.Mutex // held by who asks

	mu     sync.Mutex
	number uint64        // of the last request; guarded by mu
	left   int           // processes that have not answered; guarded by mu
	awaits []bool        // which they are; guarded by mu
	best   moving        // of their answers; guarded by mu
	done   chan struct{} // closed when all have; guarded by mu
}

// moving is how far a goroutine is.
type moving struct {
	state       uint64 // wire.MoveUnknown ...
	why, within string
}

// reason says why it is not there.
func (m *moving) reason() string { return m.why + m.within }

// answer carries out NrMoving.
func (w *moves) answer(p *process, c *wire.Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Args[0] != w.number || w.left == 0 || !w.awaits[p.number] {
		return
	}
	if c.Args[1] != wire.MoveUnknown {
		w.best = moving{c.Args[1], string(c.Blobs[1]), string(c.Blobs[2])}
	}
	w.gone(p.number)
}

// gone ends the wait for a process; mu is held.
func (w *moves) gone(process int) {
	w.awaits[process] = false
	if w.left--; w.left == 0 {
		close(w.done)
	}
}

// lost ends the wait for a process that has retired.
func (w *moves) lost(process int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.awaits) > 0 && w.awaits[process] {
		w.gone(process)
	}
}

// Move has a goroutine go to a process, and waits until it is there. Where ctx
// ends first, the error says why it is not; it may go later.
func (s *Session) Move(ctx context.Context, goroutine uint64, process int) error {
	m := MoveRecord{At: time.Now(), Goroutine: goroutine, From: s.placeOf(goroutine), To: process, Reason: "asked for by a user"}
	err := s.moveTo(ctx, goroutine, process)
	m.Took = time.Since(m.At)
	if err != nil {
		m.Error = err.Error()
	}
	s.NoteMove(m)
	return err
}

func (s *Session) moveTo(ctx context.Context, goroutine uint64, process int) error {
	if process < 0 || process >= len(s.procs) {
		return fmt.Errorf("there is no process %d: the session has %d", process, len(s.procs))
	}
	if s.Retired(process) {
		return fmt.Errorf("process %d is gone: it was drained, and has ended", process)
	}
	w, start := &s.moves, time.Now()
	w.asking.Lock()
	defer w.asking.Unlock()
	var last moving
	pause := moveFirst
	for unknown := 0; ; {
		m, err := s.askMove(ctx, goroutine, process)
		switch {
		case err != nil && last.why != "":
			return fmt.Errorf("goroutine %d is still where it was: %s", goroutine, last.reason())
		case err != nil:
			return fmt.Errorf("goroutine %d: %w", goroutine, err)
		case m.state == wire.MoveDone:
			s.moved(goroutine, process, time.Since(start))
			return nil
		case m.state == wire.MovePinned:
			return fmt.Errorf("goroutine %d is still where it was: %s", goroutine, m.reason())
		case m.state == wire.MoveUnknown:
			if unknown++; unknown == moveUnknown {
				return fmt.Errorf("there is no goroutine %d", goroutine)
			}
		default:
			unknown = 0
			last = m
			if m.state == wire.MoveWaits {
				last.why = "it waits, and goes when it has what it waits for: " + m.why
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, moveEvery)
	}
}

// askMove asks all processes once.
func (s *Session) askMove(ctx context.Context, goroutine uint64, process int) (moving, error) {
	if err := ctx.Err(); err != nil {
		return moving{}, err
	}
	w := &s.moves
	w.mu.Lock()
	w.number++
	living := s.living()
	w.left, w.best, w.done = len(living), moving{}, make(chan struct{})
	w.awaits = make([]bool, len(s.procs))
	for _, k := range living {
		w.awaits[k] = true
	}
	e, done := wire.Event{Kind: wire.EventMove, N: uint32(process), A: goroutine, B: w.number}, w.done
	w.mu.Unlock()
	for _, k := range living {
		if err := s.eventTo(k, &e); err != nil && !s.Retired(k) {
			return moving{}, err
		}
	}
	select {
	case <-done:
	case <-s.ended:
		return moving{}, errors.New("the session is over")
	case <-ctx.Done():
		return moving{}, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.best, nil
}

// moveAny moves some goroutine of some process again and again: fault injection. It
// returns when the session is over.
func (s *Session) moveAny() {
	tick := time.NewTicker(s.cfg.MoveEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ended:
			return
		case <-tick.C:
		}
		if s.complete() && !s.sleep.still.Load() {
			s.eventTo(rand.IntN(len(s.procs)), &wire.Event{Kind: wire.EventMove}) // an error is a process that ends
		}
	}
}
