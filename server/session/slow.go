package session

import (
	"math/rand/v2"
	"sync"
	"time"

	"remotec.dev/runtimestub/wire"
)

// slowly holds back what a process is told by others: fault injection. The
// order of messages, and of probes among them, stays as it is.
type slowly struct {
	mu    sync.Mutex
	queue []wire.Event // guarded by mu
	wake  chan struct{}
}

func (q *slowly) put(e *wire.Event) {
	q.mu.Lock()
	q.queue = append(q.queue, *e)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *slowly) take() []wire.Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	queue := q.queue
	q.queue = nil
	return queue
}

// deliver sends process number what is held back for it, until the session is
// over.
func (s *Session) deliver(number int) {
	q := &s.slow[number]
	for {
		select {
		case <-s.ended:
			return
		case <-q.wake:
		}
		for _, e := range q.take() {
			if rand.IntN(2) == 0 {
				time.Sleep(rand.N(s.cfg.PostDelay))
			}
			s.mu.Lock()
			p := s.procs[number]
			s.mu.Unlock()
			if p.event(&e) != nil {
				return // the process is gone
			}
		}
	}
}
