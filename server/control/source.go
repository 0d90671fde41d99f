package control

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
	"remotec.dev/server/profile"
	"remotec.dev/server/session"
)

// fresh bounds how long a program may take to account for its goroutines, and a
// goroutine to go to another process.
const fresh = time.Second

// tells bounds how long a process may take to tell its stacks or a profile.
const tells = 10 * time.Second

// Own is the Source of a session process: its one session.
type Own struct {
	Server  string // name and version
	Session *session.Session
}

// Accept serves an RPC connection of the session process from its preamble
// on, and closes it.
func (o *Own) Accept(c *fds.Conn) {
	defer c.Close()
	c.SetTimeout(5 * time.Second)
	r := &fds.FrameReader{Conn: c, Exact: true}
	if p, err := r.Preamble(); err != nil || p != wire.PreambleRPC {
		return
	}
	c.SetTimeout(0)
	Serve(Stream{c}, o)
}

// Stream is a connection whose Close unblocks its reader and leaves the
// descriptor open: a thread may still be inside a system call on it, and the
// number must not be another's by then.
type Stream struct{ *fds.Conn }

// Close shuts the connection down.
func (s Stream) Close() error {
	s.Shutdown()
	return nil
}

func (o *Own) Name() (string, int) { return o.Server, os.Getpid() }

func (o *Own) Sessions(context.Context) ([]session.Info, error) {
	return []session.Info{o.Session.Info()}, nil
}

func (o *Own) Goroutines(_ context.Context, id uint64, all bool) (*wire.Goroutines, error) {
	if id != o.Session.ID() {
		return nil, NoSession(id)
	}
	return o.Session.Goroutines(all, fresh), nil
}

func (o *Own) Signal(_ context.Context, id uint64, number int) error {
	if id != o.Session.ID() {
		return NoSession(id)
	}
	return os.NewSyscallError("kill", syscall.Kill(os.Getpid(), syscall.Signal(number)))
}

func (o *Own) Migrate(ctx context.Context, id, goroutine uint64, process int) error {
	if id != o.Session.ID() {
		return NoSession(id)
	}
	ctx, cancel := context.WithTimeout(ctx, fresh)
	defer cancel()
	return o.Session.Move(ctx, goroutine, process)
}

func (o *Own) Stacks(ctx context.Context, id uint64) ([]byte, error) {
	if id != o.Session.ID() {
		return nil, NoSession(id)
	}
	ctx, cancel := context.WithTimeout(ctx, tells)
	defer cancel()
	parts, err := o.Session.Ask(ctx, wire.AskStacks, 0)
	return bytes.Join(parts, []byte("\n")), err
}

func (o *Own) Profile(ctx context.Context, id uint64, kind string, d time.Duration) ([]byte, error) {
	if id != o.Session.ID() {
		return nil, NoSession(id)
	}
	what, ok := profile.Kinds[kind]
	if !ok {
		return nil, fmt.Errorf("no profile is called %q; there are %s", kind, profile.KindNames())
	}
	if what != wire.AskCPU {
		d = 0
	}
	d = max(0, min(d, profile.MaxDuration))
	ctx, cancel := context.WithTimeout(ctx, tells+d)
	defer cancel()
	parts, err := o.Session.Ask(ctx, what, uint64(d))
	if err != nil {
		return nil, err
	}
	return profile.Build(kind, d, parts)
}

func (o *Own) Stats(_ context.Context, id uint64) (*session.Stats, error) {
	if id != o.Session.ID() {
		return nil, NoSession(id)
	}
	return o.Session.Stats(fresh), nil
}

// Many is the Source of a master: session processes, each asked through its
// own control socket. A session's id is its session process's.
type Many struct {
	Server string
	PIDs   func() []int
}

func (m *Many) Name() (string, int) { return m.Server, os.Getpid() }

func (m *Many) Sessions(ctx context.Context) ([]session.Info, error) {
	var all []session.Info
	for _, pid := range m.PIDs() {
		err := m.ask(ctx, pid, fresh, func(ctx context.Context, c *Client) error {
			infos, err := c.Sessions(ctx)
			all = append(all, infos...)
			return err
		})
		if err != nil && ctx.Err() != nil {
			return nil, err
		} // else one that has just ended, or not begun
	}
	return all, nil
}

func (m *Many) Goroutines(ctx context.Context, id uint64, all bool) (g *wire.Goroutines, err error) {
	err = m.find(ctx, id, func(ctx context.Context, c *Client) (err error) {
		g, err = c.Goroutines(ctx, id, all)
		return err
	})
	return g, err
}

func (m *Many) Signal(ctx context.Context, id uint64, number int) error {
	return m.find(ctx, id, func(ctx context.Context, c *Client) error {
		return c.Signal(ctx, id, number)
	})
}

func (m *Many) Migrate(ctx context.Context, id, goroutine uint64, process int) error {
	return m.find(ctx, id, func(ctx context.Context, c *Client) error {
		return c.Migrate(ctx, id, goroutine, process)
	})
}

func (m *Many) Stacks(ctx context.Context, id uint64) (text []byte, err error) {
	err = m.findFor(ctx, id, tells, func(ctx context.Context, c *Client) (err error) {
		text, err = c.Stacks(ctx, id)
		return err
	})
	return text, err
}

func (m *Many) Profile(ctx context.Context, id uint64, kind string, d time.Duration) (p []byte, err error) {
	err = m.findFor(ctx, id, tells+min(d, profile.MaxDuration), func(ctx context.Context, c *Client) (err error) {
		p, err = c.Profile(ctx, id, kind, d)
		return err
	})
	return p, err
}

func (m *Many) Stats(ctx context.Context, id uint64) (st *session.Stats, err error) {
	err = m.find(ctx, id, func(ctx context.Context, c *Client) (err error) {
		st, err = c.Stats(ctx, id)
		return err
	})
	return st, err
}

func (m *Many) find(ctx context.Context, id uint64, f func(context.Context, *Client) error) error {
	return m.findFor(ctx, id, fresh, f)
}

func (m *Many) findFor(ctx context.Context, id uint64, d time.Duration, f func(context.Context, *Client) error) error {
	for _, pid := range m.PIDs() {
		if uint64(pid) == id {
			return m.ask(ctx, pid, d, f)
		}
	}
	return NoSession(id)
}

// ask bounds what one session process can hold up: it has the time d, and some more for
// the way.
func (m *Many) ask(ctx context.Context, pid int, d time.Duration, f func(context.Context, *Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, d+fresh)
	defer cancel()
	c, err := DialSession(ctx, pid)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := f(ctx, c); err != nil {
		return fmt.Errorf("session process %d: %w", pid, err)
	}
	return nil
}
