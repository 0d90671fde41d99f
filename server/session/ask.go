package session

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"remotec.dev/runtimestub/wire"
)

// What processes tell of themselves when they are asked: their stacks, and profiles. A
// goroutine of each does it, as anything of the program: so one that is stuck with all its Ps
// in C code does not answer, and who asks has to say for how long it waits.

// maxTold is how many bytes a process may tell at most.
const maxTold = 256 << 20

// asks are the requests under way.
type asks struct {
	mu     sync.Mutex
	number uint64          // of the last request; guarded by mu
	open   map[uint64]*ask // by number; guarded by mu
}

// ask is a request to one process.
type ask struct {
	process *process
	text    []byte // guarded by asks.mu until done
	err     error  // as text
	done    chan struct{}
}

// told carries out NrTold.
func (w *asks) told(p *process, c *wire.Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.open[c.Args[0]]
	if a == nil || a.process != p {
		return
	}
	switch {
	case c.Args[1] > 1:
		a.err = errors.New(string(c.Blobs[1]))
	case len(a.text)+len(c.Blobs[1]) > maxTold:
		a.err = fmt.Errorf("it tells more than %d bytes", maxTold)
	default:
		a.text = append(a.text, c.Blobs[1]...)
		if c.Args[1] == 0 {
			return
		}
	}
	delete(w.open, c.Args[0])
	close(a.done)
}

// Ask asks all processes for something of themselves, wire.AskStacks and so on, and returns
// what they tell, by number of the process, nil where it has retired; arg is what the request has in B.
func (s *Session) Ask(ctx context.Context, what uint32, arg uint64) ([][]byte, error) {
	w := &s.asks
	s.mu.Lock()
	procs := append([]*process(nil), s.procs...)
	s.mu.Unlock()
	list := make([]*ask, len(procs))
	for k, p := range procs {
		if s.Retired(k) {
			continue
		}
		if p == nil {
			return nil, fmt.Errorf("process %d has not attached", k)
		}
		a := &ask{process: p, done: make(chan struct{})}
		w.mu.Lock()
		if w.open == nil {
			w.open = make(map[uint64]*ask)
		}
		w.number++
		number := w.number
		w.open[number] = a
		w.mu.Unlock()
		defer func() {
			w.mu.Lock()
			delete(w.open, number)
			w.mu.Unlock()
		}()
		list[k] = a
		go p.event(&wire.Event{Kind: wire.EventAsk, N: what, A: number, B: arg}) // it may not read
	}
	texts := make([][]byte, len(list))
	for k, a := range list {
		if a == nil {
			continue
		}
		select {
		case <-a.done:
		case <-s.ended:
			return nil, errors.New("the session is over")
		case <-ctx.Done():
			if s.Retired(k) { // meanwhile
				continue
			}
			return nil, fmt.Errorf("process %d does not answer: %w", k, ctx.Err())
		}
		if a.err != nil {
			return nil, fmt.Errorf("process %d: %w", k, a.err)
		}
		texts[k] = a.text
	}
	return texts, nil
}
