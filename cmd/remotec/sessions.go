package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"remotec.dev/server/control"
	"remotec.dev/server/session"
)

// sessionOptions say which sessions a command is about: those of a server, or else all of
// this user on this machine.
type sessionOptions struct {
	server, token string
	session       uint64 // 0: any
}

// found is a session, and a connection to who answers for it.
type found struct {
	*control.Client
	session.Info
}

// flags declares them.
func (o *sessionOptions) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.server, "server", "", "ask the server at this `address`, instead of all sessions on this machine")
	fs.StringVar(&o.token, "token", os.Getenv("REMOTEC_TOKEN"), "what that server asks for")
	fs.Uint64Var(&o.session, "session", 0, "`number` of the session, as remotec ps lists it")
}

// all returns the sessions that are meant. done ends the connections.
func (o *sessionOptions) all(ctx context.Context) (list []found, done func(), err error) {
	var clients []*control.Client
	done = func() {
		for _, c := range clients {
			c.Close()
		}
	}
	if o.server != "" {
		c, err := dialServer(ctx, o.server, o.token)
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
	// One that does not answer, as it is stopped, is no reason not to show the others.
	each := ctx
	if o.server == "" {
		var cancel func()
		each, cancel = context.WithTimeout(ctx, psTimeout/4)
		defer cancel()
	}
	answers, errs := make([][]session.Info, len(clients)), make([]error, len(clients))
	var asked sync.WaitGroup
	for k, c := range clients {
		asked.Go(func() { answers[k], errs[k] = c.Sessions(each) })
	}
	asked.Wait()
	for k, c := range clients {
		if errs[k] != nil && o.server != "" {
			done()
			return nil, func() {}, o.asking(errs[k])
		}
		for _, i := range answers[k] {
			if o.session == 0 || i.ID == o.session {
				list = append(list, found{c, i})
			}
		}
	}
	if o.session != 0 && len(list) == 0 {
		done()
		return nil, func() {}, control.NoSession(o.session)
	}
	return list, done, nil
}

// asking is the error of a server that does not answer.
func (o *sessionOptions) asking(err error) error {
	return fmt.Errorf("asking the server at %s: %w; is it a runtime server, and the token its own?", o.server, err)
}

// forAll calls f for the sessions that are meant, and then ends the connections to them. All of it may take that long.
func (o *sessionOptions) forAll(d time.Duration, f func(context.Context, []found) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	list, done, err := o.all(ctx)
	if err != nil {
		return err
	}
	defer done()
	return f(ctx, list)
}

// with calls f for the session that is meant, of which there must be one.
func (o *sessionOptions) with(f func(ctx context.Context, s found) error) error {
	return o.within(psTimeout, f)
}

// within is with for what may take that long.
func (o *sessionOptions) within(d time.Duration, f func(ctx context.Context, s found) error) error {
	return o.forAll(d, func(ctx context.Context, list []found) error {
		switch len(list) {
		case 0:
			return errors.New("no program runs; remotec ps lists those that do")
		case 1:
		default:
			return usagef("there are %d sessions; say which: -session N, as remotec ps lists them", len(list))
		}
		if err := f(ctx, list[0]); err != nil {
			return fmt.Errorf("session %d: %s", list[0].ID, control.Plain(err))
		}
		return nil
	})
}
