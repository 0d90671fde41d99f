package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"remotec.dev/server/control"
	"remotec.dev/server/profile"
)

var stackCommand = &command{
	name:  "stack",
	args:  "[GOROUTINE...]",
	short: "print the stacks of the goroutines of a program, of all its processes",
	long: `
The format is that of tracebacks of Go programs. The numbers are those of goroutines of the whole
program, and stay theirs when they move to another process. Each process stands still while
it writes its part; the program then goes on.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o stackOptions
		o.flags(fs)
		fs.BoolVar(&o.json, "json", false, "print JSON")
		return o.run
	},
}

type stackOptions struct {
	sessionOptions
	json bool
}

// stackJSON is a goroutine as -json prints it.
type stackJSON struct {
	Goroutine uint64 `json:"goroutine"`
	State     string `json:"state"`
	Stack     string `json:"stack"`
}

var goroutineHeader = regexp.MustCompile(`^goroutine (\d+) (?:gp=\S+ m=.*? )?\[(.*)\]:$`)

func (o *stackOptions) run(args []string, std streams) error {
	var only []uint64
	for _, a := range args {
		n, err := strconv.ParseUint(a, 10, 64)
		if err != nil {
			return usagef("%s: not the number of a goroutine", a)
		}
		only = append(only, n)
	}
	return o.within(2*psTimeout, func(ctx context.Context, s found) error {
		text, err := s.Stacks(ctx, s.ID)
		if err != nil {
			return fmt.Errorf("getting the stacks: %s", control.Plain(err))
		}
		return o.print(parseStacks(string(text)), only, std)
	})
}

// print prints goroutines: all, or those that are asked for.
func (o *stackOptions) print(list []stackJSON, only []uint64, std streams) error {
	seen := map[uint64]bool{}
	if len(only) > 0 {
		list = slices.DeleteFunc(list, func(g stackJSON) bool {
			seen[g.Goroutine] = true
			return !slices.Contains(only, g.Goroutine)
		})
		for _, n := range only {
			if !seen[n] {
				return fmt.Errorf("there is no goroutine %d", n)
			}
		}
	}
	if o.json {
		return printJSON(std.out, list)
	}
	for i, g := range list {
		if i > 0 {
			fmt.Fprintln(std.out)
		}
		fmt.Fprintf(std.out, "goroutine %d [%s]:\n%s", g.Goroutine, g.State, g.Stack)
	}
	return nil
}

// parseStacks divides a traceback into goroutines, which it sorts by number.
func parseStacks(text string) []stackJSON {
	list := []stackJSON{}
	for line := range strings.Lines(text) {
		bare := strings.TrimSuffix(line, "\n")
		if m := goroutineHeader.FindStringSubmatch(bare); m != nil {
			n, _ := strconv.ParseUint(m[1], 10, 64)
			list = append(list, stackJSON{Goroutine: n, State: m[2]})
		} else if len(list) > 0 && bare != "" {
			list[len(list)-1].Stack += line
		}
	}
	slices.SortStableFunc(list, func(a, b stackJSON) int { return int(int64(a.Goroutine) - int64(b.Goroutine)) })
	return list
}

var profileCommand = &command{
	name:  "profile",
	args:  "KIND",
	short: "write a profile of a program, of all its processes, for go tool pprof",
	long: `
KIND is cpu, heap, allocs, block, mutex, goroutine or threadcreate. The file is in the format of
pprof: look at it with "go tool pprof FILE". Samples have the label "process", beside
those that the program gave them by package runtime/pprof.

A profile of the processor takes the time of -seconds. So does one of memory, waiting or
contention of a program that does not record that by itself; then it is about that time.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o profileOptions
		o.flags(fs)
		fs.Float64Var(&o.seconds, "seconds", 5, "`time` that the profile takes")
		fs.StringVar(&o.output, "o", "", "`file` to write; default: KIND.pprof, - for standard output")
		fs.BoolVar(&o.json, "json", false, "print what was written as JSON")
		return o.run
	},
}

type profileOptions struct {
	sessionOptions
	seconds float64
	output  string
	json    bool
}

func (o *profileOptions) run(args []string, std streams) error {
	if len(args) != 1 {
		return usagef("which profile? There are %s", profile.KindNames())
	}
	kind := args[0]
	if _, ok := profile.Kinds[kind]; !ok {
		return usagef("no profile is called %q; there are %s", kind, profile.KindNames())
	}
	d := time.Duration(o.seconds * float64(time.Second))
	if d <= 0 || d > profile.MaxDuration {
		return usagef("-seconds %v: more than 0, and at most %v", o.seconds, profile.MaxDuration.Seconds())
	}
	return o.within(d+2*psTimeout, func(ctx context.Context, s found) error {
		p, err := s.Profile(ctx, s.ID, kind, d)
		if err != nil {
			return fmt.Errorf("getting the profile: %s", control.Plain(err))
		}
		return o.write(p, kind, s.ID, std)
	})
}

// write writes a profile where it is to go.
func (o *profileOptions) write(p []byte, kind string, id uint64, std streams) error {
	name := o.output
	switch name {
	case "-":
		_, err := std.out.Write(p)
		return err
	case "":
		name = kind + ".pprof"
	}
	if err := os.WriteFile(name, p, 0o644); err != nil {
		return err
	}
	if o.json {
		return json.NewEncoder(std.out).Encode(map[string]any{"session": id, "kind": kind, "file": name, "bytes": len(p)})
	}
	_, err := fmt.Fprintf(std.out, "%s profile of session %d in %s\n", kind, id, name)
	return err
}
