package session

import (
	"os"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
)

// Info is what is known of a session from outside.
type Info struct {
	ID          uint64
	PID         int // that the program sees: this process
	ProcessPID  int // of the program process on its host
	Path        string
	Args        []string
	GoVersion   string
	BuildID     string
	Started     time.Time
	Calls       uint64 // carried out so far
	Links       int
	Descriptors int // open ones of the program
	Live        uint64
	Created     uint64
	Remote      string
}

// ID returns the session's number.
func (s *Session) ID() uint64 { return s.cfg.ID }

// Info returns the session's present state. The goroutine counts are those
// of the last account that the program sent.
func (s *Session) Info() Info {
	a := s.attach
	i := Info{
		ID: s.cfg.ID, PID: os.Getpid(), ProcessPID: int(a.PID), Path: a.Path, Args: a.Args,
		GoVersion: a.GoVersion, BuildID: a.BuildID, Started: s.started, Remote: s.cfg.Remote,
	}
	if open, err := fds.Open(); err == nil {
		for _, fd := range open {
			if !s.cfg.Space.Reserved(fd) {
				i.Descriptors++
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i.Calls, i.Links = s.calls.Load(), len(s.links)
	for l := range s.links {
		i.Calls += l.calls.Load()
	}
	i.Live, i.Created = s.account.Live, s.account.Created
	return i
}

// Goroutines asks the program for a fresh account, with its live goroutines
// one by one where all is set, and waits for at most timeout. Where none
// comes it returns the last one.
func (s *Session) Goroutines(all bool, timeout time.Duration) *wire.Goroutines {
	s.mu.Lock()
	asked := s.asked
	if asked == nil {
		asked = make(chan struct{})
		s.asked = asked
		e := &wire.Event{Kind: wire.EventReport}
		if all {
			e.N = 1
		}
		// On its own: a program that does not read must not hold up who
		// asks. There is one such request at a time.
		go s.event(e)
	}
	s.mu.Unlock()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-asked:
	case <-timer.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.account
}

// report stores an account that the program sent.
func (s *Session) report(g *wire.Goroutines) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account = g
	if s.asked != nil {
		close(s.asked)
		s.asked = nil
	}
}
