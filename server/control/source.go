package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
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

// Nodes implements Source. Those of a session are in its Info.
func (o *Own) Nodes() []NodeInfo { return nil }

func (o *Own) Migrate(ctx context.Context, id, goroutine uint64, process int) error {
	if id != o.Session.ID() {
		return NoSession(id)
	}
	ctx, cancel := context.WithTimeout(ctx, fresh)
	defer cancel()
	return o.Session.Move(ctx, goroutine, process)
}

func (o *Own) View(ctx context.Context, id uint64, what string, arguments url.Values) (json.RawMessage, error) {
	if id != o.Session.ID() {
		return nil, NoSession(id)
	}
	return o.Session.View(ctx, what, arguments)
}

// drainTime bounds a drain.
const drainTime = 5 * time.Second

func (o *Own) Drain(ctx context.Context, id uint64, processes []int, on, keep bool) (session.Drained, error) {
	if id != o.Session.ID() {
		return session.Drained{}, NoSession(id)
	}
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	return o.Session.Drain(ctx, processes, on, keep)
}

func (o *Own) Pause(ctx context.Context, id, goroutine uint64, process int, on bool) error {
	if id != o.Session.ID() {
		return NoSession(id)
	}
	ctx, cancel := context.WithTimeout(ctx, fresh)
	defer cancel()
	return o.Session.Pause(ctx, goroutine, process, on)
}

func (o *Own) Decisions(_ context.Context, id, goroutine uint64) ([]session.Decision, bool, error) {
	if id != o.Session.ID() {
		return nil, false, NoSession(id)
	}
	return o.Session.Decisions(goroutine), o.Session.Pinned(goroutine), nil
}

func (o *Own) Pin(_ context.Context, id, goroutine uint64, pinned bool) error {
	if id != o.Session.ID() {
		return NoSession(id)
	}
	return o.Session.Pin(goroutine, pinned)
}

func (o *Own) Weigh(_ context.Context, id uint64, w session.Weight) error {
	if id != o.Session.ID() {
		return NoSession(id)
	}
	return o.Session.Weigh(w)
}

func (o *Own) Stacks(ctx context.Context, id uint64) ([]byte, error) {
	if id != o.Session.ID() {
		return nil, NoSession(id)
	}
	ctx, cancel := context.WithTimeout(ctx, tells)
	defer cancel()
	parts, err := o.Session.Ask(ctx, wire.AskStacks, 0)
	parts = slices.DeleteFunc(parts, func(p []byte) bool { return len(p) == 0 }) // of processes that are gone
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

func (o *Own) Account(_ context.Context, id uint64) (time.Time, error) {
	if id != o.Session.ID() {
		return time.Time{}, NoSession(id)
	}
	return o.Session.Account(), nil
}

// Many is the Source of a master: session processes, each asked through its
// own control socket. A session's id is its session process's.
type Many struct {
	Server   string
	PIDs     func() []int
	NodeList func() []NodeInfo
}

// Nodes implements Source.
func (m *Many) Nodes() []NodeInfo { return m.NodeList() }

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

func (m *Many) View(ctx context.Context, id uint64, what string, arguments url.Values) (view json.RawMessage, err error) {
	err = m.find(ctx, id, func(ctx context.Context, c *Client) (err error) {
		view, err = c.View(ctx, id, what, arguments)
		return err
	})
	return view, err
}

func (m *Many) Drain(ctx context.Context, id uint64, processes []int, on, keep bool) (d session.Drained, err error) {
	err = m.findFor(ctx, id, fresh+drainTime, func(ctx context.Context, c *Client) (err error) {
		d, err = c.Drain(ctx, id, processes, on, keep)
		return err
	})
	return d, err
}

func (m *Many) Pause(ctx context.Context, id, goroutine uint64, process int, on bool) error {
	return m.find(ctx, id, func(ctx context.Context, c *Client) error {
		return c.Pause(ctx, id, goroutine, process, on)
	})
}

func (m *Many) Decisions(ctx context.Context, id, goroutine uint64) (list []session.Decision, pinned bool, err error) {
	err = m.find(ctx, id, func(ctx context.Context, c *Client) (err error) {
		list, pinned, err = c.Decisions(ctx, id, goroutine)
		return err
	})
	return list, pinned, err
}

func (m *Many) Pin(ctx context.Context, id, goroutine uint64, pinned bool) error {
	return m.find(ctx, id, func(ctx context.Context, c *Client) error {
		return c.Pin(ctx, id, goroutine, pinned)
	})
}

func (m *Many) Weigh(ctx context.Context, id uint64, w session.Weight) error {
	return m.find(ctx, id, func(ctx context.Context, c *Client) error {
		return c.Weigh(ctx, id, w)
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

func (m *Many) Account(ctx context.Context, id uint64) (since time.Time, err error) {
	err = m.find(ctx, id, func(ctx context.Context, c *Client) (err error) {
		since, err = c.Account(ctx, id)
		return err
	})
	return since, err
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
