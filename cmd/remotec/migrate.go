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
	return o.with(func(ctx context.Context, c *control.Client, session uint64) error {
		if o.undo != 0 {
			list, _, err := c.Decisions(ctx, session, 0)
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
			if err := c.Migrate(ctx, session, goroutine, process); err != nil {
				return err
			}
		}
		if o.pin || o.unpin {
			return c.Pin(ctx, session, goroutine, o.pin)
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

// sessionOptions are the flags of commands about one session.
type sessionOptions struct {
	server, token string
	session       uint64
}

func (o *sessionOptions) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.server, "server", "", "ask the server at this `address`")
	fs.StringVar(&o.token, "token", os.Getenv("REMOTEC_TOKEN"), "what that server asks for")
	fs.Uint64Var(&o.session, "session", 0, "`number` of the session, as remotec ps lists it")
}

// with calls f for the session that is meant.
func (o *sessionOptions) with(f func(ctx context.Context, c *control.Client, session uint64) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), psTimeout)
	defer cancel()
	c, session, err := o.find(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := f(ctx, c, session); err != nil {
		text := err.Error()
		if rest, ok := strings.CutPrefix(text, "remotec.capnp:Server."); ok {
			_, text, _ = strings.Cut(rest, ": ")
		}
		return fmt.Errorf("session %d: %s", session, text)
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
