package session

import (
	"sync"
	"time"

	"remotec.dev/runtimestub/wire"
)

// The traceback of a program that ends: the process that dies has printed its
// goroutines, and asks for those of the others, who print them one process after
// the other.

const (
	// tracebackSilence is how long a process may print nothing before it is left
	// out; tracebackLimit is how long it may take in all.
	tracebackSilence = time.Second
	tracebackLimit   = 30 * time.Second
)

// tracing is a process that is asked for its goroutines.
type tracing struct {
	mu     sync.Mutex
	number uint64        // of the last request; guarded by mu
	done   chan struct{} // of the request that is waited for; nil: none. Guarded by mu
}

// tracebacks carries out NrTracebacks of process p.
func (s *Session) tracebacks(p *process, level uint32) {
	s.mu.Lock()
	procs := append([]*process(nil), s.procs...)
	s.mu.Unlock()
	for _, other := range procs {
		if other != nil && other != p && !s.Retired(other.number) {
			other.traceback(level)
		}
	}
}

// traceback has the process print its goroutines.
func (p *process) traceback(level uint32) {
	t := &p.tracing
	done := make(chan struct{})
	t.mu.Lock()
	t.done = done
	t.number++
	number := t.number
	t.mu.Unlock()
	go p.event(&wire.Event{Kind: wire.EventTraceback, A: number, N: level}) // it may not read
	end := time.After(tracebackLimit)
	for before := p.printed.Load(); ; {
		select {
		case <-done:
			return
		case <-p.s.ended:
			return
		case <-end:
			return
		case <-time.After(tracebackSilence):
		}
		now := p.printed.Load()
		if now == before {
			return
		}
		before = now
	}
}

// traced carries out NrTraced.
func (p *process) traced(number uint64) {
	t := &p.tracing
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done != nil && number == t.number {
		close(t.done)
		t.done = nil
	}
}
