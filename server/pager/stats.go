package pager

import (
	"math/bits"
	"sync/atomic"
	"time"

	"remotec.dev/server/coherence"
)

// Stats is what a pager has done so far.
type Stats struct {
	Processes []ProcessStats
}

// ProcessStats is what a pager has done for the faults of one process.
type ProcessStats struct {
	Process int
	Faults  [coherence.Outcomes]FaultStats // by outcome
	Copied  uint64                         // bytes of contents installed
	// Granules is how many granules of its own memory others have asked for.
	Granules int
	Gone     bool // the process has ended
}

// FaultStats is the number of faults and the time from reading the event to having
// woken who waits. The time that the kernel needs to stop and start the faulting
// thread is not in it.
type FaultStats struct {
	Count   uint64
	Total   time.Duration
	Buckets [Buckets]uint64 // number of faults of [2^i, 2^(i+1)) ns
}

// Buckets is the number of powers of two that latencies are counted by; the
// last one has all that take longer.
const Buckets = 32

// Quantile returns a bound that the fraction q of the faults stayed below: exact to
// a factor of two.
func (s FaultStats) Quantile(q float64) time.Duration {
	var n uint64
	for i, count := range s.Buckets {
		if n += count; float64(n) >= q*float64(s.Count) && n > 0 {
			return 1 << (i + 1)
		}
	}
	return 0
}

// Add returns the sum of s and t.
func (s FaultStats) Add(t FaultStats) FaultStats {
	s.Count += t.Count
	s.Total += t.Total
	for i := range s.Buckets {
		s.Buckets[i] += t.Buckets[i]
	}
	return s
}

type counters [coherence.Outcomes]struct {
	total   atomic.Int64
	buckets [Buckets]atomic.Uint64
}

func (c *counters) count(outcome coherence.Outcome, took time.Duration) {
	c[outcome].total.Add(int64(took))
	i := max(bits.Len64(uint64(took))-1, 0)
	c[outcome].buckets[min(i, Buckets-1)].Add(1)
}

func (c *counters) stats() (all [coherence.Outcomes]FaultStats) {
	for outcome := range c {
		s := &all[outcome]
		s.Total = time.Duration(c[outcome].total.Load())
		for i := range s.Buckets {
			s.Buckets[i] = c[outcome].buckets[i].Load()
			s.Count += s.Buckets[i]
		}
	}
	return all
}
