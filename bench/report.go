package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// result is a row with figures.
type result struct {
	row
	rounds      int
	base, what  float64 // medians
	unit        string
	ratio       float64 // median of the rounds' ratios
	low, high   float64 // quartiles of the rounds' ratios
	extra       float64 // median of the rounds' differences, ms
	bases, vals []float64
}

// compare computes the figures of a row; ok is false without samples.
func compare(r row, s samples) (res result, ok bool) {
	what, base := s[r.what], s[r.base]
	n := min(len(what), len(base))
	if n == 0 {
		return res, false
	}
	var ratios, extras []float64
	res = result{row: r, rounds: n, unit: what[0].unit}
	for i := range n {
		res.vals = append(res.vals, what[i].value)
		res.bases = append(res.bases, base[i].value)
		ratios = append(ratios, what[i].value/base[i].value)
		extras = append(extras, (what[i].value-base[i].value)/1e6)
	}
	res.what, res.base = quantile(res.vals, 0.5), quantile(res.bases, 0.5)
	res.ratio, res.extra = quantile(ratios, 0.5), quantile(extras, 0.5)
	res.low, res.high = quantile(ratios, 0.25), quantile(ratios, 0.75)
	return res, true
}

// quantile returns the q-quantile of v, between two values the point between
// them.
func quantile(v []float64, q float64) float64 {
	v = slices.Sorted(slices.Values(v))
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 == len(v) {
		return v[i]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}

// cost is the ratio, or the difference where the target is one.
func (r *result) cost() string {
	if r.target.limit == atMostExtra {
		return fmt.Sprintf("%+.1f ms", r.extra)
	}
	return number(r.ratio)
}

// spread is the middle half of the rounds' ratios.
func (r *result) spread() string { return number(r.low) + " to " + number(r.high) }

func number(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	if v >= 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func (r *result) verdict() string {
	switch {
	case r.target.limit == none:
		return ""
	case r.target.met(r.ratio, r.extra, r.what):
		return "met"
	}
	return "missed"
}

// value formats a sample's value; times come in nanoseconds.
func value(v float64, unit string) string {
	if unit != "ns" {
		return fmt.Sprintf("%.0f %s", v, unit)
	}
	units := []string{"ns", "µs", "ms", "s"}
	i := 0
	for v >= 1000 && i+1 < len(units) {
		v /= 1000
		i++
	}
	digits := max(0, 2-int(math.Floor(math.Log10(max(v, 0.1)))))
	return fmt.Sprintf("%.*f %s", min(digits, 2), v, units[i])
}

// legend explains the rows whose sides are not the two binaries of a program.
const legend = `A ratio is remote/plain, the median over rounds. "Forwarded": no descriptor is handed over (remotec run
-hand=false). "Round trip": 64 bytes to another plain process and back over a Unix socket pair, by net.UnixConn; "blocking":
by system calls that block their threads. "Two processes": the other half of the measure is in another process of the program
(remotec run -n 2). "The kernel's own": a fault that a thread of the same process answers through userfaultfd. "Accounting": one process of one P
before and after its goroutines have accounts, the fastest tenth of the repetitions.`

var heads = []string{"", "plain", "remote", "ratio", "quartiles", "target", ""}

func (r *result) cells() []string {
	return []string{r.name, value(r.base, r.unit), value(r.what, r.unit), r.cost(), r.spread(), r.target.String(), r.verdict()}
}

// printTable writes the table for a terminal.
func printTable(w io.Writer, rows []row, s samples, conditions string) {
	fmt.Fprintf(w, "%s\n%s\n\n", conditions, legend)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(heads, "\t"))
	for _, r := range rows {
		if res, ok := compare(r, s); ok {
			fmt.Fprintln(t, strings.Join(res.cells(), "\t"))
		}
	}
	t.Flush()
}

// markdown returns the table for README.md.
func markdown(rows []row, s samples, conditions string) string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	b.WriteString(conditions + "\n" + legend + "\n\n")
	line(heads)
	b.WriteString("|---|--:|--:|--:|--:|---|---|\n")
	for _, r := range rows {
		if res, ok := compare(r, s); ok {
			line(res.cells())
		}
	}
	return b.String()
}

const (
	tableBegin = "<!-- bench table -->"
	tableEnd   = "<!-- /bench table -->"
)

// replaceTable puts table between the two marks in the file.
func replaceTable(file, table string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s: no place for the table: %s and %s not found", file, tableBegin, tableEnd)
	}
	return os.WriteFile(file, []byte(before+tableBegin+"\n"+table+tableEnd+after), 0o666)
}

// conditions describes the machine and its load.
func conditions(rounds int, before, after string) string {
	s := fmt.Sprintf("%s on %s/%s, %d CPUs, interleaved rounds: %d", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), rounds)
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		s += ", Linux " + strings.TrimSpace(string(kernel))
	}
	if before != "" {
		s += fmt.Sprintf("; load average %s before, %s after", before, after)
	}
	return s + "."
}

// loadAverage is the system's of the last minute.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
