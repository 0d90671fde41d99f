package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"remotec.dev/server/session"
)

var drainCommand = &command{
	name:  "drain",
	args:  "NODE|PROCESS",
	short: "move all goroutines off a process, or off those of a node",
	long: `
PROCESS is the number of a process, NODE the name of a host as remotec ps lists it.
The goroutines go to the other processes of the same host, in whatever state they are, and
the process gets no new ones. Then its channels, descriptors and timers go to another process, and it ends; with
-keep it stays, and they stay with it. The first process of a program, 0, always does.
The command tells how many goroutines moved, and in what time, and when the process was gone.

Where some goroutine cannot move it tries for some seconds, and then says why; the
process gets no new ones all the same. With -undo it gets some again, unless it is gone.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o drainOptions
		o.flags(fs)
		fs.BoolVar(&o.undo, "undo", false, "the process gets goroutines again")
		fs.BoolVar(&o.keep, "keep", false, "the process does not end")
		return o.run
	},
}

type drainOptions struct {
	sessionOptions
	undo, keep bool
}

func (o *drainOptions) run(args []string, std streams) error {
	if len(args) != 1 {
		return usagef("not a node or a process: %q", strings.Join(args, " "))
	}
	return o.with(func(ctx context.Context, s found) error {
		processes, err := processesOf(ctx, s, args[0])
		if err != nil {
			return err
		}
		d, err := s.Drain(ctx, s.ID, processes, !o.undo, o.keep)
		if err != nil {
			return err
		}
		if !o.undo {
			fmt.Fprintf(std.out, "%d goroutines moved in %v\n", d.Moved, d.Took.Round(10*time.Microsecond))
		}
		switch {
		case d.Stays != "":
			return errors.New(d.Stays)
		case d.Gone > 0 && len(processes) == 1:
			fmt.Fprintf(std.out, "process %d is gone after %v\n", processes[0], d.Gone.Round(10*time.Microsecond))
		case d.Gone > 0:
			fmt.Fprintf(std.out, "%d processes are gone after %v\n", len(processes), d.Gone.Round(10*time.Microsecond))
		}
		return nil
	})
}

// processesOf returns the processes that a number or the name of a node stands for.
func processesOf(ctx context.Context, s found, name string) ([]int, error) {
	if k, err := strconv.Atoi(name); err == nil {
		return []int{k}, nil
	}
	processes := on(s.Processes, name)
	if len(processes) == 0 {
		return nil, fmt.Errorf("it has no process on a node %s; remotec ps lists its processes", name)
	}
	return processes, nil
}

// on returns the processes on a host.
func on(infos []session.ProcessInfo, host string) (processes []int) {
	for _, p := range infos {
		if p.Host == host {
			processes = append(processes, p.Number)
		}
	}
	return processes
}

var pauseCommand = &command{
	name:  "pause",
	short: "have a goroutine, a process or a whole program pause",
	long: `
Without -goroutine and -process all goroutines of the session pause. Those that
compute stop at once, those that are in a system call when it is over, and those that wait
go on waiting, and do not run when they have what they wait for. The runtime's own goroutines go on, so
that a process that pauses still serves the others: the operations on its channels, for one. Timers
run on. remotec resume ends it.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error { return setupPause(fs, true) },
}

var resumeCommand = &command{
	name:  "resume",
	short: "have what pauses go on",
	long: `
It takes the flags of remotec pause. A goroutine that pauses on its own and in its process needs
both to be resumed.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error { return setupPause(fs, false) },
}

type pauseOptions struct {
	sessionOptions
	goroutine uint64
	process   int
	on        bool
}

func setupPause(fs *flag.FlagSet, on bool) func([]string, streams) error {
	o := pauseOptions{on: on}
	o.flags(fs)
	fs.Uint64Var(&o.goroutine, "goroutine", 0, "`number` of a goroutine, as tracebacks show it")
	fs.IntVar(&o.process, "process", -1, "`number` of a process")
	return o.run
}

func (o *pauseOptions) run(args []string, _ streams) error {
	switch {
	case len(args) != 0:
		return usagef("arguments: %q", strings.Join(args, " "))
	case o.goroutine != 0 && o.process >= 0:
		return usagef("a goroutine, or a process, not both")
	}
	return o.with(func(ctx context.Context, s found) error {
		return s.Pause(ctx, s.ID, o.goroutine, o.process, o.on)
	})
}
