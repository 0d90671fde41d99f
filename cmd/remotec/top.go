package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/control"
)

var topCommand = &command{
	name:  "top",
	short: "show which goroutines and which places use what, again and again",
	long: `
For each place that creates goroutines, or with -goroutines for each goroutine, it
shows the processor time, the memory and the calls since the last look, and what it waited for
most of the time. Times are those of all goroutines of a place together, so they may be longer
than the interval.

A program accounts for what its goroutines use from when somebody first asks for it, until it ends:
this command, remotec stats, the page of -http; or from its start with -account of remotec run
and serve. The first look shows what was used since then. Where it has just begun, that look comes after
the time of -d.

Memory is counted by spans: it is right to 8 KiB and more.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o topOptions
		o.flags(fs)
		fs.DurationVar(&o.every, "d", 2*time.Second, "`time` between two looks")
		fs.IntVar(&o.looks, "n", 0, "`number` of looks; 0: until interrupted")
		fs.BoolVar(&o.once, "once", false, "look once, at all that is accounted for")
		fs.BoolVar(&o.goroutines, "goroutines", false, "show goroutines one by one")
		fs.IntVar(&o.lines, "lines", 20, "`number` of lines of each session; 0: all")
		fs.StringVar(&o.sort, "sort", "cpu", "what the lines are sorted by: cpu, memory, chans, calls, wait, live")
		fs.BoolVar(&o.json, "json", false, "print JSON, one value for each look")
		return o.run
	},
}

type topOptions struct {
	sessionOptions
	every                  time.Duration
	looks, lines           int
	once, goroutines, json bool
	sort                   string
}

// useJSON is what goroutines used, as tools print it.
type useJSON struct {
	CPU     int64            `json:"cpuNs"`
	Bytes   uint64           `json:"bytes"`
	Objects uint64           `json:"objects"`
	Chans   uint64           `json:"channelOperations"`
	Calls   uint64           `json:"calls"`
	Waited  map[string]int64 `json:"waitedNs,omitempty"`
}

func newUse(u *wire.Use) *useJSON {
	j := &useJSON{CPU: int64(u.CPU), Bytes: u.Bytes, Objects: u.Objects, Chans: u.Chans, Calls: u.Calls}
	for i, ns := range u.Waited {
		if ns > 0 {
			if j.Waited == nil {
				j.Waited = make(map[string]int64)
			}
			j.Waited[wire.WaitNames[i]] = int64(ns)
		}
	}
	return j
}

// topLine is a place, or a goroutine.
type topLine struct {
	key       uint64
	Goroutine uint64   `json:"goroutine,omitempty"`
	Process   *uint32  `json:"process,omitempty"`
	State     string   `json:"state,omitempty"`
	Stack     uint64   `json:"stackBytes,omitempty"`
	Live      uint64   `json:"live"`
	Created   uint64   `json:"created,omitempty"`
	Func      string   `json:"func"`
	File      string   `json:"file"`
	Line      uint32   `json:"line"`
	Use       *useJSON `json:"use"`
	use       wire.Use
}

// topSession is what one look shows of a session.
type topSession struct {
	ID    uint64     `json:"id"`
	Path  string     `json:"path"`
	Since float64    `json:"seconds"` // that the lines are about
	Live  uint64     `json:"goroutines"`
	Use   *useJSON   `json:"use"`
	Lines []*topLine `json:"lines"`

	processes int
	heap      uint64
}

// goStates are the states of goroutines by number, as in the runtime.
var goStates = [...]string{1: "runnable", 2: "running", 3: "syscall", 4: "waiting", 9: "preempted"}

func goState(status uint32, wait string) string {
	switch {
	case wait != "":
		return wait
	case status < uint32(len(goStates)) && goStates[status] != "":
		return goStates[status]
	}
	return fmt.Sprint("state ", status)
}

func (o *topOptions) run(args []string, std streams) error {
	if err := noArgs(args); err != nil {
		return err
	}
	if o.looks < 0 || o.every <= 0 {
		return usagef("-n %d -d %v: not a number of looks and a time", o.looks, o.every)
	}
	if o.less(&topLine{}, &topLine{}) > 1 {
		return usagef("-sort %s: not one of cpu, memory, chans, calls, wait, live", o.sort)
	}
	if o.once {
		o.looks = 1
	}
	if err := o.begin(); err != nil {
		return err
	}
	before := map[uint64]map[uint64]wire.Use{} // by session and line
	taken := map[uint64]time.Time{}
	for look := 0; o.looks == 0 || look < o.looks; look++ {
		if look > 0 {
			time.Sleep(o.every)
		}
		list, err := o.look(before, taken)
		if err != nil {
			return err
		}
		if o.json {
			if err := json.NewEncoder(std.out).Encode(list); err != nil {
				return err
			}
			continue
		}
		if o.looks != 1 {
			fmt.Fprint(std.out, "\x1b[H\x1b[2J") // the cursor to the top, and all cleared
		}
		if err := o.print(std.out, list); err != nil {
			return err
		}
	}
	return nil
}

// begin has all sessions account for what goroutines use, and waits until they have for a while.
func (o *topOptions) begin() error {
	var wait time.Duration
	err := o.forAll(psTimeout, func(ctx context.Context, sessions []found) error {
		for _, s := range sessions {
			if since, err := s.Account(ctx, s.ID); err == nil { // else it has just ended
				wait = max(wait, min(o.every-time.Since(since), o.every))
			}
		}
		return nil
	})
	time.Sleep(wait)
	return err
}

// look asks all sessions, and shows what was used since the look before.
func (o *topOptions) look(before map[uint64]map[uint64]wire.Use, taken map[uint64]time.Time) ([]topSession, error) {
	ctx, cancel := context.WithTimeout(context.Background(), psTimeout)
	defer cancel()
	sessions, done, err := o.all(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	list := []topSession{}
	for _, s := range sessions {
		since, err := s.Account(ctx, s.ID)
		var g *wire.Goroutines
		if err == nil {
			g, err = s.Goroutines(ctx, s.ID, o.goroutines)
		}
		if err != nil {
			if o.session != 0 {
				return nil, fmt.Errorf("session %d: %s", s.ID, control.Plain(err))
			}
			continue // it has just ended
		}
		t := topSession{ID: s.ID, Path: s.Path, Live: g.Live, heap: g.Heap, processes: len(s.Processes)}
		now := time.Now()
		if last, ok := taken[s.ID]; ok {
			t.Since = now.Sub(last).Seconds()
		} else {
			t.Since = now.Sub(since).Seconds()
		}
		taken[s.ID] = now
		old, fresh := before[s.ID], map[uint64]wire.Use{}
		before[s.ID] = fresh
		var sum wire.Use
		for _, site := range g.Sites {
			u := site.Use
			sum.Add(&u)
			if !o.goroutines {
				fresh[site.PC] = u
				t.Lines = append(t.Lines, &topLine{key: site.PC, Live: site.Live, Created: site.Created, Func: site.Func, File: site.File, Line: site.Line, use: u})
			}
		}
		if o.goroutines {
			sites := map[uint64]*wire.Site{}
			for i := range g.Sites {
				sites[g.Sites[i].PC] = &g.Sites[i]
			}
			for i := range g.List {
				r := &g.List[i]
				fresh[r.ID] = r.Use
				l := &topLine{key: r.ID, Goroutine: r.ID, Process: &r.Process, State: goState(r.Status, r.Wait), Stack: r.Stack, Live: 1, use: r.Use}
				if site := sites[r.PC]; site != nil {
					l.Func, l.File, l.Line = site.Func, site.File, site.Line
				}
				t.Lines = append(t.Lines, l)
			}
		}
		const all = ^uint64(0) // the key of the sum: no program counter and no goroutine
		fresh[all] = sum
		subtract(&sum, old[all])
		t.Use = newUse(&sum)
		for _, l := range t.Lines {
			subtract(&l.use, old[l.key])
			l.Use = newUse(&l.use)
		}
		slices.SortStableFunc(t.Lines, o.less)
		if o.lines > 0 && len(t.Lines) > o.lines {
			t.Lines = t.Lines[:o.lines]
		}
		list = append(list, t)
	}
	return list, nil
}

// subtract takes old from u. What is less than before is of another process's account: a
// goroutine that has moved, or a site that was forgotten; then all counts as new.
func subtract(u *wire.Use, old wire.Use) {
	for _, f := range [][2]*uint64{{&u.CPU, &old.CPU}, {&u.Bytes, &old.Bytes}, {&u.Objects, &old.Objects}, {&u.Chans, &old.Chans}, {&u.Calls, &old.Calls}} {
		if *f[0] >= *f[1] {
			*f[0] -= *f[1]
		}
	}
	for i := range u.Waited {
		if u.Waited[i] >= old.Waited[i] {
			u.Waited[i] -= old.Waited[i]
		}
	}
}

// less compares two lines; it is above 1 where there is nothing like o.sort.
func (o *topOptions) less(a, b *topLine) int {
	switch o.sort {
	case "cpu":
		return cmp.Or(cmp.Compare(b.use.CPU, a.use.CPU), cmp.Compare(b.Live, a.Live))
	case "memory":
		return cmp.Compare(b.use.Bytes, a.use.Bytes)
	case "chans":
		return cmp.Compare(b.use.Chans, a.use.Chans)
	case "calls":
		return cmp.Compare(b.use.Calls, a.use.Calls)
	case "wait":
		return cmp.Compare(waited(&b.use), waited(&a.use))
	case "live":
		return cmp.Compare(b.Live, a.Live)
	}
	return 2
}

func waited(u *wire.Use) (sum uint64) {
	for _, ns := range u.Waited {
		sum += ns
	}
	return sum
}

func (o *topOptions) print(w io.Writer, list []topSession) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, s := range list {
		fmt.Fprintf(t, "session %d  %s  %s  %d goroutines  %s  heap %s  in %v\n", s.ID, filepath.Base(s.Path),
			count(max(s.processes, 1), "process", "processes"), s.Live, percent(s.Use.CPU, s.Since), bytesText(s.heap),
			short(time.Duration(s.Since*1e9)))
		if err := t.Flush(); err != nil {
			return err
		}
		if o.goroutines {
			fmt.Fprintln(t, "GOROUTINE\tPROCESS\tSTATE\tCPU\tCPU TIME\tMEMORY\tSTACK\tCHANS\tCALLS\tWAITED\tCREATED BY")
		} else {
			fmt.Fprintln(t, "LIVE\tCREATED\tCPU\tCPU TIME\tMEMORY\tCHANS\tCALLS\tWAITED\tCREATED BY")
		}
		for _, l := range s.Lines {
			by := fmt.Sprintf("%s %s:%d", l.Func, filepath.Base(l.File), l.Line)
			if l.Func == "" || l.Func == "runtime.newproc" {
				by = "(start of the program)"
			}
			cpu := time.Duration(l.use.CPU).Round(time.Microsecond)
			if o.goroutines {
				fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%v\t%s\t%s\t%d\t%d\t%s\t%s\n", l.Goroutine, *l.Process, l.State, percent(int64(l.use.CPU), s.Since), cpu,
					bytesText(l.use.Bytes), bytesText(l.Stack), l.use.Chans, l.use.Calls, mostly(&l.use), by)
			} else {
				fmt.Fprintf(t, "%d\t%d\t%s\t%v\t%s\t%d\t%d\t%s\t%s\n", l.Live, l.Created, percent(int64(l.use.CPU), s.Since), cpu,
					bytesText(l.use.Bytes), l.use.Chans, l.use.Calls, mostly(&l.use), by)
			}
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return t.Flush()
}

// mostly tells what was waited for most, and for how long.
func mostly(u *wire.Use) string {
	most := 0
	for i, ns := range u.Waited {
		if ns > u.Waited[most] {
			most = i
		}
	}
	if u.Waited[most] == 0 {
		return "-"
	}
	return fmt.Sprintf("%s %v", wire.WaitNames[most], short(time.Duration(u.Waited[most])))
}

// short is d with three digits or so.
func short(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

func percent(ns int64, seconds float64) string {
	if seconds <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", float64(ns)/seconds/1e7)
}

// bytesText is n bytes with a unit, in about three digits.
func bytesText(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprint(n, " B")
	}
	v := float64(n) / 1024
	i := 0
	for ; v >= 1000 && i < len(units)-1; i++ {
		v /= 1024
	}
	text := fmt.Sprintf("%.1f", v)
	if v >= 100 {
		text = fmt.Sprintf("%.0f", v)
	}
	return strings.TrimSuffix(text, ".0") + " " + units[i:i+1] + "iB"
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}
