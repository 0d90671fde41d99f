package session

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"remotec.dev/runtimestub/wire"
)

// Who looks at a session gets an *observation*: all live goroutines of all processes at
// about one moment, one by one. Many may look at once, so that one observation serves all
// for a while; when nobody has looked for some time it is dropped.
//
// Invariant: a session that nobody looks at is asked nothing and keeps nothing.

const (
	observeFresh = 400 * time.Millisecond // for which an observation is as good as a new one
	observeLimit = time.Second            // for all processes to answer
	observeKeep  = 20 * time.Second
	// A message may be late; a process that sends more goroutines than this is not believed.
	observeMost = 20_000_000
)

// Row is one live goroutine.
type Row struct {
	ID      uint64
	PC      uint64 // of the go statement that made it
	Process int
	State   string // running, runnable, syscall or what it waits for
}

// observation is what all processes answered.
type observation struct {
	at     time.Time
	took   time.Duration
	rows   []Row      // by number
	sent   [][]uint64 // messages from process to process, where they send them by themselves
	silent []int      // processes that did not answer
}

// observing is the state of it.
type observing struct {
	asking sync.Mutex // held by who asks, and guards last and drop
	last   *observation
	drop   *time.Timer

	mu     sync.Mutex
	number uint64        // of the request; guarded by mu, as is the rest
	next   *observation  // what has been answered so far
	left   map[int]bool  // processes that have not answered
	done   chan struct{} // closed when all have
	states map[string]string
}

// answer carries out NrObserved.
func (o *observing) answer(p *process, c *wire.Call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c.Args[0] != o.number || !o.left[p.number] {
		return
	}
	var waits []string
	for name := range strings.SplitSeq(string(c.Blobs[2]), "\x00") {
		if s, ok := o.states[name]; ok {
			name = s // one copy is enough
		} else {
			o.states[name] = name
		}
		waits = append(waits, name)
	}
	for b := c.Blobs[1]; len(b) >= wire.ObservedSize && len(o.next.rows) < observeMost; b = b[wire.ObservedSize:] {
		r := Row{ID: binary.LittleEndian.Uint64(b), PC: binary.LittleEndian.Uint64(b[8:]), Process: p.number}
		wait := int(binary.LittleEndian.Uint16(b[18:]))
		switch status := binary.LittleEndian.Uint16(b[16:]); status {
		case 1:
			r.State = "runnable"
		case 2, 8: // copystack
			r.State = "running"
		case 3:
			r.State = "syscall"
		case 4:
			r.State = "waiting"
			if 0 < wait && wait < len(waits) {
				r.State = waits[wait-1]
			}
		default:
			r.State = "preempted"
		}
		o.next.rows = append(o.next.rows, r)
	}
	if c.Args[1] == 0 {
		return // there is more
	}
	for k, b := 0, c.Blobs[3]; len(b) >= 8 && k < len(o.next.sent); k, b = k+1, b[8:] {
		o.next.sent[p.number][k] = binary.LittleEndian.Uint64(b)
	}
	delete(o.left, p.number)
	if len(o.left) == 0 {
		close(o.done)
	}
}

// lost ends the wait for a process that has retired.
func (o *observing) lost(process int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.next != nil && o.left[process] {
		delete(o.left, process)
		if len(o.left) == 0 {
			close(o.done)
		}
	}
}

// observe returns an observation that is not older than observeFresh.
func (s *Session) observe(ctx context.Context) (*observation, error) {
	o := &s.observing
	o.asking.Lock()
	defer o.asking.Unlock()
	if o.drop == nil {
		o.drop = time.AfterFunc(observeKeep, func() {
			o.asking.Lock()
			defer o.asking.Unlock()
			o.last = nil
		})
	}
	o.drop.Reset(observeKeep)
	if o.last != nil && time.Since(o.last.at) < observeFresh {
		return o.last, nil
	}
	next, done := s.askAll(func(number uint64) *wire.Event {
		return &wire.Event{Kind: wire.EventObserve, A: number}
	})
	timer := time.NewTimer(observeLimit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-s.ended:
		return nil, errors.New("the session is over")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	o.mu.Lock()
	o.number++ // what comes later comes too late
	for k := range o.left {
		next.silent = append(next.silent, k)
	}
	o.next = nil
	o.mu.Unlock()
	next.took = time.Since(next.at)
	slices.SortFunc(next.rows, func(a, b Row) int { return cmp.Compare(a.ID, b.ID) })
	// One that moved meanwhile may have been seen twice.
	next.rows = slices.CompactFunc(next.rows, func(a, b Row) bool { return a.ID == b.ID })
	s.history.compare(o.last, next)
	o.last = next
	return next, nil
}

// askAll sends an event to all processes that are there.
func (s *Session) askAll(event func(number uint64) *wire.Event) (*observation, chan struct{}) {
	s.mu.Lock()
	procs := slices.Clone(s.procs)
	s.mu.Unlock()
	o := &s.observing
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.states == nil {
		o.states = map[string]string{}
	}
	o.number++
	o.next = &observation{at: time.Now(), sent: make([][]uint64, len(procs))}
	o.left, o.done = map[int]bool{}, make(chan struct{})
	for k, p := range procs {
		o.next.sent[k] = make([]uint64, len(procs))
		if p != nil && !s.Retired(k) {
			o.left[k] = true
			go p.event(event(o.number)) // one that does not read must not hold up who asks
		}
	}
	return o.next, o.done
}

// inspecting is a question to processes.
type inspecting struct {
	asking sync.Mutex // held by who asks

	mu      sync.Mutex
	number  uint64         // guarded by mu, as is the rest
	left    int            // processes that have not answered
	answers map[int]string // those that are not empty
	done    chan struct{}  // closed when all have answered
}

// answer carries out NrInspected.
func (q *inspecting) answer(p *process, c *wire.Call) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.Args[0] != q.number || q.left == 0 {
		return
	}
	if text := string(c.Blobs[1]); text != "" {
		q.answers[p.number] = text
	}
	if q.left--; q.left == 0 {
		close(q.done)
	}
}

// inspect asks processes a question, wire.InspectStack and so on, and returns what those that
// know say. Where some are silent that is what the others said, and an error if it is nothing.
func (s *Session) inspect(ctx context.Context, processes []int, what uint32, about uint64) (map[int]string, error) {
	processes = slices.DeleteFunc(slices.Clone(processes), s.Retired)
	if len(processes) == 0 {
		return map[int]string{}, nil
	}
	q := &s.inspecting
	q.asking.Lock()
	defer q.asking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, observeLimit)
	defer cancel()
	q.mu.Lock()
	q.number++
	q.left, q.answers, q.done = len(processes), map[int]string{}, make(chan struct{})
	e, done := wire.Event{Kind: wire.EventInspect, N: what, A: q.number, B: about}, q.done
	q.mu.Unlock()
	for _, k := range processes {
		go s.eventTo(k, &e) // an error is a process that ends
	}
	var err error
	select {
	case <-done:
	case <-s.ended:
		err = errors.New("the session is over")
	case <-ctx.Done():
		err = fmt.Errorf("asking the program: %w", ctx.Err())
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.left = 0
	if len(q.answers) > 0 {
		err = nil
	}
	return q.answers, err
}

// Stack returns the stack of a goroutine, as a traceback shows it, and the process that it is in.
func (s *Session) Stack(ctx context.Context, goroutine uint64) (text string, process int, err error) {
	all := s.living()
	for range 3 { // it may be on its way from one process to another
		answers, err := s.inspect(ctx, all, wire.InspectStack, goroutine)
		if err != nil {
			return "", 0, err
		}
		for k, text := range answers {
			return text, k, nil
		}
	}
	return "", 0, fmt.Errorf("there is no goroutine %d", goroutine)
}
