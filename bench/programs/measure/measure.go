// Package measure times the benchmark programs from within and prints what
// bench reads: lines of the form "name value unit".
//
// A measure is the median of many repetitions in one process; bench takes the
// median over processes. Repetitions are meant to last a millisecond or two,
// less than a time slice: on a busy machine most are then not interrupted, and
// the median is one of those. What collects garbage takes longer ones, with at
// least a collection in each.
package measure

import (
	"fmt"
	"os"
	"slices"
	"time"
)

// A measure has at least minRepetitions, and more until the budget is spent;
// the first one is not counted.
const (
	minRepetitions = 9
	budget         = 250 * time.Millisecond
)

// Time runs f, which does n operations, and prints the time of one operation
// in nanoseconds.
func Time(name string, n int, f func()) {
	Report(name, median(f)/float64(n), "ns")
}

// Rate runs f, which moves n bytes, and prints MB (10^6 bytes) a second.
func Rate(name string, n int, f func()) {
	Report(name, float64(n)/median(f)*1e3, "MB/s")
}

// median returns the median time of f in nanoseconds.
func median(f func()) float64 {
	f()
	var took []time.Duration
	for begin := time.Now(); len(took) < minRepetitions || time.Since(begin) < budget; {
		start := time.Now()
		f()
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return float64(took[len(took)/2])
}

// Report prints one measure.
func Report(name string, value float64, unit string) {
	fmt.Println(name, value, unit)
}

// Must ends the program where err is not nil.
func Must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Sink keeps results alive that are computed for the time it takes.
var Sink any
