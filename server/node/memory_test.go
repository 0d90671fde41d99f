package node

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"remotec.dev/server/coherence"
	"remotec.dev/server/pager"
)

type page = [coherence.PageSize]byte

// fakeMemory is a memory that writes down what is done.
type fakeMemory struct {
	mu    sync.Mutex
	calls []string
	pages map[uintptr]*page
	err   error
	block chan struct{} // where not nil, operations wait for its end
}

func (m *fakeMemory) note(what string, addr uintptr) error {
	if m.block != nil {
		<-m.block
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, fmt.Sprintf("%s %#x", what, addr))
	return m.err
}

func (m *fakeMemory) taken() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := fmt.Sprint(m.calls)
	m.calls = nil
	return calls
}

func (m *fakeMemory) Protect(addr uintptr) error { return m.note("protect", addr) }
func (m *fakeMemory) Read(addr uintptr, buf *page) error {
	m.mu.Lock()
	if p := m.pages[addr]; p != nil {
		*buf = *p
	} else {
		*buf = page{}
	}
	m.mu.Unlock()
	return m.note("read", addr)
}
func (m *fakeMemory) Drop(addr uintptr) error { return m.note("drop", addr) }
func (m *fakeMemory) Install(addr uintptr, data *page, writable bool) error {
	m.mu.Lock()
	copied := *data
	m.pages[addr] = &copied
	m.mu.Unlock()
	return m.note(fmt.Sprintf("install %v", writable), addr)
}
func (m *fakeMemory) InstallZero(addr uintptr) error { return m.note("zero", addr) }
func (m *fakeMemory) Unprotect(addr uintptr) error   { return m.note("unprotect", addr) }
func (m *fakeMemory) Wake(addr uintptr) error        { return m.note("wake", addr) }
func (m *fakeMemory) Poison(addr uintptr) error      { return m.note("poison", addr) }

// wires returns a connection over TLS on the loopback interface.
func wires(t testing.TB) (session, node net.Conn) {
	t.Helper()
	id, err := newIdentity("")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{id.server}, MinVersion: tls.VersionTLS13})
			err = s.Handshake()
			session = s
		}
		done <- err
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	if err := errors.Join(n.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	return session, n
}

// ends returns both ends of a memory connection, with a memory for process 3.
func ends(t testing.TB) (*hub, *rim, *fakeMemory) {
	t.Helper()
	a, b := wires(t)
	h, r := newHub(newMemoryConn(a)), newRim(newMemoryConn(b))
	m := &fakeMemory{pages: make(map[uintptr]*page)}
	r.memory = func(process int) pager.Memory {
		if process == 3 {
			return m
		}
		return nil
	}
	h.failed = func(process int, err error) { t.Errorf("process %d: %v", process, err) }
	t.Cleanup(func() {
		h.lose(errEnded)
		r.lose(errEnded)
	})
	return h, r, m
}

// TestOperations: each operation is one of the memory, in one message or less.
func TestOperations(t *testing.T) {
	h, r, m := ends(t)
	go h.serve()
	go r.serve()
	f := far{h, 3}
	var data, buf page
	for i := range data {
		data[i] = byte(i * 7)
	}
	check := func(err error, want string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		// What is not answered comes before what is.
		if err := f.Protect(0x9000); err != nil {
			t.Fatal(err)
		}
		if got := m.taken(); got != "["+want+" protect 0x9000]" {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	check(f.Install(0x1000, &data, true), "install true 0x1000 wake 0x1000")
	check(f.Install(0x2000, &page{}, false), "install false 0x2000 wake 0x2000")
	check(f.Read(0x1000, &buf), "read 0x1000")
	if buf != data {
		t.Error("read something else than was installed")
	}
	check(f.ProtectRead(0x2000, &buf), "protect 0x2000 read 0x2000")
	if buf != (page{}) {
		t.Error("a page of zeros has become another one")
	}
	check(f.Take(0x1000, &buf), "protect 0x1000 read 0x1000 drop 0x1000")
	if buf != data {
		t.Error("took something else than was installed")
	}
	check(f.Drop(0x1000), "drop 0x1000")
	first, second := f.StartDrop(0x1000), f.StartDrop(0x2000)
	check(errors.Join(second(), first()), "drop 0x1000 drop 0x2000")
	check(f.InstallZero(0x1000), "zero 0x1000")
	check(f.Unprotect(0x1000), "unprotect 0x1000")
	check(f.Wake(0x1000), "wake 0x1000")
	check(f.Poison(0x1000), "poison 0x1000")

	run := make([]page, 4)
	run[0], run[1], run[3] = data, data, data // the third is zeros
	check(f.InstallRun(0x1000, run, true), "install true 0x1000 wake 0x1000 install true 0x2000 wake 0x2000 "+
		"install true 0x3000 wake 0x3000 install true 0x4000 wake 0x4000")
	got := make([]page, 4)
	n, err := f.ProtectRun(0x1000, got)
	if n != 2 || got[0] != data || got[1] != data {
		t.Errorf("a run of %d pages, want 2", n)
	}
	check(err, "protect 0x1000 read 0x1000 protect 0x2000 read 0x2000 protect 0x3000 read 0x3000 protect 0x4000 read 0x4000")
	check(f.DropRun(0x1000, 2), "drop 0x1000 drop 0x2000")
	check(f.ZeroRun(0x1000, 2), "zero 0x1000 zero 0x2000")
}

// TestOperationsFail: an error comes back with what it means, or is told where nobody waits.
func TestOperationsFail(t *testing.T) {
	h, r, m := ends(t)
	told := make(chan error, 1)
	h.failed = func(process int, err error) { told <- fmt.Errorf("process %d: %w", process, err) }
	go h.serve()
	go r.serve()
	f := far{h, 3}
	m.err = fmt.Errorf("at hand: %w", coherence.ErrUnmapped)
	var buf page
	if err := f.Take(0x1000, &buf); !errors.Is(err, coherence.ErrUnmapped) {
		t.Errorf("got %v, want an error of an unmapped page", err)
	}
	m.taken()
	f.InstallZero(0x1000)
	if err := <-told; !errors.Is(err, coherence.ErrUnmapped) {
		t.Errorf("told %v, want an error of an unmapped page", err)
	}
	if got := m.taken(); got != "[zero 0x1000 poison 0x1000]" {
		t.Errorf("got %s: who waits for the page must get an end", got)
	}
	if err := (far{h, 4}).Drop(0x1000); err == nil {
		t.Error("no error for a process without memory")
	}
}

// TestFaults: faults and operations of many goroutines do not mix, and pages arrive whole.
func TestFaults(t *testing.T) {
	h, r, m := ends(t)
	faults := make(chan coherence.Fault, 1000)
	h.handle = func(f coherence.Fault) { faults <- f }
	go h.serve()
	go r.serve()
	const workers, each = 8, 100
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			f := far{h, 3}
			for i := range each {
				addr := uintptr(w*each+i+1) << 12
				want := page{}
				for k := range want {
					want[k] = byte(rand.Uint32N(2)) * byte(w+i)
				}
				f.Install(addr, &want, true)
				var got page
				if err := f.Take(addr, &got); err != nil || got != want {
					t.Errorf("page %#x: other contents, or %v", addr, err)
				}
			}
		})
		all.Go(func() {
			for i := range each {
				r.fault(coherence.Fault{Process: 3, Addr: uintptr(w*each + i), Write: i%2 == 0, WP: i%3 == 0})
			}
		})
	}
	all.Wait()
	seen := make(map[uintptr]bool)
	for range workers * each {
		f := <-faults
		i := int(f.Addr) % each
		if seen[f.Addr] || f.Process != 3 || f.Write != (i%2 == 0) || f.WP != (i%3 == 0) {
			t.Errorf("fault %+v", f)
		}
		seen[f.Addr] = true
	}
	m.taken()
}

// TestClock: the offset of clocks of one host is about zero.
func TestClock(t *testing.T) {
	h, r, _ := ends(t)
	go h.serve()
	go r.serve()
	if ns, err := r.ahead(); err != nil || time.Duration(ns).Abs() > 100*time.Millisecond {
		t.Errorf("got %v, %v", time.Duration(ns), err)
	}
}

// TestSilence: an end that says nothing, or does not answer, is lost soon, and with it
// what waits for an answer.
func TestSilence(t *testing.T) {
	t.Run("connection", func(t *testing.T) {
		t.Parallel()
		a, b := wires(t)
		defer b.Close() // and nobody reads it
		h := newHub(newMemoryConn(a))
		go h.serve()
		notAnswered(t, h)
	})
	t.Run("operation", func(t *testing.T) {
		t.Parallel()
		h, r, m := ends(t)
		m.block = make(chan struct{})
		defer close(m.block)
		go h.serve()
		go r.serve()
		notAnswered(t, h)
	})
}

func notAnswered(t *testing.T, h *hub) {
	start := time.Now()
	err := far{h, 3}.Drop(0x1000)
	if took := time.Since(start); !errors.Is(err, coherence.ErrLost) || took < Silence || took > Patience+time.Second {
		t.Errorf("got %v after %v", err, took)
	}
	if err := (far{h, 3}).Drop(0x1000); !errors.Is(err, coherence.ErrLost) {
		t.Errorf("later: %v", err)
	}
}

// TestLostAtOnce: where the connection ends, nobody waits for the silence.
func TestLostAtOnce(t *testing.T) {
	h, r, m := ends(t)
	m.block = make(chan struct{})
	go h.serve()
	go r.serve()
	time.AfterFunc(10*time.Millisecond, func() { r.conn.Close() })
	start := time.Now()
	if err := (far{h, 3}).Drop(0x1000); !errors.Is(err, coherence.ErrLost) || time.Since(start) > time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
	close(m.block)
}

// TestProtocolErrors: what no node sends loses it, and does no harm.
func TestProtocolErrors(t *testing.T) {
	for name, text := range map[string][]byte{
		"kind":         frameBytes(frame{kind: 200}),
		"operation":    frameBytes(frame{kind: opTake, process: 3}),
		"stray reply":  frameBytes(frame{kind: frameReply, id: 77}),
		"long data":    append(frameBytes(frame{kind: frameBeat})[:16], 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0),
		"end of frame": {1, 2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := net.Pipe()
			h := newHub(newMemoryConn(a))
			h.handle = func(coherence.Fault) { t.Error("a fault") }
			go func() {
				b.Write(text)
				if name == "end of frame" {
					b.Close()
				}
			}()
			h.serve()
			if <-h.lost; h.err == nil {
				t.Error("no reason")
			}
		})
	}
}

func frameBytes(f frame) []byte {
	b := new(bytes.Buffer)
	c := &memoryConn{conn: recorder{b}, lost: make(chan struct{})}
	c.write(&f)
	return b.Bytes()
}

type recorder struct{ *bytes.Buffer }

func (recorder) Close() error                     { return nil }
func (recorder) LocalAddr() net.Addr              { return nil }
func (recorder) RemoteAddr() net.Addr             { return nil }
func (recorder) SetDeadline(time.Time) error      { return nil }
func (recorder) SetReadDeadline(time.Time) error  { return nil }
func (recorder) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkTake is the part of a fault that crosses the loopback interface: a page taken
// from a node, and given to it.
func BenchmarkTake(b *testing.B) {
	h, r, _ := ends(b)
	go h.serve()
	go r.serve()
	f := far{h, 3}
	data := page{1}
	for b.Loop() {
		f.Install(0x1000, &data, true)
		if err := f.Take(0x1000, &data); err != nil {
			b.Fatal(err)
		}
	}
}
