// Program stress does what Go programs do, in many goroutines at a time, and
// checks all of it: the values that come out of channels, the contents of what
// moved from goroutine to goroutine, that every lock excludes and every waiter
// wakes. It is meant to be run as a remote binary in several processes, and
// finds nothing wrong as a plain one.
//
// It exits 0 with one line, or says what was wrong and exits 1.
//
// A *load* is one kind of work. A *round* of it is a bounded piece, with its own
// goroutines, which ends by itself and is checked by then. Several workers repeat
// the rounds of each load.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	length   = flag.Duration("time", 5*time.Second, "how long to go on")
	workers  = flag.Int("workers", 2, "goroutines that repeat each load")
	seed     = flag.Uint64("seed", 1, "of all random choices")
	only     = flag.String("only", "", "comma-separated loads; default all")
	stuck    = flag.Duration("stuck", 30*time.Second, "a round that takes longer is an error")
	list     = flag.Bool("list", false, "print the names of the loads")
	rings    = flag.Bool("rings", false, "instead: make garbage cycles across processes, and print how large the heaps get")
	recorded = flag.String("history", "", "instead: record a history of operations on `chan`nels, a mutex or a register")
)

// load is a kind of work.
type load struct {
	name  string
	round func(r *round)
}

var loads = slices.Concat(channelLoads, lockLoads, memoryLoads, runtimeLoads, systemLoads)

// round is one round of a load.
type round struct {
	load   string
	worker int
	number int
	*rand.Rand
}

var failures atomic.Int32

// fail says what was wrong; the program ends soon.
func (r *round) fail(format string, args ...any) {
	if failures.Add(1) > 10 {
		return
	}
	fmt.Fprintf(os.Stderr, "stress: %s, worker %d, round %d, seed %d: %s\n",
		r.load, r.worker, r.number, *seed, fmt.Sprintf(format, args...))
}

// all runs fn(0) to fn(n-1) in goroutines and waits for them.
func all(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			fn(i)
		}()
	}
	wg.Wait()
}

func main() {
	flag.Parse()
	if *list {
		for _, l := range loads {
			fmt.Println(l.name)
		}
		return
	}
	if *rings {
		makeRings(*length)
		return
	}
	if *recorded != "" {
		record(*recorded)
		return
	}
	chosen := loads
	if *only != "" {
		chosen = nil
		for name := range strings.SplitSeq(*only, ",") {
			i := slices.IndexFunc(loads, func(l load) bool { return l.name == name })
			if i < 0 {
				fmt.Fprintf(os.Stderr, "stress: no load %q; -list prints them\n", name)
				os.Exit(2)
			}
			chosen = append(chosen, loads[i])
		}
	}
	run(chosen)
}

// worker is what is known of one worker while it works.
type worker struct {
	load  string
	since atomic.Int64 // start of its round, in ns since the program's; -1: it has ended
	done  atomic.Int64 // rounds
	worst atomic.Int64 // longest round, in ns
}

func run(chosen []load) {
	start := time.Now()
	var list []*worker
	var wg sync.WaitGroup
	for i, l := range chosen {
		for k := range *workers {
			w := &worker{load: l.name}
			list = append(list, w)
			wg.Add(1)
			go func() {
				defer wg.Done()
				random := rand.New(rand.NewPCG(*seed, uint64(i)<<32|uint64(k)))
				for n := 0; failures.Load() == 0 && (n == 0 || time.Since(start) < *length); n++ { // one at least, however late it begins
					w.since.Store(int64(time.Since(start)))
					l.round(&round{l.name, k, n, random})
					w.done.Add(1)
					w.worst.Store(max(w.worst.Load(), int64(time.Since(start))-w.since.Load()))
				}
				w.since.Store(-1)
			}()
		}
	}
	ended := make(chan struct{})
	go func() {
		wg.Wait()
		close(ended)
	}()
	tick := time.NewTicker(time.Second)
	for working := true; working; {
		select {
		case <-ended:
			working = false
		case <-tick.C:
			late(list, time.Since(start))
		}
	}
	rounds, slowest := int64(0), list[0]
	for _, w := range list {
		rounds += w.done.Load()
		if w.worst.Load() > slowest.worst.Load() {
			slowest = w
		}
	}
	if n := failures.Load(); n > 0 {
		fmt.Fprintf(os.Stderr, "stress: %d failures in %d rounds\n", n, rounds)
		os.Exit(1)
	}
	for _, w := range list {
		if w.done.Load() == 0 {
			fmt.Fprintf(os.Stderr, "stress: %s: no round was done\n", w.load)
			os.Exit(1)
		}
	}
	fmt.Printf("stress: ok: %d rounds of %d loads in %.1f s, the longest, of %s, in %.1f s\n", rounds, len(chosen), time.Since(start).Seconds(),
		slowest.load, time.Duration(slowest.worst.Load()).Seconds())
}

// late ends the program where a round takes too long, with the stacks.
func late(list []*worker, now time.Duration) {
	bad := 0
	for _, w := range list {
		if since := w.since.Load(); since >= 0 && now-time.Duration(since) > *stuck {
			fmt.Fprintf(os.Stderr, "stress: %s: a round takes longer than %v, after %d others\n", w.load, *stuck, w.done.Load())
			bad++
		}
	}
	if bad > 0 {
		debug.SetTraceback("all")
		panic("stress: a round does not end")
	}
}

// mix is a hash, for checksums.
func mix(h, v uint64) uint64 {
	h ^= v
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>29
}
