package pager

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"remotec.dev/server/coherence"
)

// serve answers faults of a until Close. The goroutine has a thread to itself: waking
// a thread that waits in the kernel costs less than a goroutine that is parked.
func (p *Pager) serve(a *attached) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const timerSlack = 1 // ns, of sleep
	unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlack, 0, 0, 0)
	for {
		m, err := p.next(a)
		if err != nil {
			p.config.Logger.Error("faults of a process are no longer answered", "process", a.id, "error", err)
			p.config.Failed(a.id, err)
			return
		}
		if m == nil {
			return
		}
		start := time.Now()
		outcome := p.answer(a, m, start)
		a.counters.count(outcome, time.Since(start))
	}
}

// next waits for an event; nil means that the pager is closed.
func (p *Pager) next(a *attached) (*message, error) {
	var m message
	// One event at a time: what is left can be taken by another thread. To spin here
	// before the poll made faults slower: on two processors, where waking across an
	// idle one costs most, the best case is that pager and program share one.
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&m)), unsafe.Sizeof(m))
	for {
		n, err := unix.Read(a.uffd, buf)
		switch {
		case err == nil && n == len(buf):
			return &m, nil
		case err == nil:
			return nil, fmt.Errorf("pager: process %d: an event of %d bytes", a.id, n)
		case err == unix.EINTR:
			continue
		case err != unix.EAGAIN:
			return nil, fmt.Errorf("pager: reading the userfaultfd of process %d: %w (has its handshake been made?)", a.id, err)
		}
		fds := []unix.PollFd{{Fd: int32(a.uffd), Events: unix.POLLIN}, {Fd: int32(p.stop), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return nil, fmt.Errorf("pager: waiting for faults of process %d: %w", a.id, err)
		}
		if fds[1].Revents != 0 {
			return nil, nil
		}
	}
}

// answer makes the thread that waits for m go on, one way or another.
func (p *Pager) answer(a *attached, m *message, start time.Time) coherence.Outcome {
	if m.event != eventPagefault {
		// Others come only where features were asked for that are not in Features.
		p.fail(a.id, fmt.Errorf("pager: process %d: unexpected userfaultfd event %#x", a.id, m.event))
		return coherence.Failed
	}
	f := coherence.Fault{
		Process: a.id,
		Addr:    uintptr(m.address),
		Write:   m.flags&(pagefaultFlagWrite|pagefaultFlagWP) != 0,
		WP:      m.flags&pagefaultFlagWP != 0,
		Thread:  int(uint32(m.threadID)),
	}
	return p.handle(f, &a.process, start)
}

// handle has f, a fault of the process whose memory is m that was read at start, answered.
func (p *Pager) handle(f coherence.Fault, m Memory, start time.Time) (outcome coherence.Outcome) {
	var err error
	if p.config.Forward != nil {
		outcome, err = coherence.Retried, p.config.Forward(f)
	} else {
		var wait time.Duration
		var from coherence.Origin
		outcome, from, wait, err = p.directory.HandleFrom(f)
		switch {
		case outcome == coherence.Deferred:
			p.putOff(f, m, start, wait)
		case outcome == coherence.PlainMemory:
			p.putOffs.Go(func() {
				if err := p.directory.Common(f); err != nil {
					p.broken(f, m, err)
				}
			})
		case p.config.Answered != nil && err == nil && from.Process != f.Process:
			p.config.Answered(f, from, time.Since(start))
		}
	}
	if err == nil {
		return outcome
	}
	return p.broken(f, m, err)
}

// broken ends the wait of who waits for an answer to f that cannot be had, because of err.
func (p *Pager) broken(f coherence.Fault, m Memory, err error) coherence.Outcome {
	if errors.Is(err, coherence.ErrLost) {
		// The session is about to end. That the thread goes on waiting is better
		// than a SIGBUS, of which the program would have something to say.
		return coherence.Failed
	}
	if poisonErr := m.Poison(f.Addr &^ (coherence.PageSize - 1)); poisonErr != nil {
		err = fmt.Errorf("%w (and %w)", err, poisonErr)
	}
	p.fail(f.Process, err)
	return coherence.Failed
}

// putOff has f answered after wait, by another thread: this one has other faults to
// answer.
func (p *Pager) putOff(f coherence.Fault, m Memory, start time.Time, wait time.Duration) {
	p.putOffs.Go(func() {
		p.config.Options.Sleep(wait)
		p.handle(f, m, start)
	})
}

// Handle answers a fault of a process that AttachFar attached.
func (p *Pager) Handle(f coherence.Fault) {
	p.mu.Lock()
	far := p.far[f.Process]
	p.mu.Unlock()
	if far == nil {
		p.fail(f.Process, errors.New("pager: a fault of a process that has no memory"))
		return
	}
	start := time.Now()
	outcome := p.handle(f, far.memory, start)
	far.counters.count(outcome, time.Since(start))
}

func (p *Pager) fail(process int, err error) {
	p.config.Logger.Error("a fault cannot be answered", "process", process, "error", err)
	p.config.Failed(process, err)
}

// Push gives a page to a process that is about to write to it.
func (p *Pager) Push(process int, addr uintptr) {
	err := p.directory.Push(process, addr)
	if err != nil && !errors.Is(err, coherence.ErrLost) && !coherence.Unmapped(err) {
		p.fail(process, err)
	}
}
