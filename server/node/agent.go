package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"remotec.dev/server/coherence"
	"remotec.dev/server/fds"
	"remotec.dev/server/mail"
	"remotec.dev/server/pager"
)

// agent is a node that has joined.
type agent struct {
	cfg     *JoinConfig
	streams *yamux.Session
	memory  *rim
	orders  *yamux.Stream
	cache   cache

	sendMu sync.Mutex // serialises notices

	mu      sync.Mutex // guards the rest
	pager   *pager.Pager
	process map[int]*process
	mail    *mail.Mail     // nil until a process is to have it
	space   fds.Space      // of the mail
	watcher *watcher       // nil until the session wants to know what processes do
	running sync.WaitGroup // processes
	relays  sync.WaitGroup // of control connections
}

func newAgent(cfg *JoinConfig, streams *yamux.Session, c *memoryConn, peers *peers) (*agent, error) {
	a := &agent{
		cfg: cfg, streams: streams, memory: newRim(c),
		cache: cache{filepath.Join(cfg.Cache, "programs")}, process: make(map[int]*process),
	}
	a.memory.memory, a.memory.attach, a.memory.peers = a.memoryOf, a.attach, peers
	peers.tell = a.tell
	go a.memory.serve()
	var err error
	a.orders, err = openStream(streams, streamOrders, 0)
	if err != nil {
		c.lose(err)
		return nil, err
	}
	return a, nil
}

// errEnded is that the session ended as it should.
var errEnded = errors.New("the session is over")

// run carries out orders until the session ends.
func (a *agent) run(ctx context.Context) error {
	go func() {
		// The end of the streams is that of the memory connection, and both
		// that of the session.
		select {
		case <-a.streams.CloseChan():
			a.memory.lose(errors.New("its connection ended"))
		case <-ctx.Done():
			a.tell(notice{Leaving: "it was stopped by a signal"})
			select { // the session hangs up
			case <-a.memory.lost:
			case <-time.After(beat):
			}
			a.memory.lose(ctx.Err())
		case <-a.memory.lost:
		}
		a.streams.Close()
	}()
	defer a.memory.peers.close()
	why := a.follow(ctx)
	if !errors.Is(why, errEnded) {
		// Of two connections that end at once the other may know better why.
		select {
		case <-a.memory.lost:
		case <-time.After(Silence + beat):
		}
		a.memory.lose(why)
	}
	a.mu.Lock()
	for _, p := range a.process {
		p.kill()
	}
	a.mu.Unlock()
	a.running.Wait() // the processes, which were killed
	a.memory.lose(errEnded)
	a.streams.Close()
	a.relays.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pager != nil {
		a.pager.Close()
	}
	a.mail.Close() // the ledgers stay mapped: the watcher may look at them once more
	if errors.Is(why, errEnded) {
		return nil
	}
	if ctx.Err() != nil {
		return errors.New("this node was stopped by a signal")
	}
	return fmt.Errorf("the session at %s is lost: %w", a.cfg.Addr, a.memory.err)
}

// follow carries out orders; it returns why there are no more.
func (a *agent) follow(ctx context.Context) error {
	for {
		var o order
		if err := receive(a.orders, &o); err != nil {
			return fmt.Errorf("reading its orders: %w", err)
		}
		switch {
		case o.Fetch != nil:
			n := notice{Fetched: true}
			if _, err := a.program(*o.Fetch); err != nil {
				n.Failed = err.Error()
			}
			a.tell(n)
		case o.Start != nil:
			if err := a.start(o.Start); err != nil {
				a.tell(notice{Process: o.Start.Process, Failed: err.Error()})
			}
		case o.Await != nil:
			local, _, _ := net.SplitHostPort(a.memory.conn.LocalAddr().String())
			a.tell(a.memory.peers.listen(o.Await, a.cfg.Peer, local))
		case o.Meet != nil:
			go a.memory.peers.meet(ctx, *o.Meet)
		case o.Watch != nil:
			a.watch(o.Watch)
		case o.Kill != nil:
			a.mu.Lock()
			if p := a.process[*o.Kill]; p != nil {
				p.kill()
			}
			a.mu.Unlock()
		case o.End != nil:
			if *o.End != "" {
				return errors.New(*o.End)
			}
			return errEnded
		}
	}
}

// tell sends a notice. Where that fails the session is lost, as others notice.
func (a *agent) tell(n notice) {
	a.sendMu.Lock()
	defer a.sendMu.Unlock()
	send(a.orders, n)
}

// program returns the path of an executable.
func (a *agent) program(id binaryID) (string, error) {
	return a.cache.get(id, func() (io.ReadCloser, error) { return openStream(a.streams, streamBinary, 0) })
}

// start starts a process.
func (a *agent) start(s *start) error {
	path, err := a.program(s.Binary)
	if err != nil {
		return err
	}
	if err := a.share(s.Layout); err != nil {
		return err
	}
	if err := a.makeMail(s); err != nil {
		return err
	}
	offset, err := a.memory.ahead()
	if err != nil {
		return err
	}
	s.Number += "/" + strconv.FormatUint(uint64(offset), 16) + a.mail.Value(4)
	p, err := a.launch(s, path)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.process[s.Process] = p
	a.mu.Unlock()
	a.tell(notice{Process: s.Process, Started: p.proc.Pid})
	p.serve()
	return nil
}

// makeMail makes the mail of the host's processes, with the first of them.
func (a *agent) makeMail(s *start) (err error) {
	if s.Count < 1 || s.Count > coherence.MaxProcesses {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mail == nil {
		a.mail, err = mail.New(s.First, s.Count, 0, &a.space)
	}
	return err
}

// share makes the pager of the host's processes, with the first of them.
func (a *agent) share(layout coherence.Layout) (err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.memory.layout.Store(&layout)
	if a.pager == nil {
		a.pager, err = pager.New(pager.Config{
			Layout: layout, Forward: a.memory.fault,
			Failed: func(process int, err error) {
				f := frame{kind: frameError, process: uint8(process)}
				f.fail(err)
				a.memory.write(&f)
			},
		})
	}
	return err
}

// memoryOf returns the memory of a process, nil where it has not come.
func (a *agent) memoryOf(process int) pager.Memory {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pager == nil {
		return nil
	}
	return a.pager.Memory(process)
}

// attach has the faults of a process forwarded.
func (a *agent) attach(process int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.process[process]
	if p == nil || p.shared == nil {
		return errNoMemory
	}
	shared := p.shared
	p.shared = nil
	return a.pager.Attach(process, shared[0], shared[1])
}
