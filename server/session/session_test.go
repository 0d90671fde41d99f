package session

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
	"remotec.dev/server/osys"
	"remotec.dev/server/servertest"
)

// echoOS answers each call with its number, first argument and thread, and
// touches nothing.
type echoOS struct {
	cfg    osys.Config
	mu     sync.Mutex
	open   map[osys.ThreadID]int // threads by id; guarded by mu
	closed bool
}

func (e *echoOS) Thread(id osys.ThreadID) osys.Thread {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open[id]++
	return &echoThread{os: e, id: id}
}

func (e *echoOS) Close() { e.closed = true }

type echoThread struct {
	os *echoOS
	id osys.ThreadID
	w  wire.ReplyWriter
}

func (t *echoThread) Call(c *wire.Call, dst []byte) ([]byte, []int) {
	t.w.Start(dst)
	reply, _ := t.w.Finish(0, 0, c.Args[0], uint64(t.id)<<32|uint64(c.Nr))
	return reply, nil
}

func (t *echoThread) Close() {
	t.os.mu.Lock()
	defer t.os.mu.Unlock()
	t.os.open[t.id]--
}

// pair returns a client and the reader of the server's end.
func pair(t testing.TB) (*servertest.Client, *fds.FrameReader) {
	t.Helper()
	fd, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours := &fds.Conn{FD: fd[1]}
	t.Cleanup(func() { ours.Close() })
	c := &servertest.Client{Conn: ours, Frames: &fds.FrameReader{Conn: ours, Max: wire.MaxFrame}}
	server, err := fds.NewConn(new(fds.Space), fd[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return c, &fds.FrameReader{Conn: server}
}

// hosted is a session in this process, over an echoOS.
type hosted struct {
	*Session
	os          *echoOS
	log         bytes.Buffer
	opened, run chan error // results of Open and Run
}

func newHosted() *hosted {
	return &hosted{os: &echoOS{open: make(map[osys.ThreadID]int)}, opened: make(chan error, 1), run: make(chan error, 1)}
}

// open opens a session whose OS is an echoOS, or the one given.
func open(t testing.TB, cfg Config, parts ...func(osys.Config) osys.OS) (*servertest.Client, *hosted) {
	t.Helper()
	c, r := pair(t)
	h := newHosted()
	cfg.OS = func(oc osys.Config) osys.OS { h.os.cfg = oc; return h.os }
	if len(parts) > 0 && parts[0] != nil {
		cfg.OS = parts[0]
	}
	cfg.Log = slog.New(slog.NewTextHandler(&h.log, nil))
	if cfg.Space == nil {
		cfg.Space = new(fds.Space)
	}
	failed := h.opened
	go func() {
		a, err := Greet(r, &Terms{})
		if err == nil {
			h.Session, err = Open(cfg, r, a)
		}
		failed <- err
		if err == nil {
			h.run <- h.Run()
		}
	}()
	if err := c.Attach(servertest.Hello()); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return c, h
}

// end ends a session by its client's end and checks that nothing is left.
func (h *hosted) end(t testing.TB, c *servertest.Client) error {
	t.Helper()
	c.Conn.Shutdown()
	err := <-h.run
	h.Close()
	h.Wait()
	if !h.os.closed {
		t.Error("the OS was not closed")
	}
	for id, n := range h.os.open {
		if n != 0 {
			t.Errorf("thread %d was not closed", id)
		}
	}
	return err
}

func TestCallsOnParallelLinks(t *testing.T) {
	before := runtime.NumGoroutine()
	c, h := open(t, Config{ID: 7})
	var wg sync.WaitGroup
	const links, calls = 50, 200
	for id := range uint32(links) {
		l, err := c.Link(id)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer l.Conn.Close()
			for n := range calls {
				r, err := l.Call(39, n)
				if err != nil || r.R1 != uint64(n) || r.R2 != uint64(id)<<32|39 {
					t.Errorf("link %d, call %d: got %+v, %v", id, n, r, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := h.end(t, c); err != nil {
		t.Error(err)
	}
	if got := h.Info().Calls; got != links*calls {
		t.Errorf("%d calls counted, want %d", got, links*calls)
	}
	// Of a link thread the last that is waited for is not its last instruction.
	for i := 0; runtime.NumGoroutine() > before && i < 1000; i++ {
		time.Sleep(time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines, %d before", now, before)
	}
}

func TestLargeCall(t *testing.T) {
	c, h := open(t, Config{})
	l, err := c.Link(0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Conn.Close()
	for _, size := range []int{0, 1, 8 << 10, 64 << 10, 3 << 20, wire.MaxData - 4096, 10} {
		if _, err := l.Call(1, 1, make([]byte, size), size); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	h.end(t, c)
}

func TestPipelinedCallsAreAnsweredInOrder(t *testing.T) {
	c, h := open(t, Config{})
	l, err := c.Link(3)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Conn.Close()
	var all []byte
	for n := range uint64(20) {
		frame, _ := wire.PutCall(make([]byte, 512), &wire.Call{Nr: 1, Args: wire.Args{n}})
		all = append(all, frame...)
	}
	for len(all) > 0 { // in pieces that do not match frames
		k := min(len(all), 100)
		if _, err := l.Conn.Write(all[:k]); err != nil {
			t.Fatal(err)
		}
		all = all[k:]
	}
	for n := range uint64(20) {
		frame, err := l.Frames.Next()
		if err != nil {
			t.Fatal(err)
		}
		var r wire.Reply
		if err := wire.GetReply(frame, &r); err != nil || r.R1 != n {
			t.Fatalf("reply %d: got %+v, %v", n, r, err)
		}
	}
	h.end(t, c)
}

// closes reports whether the server closes a link after being sent b.
func closes(l *servertest.Link, b []byte) bool {
	l.Conn.Write(b)
	_, err := l.Frames.Next()
	return err == io.EOF || err == syscall.ECONNRESET
}

func TestBadFramesOnALinkEndThatLinkOnly(t *testing.T) {
	call, _ := wire.PutCall(make([]byte, 512), &wire.Call{Nr: 1})
	attach, _ := wire.PutAttach(make([]byte, 4096), servertest.Hello())
	c, h := open(t, Config{})
	good, err := c.Link(0)
	if err != nil {
		t.Fatal(err)
	}
	defer good.Conn.Close()
	for name, b := range map[string][]byte{
		"oversized":     {0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f},
		"zero length":   {0, 0, 0, 0, 0, 0, 0, 0},
		"two segments":  {1, 0, 0, 0, 1, 0, 0, 0},
		"text":          []byte("GET / HTTP/1.1\r\n\r\n"),
		"another kind":  attach,
		"wild pointers": append(bytes.Clone(call[:16]), bytes.Repeat([]byte{0xff}, len(call)-16)...),
	} {
		l, err := c.Link(1)
		if err != nil {
			t.Fatal(err)
		}
		if !closes(l, b) {
			t.Errorf("%s: the link stays open", name)
		}
		l.Conn.Close()
	}
	if _, err := good.Call(1, 5); err != nil {
		t.Errorf("another link: %v", err)
	}
	if err := h.end(t, c); err != nil {
		t.Error(err)
	}
}

func TestLinkIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*wire.Attached){
		"wrong key":     func(a *wire.Attached) { a.Key = make([]byte, 16) },
		"short key":     func(a *wire.Attached) { a.Key = a.Key[:8] },
		"no key":        func(a *wire.Attached) { a.Key = nil },
		"other session": func(a *wire.Attached) { a.Session++ },
	} {
		c, h := open(t, Config{ID: 1})
		spoil(c.Attached)
		l, err := c.Link(0)
		if err != nil {
			t.Fatal(err)
		}
		if !closes(l, nil) {
			t.Errorf("%s: the link stays open", name)
		}
		l.Conn.Close()
		if err := h.end(t, c); err == nil || !strings.Contains(err.Error(), "link") {
			t.Errorf("%s: the session ends with %v", name, err)
		}
	}
}

func TestBadFramesOnTheControlConnectionEndTheSession(t *testing.T) {
	link, _ := wire.PutLink(make([]byte, 256), &wire.Link{})
	call, _ := wire.PutCall(make([]byte, 512), &wire.Call{Nr: 1})
	for name, b := range map[string][]byte{
		"oversized":       {0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f},
		"text":            []byte("hello there, server"),
		"a call":          call,
		"link, no socket": link,
		"half a frame":    call[:len(call)/2],
	} {
		c, h := open(t, Config{})
		c.Conn.Write(b)
		if err := h.end(t, c); err == nil {
			t.Errorf("%s: the session ends without an error", name)
		}
	}
}

func TestAccountOfGoroutines(t *testing.T) {
	c, h := open(t, Config{})
	want := &wire.Goroutines{Created: 12, Ended: 2, Live: 10, Sites: []wire.Site{{PC: 1, Created: 12, Ended: 2, Live: 10, Line: 3, Func: "main.main", File: "main.go"}}}
	done := make(chan *wire.Goroutines)
	go func() { done <- h.Goroutines(true, time.Minute) }()
	e, err := c.Event()
	if err != nil || e.Kind != wire.EventReport || e.N != 1 {
		t.Fatalf("got event %+v, %v", e, err)
	}
	if err := c.Report(want); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.Live != 10 || len(got.Sites) != 1 || got.Sites[0].Func != "main.main" {
		t.Errorf("got %+v", got)
	}
	// A program that does not answer leaves the last account.
	if got := h.Goroutines(false, time.Millisecond); got.Created != 12 {
		t.Errorf("got %+v", got)
	}
	if i := h.Info(); i.Live != 10 || i.Created != 12 || i.GoVersion != "go1.26.8" {
		t.Errorf("got %+v", i)
	}
	h.end(t, c)
}

func TestEventsAndLeases(t *testing.T) {
	asked := uint64(0)
	c, h := open(t, Config{ID: 9, Hand: true, Lease: func(id, n uint64) uint64 { asked = n; return id }})
	if a := c.Attached; a.Lease != 9 || a.Policy != wire.PolicyHand || a.Session != 9 || len(a.Key) != 16 {
		t.Errorf("attached: %+v", a)
	}
	if got := h.os.cfg.Lease(33); got != 9 || asked != 33 {
		t.Errorf("lease: got %d after asking for %d", got, asked)
	}
	if err := h.os.cfg.Events(0, &wire.Event{Kind: wire.EventReady, A: 5, N: 1}); err != nil {
		t.Fatal(err)
	}
	if e, err := c.Event(); err != nil || e.Kind != wire.EventReady || e.A != 5 {
		t.Errorf("got %+v, %v", e, err)
	}
	h.End("enough")
	if e, err := c.Event(); err != nil || e.Kind != wire.EventEnd || e.Text != "enough" {
		t.Errorf("got %+v, %v", e, err)
	}
	h.end(t, c)
}

func TestAClientThatDoesNotReadDoesNotHoldUpTheEnd(t *testing.T) {
	c, h := open(t, Config{})
	stuck := make(chan struct{})
	go func() {
		defer close(stuck)
		for h.os.cfg.Events(0, &wire.Event{Kind: wire.EventReady}) == nil {
		}
	}()
	l, err := c.Link(0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Conn.Close()
	frame, _ := wire.PutCall(make([]byte, 512), &wire.Call{Nr: 1})
	l.Conn.SetTimeout(50 * time.Millisecond) // until both directions are full
	for {
		if _, err := l.Conn.Write(frame); err != nil {
			break
		}
	}
	if g := h.Goroutines(false, time.Millisecond); g == nil {
		t.Error("no account")
	}
	h.End("enough")
	h.end(t, c)
	<-stuck
}

// TestAsk: what a process tells in parts is one text; an error is that of the process; who
// does not answer costs no more than the time that is given.
func TestAsk(t *testing.T) {
	c, h := open(t, Config{})
	l, err := c.Link(1)
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		texts [][]byte
		err   error
	}
	ask := func(ctx context.Context) chan answer {
		done := make(chan answer, 1)
		go func() {
			texts, err := h.Ask(ctx, wire.AskCPU, 5)
			done <- answer{texts, err}
		}()
		return done
	}
	tell := func(number, state uint64, text string) {
		call := wire.Call{Nr: wire.NrTold, Args: wire.Args{number, state}}
		call.Blobs[1] = []byte(text)
		if _, _, err := l.Do(&call); err != nil {
			t.Fatal(err)
		}
	}
	event := func() *wire.Event {
		e, err := c.Event()
		if err != nil || e.Kind != wire.EventAsk || e.N != wire.AskCPU || e.B != 5 {
			t.Fatalf("got %+v, %v", e, err)
		}
		return e
	}
	done := ask(context.Background())
	e := event()
	tell(e.A+1, 1, "to another request")
	tell(e.A, 0, "one ")
	tell(e.A, 1, "two")
	if a := <-done; a.err != nil || len(a.texts) != 1 || string(a.texts[0]) != "one two" {
		t.Errorf("got %q, %v", a.texts, a.err)
	}
	tell(e.A, 1, "too late")
	done = ask(context.Background())
	tell(event().A, 2, "busy")
	if a := <-done; a.err == nil || a.err.Error() != "process 0: busy" {
		t.Errorf("got error %v", a.err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done = ask(ctx)
	e = event()
	cancel()
	if a := <-done; !errors.Is(a.err, context.Canceled) {
		t.Errorf("got error %v", a.err)
	}
	tell(e.A, 1, "too late")
	h.end(t, c)
}

// TestLongList: a list of goroutines in several messages is one, with the number of the process.
func TestLongList(t *testing.T) {
	c, h := open(t, Config{})
	done := make(chan *wire.Goroutines)
	go func() { done <- h.Goroutines(true, time.Minute) }()
	if _, err := c.Event(); err != nil {
		t.Fatal(err)
	}
	for _, g := range []*wire.Goroutines{
		{More: true, List: []wire.Goroutine{{ID: 1}, {ID: 2}}},
		{More: true, List: []wire.Goroutine{{ID: 3}}},
		{Live: 4, List: []wire.Goroutine{{ID: 4, Process: 9}}},
	} {
		if err := c.Report(g); err != nil {
			t.Fatal(err)
		}
	}
	g := <-done
	if g.Live != 4 || len(g.List) != 4 || g.List[0].ID != 1 || g.List[3].ID != 4 || g.List[3].Process != 0 {
		t.Errorf("got %+v", g)
	}
	h.end(t, c)
}
