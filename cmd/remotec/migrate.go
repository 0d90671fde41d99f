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
	args:  "GOROUTINE PROCESS",
	short: "move a goroutine to another process of its program",
	long: `
GOROUTINE is its number, as tracebacks show it. It is told apart from those of
other programs by the session: -session is needed where there are several.

A goroutine that computes moves at once. One that waits, for a channel, a lock,
the network or a time, moves when it has what it waits for. Some cannot move:
those that are locked to their thread, that are in a system call or in C code,
that are in a bubble of testing/synctest, coroutines of iter.Pull, and those of the
runtime. The command tries for a second, and then says why.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o migrateOptions
		o.flags(fs)
		return o.run
	},
}

type migrateOptions struct{ target }

func (o *migrateOptions) run(args []string, _ streams) error {
	if len(args) != 2 {
		return usagef("not a goroutine and a process: %q", strings.Join(args, " "))
	}
	goroutine, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil || goroutine == 0 {
		return usagef("%s: not the number of a goroutine", args[0])
	}
	process, err := strconv.Atoi(args[1])
	if err != nil || process < 0 {
		return usagef("%s: not the number of a process", args[1])
	}
	ctx, cancel := context.WithTimeout(context.Background(), psTimeout)
	defer cancel()
	s, done, err := o.one(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := s.Migrate(ctx, s.ID, goroutine, process); err != nil {
		return fmt.Errorf("session %d: %s", s.ID, strings.TrimPrefix(err.Error(), "remotec.capnp:Server.migrate: "))
	}
	return nil
}
