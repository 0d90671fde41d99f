package session

import (
	"testing"
	"time"

	"remotec.dev/runtimestub/wire"
)

// TestTracebacks: processes are asked one after the other, and one that says and
// prints nothing is left out.
func TestTracebacks(t *testing.T) {
	s := &Session{ended: make(chan struct{})}
	asks := make(chan uint64, 3)
	for number := range 4 {
		client, server := pair(t)
		p := newProcess(s, number, server)
		s.procs = append(s.procs, p)
		if number == 1 {
			continue // asks
		}
		go func() {
			frame, err := client.Frames.Next()
			var e wire.Event
			if err != nil || wire.GetEvent(frame, &e) != nil || e.Kind != wire.EventTraceback || e.N != 2 {
				t.Errorf("process %d: event %+v, %v", number, e, err)
			}
			asks <- uint64(number)
			switch number {
			case 0: // prints for some time
				for range 3 {
					time.Sleep(tracebackSilence / 2)
					p.printed.Add(1)
				}
				p.traced(e.A + 1) // not its number
				p.traced(e.A)
			case 2:
				// Nothing.
			case 3:
				p.traced(e.A)
				p.traced(e.A)
			}
		}()
	}
	start := time.Now()
	s.tracebacks(s.procs[1], 2)
	took := time.Since(start)
	if took < 2*tracebackSilence || took > 5*tracebackSilence {
		t.Errorf("it took %v", took)
	}
	for _, want := range []uint64{0, 2, 3} {
		if got := <-asks; got != want {
			t.Errorf("process %d was asked, not %d", got, want)
		}
	}
	// A session that is over waits for nobody.
	close(s.ended)
	start = time.Now()
	s.tracebacks(s.procs[0], 1)
	if took := time.Since(start); took > tracebackSilence {
		t.Errorf("after the end it took %v", took)
	}
}
