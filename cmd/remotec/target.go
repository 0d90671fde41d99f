package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"remotec.dev/server/control"
	"remotec.dev/server/session"
)

// target is the sessions that a command is about: those of a server, or else all of this
// user on this machine.
type target struct {
	server, token string
	session       uint64 // 0: any
}

// found is a session, and a connection to who answers for it.
type found struct {
	*control.Client
	session.Info
}

// flags declares the flags that say which sessions are meant.
func (t *target) flags(fs *flag.FlagSet) {
	fs.StringVar(&t.server, "server", "", "sessions of the server at this `address`, instead of all on this machine")
	fs.StringVar(&t.token, "token", os.Getenv("REMOTEC_TOKEN"), "what that server asks for")
	fs.Uint64Var(&t.session, "session", 0, "`number` of the session, as remotec ps lists it")
}

// all returns the sessions that are meant. done ends the connections.
func (t *target) all(ctx context.Context) (list []found, done func(), err error) {
	var clients []*control.Client
	done = func() {
		for _, c := range clients {
			c.Close()
		}
	}
	if t.server != "" {
		c, err := dialServer(ctx, t.server, t.token)
		if err != nil {
			return nil, done, err
		}
		clients = append(clients, c)
	} else {
		pids, err := control.Local()
		if err != nil {
			return nil, done, err
		}
		for _, pid := range pids {
			if c, err := control.DialSession(ctx, pid); err == nil { // else it has just ended, or is another user's
				clients = append(clients, c)
			}
		}
	}
	for _, c := range clients {
		infos, err := c.Sessions(ctx)
		if err != nil && t.server != "" {
			done()
			return nil, func() {}, fmt.Errorf("asking the server at %s: %w; is it a runtime server, and the token its own?", t.server, err)
		}
		for _, i := range infos {
			if t.session == 0 || i.ID == t.session {
				list = append(list, found{c, i})
			}
		}
	}
	if t.session != 0 && len(list) == 0 {
		done()
		return nil, func() {}, control.NoSession(t.session)
	}
	return list, done, nil
}

// one returns the session that is meant, of which there must be one.
func (t *target) one(ctx context.Context) (f found, done func(), err error) {
	list, done, err := t.all(ctx)
	switch {
	case err != nil:
		return f, done, err
	case len(list) == 0:
		done()
		return f, func() {}, errors.New("no program runs; remotec ps lists those that do")
	case len(list) > 1:
		done()
		return f, func() {}, usagef("there are %d sessions; say which: -session N, as remotec ps lists them", len(list))
	}
	return list[0], done, nil
}
