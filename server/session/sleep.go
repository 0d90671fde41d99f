package session

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"remotec.dev/runtimestub/wire"
)

// Deadlock of a program in several processes.
//
// Each process knows whether all of its goroutines wait. That all processes say
// so does not suffice: a message may be under way, or have been sent by a
// process before it fell asleep to one that had answered already. So the number
// of messages is compared: where it is the same before and after all processes
// have answered, and each has received all that was sent to it before its probe
// (messages and probes come in order on one connection), no goroutine was ready
// anywhere at the time of the last answer. It is asked twice all the same.
//
// Messages that processes of one host send each other directly the server does
// not see. Each answer has how many the process had sent and received before it
// looked whether it was asleep. Where two rounds in succession find all asleep, with
// the same numbers, and as many sent as received, nothing was under way between the
// rounds: a process that received nothing between its two answers was asleep all
// that time. (F. Mattern, Algorithms for distributed termination detection, 1987: the
// four counter method.)
//
// Nothing is asked while the program makes calls.

// probeEvery is how often a session that makes no calls is looked at.
const probeEvery = 50 * time.Millisecond

// sleep is the state of the search for a deadlock.
type sleep struct {
	mu      sync.Mutex
	probe   uint64    // number of the last one; guarded by mu
	answers int       // how many processes were asleep; guarded by mu
	live    uint64    // their goroutines; guarded by mu
	direct  []traffic // messages between them; guarded by mu
	left    int       // processes that have not answered; guarded by mu
	done    chan bool // gets whether all were asleep; guarded by mu

	// still is set after a round that found all asleep: until the next one no goroutine is moved for no reason
	// (moveAny), or no two rounds would be the same.
	still atomic.Bool
}

// traffic counts messages that a process sent and received without the server.
type traffic struct{ sent, received uint64 }

// answer carries out NrAsleep.
func (w *sleep) answer(p *process, c *wire.Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Args[0] != w.probe || w.left == 0 {
		return
	}
	w.left--
	if c.Args[1] == 1 && p.posted.Load() == c.Args[3] {
		w.answers++
	}
	w.live += c.Args[2]
	w.direct[p.number] = traffic{c.Args[4], c.Args[5]}
	if w.left == 0 {
		w.done <- true
	}
}

// ask probes all processes; it reports whether all are asleep, and how many
// goroutines they have, and their messages.
func (s *Session) ask() (asleep bool, live uint64, messages []traffic) {
	w := &s.sleep
	w.mu.Lock()
	w.probe++
	living := s.living()
	w.answers, w.live, w.left = 0, 0, len(living)
	w.direct = make([]traffic, len(s.procs))
	w.done = make(chan bool, 1)
	e, done := wire.Event{Kind: wire.EventProbe, A: w.probe}, w.done
	w.mu.Unlock()
	for _, k := range living {
		if s.eventTo(k, &e) != nil {
			return false, 0, nil
		}
	}
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		return false, 0, nil // a process computes without end on its event thread's CPU, or is stopped
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.retiring.mu.Lock()
	all := s.retiring.left
	s.retiring.mu.Unlock()
	for _, d := range w.direct {
		all.sent += d.sent
		all.received += d.received
	}
	return w.answers == len(living) && all.sent == all.received, w.live, w.direct
}

// activity counts what the program asked for so far, answers to probes aside.
func (s *Session) activity() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.calls.Load() + s.posts.Load()
	for l := range s.links {
		n += l.calls.Load()
	}
	return n
}

// watch ends a program whose goroutines all wait for each other. It returns when
// the session is over.
func (s *Session) watch() {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	before := s.activity()
	quiet := 0
	var last []traffic
	for {
		select {
		case <-s.ended:
			return
		case <-tick.C:
		}
		if now := s.activity(); now != before || !s.complete() {
			before, quiet = now, 0
			s.sleep.still.Store(false)
			continue
		}
		posts := s.posts.Load()
		asleep, live, messages := s.ask()
		before = s.activity()
		s.sleep.still.Store(asleep)
		if !asleep || posts != s.posts.Load() {
			quiet = 0
			continue
		}
		if !slices.Equal(messages, last) {
			last, quiet = messages, 0
		}
		if quiet++; quiet == 2 {
			s.eventTo(0, &wire.Event{Kind: wire.EventDeadlock, N: uint32(live)})
			return
		}
	}
}

// complete reports whether the memory of all processes is served.
func (s *Session) complete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, shared := range s.shared {
		if !shared {
			return false
		}
	}
	return true
}
