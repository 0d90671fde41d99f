package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/coherence"
	"remotec.dev/server/osys"
)

// Processes that retire: one that is drained hands over what it has to another process of its host, its
// heir, and ends; the session goes on. remotec_retire.go in the patched runtime has the process's side, package
// coherence why its memory may be kept as it is.
//
// Order of events:
//   - All others hear who the heir is, and send it what concerns the process from then on.
//   - What the operating system tells the process goes to the heir; it is sent to the process no more.
//   - The process is told to go. It hands over until nothing is left, closes its mailbox and says so by
//     CollectRetire, with its world stopped.
//   - From here on it is gone to everybody in the session: its number is in gone. Its end is no end of the session.
//   - The others hear what it has left.

const (
	keepPause = 100 * time.Millisecond // between two looks at what a process has left, at least
	keepShare = 20                     // the pause is at least as many times as long as a look
	goneLimit = 2 * time.Second        // for a process that has said that it ends
	mostParts = 1 << 20                // of the slot of a process that retires
)

// retiring is what is known of processes that retire.
type retiring struct {
	asked   atomic.Uint64 // by process, a bit each: it was told to retire; nobody does so unasked
	gone    atomic.Uint64 // by process, a bit each: it has retired
	heirs   []int         // by process, of one that is to retire; else -1. Guarded by steering.asking
	keeping atomic.Bool   // somebody looks at what is left

	mu      sync.Mutex
	parts   map[int][]coherence.Range // by process, what it has said so far; guarded by mu
	estates []*coherence.Estate       // of all; guarded by mu
	pause   time.Duration             // guarded by mu
	kept    time.Time                 // guarded by mu
	left    traffic                   // messages of those that are gone; guarded by mu
}

// Retired reports whether a process has retired: it ends, or has ended, and the session goes on.
func (s *Session) Retired(process int) bool { return s.retiring.gone.Load()>>process&1 != 0 }

// living returns the processes that have not retired.
func (s *Session) living() []int {
	list := make([]int, 0, len(s.procs))
	for k := range s.procs {
		if !s.Retired(k) {
			list = append(list, k)
		}
	}
	return list
}

// mayRetire returns why a process cannot retire, whatever it does.
func (s *Session) mayRetire(process int) error {
	switch {
	case process == 0:
		return errors.New("it is the first one, to which the program's global variables and signals belong")
	case !s.near():
		return errors.New("the session has processes on other hosts")
	case s.cfg.Measures == nil:
		return errors.New("the processes send each other messages by way of the session")
	}
	return nil
}

// drained has a bit for each process that gets no goroutines. It changes under steering.asking, which is held for
// as long as a drain takes; who only looks does so without.
type drained struct{ processes atomic.Uint64 }

func (d *drained) set(process int, on bool) {
	if on {
		d.processes.Or(1 << process)
	} else {
		d.processes.And(^(uint64(1) << process))
	}
}

// has reports whether a process gets no goroutines.
func (d *drained) has(process int) bool { return d.processes.Load()>>process&1 != 0 }

// other returns a process that takes over from those that are drained, or -1.
func (d *drained) other(s *Session) int {
	for _, k := range s.living() {
		if !d.has(k) {
			return k
		}
	}
	return -1
}

// retire has a process that is drained hand over what it has, and end. It waits until it has ended. Where ctx ends
// first, or it cannot, the error says what is left; then keepOn is to be called. steering.asking is held.
func (s *Session) retire(ctx context.Context, process, heir int) error {
	r := &s.retiring
	p := s.procs[process]
	tell := func(number uint64, k, what, c int, d uint64) *wire.Event {
		return &wire.Event{Kind: wire.EventRetire, N: uint32(process), A: number, B: uint64(what), C: uint64(c), D: d}
	}
	s.whole.marks.Stop(true)
	if r.heirs[process] != heir {
		_, err := s.steer(ctx, func(number uint64, k int) *wire.Event { return tell(number, k, wire.RetireHeir, heir+1, 0) })
		if err != nil {
			return err
		}
		if os, ok := s.os.(osys.Redirecting); ok {
			os.Redirect(process, heir)
		}
		r.heirs[process] = heir
		r.asked.Or(1 << process)
	}
	why := ""
	for pause := moveFirst; !s.Retired(process); pause = min(2*pause, moveEvery) {
		answers, err := s.steer(ctx, func(number uint64, k int) *wire.Event {
			what := wire.RetireCount
			if k == process {
				what = wire.RetireGo
			}
			return tell(number, k, what, heir+1, 0)
		})
		if err != nil && !s.Retired(process) {
			if why != "" {
				return errors.New(why)
			}
			return err
		}
		if err == nil {
			a := answers[process]
			if a.why != "" {
				why = a.why + a.within
			}
			if a.args[1] == 1 {
				return errors.New(why)
			}
		}
		select {
		case <-ctx.Done():
		case <-p.gone:
		case <-time.After(pause):
		}
	}
	select {
	case <-p.over:
		return nil
	case <-s.ended:
		return errors.New("the session is over")
	case <-time.After(goneLimit):
		return errors.New("it is about to end, and has not")
	}
}

// keepOn has a process that could not retire go on as it did; steering.asking is held.
func (s *Session) keepOn(process int) {
	ctx, cancel := context.WithTimeout(context.Background(), goneLimit)
	defer cancel()
	if err := s.stay(ctx, []int{process}); err != nil && !s.over() {
		s.cfg.Log.Warn("a process that was to retire may do so later", "session", s.cfg.ID, "process", process, "err", err)
	}
}

// stay has processes that were to retire stay; steering.asking is held.
func (s *Session) stay(ctx context.Context, processes []int) error {
	r := &s.retiring
	for _, process := range processes {
		if r.heirs[process] < 0 || s.Retired(process) {
			continue
		}
		_, err := s.steer(ctx, func(number uint64, k int) *wire.Event {
			e := &wire.Event{Kind: wire.EventRetire, N: uint32(process), A: number, B: wire.RetireHeir}
			if k == process {
				e.B = wire.RetireCancel
			}
			return e
		})
		if err != nil && !s.Retired(process) {
			return err
		}
		if s.Retired(process) {
			continue
		}
		if os, ok := s.os.(osys.Redirecting); ok {
			os.Redirect(process, process)
		}
		r.heirs[process] = -1
		r.asked.And(^(uint64(1) << process))
	}
	for _, heir := range r.heirs {
		if heir >= 0 {
			return nil
		}
	}
	s.whole.marks.Stop(false)
	return nil
}

// mayLeave reports whether the process was told to retire, and has not.
func (p *process) mayLeave() bool {
	r := &p.s.retiring
	return r.asked.Load()&^r.gone.Load()>>p.number&1 != 0
}

// estate carries out CollectEstate.
func (p *process) estate(c *wire.Call) error {
	r := &p.s.retiring
	words := appendWords(nil, c.Blobs[1])
	r.mu.Lock()
	defer r.mu.Unlock()
	if !p.mayLeave() || len(r.parts[p.number])+len(words)/2 > mostParts {
		return fmt.Errorf("process %d says what it leaves, and is not to leave that", p.number)
	}
	if r.parts == nil {
		r.parts = make(map[int][]coherence.Range)
	}
	for i := 0; i+1 < len(words); i += 2 {
		r.parts[p.number] = append(r.parts[p.number], coherence.Range{Start: words[i], End: words[i+1]})
	}
	return nil
}

// leaves carries out CollectRetire: the process is about to end, and its threads do nothing any more.
func (p *process) leaves(c *wire.Call) error {
	s, r := p.s, &p.s.retiring
	words := appendWords(nil, c.Blobs[1])
	s.maps.mu.Lock() // a mapping is made in all processes, or in all but this one
	err := fmt.Errorf("process %d retires in a way that is none", p.number)
	if len(words) == 3 && p.mayLeave() {
		err = s.cfg.Memory.Retire(p.number)
	}
	if err == nil {
		r.gone.Or(1 << p.number)
	}
	s.maps.mu.Unlock()
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.estates = append(r.estates, coherence.NewEstate(s.cfg.Layout, p.number, r.parts[p.number]))
	delete(r.parts, p.number)
	r.left.sent += uint64(words[1])
	r.left.received += uint64(words[2])
	r.mu.Unlock()
	s.whole.marks.Leave(p.number)
	s.whole.marks.Stop(false)
	close(p.gone)
	s.forgetAnswers(p)
	e := wire.Event{Kind: wire.EventRetire, N: uint32(p.number), B: wire.RetireGone, D: uint64(words[0])}
	for _, k := range s.living() {
		s.eventTo(k, &e) // an error is a process that ends
	}
	s.cfg.Log.Info("a process has retired", "session", s.cfg.ID, "process", p.number, "pid", p.pid)
	if s.cfg.Retired != nil {
		s.cfg.Retired(p.number)
	}
	return nil
}

// forgetAnswers has nobody wait for what p, which is gone, would have answered.
func (s *Session) forgetAnswers(p *process) {
	s.steering.lost(p.number)
	s.moves.lost(p.number)
	s.observing.lost(p.number)
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := *p.account
	gone.Live, gone.List = 0, nil
	p.account = &gone
	if p.asked {
		p.asked = false
		if s.awaited--; s.awaited == 0 {
			close(s.asked)
			s.asked = nil
		}
	}
}

// Ended is called when a process of the program has ended.
func (s *Session) Ended(process int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.procs[process]; p != nil {
		select {
		case <-p.over:
		default:
			close(p.over)
		}
	}
}

// keep looks at what retired processes have left, so that what that refers to no more can be freed. It is
// called after marks of other processes, and does nothing where it has just been done.
func (s *Session) keep() {
	r := &s.retiring
	if r.gone.Load() == 0 || !r.keeping.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer r.keeping.Store(false)
		r.mu.Lock()
		due := time.Since(r.kept) >= max(r.pause, keepPause)
		estates := r.estates
		r.mu.Unlock()
		if !due {
			return
		}
		start := time.Now()
		for _, e := range estates {
			if _, err := s.cfg.Memory.Keep(e); err != nil && !s.over() {
				s.cfg.Log.Error("memory of a process that has retired cannot be read", "session", s.cfg.ID, "err", err)
			}
		}
		r.mu.Lock()
		r.kept = time.Now()
		r.pause = keepShare * r.kept.Sub(start)
		r.mu.Unlock()
	}()
}

func (s *Session) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// stays is why drained processes have not ended.
type stays []string

func (w *stays) add(process int, err error) {
	*w = append(*w, fmt.Sprintf("process %d is drained, but stays: %s", process, err))
}

func (w stays) String() string { return strings.Join(w, "; ") }
