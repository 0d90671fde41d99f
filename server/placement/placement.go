// Package placement decides which goroutines of a program in several processes should go to
// another process. It knows nothing of how they are measured and moved: package session
// takes a Snapshot every few milliseconds, hands it to a Policy, has the Moves that come
// back carried out, and tells the policy what became of them. So policies are tested without a
// machine, against a model of one.
//
// Vocabulary. The *share* of a goroutine with a process is the part of its time that it spends on
// what it does with that process: operations on channels that live there, pages that come from
// there. It is what it would gain by being there, were that process as free as its own.
//
// Invariants of each policy here, which the tests check by random models:
//   - A load that does not change is moved a bounded number of times: no ping-pong. A goroutine
//     that was moved stays for a while, twice as long each time.
//   - Balance never makes the difference of load of two processes larger, or turns it around.
//   - No goroutine goes to where its labels weigh less.
//   - None goes to or from a process that is not Here, not even where it came from.
//
// A Policy is used by one goroutine at a time.
package placement

import "time"

// Measured costs, on a machine of two cores; see the table in README.md. That they are right
// within a factor of two suffices: decisions need a gain that is larger than that, for a
// while.
const (
	// OperationCost is what an operation on a channel of another process takes longer than one at
	// home, until its answer has come.
	OperationCost = 7 * time.Microsecond
	// FaultCost is what a fault takes beside the time that the pager knows: the thread that stops
	// and is woken.
	FaultCost = 6 * time.Microsecond
	// MoveCost is what a move takes, with the pages of the stack that follow.
	MoveCost = 200 * time.Microsecond
	// MoveTrips is how often a message and its answer go between two hosts for a move, one after the other,
	// with the pages of the stack and the first ones that are written to.
	MoveTrips = 8
)

// Snapshot is what was measured since the last one.
type Snapshot struct {
	Now     time.Duration // on some clock
	Elapsed time.Duration // since the last snapshot
	CPUs    []int         // of each host
	// Processes are those of the session by number.
	Processes []Process
	// Goroutines are those that had to do with other processes, or have labels with
	// weights.
	Goroutines []Goroutine
}

// Process is one process.
type Process struct {
	Here bool // goroutines move to and from it: it is measured, and neither drained nor gone
	Host int  // number; 0 is the session's
	// RoundTrip is how long a message to its host and the answer take; 0 for the session's.
	RoundTrip time.Duration
	Procs     int // GOMAXPROCS
	Running   int // Ps that have something to do
	Waiting   int // goroutines that are ready and wait for a P
	Stamp     uint64
	Ready     []uint64 // of those, some that were preempted as they computed; as of Stamp, as Waiting is
}

// load is how many goroutines want to compute.
func (p *Process) load() int { return p.Running + p.Waiting }

// full reports whether a goroutine that comes has to wait.
func (p *Process) full() bool { return p.load() >= p.Procs }

// Goroutine is what one goroutine did.
type Goroutine struct {
	ID      uint64
	At      int // process
	Traffic []Traffic
	// Weights are the sums of the weights of its labels, by process; nil: it has none.
	Weights []float64
}

// Traffic is what a goroutine did with one other process.
type Traffic struct {
	With       int
	Operations int           // on its channels, and the like
	Faults     int           // answered by pages from there
	Bounced    time.Duration // waiting for pages that processes take from each other
	Fetched    time.Duration // waiting for other pages
}

// cost is the time that t took, where a message and its answer take trip. What is fetched once is no reason to
// go anywhere, unless it is much.
func (t *Traffic) cost(trip time.Duration) time.Duration {
	return time.Duration(t.Operations)*(OperationCost+trip) + time.Duration(t.Faults)*FaultCost + t.Bounced + t.Fetched/4
}

// Shares returns the part of the time that g spent on what it did with each process.
func (s *Snapshot) Shares(g *Goroutine) []float64 {
	n := len(s.Processes)
	shares := make([]float64, n)
	for i := range g.Traffic {
		if t := &g.Traffic[i]; t.With >= 0 && t.With < n && s.Elapsed > 0 {
			shares[t.With] = min(shares[t.With]+float64(t.cost(s.trip(g.At, t.With)))/float64(s.Elapsed), 1)
		}
	}
	return shares
}

// trip returns how long a message between two processes and its answer take more than on one host. Messages between
// two nodes go by way of the session's host.
func (s *Snapshot) trip(from, to int) time.Duration {
	p, q := &s.Processes[from], &s.Processes[to]
	if p.Host == q.Host {
		return 0
	}
	return p.RoundTrip + q.RoundTrip
}

// moveCost returns what a move between two processes takes.
func (s *Snapshot) moveCost(from, to int) time.Duration {
	return MoveCost + MoveTrips*s.trip(from, to)
}

// Kind is the kind of reason of a move.
type Kind uint8

// Kinds.
const (
	Asked     Kind = iota // by the user or the program
	Balancing             // a process has more to do than another one
	Affine                // the goroutine has to do with the other process
	Labelled              // its labels weigh more there
	Undoing               // of a move that did no good
)

var kindNames = [...]string{"asked", "balance", "affinity", "label", "undo"}

func (k Kind) String() string { return kindNames[k] }

// ParseKind returns the kind of that name; Asked for others.
func ParseKind(name string) Kind {
	for k, n := range kindNames {
		if n == name {
			return Kind(k)
		}
	}
	return Asked
}

// Move is a decision.
type Move struct {
	Goroutine uint64
	From, To  int
	Kind      Kind
	Reason    string  // a phrase, for people
	Share     float64 // of the goroutine with To, before
}

// Result is what became of a move.
type Result struct {
	Move
	Arrived bool
	Why     string // it did not
	// Before and After are the parts of its time that the goroutine spent on other processes.
	Before, After float64
}

// Policy decides.
type Policy interface {
	// Decide returns what is to be moved now.
	Decide(*Snapshot) []Move
	// Learn tells what became of a move, once that is known.
	Learn(now time.Duration, r *Result)
}
