package session

import (
	"cmp"
	"slices"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/coherence"
	"remotec.dev/server/osys"
)

// Stats are the counts of a session since it began; what goroutines use is counted since Accounted.
type Stats struct {
	Started            time.Time
	Accounted          time.Time // since when what goroutines use is accounted for
	Links, Descriptors int
	Calls              []Named // system calls that the session carried out, by name
	Memory             []Named // of the memory that processes have in common
	Processes          []ProcessStats
}

// Named is a count.
type Named struct {
	Name string
	N    uint64
}

// ProcessStats are those of a process, as of its last account.
type ProcessStats struct {
	Number        int
	Live, Created uint64   // goroutines
	Use           wire.Use // of all of them, ended and live
	Collections   uint64   // of garbage
	Pause         time.Duration
	Heap          uint64 // bytes
}

// Stats has the processes account for what goroutines use, asks them for fresh accounts, waits for at most timeout, and returns the
// session's counts.
func (s *Session) Stats(timeout time.Duration) *Stats {
	s.Account()
	s.Goroutines(false, timeout)
	info := s.Info()
	st := &Stats{Started: info.Started, Accounted: info.Accounted, Links: info.Links, Descriptors: info.Descriptors}
	if c, ok := s.os.(osys.Counting); ok {
		for nr, n := range c.Stats().ByNumber {
			if name := wire.Name(nr); name != "" {
				st.Calls = append(st.Calls, Named{name, n})
			}
		}
	}
	slices.SortFunc(st.Calls, func(a, b Named) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name)) })
	st.Memory = s.memoryStats()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.procs {
		if p == nil {
			continue
		}
		g := p.account
		own := ProcessStats{Number: p.number, Live: g.Live, Created: g.Created, Collections: g.Collections,
			Pause: time.Duration(g.Pause), Heap: g.Heap}
		for i := range g.Sites {
			own.Use.Add(&g.Sites[i].Use)
		}
		st.Processes = append(st.Processes, own)
	}
	return st
}

// memoryStats are the pager's counts, and how many messages passed the session.
func (s *Session) memoryStats() []Named {
	if s.cfg.Memory == nil {
		return nil
	}
	var outcomes [coherence.Outcomes]uint64
	var faults, ns, copied, granules uint64
	for _, p := range s.cfg.Memory.Stats().Processes {
		copied += p.Copied
		granules += uint64(p.Granules)
		for i, f := range p.Faults {
			outcomes[i] += f.Count
			faults += f.Count
			ns += uint64(f.Total)
		}
	}
	list := []Named{{"faults", faults}, {"faults_ns", ns}, {"copied_bytes", copied}, {"granules", granules}, {"messages", s.posts.Load()}}
	for i, n := range outcomes {
		list = append(list, Named{"faults_" + coherence.Outcome(i).String(), n})
	}
	return list
}
