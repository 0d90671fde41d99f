package session

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
)

// process is one OS process of the program, with its control connection.
type process struct {
	s       *Session
	number  int
	control *fds.Conn
	frames  *fds.FrameReader

	sendMu sync.Mutex // serialises writes on control, guards out, used and shut
	shut   bool       // nothing is written any more: the descriptor may be another's
	out    []byte
	used   int // bytes of out that are to be written

	touched  []*process       // those for which this one's messages were queued
	call     wire.Call        // the last one on the control connection
	posted   atomic.Uint64    // messages of it that were passed on
	postedTo []atomic.Uint64  // the same, by process
	refs     map[int][]uint64 // by receiver: pins of what the next goroutine refers to that is sent there; of Run alone
	memory   bool             // it has sent its memory; guarded by Session.mu
	pid      int              // on its host; immutable
	asked    bool             // for an account; guarded by Session.mu
	account  *wire.Goroutines // the last one that it sent; guarded by Session.mu
	partial  []wire.Goroutine // goroutines of an account that goes on; guarded by Session.mu
	far      func() error     // for a process on another host, attaches its memory; else nil

	maps      chan *mapRequest
	mapping   *mapRequest // that the process carries out; its map thread's, which has mapThread
	mapThread atomic.Bool // a call NrMapNext is under way

	gone chan struct{} // closed when it has retired
	over chan struct{} // closed when it has ended; guarded by Session.mu

	tracing tracing
	printed atomic.Uint64 // how often its runtime wrote

	collectMu sync.Mutex
	collector collector // guarded by collectMu
}

func newProcess(s *Session, number int, r *fds.FrameReader) *process {
	p := &process{
		s: s, number: number, control: r.Conn, frames: r, out: make([]byte, 4096), account: &wire.Goroutines{},
		postedTo: make([]atomic.Uint64, len(s.procs)), maps: make(chan *mapRequest), refs: make(map[int][]uint64),
		gone: make(chan struct{}), over: make(chan struct{}),
	}
	if s.cfg.Far != nil {
		p.far = s.cfg.Far(number)
	}
	return p
}

// answer answers the attach.
func (p *process) answer() error {
	s := p.s
	cfg := &s.cfg
	answer := wire.Attached{
		Session: cfg.ID, Process: uint32(p.number), Processes: uint32(len(s.procs)), PID: uint32(os.Getpid()),
		Lease: s.lease(firstLease), Server: cfg.Name, Key: s.key,
	}
	if cfg.Hand {
		answer.Policy |= wire.PolicyHand
		if cfg.Local {
			answer.Std = direct()
		}
	}
	if cfg.Ring && p.far == nil {
		answer.Policy |= wire.PolicyRing
	}
	if cfg.Stdio {
		answer.Policy |= wire.PolicyStdio
	}
	if cfg.Spread {
		answer.Policy |= wire.PolicySpread
	}
	if cfg.Balance {
		answer.Policy |= wire.PolicyBalance
	}
	if cfg.Account {
		answer.Policy |= wire.PolicyAccount
	}
	frame, ok := wire.PutAttached(make([]byte, 4096), &answer)
	if !ok {
		return errors.New("server name is too long for an Attached frame")
	}
	if _, err := p.control.Write(frame); err != nil {
		return fmt.Errorf("answering the attach: %w", err)
	}
	return nil
}

// Run reads the control connection until the process closes it, which it does
// by ending. An error is a process that does not keep to the protocol.
func (p *process) Run() error {
	p.frames.Max = wire.MaxFrame
	for {
		frame, err := p.frames.Next()
		if err == io.EOF || errors.Is(err, syscall.ECONNRESET) {
			return nil
		}
		if err == nil {
			err = p.message(frame)
		}
		if err == nil && !p.frames.Ready() {
			p.flush()
		}
		if err != nil {
			p.frames.Drop()
			return fmt.Errorf("control connection: %w", err)
		}
	}
}

// message handles one frame of the control connection.
func (p *process) message(frame []byte) error {
	kind, err := wire.Kind(frame)
	if err != nil {
		return err
	}
	switch kind {
	case wire.TagLink:
		l, err := wire.GetLink(frame)
		if err != nil {
			return err
		}
		if l.Flags == wire.LinkMemory {
			return p.shareMemory(l)
		}
		hand := p.frames.Take(1)
		if hand == nil {
			return errors.New("link frame without a socket")
		}
		memfd := -1
		if l.Flags&wire.LinkRing != 0 {
			if more := p.frames.Take(1); more != nil {
				memfd = more[0]
			}
		}
		return p.s.addLink(p.s.cfg.Space.Conn(hand[0]), p.number, l, nil, memfd)
	case wire.TagCall:
		if err := wire.GetCall(frame, &p.call); err != nil {
			return err
		}
		if p.call.Nr != wire.NrPost {
			return fmt.Errorf("call %d on a control connection", p.call.Nr)
		}
		return p.post(&p.call)
	case wire.TagGoroutines:
		g, err := wire.GetGoroutines(frame)
		if err != nil {
			return err
		}
		p.s.report(p, g)
		return nil
	}
	return fmt.Errorf("message of kind %d is not for a control connection", kind)
}

// event sends e to the process. It waits for one that does not read.
func (p *process) event(e *wire.Event) error {
	p.sendMu.Lock()
	defer p.sendMu.Unlock()
	return p.send(e)
}

// send writes e and what was queued before it; sendMu is held.
func (p *process) send(e *wire.Event) error {
	if err := p.queue(e); err != nil {
		return err
	}
	return p.write()
}

// queueLimit is how many bytes of events are written at once at most.
const queueLimit = 32 << 10

// queue appends e to what is to be written; sendMu is held.
func (p *process) queue(e *wire.Event) error {
	if need := p.used + 256 + len(e.Text); need > len(p.out) {
		grown := make([]byte, max(need, 2*len(p.out)))
		copy(grown, p.out[:p.used])
		p.out = grown
	}
	frame, ok := wire.PutEvent(p.out[p.used:], e)
	if !ok {
		return errors.New("event does not fit a frame")
	}
	if p.used += len(frame); p.used > queueLimit {
		return p.write()
	}
	return nil
}

// write writes what was queued; sendMu is held.
func (p *process) write() error {
	if p.used == 0 {
		return nil
	}
	if p.shut {
		return syscall.EPIPE
	}
	_, err := p.control.Write(p.out[:p.used])
	p.used = 0
	return err
}

// flush writes what this process's messages put into the queues of others.
func (p *process) flush() {
	for _, to := range p.touched {
		to.sendMu.Lock()
		to.write() // an error is a process that ends, and says so itself
		to.sendMu.Unlock()
	}
	p.touched = p.touched[:0]
}

// endWait is how long it may take to tell a process that the session is over, twice: who
// writes to it just now is done soon, unless it does not read.
const endWait = 100 * time.Millisecond

// end tells the process that the session is over, unless it does not read.
func (p *process) end(why string) {
	for start := time.Now(); !p.sendMu.TryLock(); time.Sleep(time.Millisecond) {
		if time.Since(start) > endWait {
			return
		}
	}
	defer p.sendMu.Unlock()
	p.control.SetWriteTimeout(endWait)
	p.send(&wire.Event{Kind: wire.EventEnd, Text: why})
}
