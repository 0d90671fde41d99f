package session

import (
	"sync"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/coherence"
)

// When the processes collect their garbage together: see whole marks in package
// coherence. What only such a collection frees makes the heaps grow, and so does much
// else; so one is due when the heap of a process has doubled since the last, as a
// collection of one process is with GOGC=100, but less often where it takes long.
const (
	wholeLeast   = 8 << 20 // bytes of a heap that are no reason
	wholePinned  = 16      // roots of a process that are pins, and fewer are no reason
	wholePause   = 100 * time.Millisecond
	wholeLongest = 2 * time.Minute // the longest pause after failures
	wholeShare   = 10              // a pause is at least as many times as long as the mark
)

var wholeLimits = coherence.WholeLimits{Gather: time.Second, Begin: 100 * time.Millisecond, Mark: 5 * time.Second}

// whole is when whole marks take place.
type whole struct {
	marks *coherence.Whole

	mu    sync.Mutex
	bytes []uint64      // by process: in use after the last whole mark
	asked time.Time     // when the last one was asked for
	pause time.Duration // until the next
}

// ended notes the end of a process's mark, with so many bytes in use and roots that were
// pins; it was to be part of a whole mark, and was. It reports whether it is time for
// one.
func (w *whole) ended(now time.Time, process int, bytes uint64, roots int, part, succeeded bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if part {
		took := now.Sub(w.asked)
		if succeeded {
			w.bytes[process] = bytes
			w.pause = max(wholePause, wholeShare*took)
		} else if process == 0 { // one of those that failed with it
			w.pause = min(max(2*w.pause, took), wholeLongest)
		}
	}
	if part || bytes <= 2*w.bytes[process]+wholeLeast || roots < wholePinned || now.Sub(w.asked) <= w.pause {
		return false
	}
	w.asked = now
	return true
}

// early reports whether a whole mark may take place although no heap has grown; then it
// is taken to be asked for.
func (w *whole) early(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.asked) <= w.pause {
		return false
	}
	w.asked = now
	return true
}

// collectTogether asks all processes for a whole mark.
func (s *Session) collectTogether() {
	if !s.complete() {
		return
	}
	s.whole.marks.Ask()
	go func() { // a process that does not read is not to stop another's mark
		for k := range s.procs {
			s.eventTo(k, &wire.Event{Kind: wire.EventCollect}) // an error is a process that ends
		}
	}()
}

// ask asks for a whole mark because the program did: its processes are about to begin
// their marks.
func (w *whole) ask() {
	w.mu.Lock()
	w.asked = time.Now()
	w.mu.Unlock()
	w.marks.Ask()
}
