package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"remotec.dev/server/node"
	"remotec.dev/server/session"
)

// Nodes says which other hosts take part in a session that Run makes.
type Nodes struct {
	Count int // how many are waited for
	// Listen is where they find the session: host:port, of a loopback interface
	// unless other machines are meant to reach it.
	Listen  string
	Version string // of the server, told to nodes
	// Say is told how it goes, in lines for people: among them what to run on the
	// other hosts.
	Say func(line string)
}

// hosts are the nodes of a session.
type hosts struct {
	list   []*node.Host
	errors *os.File // standard error of processes on them
}

// gather waits for the nodes that cfg asks for.
func gather(cfg *Config) (*hosts, error) {
	n := &cfg.Nodes
	at, err := net.ResolveTCPAddr("tcp", n.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for nodes on %s: %w; want host:port", n.Listen, err)
	}
	fd, port, err := listenTCP(at)
	if err == nil {
		fd, err = space.Adopt(fd)
	}
	if err != nil {
		return nil, fmt.Errorf("listening for nodes on %s: %w", n.Listen, err)
	}
	h := &hosts{}
	// The program may close its standard error, and the number become another
	// file's.
	if err := h.dupErrors(); err != nil {
		return nil, err
	}
	addr := net.JoinHostPort(reachable(n.Listen, at), strconv.Itoa(port))
	var mu sync.Mutex
	missing := n.Count
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		n.Say(fmt.Sprintf(format, args...))
	}
	l, err := node.Listen(fd, node.Config{
		Count: n.Count, Version: n.Version, Space: &space, Log: cfg.log,
		Waiting: func(t node.Token) {
			say("waiting for a node; on the other host run: remotec join %s -token %s", addr, t)
		},
		Joined: func(name, from string, cpus int) {
			missing--
			left := ""
			if missing > 0 {
				left = fmt.Sprintf("; %d more to come", missing)
			}
			say("node %s joined from %s, %d CPUs%s", name, from, cpus, left)
		},
		Refused: func(from string, err error) { say("a node at %s was not taken: %v", from, err) },
	})
	if err != nil {
		return nil, err
	}
	h.list, err = l.Wait(context.Background())
	if err != nil {
		return nil, err
	}
	return h, nil
}

// expect has the nodes that the master calls take part in the session.
func (r *running) expect(party *node.Party) (err error) {
	r.party = party
	r.guests, err = node.Listen(-1, node.Config{
		Tokens: party.Tokens, Name: party.Name, Version: r.cfg.Nodes.Version, Space: &space, Log: r.cfg.log,
		Joined: func(string, string, int) {},
		Refused: func(from string, err error) {
			r.cfg.log.Warn("a node was not taken", "session", r.id, "address", from, "err", err)
		},
	})
	return err
}

// answerWithin is how long nodes may take to come to a session that they are called to: the
// program waits.
const answerWithin = 10 * time.Second

// meet waits for the nodes that expect announced.
func (r *running) meet() (*hosts, error) {
	h := &hosts{}
	if err := h.dupErrors(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	var err error
	h.list, err = r.guests.Wait(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		missing := slices.Clone(r.party.Nodes)
		for _, name := range r.guests.Here() {
			if i := slices.Index(missing, name); i >= 0 {
				missing = slices.Delete(missing, i, i+1)
			}
		}
		err = fmt.Errorf("nodes did not come within %v: %s; remotec ps -server lists those that there are", answerWithin, strings.Join(missing, ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("running the program on other hosts: %w", err)
	}
	return h, nil
}

// begun returns the session, if there is one by now.
func (r *running) begun() *session.Session {
	select {
	case <-r.opened:
		return r.session
	default:
		return nil
	}
}

func (h *hosts) dupErrors() error {
	fd, err := syscall.Dup(2)
	if err == nil {
		fd, err = space.Adopt(fd)
	}
	if err != nil {
		return fmt.Errorf("standard error for processes on other hosts: %w", err)
	}
	h.errors = os.NewFile(uintptr(fd), "stderr")
	return nil
}

// reachable returns what other hosts call the host of listen: for all addresses one
// of them that is not a loopback one.
func reachable(listen string, at *net.TCPAddr) string {
	if len(at.IP) > 0 && !at.IP.IsUnspecified() {
		host, _, _ := net.SplitHostPort(listen)
		return host
	}
	list, _ := net.InterfaceAddrs()
	for _, a := range list {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	return "127.0.0.1"
}

// hostOf returns the number of the host on which process k of n runs, where there are so
// many others than this one, 0. Each host gets processes of consecutive numbers, and as many
// as the others or one less.
func hostOf(k, n, others int) int { return k * (others + 1) / n }

// of returns the host on which process k of n runs; nil is this one.
func (h *hosts) of(k, n int) *node.Host {
	if h == nil {
		return nil
	}
	if i := hostOf(k, n, len(h.list)); i > 0 {
		return h.list[i-1]
	}
	return nil
}

// prepare sends the program to all nodes.
func (h *hosts) prepare(path string) error {
	errs := make([]error, len(h.list))
	var all sync.WaitGroup
	for i, host := range h.list {
		all.Go(func() { errs[i] = host.Prepare(path) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (h *hosts) close() {
	if h == nil {
		return
	}
	var all sync.WaitGroup
	for _, host := range h.list {
		all.Go(host.Close)
	}
	all.Wait()
}
