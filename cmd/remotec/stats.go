package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/control"
	"remotec.dev/server/metrics"
	"remotec.dev/server/session"
)

var statsCommand = &command{
	name:  "stats",
	short: "show the totals of sessions: goroutines, memory, faults, system calls",
	long: `
All counts are since the program began, but for what its goroutines used: that is counted since
somebody first asked for it, by this command, remotec top or the page of -http, or since the start if the
program was started with -account. System calls are those that the session process
carried out; reads and writes of descriptors that were handed over to the program are not among them,
and count for its goroutines only. With -metrics it prints all that, and the places that create
goroutines, in the format of Prometheus.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o statsOptions
		o.flags(fs)
		fs.BoolVar(&o.json, "json", false, "print JSON")
		fs.BoolVar(&o.metrics, "metrics", false, "print metrics for Prometheus")
		return o.run
	},
}

type statsOptions struct {
	sessionOptions
	json, metrics bool
}

// statsJSON is a session as -json prints it.
type statsJSON struct {
	ID          uint64            `json:"id"`
	Path        string            `json:"path"`
	Seconds     float64           `json:"seconds"`          // since it began
	Accounted   float64           `json:"accountedSeconds"` // for which what goroutines use has been counted
	Links       int               `json:"links"`
	Descriptors int               `json:"descriptors"`
	Calls       map[string]uint64 `json:"calls"`
	Memory      map[string]uint64 `json:"memory,omitempty"`
	Processes   []processJSON     `json:"processes"`
}

type processJSON struct {
	Number      int      `json:"number"`
	Live        uint64   `json:"goroutines"`
	Created     uint64   `json:"created"`
	Heap        uint64   `json:"heapBytes"`
	Collections uint64   `json:"collections"`
	Pause       int64    `json:"pauseNs"`
	Use         *useJSON `json:"use"`
}

func (o *statsOptions) run(args []string, std streams) error {
	if err := noArgs(args); err != nil {
		return err
	}
	return o.forAll(psTimeout, func(ctx context.Context, list []found) error { return o.print(ctx, list, std) })
}

func (o *statsOptions) print(ctx context.Context, list []found, std streams) error {
	if o.metrics {
		return metrics.Write(std.out, foundSessions(list))
	}
	all := []statsJSON{}
	for _, s := range list {
		st, err := s.Stats(ctx, s.ID)
		if err != nil {
			continue // it has just ended
		}
		if o.json {
			all = append(all, newStats(s, st))
		} else if err := printStats(std.out, s, st); err != nil {
			return err
		}
	}
	if o.json {
		return printJSON(std.out, all)
	}
	return nil
}

func newStats(s found, st *session.Stats) statsJSON {
	named := func(list []session.Named) map[string]uint64 {
		m := make(map[string]uint64)
		for _, n := range list {
			m[n.Name] = n.N
		}
		return m
	}
	j := statsJSON{ID: s.ID, Path: s.Path, Seconds: time.Since(st.Started).Seconds(), Accounted: time.Since(st.Accounted).Seconds(), Links: st.Links, Descriptors: st.Descriptors,
		Calls: named(st.Calls), Memory: named(st.Memory)}
	for i := range st.Processes {
		p := &st.Processes[i]
		j.Processes = append(j.Processes, processJSON{Number: p.Number, Live: p.Live, Created: p.Created, Heap: p.Heap,
			Collections: p.Collections, Pause: int64(p.Pause), Use: newUse(&p.Use)})
	}
	return j
}

func printStats(w io.Writer, s found, st *session.Stats) error {
	fmt.Fprintf(w, "session %d  %s  since %v; goroutines accounted for since %v\n", s.ID, filepath.Base(s.Path),
		time.Since(st.Started).Round(time.Second), short(time.Since(st.Accounted)))
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "  PROCESS\tGOROUTINES\tCREATED\tCPU TIME\tALLOCATED\tHEAP\tCOLLECTIONS\tPAUSES\tCHANS\tCALLS\tWAITED")
	var sum wire.Use
	for i := range st.Processes {
		p := &st.Processes[i]
		sum.Add(&p.Use)
		fmt.Fprintf(t, "  %d\t%d\t%d\t%v\t%s\t%s\t%d\t%v\t%d\t%d\t%s\n", p.Number, p.Live, p.Created, short(time.Duration(p.Use.CPU)),
			bytesText(p.Use.Bytes), bytesText(p.Heap), p.Collections, short(p.Pause), p.Use.Chans, p.Use.Calls, mostly(&p.Use))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var waits []string
	for i, ns := range sum.Waited {
		if ns > 0 {
			waits = append(waits, fmt.Sprintf("%s %v", wire.WaitNames[i], short(time.Duration(ns))))
		}
	}
	if len(waits) > 0 {
		fmt.Fprintf(w, "  waited: %s\n", strings.Join(waits, ", "))
	}
	fmt.Fprintf(w, "  links %d, open descriptors %d\n", st.Links, st.Descriptors)
	if len(st.Memory) > 0 {
		var list []string
		for _, n := range st.Memory {
			if n.N == 0 {
				continue
			}
			switch name := strings.ReplaceAll(n.Name, "_", " "); {
			case strings.HasSuffix(n.Name, "_ns"):
				list = append(list, fmt.Sprintf("%s %v", strings.TrimSuffix(name, " ns"), short(time.Duration(n.N))))
			case strings.HasSuffix(n.Name, "_bytes"):
				list = append(list, fmt.Sprintf("%s %s", strings.TrimSuffix(name, " bytes"), bytesText(n.N)))
			default:
				list = append(list, fmt.Sprintf("%s %d", name, n.N))
			}
		}
		fmt.Fprintf(w, "  common memory: %s\n", strings.Join(list, ", "))
	}
	var calls []string
	for _, n := range st.Calls {
		calls = append(calls, fmt.Sprintf("%s %d", n.Name, n.N))
	}
	_, err := fmt.Fprintf(w, "  calls: %s\n", strings.Join(calls, ", "))
	return err
}

// foundSessions is the source of metrics of sessions that were found.
type foundSessions []found

func (l foundSessions) Name() (string, int) { return "remotec", os.Getpid() }

func (l foundSessions) Sessions(context.Context) ([]session.Info, error) {
	var infos []session.Info
	for _, s := range l {
		infos = append(infos, s.Info)
	}
	return infos, nil
}

func (l foundSessions) Goroutines(ctx context.Context, id uint64, all bool) (*wire.Goroutines, error) {
	for _, s := range l {
		if s.ID == id {
			return s.Client.Goroutines(ctx, id, all)
		}
	}
	return nil, control.NoSession(id)
}

func (l foundSessions) Stats(ctx context.Context, id uint64) (*session.Stats, error) {
	for _, s := range l {
		if s.ID == id {
			return s.Client.Stats(ctx, id)
		}
	}
	return nil, control.NoSession(id)
}
