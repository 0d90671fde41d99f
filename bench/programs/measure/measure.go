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
	"os/exec"
	"slices"
	"strings"
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
	if only, tool, set := accounting(); set {
		if name == only {
			accounted(name, tool, n, f)
		}
		return
	}
	Report(name, median(f)/float64(n), "ns")
}

// Rate runs f, which moves n bytes, and prints MB (10^6 bytes) a second.
func Rate(name string, n int, f func()) {
	if _, _, set := accounting(); set {
		return
	}
	Report(name, float64(n)/median(f)*1e3, "MB/s")
}

// median returns the median time of f in nanoseconds.
func median(f func()) float64 { return quantile(f, 0.5) }

// quantile returns the time of f, in nanoseconds, that a part q of its repetitions stays below.
func quantile(f func(), q float64) float64 {
	f()
	var took []time.Duration
	for begin := time.Now(); len(took) < minRepetitions || time.Since(begin) < budget; {
		start := time.Now()
		f()
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return float64(took[int(q*float64(len(took)))])
}

// Accounting, in the environment, has a program take one measure only, before and after its goroutines
// have accounts: its name, a colon, and the remotec command. Two processes differ by more than
// accounts cost, because their memory lies elsewhere, and so do two moments of one that has several Ps.
const Accounting = "BENCH_ACCOUNTING"

func accounting() (name, tool string, set bool) {
	name, tool, set = strings.Cut(os.Getenv(Accounting), ":")
	return
}

// accounted prints the time of an operation of f under name with "account/" before it, and that without
// accounts, which is taken first, with "without/". It is that of the fast repetitions: what else the machine does
// meanwhile is more than accounts cost, too.
func accounted(name, tool string, n int, f func()) {
	const fast = 0.1
	median(f) // the heap grows, the processor warms up
	without := quantile(f, fast)
	out, err := exec.Command(tool, "stats").CombinedOutput()
	if err == nil && !strings.Contains(string(out), "accounted for") {
		err = fmt.Errorf("goroutines are not accounted for: %s", out)
	}
	Must(err)
	time.Sleep(10 * time.Millisecond) // the server's work is over
	Report("account/"+name, quantile(f, fast)/float64(n), "ns")
	Report("without/"+name, without/float64(n), "ns")
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
