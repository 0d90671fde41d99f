package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"remotec.dev/server/coherence"
	"remotec.dev/server/pager"
)

// plainMemory is a memory that is a map.
type plainMemory struct {
	mu       sync.Mutex
	pages    map[uintptr]*page
	writable map[uintptr]bool
	changed  chan struct{} // has room for one
}

func (m *plainMemory) do(f func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	return nil
}

// say says that something is there.
func (m *plainMemory) say() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

func (m *plainMemory) Protect(addr uintptr) error {
	return m.do(func() { delete(m.writable, addr) })
}
func (m *plainMemory) Read(addr uintptr, buf *page) error {
	return m.do(func() {
		if *buf = (page{}); m.pages[addr] != nil {
			*buf = *m.pages[addr]
		}
	})
}
func (m *plainMemory) Drop(addr uintptr) error { return m.do(func() { delete(m.pages, addr) }) }
func (m *plainMemory) Install(addr uintptr, data *page, writable bool) error {
	return m.do(func() {
		if m.pages[addr] == nil {
			copied := *data
			m.pages[addr] = &copied
		}
		m.writable[addr] = writable
		m.say()
	})
}
func (m *plainMemory) InstallZero(addr uintptr) error { return m.Install(addr, &page{}, true) }
func (m *plainMemory) Unprotect(addr uintptr) error {
	return m.do(func() {
		m.writable[addr] = true
		m.say()
	})
}
func (m *plainMemory) Wake(uintptr) error   { return nil }
func (m *plainMemory) Poison(uintptr) error { return nil }

// three are the hosts of a session: process 0 is on its own, 1 and 2 are on one node, 3 and 4 on another.
type three struct {
	t         testing.TB
	layout    coherence.Layout
	pins      *coherence.Pins
	directory *coherence.Directory
	memories  []*plainMemory
	far       []far // of processes; the first one has none
	hosts     []*Host
	agents    []*agent
	failed    chan error // of operations that nobody waits for
}

// newThree makes such a session, where others reach the nodes at the given addresses.
func newThree(t testing.TB, at ...string) *three {
	t.Helper()
	w := newWaiting(t, 2)
	s := &three{t: t, layout: coherence.Layout{Base: 1 << 32, SlotSize: 2 << 20, Slots: 5}, failed: make(chan error, 1000)}
	s.pins = coherence.NewPins(s.layout)
	s.directory = coherence.NewDirectory(s.layout, s.pins, coherence.Options{NoMigration: true})
	for i := range s.layout.Slots {
		s.memories = append(s.memories, &plainMemory{pages: make(map[uintptr]*page), writable: make(map[uintptr]bool), changed: make(chan struct{}, 1)})
		s.directory.SetMemory(i, s.memories[i])
	}
	ctx, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	for i := range 2 {
		cfg := &JoinConfig{Addr: w.addr, Token: <-w.tokens, Version: "test", Cache: t.TempDir()}
		if i < len(at) {
			cfg.Peer = at[i]
		}
		a, _, err := join(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		a.memory.memory = func(process int) pager.Memory {
			if process == 2*i+1 || process == 2*i+2 {
				return s.memories[process]
			}
			return nil
		}
		a.memory.layout.Store(&s.layout)
		s.agents = append(s.agents, a)
		ended.Go(func() { a.run(ctx) })
	}
	t.Cleanup(func() { stop(); ended.Wait() })
	var err error
	if s.hosts, err = w.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.far = make([]far, 1)
	for i := 1; i < s.layout.Slots; i++ {
		h := s.hosts[(i-1)/2]
		h.hub.failed = func(process int, err error) { s.failed <- fmt.Errorf("process %d: %w", process, err) }
		s.far = append(s.far, far{h.hub, uint8(i)})
		s.directory.SetMemory(i, s.far[i])
	}
	return s
}

// through returns how many bytes went over the memory connections with the session.
func (s *three) through() (n int64) {
	for _, a := range s.agents {
		raw, err := a.memory.conn.(*tls.Conn).NetConn().(*net.TCPConn).SyscallConn()
		if err != nil {
			s.t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			if err != nil {
				s.t.Fatal(err)
			}
			n += int64(info.Bytes_received + info.Bytes_acked)
		})
	}
	return n
}

// eventually waits until something is so.
func (s *three) eventually(what string, ok func() bool) {
	s.t.Helper()
	for limit := time.Now().Add(5 * time.Second); !ok(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(limit) {
			s.t.Fatalf("not within 5 s: %s", what)
		}
	}
}

// meet waits until the nodes have met.
func (s *three) meet() {
	s.t.Helper()
	s.eventually("the nodes meet", func() bool { return s.far[1].Reaches(s.far[3]) && s.far[4].Reaches(s.far[2]) })
}

// access has a process use a page and returns its contents.
func (s *three) access(process int, addr uintptr, write bool) (got page) {
	s.t.Helper()
	m := s.memories[process]
	there := func() (ok bool) {
		m.do(func() {
			if p := m.pages[addr]; p != nil && (m.writable[addr] || !write) {
				got, ok = *p, true
			}
		})
		return ok
	}
	if there() {
		return got
	}
	f := coherence.Fault{Process: process, Addr: addr, Write: write}
	m.do(func() { f.WP = m.pages[addr] != nil })
	if _, _, err := s.directory.Handle(f); err != nil {
		s.t.Fatal(err)
	}
	for !there() {
		select {
		case <-m.changed:
		case <-time.After(5 * time.Second):
			s.t.Fatal("a page does not come within 5 s")
		}
	}
	return got
}

// fill gives a process n pages of its own, with numbers on them, and one address, and returns them.
func (s *three) fill(process, n int) (pages []page) {
	m := s.memories[process]
	for i := range n {
		m.Drop(s.at(process, i))
		var data page
		for k := 0; k < len(data); k += 8 {
			binary.LittleEndian.PutUint64(data[k:], rand.Uint64()|1<<63)
		}
		binary.LittleEndian.PutUint64(data[8:], uint64(s.known(i)))
		pages = append(pages, data)
		m.Install(s.at(process, i), &data, true)
	}
	return pages
}

// known is the address on page i of those of fill.
func (s *three) known(i int) uintptr { return s.layout.Slot(0).Start + uintptr(i)*32 }

func (s *three) at(process, i int) uintptr {
	return s.layout.Slot(process).Start + uintptr(i)*coherence.PageSize
}

// TestDirectly: pages go from node to node, and from process to process of a node, with their contents, pins,
// and none by way of the session.
func TestDirectly(t *testing.T) {
	for _, test := range []struct {
		name     string
		from, to int
	}{{"between nodes", 1, 3}, {"on a node", 1, 2}} {
		t.Run(test.name, func(t *testing.T) {
			s := newThree(t)
			s.meet()
			const n = 300
			pages := s.fill(test.from, n)
			before := s.through()
			for _, write := range []bool{false, true} {
				for i := range n {
					if s.access(test.to, s.at(test.from, i), write) != pages[i] {
						t.Fatalf("page %d arrives with other contents, for writing: %v", i, write)
					}
					if holders, _ := s.pins.Holders(0, s.known(i)); i > 0 && !(holders.Has(test.from) && holders.Has(test.to)) {
						t.Fatalf("page %d: what is on it is not pinned", i)
					}
				}
			}
			for i := range n { // and back
				if s.access(test.from, s.at(test.from, i), true) != pages[i] {
					t.Fatalf("page %d comes back with other contents", i)
				}
			}
			carried := s.through() - before
			t.Logf("%d bytes went to and from the session for %d moves of pages", carried, 2*n)
			if carried > n*coherence.PageSize/4 {
				t.Error("that is with pages")
			}
			for _, a := range s.agents {
				if len(a.memory.peers.own.pages) > 0 {
					t.Error("pages stay staged")
				}
				for _, p := range a.memory.peers.list {
					if len(p.stage.pages) > 0 {
						t.Error("pages stay staged")
					}
				}
			}
			if len(s.failed) > 0 {
				t.Error(<-s.failed)
			}
		})
	}
}

// TestDirectHoles: what was read for a run that ends before is no part of it.
func TestDirectHoles(t *testing.T) {
	s := newThree(t)
	s.meet()
	pages := s.fill(1, 40)
	s.memories[1].Drop(s.at(1, 5))
	pages[5] = page{}
	s.memories[1].Drop(s.at(1, 20))
	s.memories[1].Install(s.at(1, 20), &page{}, true)
	pages[20] = page{}
	for i := range pages {
		if got := s.access(3, s.at(1, i), i%2 == 0); got != pages[i] {
			t.Errorf("page %d has other contents", i)
		}
	}
	s.access(3, s.at(1, 100), false) // what comes before it has been done
	s.eventually("nothing is staged", func() bool {
		st := &s.agents[1].memory.peers.known(1).stage
		st.mu.Lock()
		defer st.mu.Unlock()
		return len(st.pages) == 0
	})
}

// TestBriefly: where a copy becomes the only one, no page goes anywhere.
func TestBriefly(t *testing.T) {
	s := newThree(t)
	const n = 50
	pages := s.fill(3, n)
	for i := range n {
		s.access(1, s.at(3, i), false)
	}
	before := s.through()
	for i := range n {
		f := coherence.Fault{Process: 1, Addr: s.at(3, i), Write: true, WP: true}
		if outcome, _, err := s.directory.Handle(f); err != nil || outcome != coherence.Upgraded {
			t.Fatal(outcome, err)
		}
		if s.access(1, s.at(3, i), true) != pages[i] {
			t.Fatal("other contents")
		}
		if holders, _ := s.pins.Holders(0, s.known(i)); i > 0 && !(holders.Has(3) && holders.Has(1)) {
			t.Fatalf("page %d: what is on it is not pinned", i)
		}
	}
	if carried := s.through() - before; carried > n*1000 {
		t.Errorf("%d bytes for %d pages", carried, n)
	}
}

// TestNotReached: nodes that do not reach each other have their pages go by way of the session.
func TestNotReached(t *testing.T) {
	s := newThree(t, "192.0.2.1:0") // not this host's
	s.far[3].hub.write(&frame{kind: frameBeat})
	s.hosts[1].order(order{Meet: &meet{Node: 1, Addr: "127.0.0.1:1"}})
	time.Sleep(100 * time.Millisecond) // for what is not to happen
	if s.far[1].Reaches(s.far[3]) {
		t.Fatal("the nodes have met")
	}
	s.byWayOfSession()
}

func (s *three) byWayOfSession() {
	s.t.Helper()
	const n = 50
	pages := s.fill(1, n)
	before := s.through()
	for i := range n {
		if s.access(3, s.at(1, i), true) != pages[i] {
			s.t.Fatalf("page %d arrives with other contents", i)
		}
	}
	if carried := s.through() - before; carried < 2*n*coherence.PageSize {
		s.t.Errorf("%d bytes for %d pages", carried, n)
	}
}

// TestPeerLost: a connection between nodes that ends while nothing is on it costs nothing else.
func TestPeerLost(t *testing.T) {
	s := newThree(t)
	s.meet()
	s.fill(2, 10)
	s.access(3, s.at(2, 0), true)
	s.agents[1].memory.peers.known(1).conn.Close()
	s.eventually("the session knows", func() bool { return !s.far[1].Reaches(s.far[3]) && !s.far[3].Reaches(s.far[1]) })
	s.byWayOfSession()
}

// TestPeerLostLate: before the session knows of the end of a connection, a node that does gives the page
// to the session.
func TestPeerLostLate(t *testing.T) {
	s := newThree(t)
	s.meet()
	p := s.agents[0].memory.peers.known(2)
	p.lose(errors.New("test"))
	for i := range s.hosts {
		s.eventually("the session knows", func() bool { return !s.hosts[i].hub.met[2-i].Load() })
		s.hosts[i].hub.met[2-i].Store(true) // and forgets
	}
	s.byWayOfSession()
}

// TestPageLost: a page that does not come is an error soon: where the connection ended at once, and otherwise before
// the node is taken for lost.
func TestPageLost(t *testing.T) {
	for name, lose := range map[string]func(s *three){
		"the connection ends": func(s *three) {
			time.Sleep(50 * time.Millisecond)
			s.agents[0].memory.peers.known(2).conn.Close()
		},
		"it is not sent": func(*three) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newThree(t)
			s.meet()
			start := time.Now()
			s.far[3].InstallSent(s.at(1, 0), coherence.Stage{From: 1, Number: 12345}, true)
			lose(s)
			select {
			case err := <-s.failed:
				t.Logf("after %v: %v", time.Since(start), err)
				if !strings.Contains(err.Error(), "that another node was to send did not come") {
					t.Error("that does not say what is lost")
				}
			case <-time.After(5 * time.Second):
				t.Fatal("nothing is said within 5 s")
			}
			if name == "it is not sent" {
				if s.hosts[1].IsLost() {
					t.Error("the node is lost")
				}
				if took := time.Since(start); took > Silence-beat/2 {
					t.Errorf("it took %v", took) // nothing is heard of the session as long
				}
			} else if took := time.Since(start); took > time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestNodeLost: a node that ends while pages go between it and another is what the session hears of.
func TestNodeLost(t *testing.T) {
	s := newThree(t)
	s.meet()
	s.fill(1, 500)
	var err error
	over := make(chan struct{})
	go func() {
		defer close(over)
		for i := range 500 {
			if i == 100 {
				go s.agents[0].memory.lose(errors.New("test"))
				go s.agents[0].memory.peers.close()
			}
			f := coherence.Fault{Process: 3, Addr: s.at(1, i), Write: i%2 == 0}
			if _, _, err = s.directory.Handle(f); err != nil {
				return
			}
		}
	}()
	select {
	case <-over:
	case <-time.After(5 * time.Second):
		t.Fatal("a fault is not answered within 5 s")
	}
	if !errors.Is(err, coherence.ErrLost) {
		t.Errorf("got %v", err)
	}
}

// TestWindow: where a node has many pages staged at another one, the next go by way of the session; and again directly
// when those are taken.
func TestWindow(t *testing.T) {
	s := newThree(t)
	s.meet()
	s.fill(1, 1)
	var stages []coherence.Stage
	var buf page
	for {
		sent, err := s.far[1].Send(coherence.StepRead, s.at(1, 0), s.far[3], &buf)
		if err != nil {
			t.Fatal(err)
		}
		if !sent.Short {
			break
		}
		stages = append(stages, sent.Stage)
	}
	if len(stages) != window || buf == (page{}) {
		t.Errorf("%d pages were staged, want %d; then the page comes", len(stages), window)
	}
	for _, stage := range stages {
		s.far[3].Discard(stage)
	}
	s.eventually("there is room", func() bool {
		sent, err := s.far[1].Send(coherence.StepRead, s.at(1, 0), s.far[3], &buf)
		return err == nil && sent.Short
	})
	if len(s.failed) > 0 {
		t.Error(<-s.failed)
	}
}

// TestWaitingRoom: of those who connect to where a node waits for others only these come in, and it
// closes behind the last one.
func TestWaitingRoom(t *testing.T) {
	session, err := newIdentity("")
	if err != nil {
		t.Fatal(err)
	}
	other, err := newIdentity(session.name) // somebody who has heard the name
	if err != nil {
		t.Fatal(err)
	}
	of := func(id *identity, number int) *peers {
		t.Helper()
		public, key, _ := ed25519.GenerateKey(nil)
		cert, err := id.issue(number, public)
		if err != nil {
			t.Fatal(err)
		}
		w := &welcome{Name: id.name, Certificate: cert, Authority: id.authority.Raw}
		terms, err := member(w, key)
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPeers(w, terms)
		if err != nil {
			t.Fatal(err)
		}
		p.tell = func(notice) {}
		t.Cleanup(p.close)
		return p
	}
	one, two, three := of(session, 1), of(session, 2), of(session, 3)
	n := one.listen([]int{2}, "", "127.0.0.1")
	if n.Awaits == "" {
		t.Fatal(n.Failed)
	}
	raw := func(say string) (got []byte) {
		c, err := net.Dial("tcp", n.Awaits)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, say)
		c.SetDeadline(time.Now().Add(2 * time.Second))
		c.(*net.TCPConn).CloseWrite()
		got, _ = io.ReadAll(c)
		return got
	}
	for _, say := range []string{"", "GET / HTTP/1.0\r\n\r\n", string(make([]byte, 5000)), "\x16\x03\x01\x02\x00\x01"} {
		if got := raw(say); len(got) > 0 {
			t.Errorf("who says %.20q gets %q", say, got)
		}
	}
	seen := &bytes.Buffer{}
	hello := func(terms *tls.Config) error {
		c, err := net.Dial("tcp", n.Awaits)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		seen.Reset()
		conn := tls.Client(tapped{c, seen}, terms)
		conn.SetDeadline(time.Now().Add(2 * time.Second))
		if err := conn.Handshake(); err != nil {
			return err
		}
		return awaitBeat(conn)
	}
	named := func(p *peers, name string) *tls.Config {
		terms := p.terms.Clone()
		terms.ServerName = name
		return terms
	}
	if err := hello(named(two, "node2."+session.name)); err == nil || seen.Len() > 0 {
		t.Errorf("who asks for another one gets %d bytes, %v", seen.Len(), err)
	}
	if err := hello(named(two, session.name)); err == nil || seen.Len() > 0 {
		t.Errorf("who asks for the session gets %d bytes, %v", seen.Len(), err)
	}
	bare := named(two, "node1."+session.name)
	bare.Certificates = nil
	if err := hello(bare); err == nil {
		t.Error("who has no certificate is welcome")
	}
	forged := of(other, 2)
	if err := hello(named(forged, "node1."+session.name)); err == nil {
		t.Error("who has a certificate of another session is welcome")
	}
	blind := named(forged, "node1."+session.name)
	blind.InsecureSkipVerify = true
	if err := hello(blind); err == nil {
		t.Error("who has a certificate of another session, and does not look at ours, is welcome")
	}
	if err := hello(named(three, "node1."+session.name)); err == nil {
		t.Error("a node that is not waited for is welcome")
	}
	if one.known(2) != nil || one.known(3) != nil {
		t.Error("somebody came in")
	}
	two.meet(t.Context(), meet{Node: 1, Addr: n.Awaits})
	if two.known(1) == nil || one.known(2) == nil {
		t.Error("the one that is waited for did not come in")
	}
	if c, err := net.Dial("tcp", n.Awaits); err == nil {
		c.Close()
		t.Error("it listens when all have come")
	}
}

// tapped is a connection of which what is read is kept.
type tapped struct {
	net.Conn
	seen *bytes.Buffer
}

func (c tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.seen.Write(p[:n])
	return n, err
}

// TestPeerErrors: what no node sends ends the connection, and does no harm.
func TestPeerErrors(t *testing.T) {
	staged := frame{kind: frameStaged, stage: 1, flags: flagZero}
	var many []byte
	for i := range window + 1 {
		f := staged
		f.stage = uint32(i)
		many = append(many, frameBytes(f)...)
	}
	for name, text := range map[string][]byte{
		"operation":  frameBytes(frame{kind: opTake, process: 3}),
		"reply":      frameBytes(frame{kind: frameReply, id: 7}),
		"half":       frameBytes(frame{kind: frameStaged, stage: 1, data: make([]byte, 100)}),
		"twice":      append(frameBytes(staged), frameBytes(staged)...),
		"too many":   many,
		"taken":      frameBytes(frame{kind: frameTaken, id: 1}),
		"taken much": frameBytes(frame{kind: frameTaken, id: 1<<32 - 1}),
		"long data":  append(frameBytes(frame{kind: frameStaged})[:16], 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			a, b := net.Pipe()
			p := &peerConn{memoryConn: newMemoryConn(a)}
			go b.Write(text)
			p.serve()
			if <-p.lost; p.err == nil || !strings.Contains(p.err.Error(), "protocol error") && name != "long data" {
				t.Errorf("the reason is %v", p.err)
			}
			if len(p.stage.pages) > window {
				t.Errorf("%d pages are staged", len(p.stage.pages))
			}
		})
	}
}

// FuzzPeer: a node that says anything to another one ends the connection at worst.
func FuzzPeer(f *testing.F) {
	f.Add(frameBytes(frame{kind: frameStaged, stage: 1, flags: flagZero}))
	f.Add(append(frameBytes(frame{kind: frameStaged, stage: 1, data: make([]byte, coherence.PageSize)}), frameBytes(frame{kind: frameTaken, id: 1})...))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, b := net.Pipe()
		p := &peerConn{memoryConn: newMemoryConn(a), out: 5}
		go func() {
			b.Write(text)
			b.Close()
		}()
		p.serve()
		if len(p.stage.pages) > len(text)/headSize || p.out < 0 || p.out > 5 {
			t.Errorf("%d pages are staged, %d elsewhere", len(p.stage.pages), p.out)
		}
	})
}

// FuzzReplies: a node that says anything to the session is lost at worst.
func FuzzReplies(f *testing.F) {
	f.Add(frameBytes(frame{kind: frameReply, id: 1, flags: flagWords, data: make([]byte, 24)}))
	f.Add(frameBytes(frame{kind: frameReply, id: 1, flags: flagWords, data: make([]byte, 23)}))
	f.Add(frameBytes(frame{kind: frameReply, id: 1, data: make([]byte, coherence.PageSize)}))
	f.Add(frameBytes(frame{kind: frameReply, id: 1, flags: flagFailed, data: []byte("so")}))
	layout := coherence.Layout{Base: 1 << 32, SlotSize: 2 << 20, Slots: 3}
	f.Fuzz(func(t *testing.T, text []byte) {
		a, b := net.Pipe()
		h := newHub(newMemoryConn(a))
		h.handle, h.failed = func(coherence.Fault) {}, func(int, error) {}
		h.number = 1
		go io.Copy(io.Discard, b)
		pins := coherence.NewPins(layout)
		d := coherence.NewDirectory(layout, pins, coherence.Options{})
		d.SetMemory(1, far{h, 1})
		d.SetMemory(2, far{h, 2})
		go func() {
			b.Write(text)
			b.Close()
		}()
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.Handle(coherence.Fault{Process: 2, Addr: layout.Slot(1).Start, Write: true})
		}()
		h.serve()
		<-done
	})
}

// BenchmarkBetweenNodes is a page that goes from one node to another and back, over the loopback interface: as it
// does, and by way of the session. Its bytes are those that the session has to do with.
func BenchmarkBetweenNodes(b *testing.B) {
	for _, pages := range []int{1, 64} {
		for _, way := range []string{"direct", "session"} {
			b.Run(fmt.Sprintf("%d pages/%s", pages, way), func(b *testing.B) {
				s := newThree(b)
				s.meet()
				if way == "session" {
					for _, h := range s.hosts {
						h.hub.met[1].Store(false)
						h.hub.met[2].Store(false)
					}
				}
				s.fill(1, pages)
				before := s.through()
				n := 0
				for b.Loop() {
					for _, process := range []int{3, 1} {
						for i := range pages {
							s.access(process, s.at(1, i), true)
							n++
						}
					}
				}
				b.ReportMetric(float64(s.through()-before)/float64(n), "session-B/page")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/page")
			})
		}
	}
}
