package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"remotec.dev/server/control"
)

var migrateCommand = &command{
	name:  "migrate",
	args:  "GOROUTINE PROCESS",
	short: "move a goroutine to another process of its program",
	long: `
GOROUTINE is its number, as tracebacks show it. It is told apart from those of
other programs by the session: -session is needed where there are several.

A goroutine that computes moves at once, and so does one that waits, for a channel, a lock,
the network or a time. Some cannot move: those that are locked to their thread, that are in a system call or in C code,
that are in a bubble of testing/synctest, coroutines of iter.Pull, and those of the
runtime. The command tries for a second, and then says why.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o migrateOptions
		o.flags(fs)
		return o.run
	},
}

type migrateOptions struct{ sessionOptions }

// sessionOptions say which session a command is about.
type sessionOptions struct {
	server, token string
	session       uint64
}

func (o *sessionOptions) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.server, "server", "", "a session of the server at this `address`")
	fs.StringVar(&o.token, "token", os.Getenv("REMOTEC_TOKEN"), "what that server asks for")
	fs.Uint64Var(&o.session, "session", 0, "`number` of the session, as remotec ps lists it")
}

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
	c, session, err := o.find(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Migrate(ctx, session, goroutine, process); err != nil {
		return fmt.Errorf("session %d: %s", session, strings.TrimPrefix(err.Error(), "remotec.capnp:Server.migrate: "))
	}
	return nil
}

// find returns the session that is meant, and a connection to its server.
func (o *sessionOptions) find(ctx context.Context) (c *control.Client, session uint64, err error) {
	var clients []*control.Client
	if o.server != "" {
		c, err := dialServer(ctx, o.server, o.token)
		if err != nil {
			return nil, 0, err
		}
		clients = append(clients, c)
	} else {
		pids, err := control.Local()
		if err != nil {
			return nil, 0, err
		}
		for _, pid := range pids {
			if c, err := control.DialSession(ctx, pid); err == nil { // else it has just ended, or is another user's
				clients = append(clients, c)
			}
		}
	}
	var found []uint64
	for _, other := range clients {
		mine := false
		infos, err := other.Sessions(ctx)
		if err != nil && o.server != "" {
			other.Close()
			return nil, 0, fmt.Errorf("asking the server at %s: %w; is it a runtime server, and the token its own?", o.server, err)
		}
		for _, i := range infos {
			if o.session != 0 && i.ID != o.session {
				continue
			}
			if found = append(found, i.ID); len(found) == 1 {
				c, mine = other, true
			}
		}
		if !mine {
			other.Close()
		}
	}
	switch {
	case len(found) == 1:
		return c, found[0], nil
	case len(found) > 1:
		c.Close()
		return nil, 0, usagef("there are %d sessions; say which: -session N, as remotec ps lists them", len(found))
	case o.session != 0:
		return nil, 0, control.NoSession(o.session)
	}
	return nil, 0, errors.New("no program runs; remotec ps lists those that do")
}
