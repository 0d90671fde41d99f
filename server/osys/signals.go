package osys

import (
	"math/bits"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"remotec.dev/runtimestub/wire"
)

// signals passes the signals of the session process on to the program.
//
// What would end a Go program is caught and sent: the program's own runtime
// then does what it does without remotec, hand it to signal.Notify, or die of
// it, or print the stacks. Signals whose default is to stop, to continue or
// nothing keep it until the program asks for them. SIGHUP and SIGINT that the
// session was started with ignored (nohup) stay so, as in any Go program.
type signals struct {
	os *passthrough

	mu      sync.Mutex
	ch      chan os.Signal // nil once closed; guarded by mu
	forward uint64         // signals that are sent to the program; guarded by mu
	pending uint64         // caught and not yet sent; guarded by mu
	ignored uint64         // at the start; immutable
	wake    chan struct{}
	done    chan struct{}
}

// deadly are the signals caught from the start. Missing are SIGKILL and
// SIGSTOP, which nobody catches; SIGPIPE and SIGPROF, which a Go program
// survives; SIGSTKFLT and those of the C library, which its runtime keeps.
//
// Signal n is bit n-1, as in the kernel's own sets.
const deadly = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | // HUP INT QUIT ILL TRAP ABRT BUS FPE
	1<<9 | 1<<10 | 1<<11 | 1<<13 | 1<<14 | // USR1 SEGV USR2 ALRM TERM
	1<<23 | 1<<24 | 1<<25 | 1<<28 | 1<<29 | 1<<30 | // XCPU XFSZ VTALRM IO PWR SYS
	0xffff_fffc_0000_0000 // 35 to 64, real-time

func bit(n int) uint64 { return 1 << (n - 1) }

func (s *signals) init(p *passthrough) {
	s.os = p
	// os/signal drops what does not fit. It delivers one at a time and the
	// receiver only sets a bit.
	s.ch = make(chan os.Signal, 256)
	s.wake = make(chan struct{}, 1)
	s.done = make(chan struct{})
	signal.Notify(s.ch, syscall.SIGCHLD)
	for n := 1; n <= 64; n++ {
		sig := syscall.Signal(n)
		if signal.Ignored(sig) {
			s.ignored |= bit(n)
		} else if deadly&bit(n) != 0 {
			s.forward |= bit(n)
			signal.Notify(s.ch, sig)
		}
	}
	go s.receive(s.ch)
	go s.send()
}

// receive collects what arrives, like the kernel does: one of each at most.
func (s *signals) receive(ch <-chan os.Signal) {
	defer close(s.done)
	for sig := range ch {
		n := int(sig.(syscall.Signal))
		if n == int(syscall.SIGCHLD) {
			s.os.children.notify()
		}
		s.mu.Lock()
		s.pending |= bit(n) & s.forward
		s.mu.Unlock()
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// send passes on what was collected. It is apart from receive because sending
// can take as long as the program likes.
func (s *signals) send() {
	for {
		select {
		case <-s.wake:
		case <-s.done:
			return
		}
		s.mu.Lock()
		pending := s.pending
		s.pending = 0
		s.mu.Unlock()
		for ; pending != 0; pending &= pending - 1 {
			n := bits.TrailingZeros64(pending) + 1
			// The first process has the handlers of all.
			if err := s.os.cfg.Events(0, &wire.Event{Kind: wire.EventSignal, N: uint32(n)}); err != nil {
				// Most likely the program has just ended; whoever reads from
				// it tells if not.
				s.os.cfg.Log.Info("a signal was not sent to the program", "signal", n, "err", err)
			}
		}
	}
}

// set does what NrSignal asks for.
func (s *signals) set(op, number uint64) syscall.Errno {
	if number == 0 || number > 64 {
		return syscall.EINVAL
	}
	n := int(number)
	sig := syscall.Signal(n)
	if sig == syscall.SIGKILL || sig == syscall.SIGSTOP {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		return syscall.ESRCH
	}
	switch op {
	case wire.SignalNotify:
		s.forward |= bit(n)
		signal.Notify(s.ch, sig)
	case wire.SignalIgnore:
		s.forward &^= bit(n)
		signal.Ignore(sig)
	case wire.SignalDefault:
		caught := deadly&^s.ignored&bit(n) != 0
		s.forward &^= bit(n)
		switch {
		case caught:
			s.forward |= bit(n)
			signal.Notify(s.ch, sig)
		case sig == syscall.SIGCHLD:
			signal.Notify(s.ch, sig)
		case s.ignored&bit(n) != 0:
			signal.Ignore(sig)
		default:
			signal.Reset(sig)
		}
	default:
		return syscall.EINVAL
	}
	return 0
}

func (s *signals) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		signal.Stop(s.ch)
		close(s.ch)
		s.ch = nil
	}
}
