package node

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"remotec.dev/server/coherence"
	"remotec.dev/server/fds"
	"remotec.dev/server/mail"
	"remotec.dev/server/pager"
)

// Host is another host that takes part in a session.
type Host struct {
	Name string // as it calls itself
	Addr string
	CPUs int

	number   int
	features []string      // of the first process's processor
	limit    *time.Timer   // for it to come back; set before complete is closed
	complete chan struct{} // closed when both connections are there
	space    *fds.Space
	log      *slog.Logger
	debug    *slog.Logger // from the beginning
	hub      *hub
	streams  *yamux.Session
	orders   *yamux.Stream
	sendMu   sync.Mutex // serialises orders
	fetched  chan error // gets one for each order to fetch

	mu        sync.Mutex // guards the rest
	conns     [2]*tls.Conn
	processes map[int]*remote
	binary    *os.File // the program, to be sent
	id        binaryID
	told      func(process int, roundTrip time.Duration, a mail.Account) // what processes do; nil: nobody wants to know
	labels    []uint64                                                   // of the last Watch
	others    []*Host                                                    // the session's nodes, h among them, until they are told where h listens
}

// remote is a process on another host.
type remote struct {
	host    *Host
	number  int
	control fileConn      // our end of what the session takes for its control connection
	sendMu  sync.Mutex    // serialises frames on control
	started chan error    // gets one
	done    chan [2]int   // gets how it ended: exit status and signal
	once    sync.Once     // of done
	shared  chan struct{} // closed when its memory is attached
	errors  *os.File      // where its standard error goes
}

// take takes a connection; it reports whether both are there.
func (h *Host) take(conn *tls.Conn, memory bool) (both bool, err error) {
	i := 0
	if memory {
		i = 1
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conns[i] != nil {
		return false, errors.New("a connection that is there already")
	}
	h.conns[i] = conn
	return h.conns[1-i] != nil, nil
}

// begin starts with both connections.
func (h *Host) begin(space *fds.Space) error {
	h.space = space
	h.fetched = make(chan error, 1)
	h.processes = make(map[int]*remote)
	hub := newHub(newMemoryConn(h.conns[1]))
	if h.number <= maxNumber {
		hub.number = uint8(h.number)
	}
	hub.handle = func(f coherence.Fault) { hub.lose(errors.New("a fault of a process that was not started")) }
	hub.failed = func(int, error) {}
	var err error
	if h.streams, err = multiplex(h.conns[0], false); err != nil {
		hub.lose(err)
		return err
	}
	h.hub = hub
	// The node opens the stream of orders first, and says nothing before it gets some.
	stream, err := h.streams.AcceptStream()
	var head streamHead
	if err == nil {
		stream.SetDeadline(time.Now().Add(introduction))
		err = receive(stream, &head)
		stream.SetDeadline(time.Time{})
	}
	if err == nil && head.Kind != streamOrders {
		err = fmt.Errorf("its first stream is of kind %q", head.Kind)
	}
	if err != nil {
		hub.lose(err)
		return err
	}
	h.orders = stream
	go hub.serve()
	close(h.complete)
	go h.notices()
	go h.accept()
	go func() {
		select {
		case <-h.streams.CloseChan():
			hub.lose(errors.New("its connection ended"))
		case <-hub.lost:
		}
		h.streams.Close()
		h.over()
	}()
	return nil
}

// lose ends the connections.
func (h *Host) lose(err error) {
	select {
	case <-h.complete:
		h.hub.lose(err)
	default:
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, c := range h.conns {
			if c != nil {
				c.NetConn().Close()
			}
		}
	}
}

// Lost is closed when the node is lost. Err says why.
func (h *Host) Lost() <-chan struct{} { return h.hub.lost }

// IsLost reports whether the node is lost.
func (h *Host) IsLost() bool {
	select {
	case <-h.hub.lost:
		return true
	default:
		return false
	}
}

// Err returns why the node was lost.
func (h *Host) Err() error { return h.hub.err }

// over says of all processes that they ended: they do, with their node, or are out of
// reach.
func (h *Host) over() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.processes {
		p.ended(1, 0)
	}
}

// Serve has h answer the faults of its processes by pager, and say what goes wrong.
// It is called before the first Start.
func (h *Host) Serve(p *pager.Pager, log *slog.Logger, failed func(process int, err error)) {
	h.log = log
	h.hub.failed = failed
	h.hub.handle = func(f coherence.Fault) {
		h.mu.Lock()
		r := h.processes[f.Process]
		h.mu.Unlock()
		if r == nil {
			h.lose(fmt.Errorf("a fault of process %d, which it does not run", f.Process))
			return
		}
		select {
		case <-r.shared:
			p.Handle(f)
		case <-h.hub.lost:
		}
	}
}

// Process is what Start starts.
type Process struct {
	Number int
	// Count processes, from First on, get messages of each other directly.
	First, Count int

	Args []string
	Env  []string
	// Value is what the process's number, how many there are, and the seed are
	// in its environment; the node adds its clock's offset.
	Value  string
	Layout coherence.Layout
	Errors *os.File // its standard error
}

// Prepare sends the executable at path to h, unless it is there. It may take as long as
// that takes.
func (h *Host) Prepare(path string) error {
	file, id, err := openBinary(h.space, path)
	if err == nil {
		h.mu.Lock()
		h.binary, h.id = file, id
		h.mu.Unlock()
		err = h.order(order{Fetch: &id})
	}
	if err == nil {
		select {
		case err = <-h.fetched:
		case <-h.hub.lost:
			err = h.hub.err
		}
	}
	if err != nil {
		return fmt.Errorf("sending the program to node %s: %w", h.Name, err)
	}
	return nil
}

// Start starts a process of the program on h, which has been prepared. What it returns is its control connection, and the channel
// that gets its exit status and signal.
func (h *Host) Start(p Process) (*fds.Conn, <-chan [2]int, error) {
	fail := func(err error) (*fds.Conn, <-chan [2]int, error) {
		return nil, nil, fmt.Errorf("starting process %d on node %s: %w", p.Number, h.Name, err)
	}
	theirs, ours, err := pair(h.space)
	if err != nil {
		return fail(err)
	}
	r := &remote{
		host: h, number: p.Number, control: ours, errors: p.Errors,
		started: make(chan error, 1), done: make(chan [2]int, 1), shared: make(chan struct{}),
	}
	h.mu.Lock()
	h.processes[p.Number] = r
	id := h.id
	h.mu.Unlock()
	err = h.order(order{Start: &start{Process: p.Number, Args: p.Args, Env: p.Env, Number: p.Value, First: p.First, Count: p.Count, Binary: id, Layout: p.Layout, Features: h.features}})
	if err == nil {
		select {
		case err = <-r.started:
		case <-h.hub.lost:
			err = h.hub.err
		}
	}
	if err != nil {
		theirs.Close()
		ours.Close()
		return fail(err)
	}
	return theirs, r.done, nil
}

// Attach makes the memory of a process, which has sent it, that of the session.
func (h *Host) Attach(p *pager.Pager, process int) error {
	h.mu.Lock()
	r := h.processes[process]
	h.mu.Unlock()
	if r == nil {
		return fmt.Errorf("node %s does not run process %d", h.Name, process)
	}
	// Sent before anybody can ask for its pages, and waited for after.
	f := frame{kind: opAttach, process: uint8(process)}
	attached := h.hub.start(&f, nil)
	if err := p.AttachFar(process, far{h.hub, uint8(process)}); err != nil {
		return err
	}
	close(r.shared)
	return h.hub.wait(f.id, attached)
}

// Watch has h tell what its processes do, from now on, and which of their goroutines have labels with
// these hashes. It does not wait.
func (h *Host) Watch(labels []uint64, told func(process int, roundTrip time.Duration, a mail.Account)) {
	h.mu.Lock()
	h.labels, h.told = labels, told
	h.mu.Unlock()
	go func() {
		h.sendMu.Lock()
		defer h.sendMu.Unlock()
		h.mu.Lock()
		last := h.labels // another call may have come before
		h.mu.Unlock()
		send(h.orders, order{Watch: &watch{Labels: last}}) // an error is a node that is lost
	}()
}

// Kill ends a process at once.
func (h *Host) Kill(process int) { h.order(order{Kill: &process}) }

// Close ends what is between the session and h. The processes have ended.
func (h *Host) Close() {
	why := ""
	if h.order(order{End: &why}) == nil {
		select { // it goes by itself
		case <-h.hub.lost:
		case <-time.After(Silence / 3):
		}
	}
	h.lose(errEnded)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.binary != nil {
		h.binary.Close()
		h.binary = nil
	}
}

func (h *Host) order(o order) error {
	h.sendMu.Lock()
	defer h.sendMu.Unlock()
	return send(h.orders, o)
}

// notices reads what the node tells.
func (h *Host) notices() {
	for {
		var n notice
		if err := receive(h.orders, &n); err != nil {
			h.streams.Close() // the memory connection may know better why
			return
		}
		if n.Leaving != "" {
			h.lose(errors.New(n.Leaving))
			return
		}
		h.mu.Lock()
		r, told := h.processes[n.Process], h.told
		h.mu.Unlock()
		switch {
		case n.Account != nil:
			if r != nil && told != nil {
				told(n.Process, n.RoundTrip, *n.Account)
			}
		case n.Fetched:
			var err error
			if n.Failed != "" {
				err = errors.New(n.Failed)
			}
			h.fetched <- err
		case n.Awaits != "":
			h.awaits(n.Awaits)
		case n.Node != 0:
			h.met(n.Node, n.Failed)
		case r == nil:
		case n.Started != 0:
			r.started <- nil
		case n.Failed != "":
			select {
			case r.started <- errors.New(n.Failed):
			default:
			}
			if h.log != nil {
				h.log.Warn("a process on another host", "process", n.Process, "node", h.Name, "err", n.Failed)
			}
			h.Kill(n.Process)
		case n.Ended:
			r.ended(n.Status, n.Signal)
		}
	}
}

// ended notes how a process ended.
func (r *remote) ended(status, signal int) {
	r.once.Do(func() { r.done <- [2]int{status, signal} })
}

// accept serves the streams that the node opens.
func (h *Host) accept() {
	for {
		stream, err := h.streams.AcceptStream()
		if err != nil {
			return
		}
		go func() {
			defer stream.Close()
			var head streamHead
			if err := receive(stream, &head); err != nil {
				return
			}
			h.mu.Lock()
			r := h.processes[head.Process]
			binary := h.binary
			h.mu.Unlock()
			switch {
			case head.Kind == streamBinary && binary != nil:
				io.Copy(stream, io.NewSectionReader(binary, 0, 1<<62))
			case r == nil:
			case head.Kind == streamErrors:
				io.Copy(r.errors, stream)
			case head.Kind == streamControl:
				r.relay(stream)
			case head.Kind == streamLink:
				r.link(stream)
			}
		}()
	}
}

// relay passes on what the process says on its control connection, and back.
func (r *remote) relay(stream *yamux.Stream) {
	back := make(chan struct{})
	go func() {
		defer close(back)
		io.Copy(stream, r.control)
		stream.Close()
	}()
	preamble := make([]byte, 8)
	_, err := io.ReadFull(stream, preamble)
	if err == nil {
		_, err = r.control.Write(preamble)
	}
	var buf []byte
	for err == nil {
		if buf, err = readFrame(stream, buf); err == nil {
			err = r.write(buf, nil)
		}
	}
	// To close it would be too early for what is still to be read by the session.
	r.shutdown()
	<-back
	r.control.Close()
}

// link makes a link of the process one of the session: a socket, whose other end goes
// where the process's own would have gone.
func (r *remote) link(stream *yamux.Stream) {
	frame, err := readFrame(stream, nil)
	if err != nil {
		return
	}
	theirs, ours, err := pair(r.host.space)
	if err != nil {
		r.host.log.Error("a link of a process on another host", "err", err)
		return
	}
	err = r.write(frame, theirs)
	theirs.Close()
	if err != nil {
		ours.Close()
		return
	}
	relay(ours, stream)
}
