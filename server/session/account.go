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
	Accounted   time.Time     // since when what goroutines use is accounted for; zero: it is not
	Processes   []ProcessInfo // those that have attached
}

// ProcessInfo is what is known of one process of a session.
type ProcessInfo struct {
	Number  int
	PID     int    // on its host
	Host    string // name of its host; empty: the session's
	Live    uint64
	Created uint64
	Gone    bool // it was drained, and has ended
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
	i.Calls, i.Links, i.Accounted = s.calls.Load(), len(s.links), s.accounted
	for l := range s.links {
		i.Calls += l.calls.Load()
	}
	for _, p := range s.procs {
		if p == nil {
			continue
		}
		i.Live += p.account.Live
		i.Created += p.account.Created
		own := ProcessInfo{Number: p.number, PID: p.pid, Live: p.account.Live, Created: p.account.Created, Gone: s.Retired(p.number)}
		if s.cfg.Host != nil {
			own.Host = s.cfg.Host(p.number)
		}
		i.Processes = append(i.Processes, own)
	}
	return i
}

// Account has all processes account for what their goroutines use, until the session is over: it
// costs some, so that none does before somebody asks for it. It returns since when they do.
func (s *Session) Account() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accounted.IsZero() {
		s.accounted = time.Now()
		for _, p := range s.procs {
			if p != nil {
				go p.event(&wire.Event{Kind: wire.EventAccount}) // it may not read
			}
		}
	}
	return s.accounted
}

// Goroutines asks all processes of the program for a fresh account, with live
// goroutines one by one where all is set, and waits for at most timeout. Of a process
// that sends none it takes the last one.
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
		for _, p := range s.procs {
			if p == nil || s.Retired(p.number) {
				continue
			}
			p.asked = true
			s.awaited++
			// On its own: a program that does not read must not hold up who
			// asks. There is one such request at a time.
			go p.event(e)
		}
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
	var list []*wire.Goroutines
	for _, p := range s.procs {
		if p != nil {
			list = append(list, p.account)
		}
	}
	return total(list)
}

// maxListed is how many goroutines of a process are listed at most.
const maxListed = 1 << 20

// report stores an account that process p sent, or a part of it.
func (s *Session) report(p *process, g *wire.Goroutines) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p.partial)+len(g.List) > maxListed {
		g.List = g.List[:maxListed-len(p.partial)]
	}
	p.partial = append(p.partial, g.List...)
	if g.More {
		return
	}
	g.List, p.partial = p.partial, nil
	for i := range g.List {
		g.List[i].Process = uint32(p.number)
	}
	p.account = g
	if !p.asked {
		return
	}
	p.asked = false
	if s.awaited--; s.awaited == 0 {
		close(s.asked)
		s.asked = nil
	}
}

// total adds up the accounts of processes of one binary, where a site has the same
// program counter in each.
func total(list []*wire.Goroutines) *wire.Goroutines {
	if len(list) == 1 {
		return list[0]
	}
	sum := &wire.Goroutines{}
	sites := map[uint64]int{} // index in sum.Sites
	for _, g := range list {
		sum.Created += g.Created
		sum.Ended += g.Ended
		sum.Live += g.Live
		sum.Collections += g.Collections
		sum.Pause += g.Pause
		sum.Heap += g.Heap
		for i, n := range g.Hooks {
			if i == len(sum.Hooks) {
				sum.Hooks = append(sum.Hooks, 0)
			}
			sum.Hooks[i] += n
		}
		for _, site := range g.Sites {
			i, ok := sites[site.PC]
			if !ok {
				sites[site.PC] = len(sum.Sites)
				sum.Sites = append(sum.Sites, site)
				continue
			}
			sum.Sites[i].Created += site.Created
			sum.Sites[i].Ended += site.Ended
			sum.Sites[i].Live += site.Live
			sum.Sites[i].Use.Add(&site.Use)
		}
		sum.List = append(sum.List, g.List...)
	}
	return sum
}
