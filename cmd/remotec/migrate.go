package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"
)

var migrateCommand = &command{
	name:  "migrate",
	args:  "GOROUTINE [PROCESS]",
	short: "move a goroutine to another process of its program",
	long: `
GOROUTINE is its number, as tracebacks show it. It is told apart from those of
other programs by the session: -session is needed where there are several.

A goroutine that computes moves at once, and so does one that waits, for a channel, a lock,
the network or a time. Some cannot move: those that are locked to their thread, that are in a system call or in C code,
that are in a bubble of testing/synctest, coroutines of iter.Pull, and those of the
runtime. The command tries for a second, and then says why.

With -pin it then stays there, whatever the placement policies (see "remotec help
moves"); without PROCESS, where it is. -unpin ends that. -undo N in place of the
arguments takes back the decision with that number, as "remotec moves" lists them.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o migrateOptions
		o.flags(fs)
		fs.BoolVar(&o.pin, "pin", false, "have the goroutine stay there")
		fs.BoolVar(&o.unpin, "unpin", false, "let the placement policies move it again")
		fs.IntVar(&o.undo, "undo", 0, "take back this decision (`number`) of the placement")
		return o.run
	},
}

type migrateOptions struct {
	sessionOptions
	pin, unpin bool
	undo       int
}

func (o *migrateOptions) run(args []string, _ streams) error {
	var goroutine uint64
	process := -1
	var err error
	if o.undo == 0 {
		if len(args) != 2 && (len(args) != 1 || !o.pin && !o.unpin) {
			return usagef("not a goroutine and a process: %q", strings.Join(args, " "))
		}
		if goroutine, err = parseGoroutine(args[0]); err != nil {
			return err
		}
		if len(args) == 2 {
			if process, err = strconv.Atoi(args[1]); err != nil || process < 0 {
				return usagef("%s: not the number of a process", args[1])
			}
		}
	} else if len(args) > 0 {
		return usagef("-undo %d and a goroutine: %q", o.undo, strings.Join(args, " "))
	}
	return o.with(func(ctx context.Context, s found) error {
		if o.undo != 0 {
			list, _, err := s.Decisions(ctx, s.ID, 0)
			if err != nil {
				return err
			}
			for _, d := range list {
				if d.Number == o.undo {
					goroutine, process = d.Goroutine, d.From
				}
			}
			if goroutine == 0 || process < 0 {
				return fmt.Errorf("there is no decision %d that can be undone; remotec moves lists those that are known", o.undo)
			}
		}
		if process >= 0 {
			if err := s.Migrate(ctx, s.ID, goroutine, process); err != nil {
				return err
			}
		}
		if o.pin || o.unpin {
			return s.Pin(ctx, s.ID, goroutine, o.pin)
		}
		return nil
	})
}

// parseGoroutine reads the number of a goroutine.
func parseGoroutine(word string) (uint64, error) {
	goroutine, err := strconv.ParseUint(word, 10, 64)
	if err != nil || goroutine == 0 {
		return 0, usagef("%s: not the number of a goroutine", word)
	}
	return goroutine, nil
}
