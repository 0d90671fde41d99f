package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"remotec.dev/server/session"
)

var movesCommand = &command{
	name:  "moves",
	short: "list which goroutines the placement has moved, and why",
	long: `
With -placement balance and affinity, goroutines move to processes that have
nothing to do, and to those that they spend their time on: on channels and pages
that are there. This lists the last decisions, oldest first, and what each did:
the part of its time that the goroutine spent on other processes, before and
after. "remotec why" is about one goroutine; "remotec migrate -undo" takes a
decision back, and -pin has a goroutine stay where it is.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o movesOptions
		o.flags(fs)
		fs.BoolVar(&o.json, "json", false, "print JSON")
		return func(args []string, std streams) error {
			if err := noArgs(args); err != nil {
				return err
			}
			return o.list(0, std)
		}
	},
}

var whyCommand = &command{
	name:  "why",
	args:  "GOROUTINE",
	short: "say why a goroutine is in the process where it is",
	long: `
GOROUTINE is its number, as tracebacks show it. See "remotec help moves".`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o movesOptions
		o.flags(fs)
		fs.BoolVar(&o.json, "json", false, "print JSON")
		return func(args []string, std streams) error {
			if len(args) != 1 {
				return usagef("not one goroutine: %q", strings.Join(args, " "))
			}
			goroutine, err := parseGoroutine(args[0])
			if err != nil {
				return err
			}
			return o.list(goroutine, std)
		}
	},
}

var labelCommand = &command{
	name:  "label",
	args:  "KEY=VALUE PROCESS|NODE WEIGHT",
	short: "draw goroutines with a label to a process, or away from it",
	long: `
KEY=VALUE is a label of goroutines, which a program sets by pprof.Do (package
runtime/pprof). Goroutines go to the process where the weights of their labels sum
up to most, and no policy moves them to where they weigh less. Weights are 0
at first; 0 removes one. NODE is the name of another host, as remotec ps lists
it, and stands for all processes there.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o sessionOptions
		o.flags(fs)
		return func(args []string, _ streams) error { return label(&o, args) }
	},
}

type movesOptions struct {
	sessionOptions
	json bool
}

// moved is a decision as -json prints it.
type moved struct {
	Number    int      `json:"number"`
	Time      string   `json:"time"`
	Goroutine uint64   `json:"goroutine"`
	From      int      `json:"from"` // -1: not known
	To        int      `json:"to"`
	Kind      string   `json:"kind"`
	Reason    string   `json:"reason"`
	State     string   `json:"state"`
	Why       string   `json:"why,omitempty"`
	Took      int64    `json:"tookNs,omitempty"`
	Before    *float64 `json:"before,omitempty"`
	After     *float64 `json:"after,omitempty"`
}

func (o *movesOptions) list(goroutine uint64, std streams) error {
	return o.with(func(ctx context.Context, s found) error {
		list, pinned, err := s.Decisions(ctx, s.ID, goroutine)
		if err != nil {
			return err
		}
		switch {
		case o.json:
			all := make([]moved, 0, len(list))
			for _, d := range list {
				m := moved{
					Number: d.Number, Time: d.Time.UTC().Format(time.RFC3339Nano), Goroutine: d.Goroutine, From: d.From, To: d.To,
					Kind: d.Kind.String(), Reason: d.Reason, State: d.State, Why: d.Why, Took: int64(d.Took),
				}
				if d.Known {
					m.Before, m.After = &d.Before, &d.After
				}
				all = append(all, m)
			}
			return printJSON(std.out, all)
		case goroutine == 0:
			return printMoves(std.out, list)
		}
		if len(list) == 0 {
			fmt.Fprintf(std.out, "goroutine %d is where it was started: nothing is known that moved it\n", goroutine)
		}
		for _, d := range list {
			fmt.Fprintf(std.out, "%s ago: process %s to %d (%s): %s; %s\n", time.Since(d.Time).Round(time.Millisecond), number(d.From), d.To, d.Kind, d.Reason, became(&d))
		}
		if pinned {
			fmt.Fprintln(std.out, "it is pinned: no policy moves it")
		}
		return nil
	})
}

func number(process int) string {
	if process < 0 {
		return "?"
	}
	return strconv.Itoa(process)
}

// became says what became of a decision.
func became(d *session.Decision) string {
	text := d.State
	if d.Took > 0 {
		text += " within " + d.Took.Round(10*time.Microsecond).String()
	}
	if d.Why != "" {
		text += ": " + d.Why
	}
	if d.Known {
		text += fmt.Sprintf(", %.0f %% of its time on other processes before, %.0f %% after", 100*d.Before, 100*d.After)
	}
	return text
}

func printMoves(w io.Writer, list []session.Decision) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "NUMBER\tAGE\tGOROUTINE\tFROM\tTO\tKIND\tREASON\tRESULT")
	for _, d := range list {
		fmt.Fprintf(t, "%d\t%s\t%d\t%s\t%d\t%s\t%s\t%s\n", d.Number, time.Since(d.Time).Round(time.Millisecond), d.Goroutine,
			number(d.From), d.To, d.Kind, d.Reason, became(&d))
	}
	return t.Flush()
}

// label carries out remotec label.
func label(o *sessionOptions, args []string) error {
	if len(args) != 3 {
		return usagef("not a label, a process and a weight: %q", strings.Join(args, " "))
	}
	key, value, ok := strings.Cut(args[0], "=")
	if !ok || key == "" {
		return usagef("%s: not a label of the form KEY=VALUE", args[0])
	}
	weight, err := strconv.ParseFloat(args[2], 64)
	if err != nil || weight != weight || weight > 1e9 || weight < -1e9 {
		return usagef("%s: not a weight", args[2])
	}
	return o.with(func(ctx context.Context, s found) error {
		processes, err := processesOf(ctx, s, args[1])
		if err != nil {
			return err
		}
		for _, k := range processes {
			if err := s.Weigh(ctx, s.ID, session.Weight{Key: key, Value: value, Process: k, Weight: weight}); err != nil {
				return err
			}
		}
		return nil
	})
}
