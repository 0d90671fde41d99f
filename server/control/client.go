package control

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"capnproto.org/go/capnp/v3/rpc"

	"remotec.dev/capnp"
	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
	"remotec.dev/server/session"
)

// maxToken bounds the token on a TCP connection, in bytes.
const maxToken = 4096

// WriteToken writes what follows the preamble of an RPC connection over TCP:
// the token, its length in 8 bytes of little-endian before it.
func WriteToken(w io.Writer, token string) error {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(token)))
	_, err := w.Write(append(b, token...))
	return err
}

// ReadToken reads what WriteToken wrote.
func ReadToken(r io.Reader) (string, error) {
	var n [8]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return "", err
	}
	size := binary.LittleEndian.Uint64(n[:])
	if size > maxToken {
		return "", fmt.Errorf("token of %d bytes", size)
	}
	token := make([]byte, size)
	_, err := io.ReadFull(r, token)
	return string(token), err
}

// Client calls a server.
type Client struct {
	conn   *rpc.Conn
	server capnp.Server
}

// Dial connects to the server at addr, host:port or unix:/path. The token
// matters over TCP only.
func Dial(ctx context.Context, addr, token string) (*Client, error) {
	network, at := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, at = "unix", path
	}
	c, err := connect(ctx, network, at, token)
	if err != nil {
		return nil, fmt.Errorf("connecting to the server at %s: %w", addr, err)
	}
	return c, nil
}

// DialSession connects to session process pid of this host.
func DialSession(ctx context.Context, pid int) (*Client, error) {
	c, err := connect(ctx, "unix", session.ControlName+strconv.Itoa(pid), "")
	if err != nil {
		return nil, fmt.Errorf("connecting to session process %d: %w", pid, err)
	}
	return c, nil
}

func connect(ctx context.Context, network, addr, token string) (*Client, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	_, err = nc.Write([]byte(wire.PreambleRPC))
	if network == "tcp" {
		if err == nil {
			err = WriteToken(nc, token)
		}
	} else if err == nil && !trusted(nc.(*net.UnixConn)) {
		err = errors.New("it belongs to another user")
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	// An RPC connection logs through its options' logger only; none is set.
	conn := rpc.NewConn(rpc.NewStreamTransport(nc), nil)
	return &Client{conn: conn, server: capnp.Server(conn.Bootstrap(ctx))}, nil
}

func trusted(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	ok := false
	err = raw.Control(func(fd uintptr) { ok = fds.Trusted(int(fd)) })
	return err == nil && ok
}

// Close ends the connection.
func (c *Client) Close() {
	c.conn.Close() // first: to release a capability waits for the one that is asked for
	c.server.Release()
}

// Name returns the server's name and version and its process id.
func (c *Client) Name(ctx context.Context) (name string, pid int, err error) {
	f, release := c.server.Info(ctx, nil)
	defer release()
	r, err := f.Struct()
	if err != nil {
		return "", 0, err
	}
	name, err = r.Server()
	return name, int(r.Pid()), err
}

// Sessions lists the server's sessions.
func (c *Client) Sessions(ctx context.Context) ([]session.Info, error) {
	f, release := c.server.Sessions(ctx, nil)
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, err
	}
	list, err := r.List()
	if err != nil {
		return nil, err
	}
	infos := make([]session.Info, list.Len())
	for i := range infos {
		if infos[i], err = getInfo(list.At(i)); err != nil {
			return nil, err
		}
	}
	return infos, nil
}

// Goroutines returns a session's account of its goroutines.
func (c *Client) Goroutines(ctx context.Context, id uint64, all bool) (*wire.Goroutines, error) {
	f, release := c.server.Goroutines(ctx, func(p capnp.Server_goroutines_Params) error {
		p.SetSession(id)
		p.SetAll(all)
		return nil
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, err
	}
	account, err := r.Goroutines()
	if err != nil {
		return nil, err
	}
	return getGoroutines(account)
}

// Signal sends a signal to a session.
func (c *Client) Signal(ctx context.Context, id uint64, number int) error {
	f, release := c.server.Signal(ctx, func(p capnp.Server_signal_Params) error {
		p.SetSession(id)
		p.SetNumber(uint32(number))
		return nil
	})
	defer release()
	_, err := f.Struct()
	return err
}

// Migrate has a goroutine of a session go to a process.
func (c *Client) Migrate(ctx context.Context, id, goroutine uint64, process int) error {
	f, release := c.server.Migrate(ctx, func(p capnp.Server_migrate_Params) error {
		p.SetSession(id)
		p.SetGoroutine(goroutine)
		p.SetProcess(uint32(process))
		return nil
	})
	defer release()
	_, err := f.Struct()
	return err
}

// View returns what is to be shown of a session, as JSON.
func (c *Client) View(ctx context.Context, id uint64, what string, arguments url.Values) (json.RawMessage, error) {
	f, release := c.server.View(ctx, func(p capnp.Server_view_Params) error {
		p.SetSession(id)
		return errors.Join(p.SetWhat(what), p.SetArguments(arguments.Encode()))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, err
	}
	view, err := r.Json()
	return bytes.Clone(view), err
}

// Nodes lists the other hosts that have joined the server.
func (c *Client) Nodes(ctx context.Context) ([]NodeInfo, error) {
	f, release := c.server.Nodes(ctx, nil)
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, err
	}
	list, err := r.List()
	if err != nil {
		return nil, err
	}
	infos := make([]NodeInfo, list.Len())
	for i := range infos {
		from, to := list.At(i), &infos[i]
		to.CPUs, to.Sessions, to.Joined = int(from.Cpus()), int(from.Sessions()), time.Unix(0, from.Joined())
		var errs [2]error
		to.Name, errs[0] = from.Name()
		to.Addr, errs[1] = from.Address()
		if err := errors.Join(errs[:]...); err != nil {
			return nil, err
		}
	}
	return infos, nil
}

// Drain has all goroutines of some processes of a session go to others, and gives those no new ones; with on
// false some again. Then they end, unless keep is set.
func (c *Client) Drain(ctx context.Context, id uint64, processes []int, on, keep bool) (session.Drained, error) {
	f, release := c.server.Drain(ctx, func(p capnp.Server_drain_Params) error {
		p.SetSession(id)
		p.SetUndo(!on)
		p.SetKeep(keep)
		list, err := p.NewProcesses(int32(len(processes)))
		for i, k := range processes {
			list.Set(i, uint32(k))
		}
		return err
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return session.Drained{}, err
	}
	stays, err := r.Stays()
	return session.Drained{Moved: r.Moved(), Took: time.Duration(r.Took()), Gone: time.Duration(r.Gone()), Stays: stays}, err
}

// Pause has a goroutine of a session pause, or all of a process if goroutine is 0, or all of the
// session if process is negative as well; with on false they go on.
func (c *Client) Pause(ctx context.Context, id, goroutine uint64, process int, on bool) error {
	f, release := c.server.Pause(ctx, func(p capnp.Server_pause_Params) error {
		p.SetSession(id)
		p.SetGoroutine(goroutine)
		p.SetProcess(int32(process))
		p.SetResume(!on)
		return nil
	})
	defer release()
	_, err := f.Struct()
	return err
}

// Local lists the session processes of this host, by the names of their
// sockets. It does not say whose they are; connecting does.
func Local() ([]int, error) {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	var pids []int
	for line := range strings.Lines(string(text)) {
		if at := strings.Index(line, session.ControlName); at >= 0 {
			pid, err := strconv.Atoi(strings.TrimSpace(line[at+len(session.ControlName):]))
			if err == nil {
				pids = append(pids, pid)
			}
		}
	}
	// Connections of the socket carry its name too.
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// Plain returns what err says, without the method that a server was called by.
func Plain(err error) string {
	text := err.Error()
	for {
		at := strings.Index(text, rpcPrefix)
		if at < 0 {
			return text
		}
		end := strings.Index(text[at:], ": ")
		if end < 0 {
			return text
		}
		text = text[:at] + text[at+end+2:]
	}
}

// rpcPrefix begins what package rpc puts before an error of a method.
const rpcPrefix = "remotec.capnp:Server."
