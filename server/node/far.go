package node

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"remotec.dev/server/coherence"
	"remotec.dev/server/pager"
)

// maxNumber is the largest number of a node that others send pages to.
const maxNumber = 255

// hub is the session's end of a memory connection.
type hub struct {
	*memoryConn
	// handle answers a fault; it may wait.
	handle func(coherence.Fault)
	// failed is told that an operation failed that nobody waits for.
	failed func(process int, err error)

	number uint8                      // of the node; 0: it sends no pages to others
	met    [maxNumber + 1]atomic.Bool // other nodes, with which this one says that it has a connection
	staged atomic.Uint32              // number of the last page that it was asked to stage

	waitMu  sync.Mutex
	id      uint32              // guarded by waitMu
	waiting map[uint32]*pending // guarded by waitMu
}

// pending is an operation that is waited for.
type pending struct {
	page  *[coherence.PageSize]byte // where to put what it reads; nil for nothing
	sends bool                      // of what it reads it may get words
	sent  coherence.Sent            // what it got; set before done gets something
	since time.Time
	done  chan error // gets one
}

var pendings = sync.Pool{New: func() any { return &pending{done: make(chan error, 1)} }}

func newHub(c *memoryConn) *hub {
	h := &hub{memoryConn: c, waiting: make(map[uint32]*pending)}
	go h.bound()
	return h
}

// bound loses a node that does not answer an operation, though it is heard of.
func (h *hub) bound() {
	tick := time.NewTicker(beat / 2)
	defer tick.Stop()
	for {
		select {
		case <-h.lost:
			return
		case now := <-tick.C:
			h.waitMu.Lock()
			for _, p := range h.waiting {
				if now.Sub(p.since) > Patience {
					h.lose(fmt.Errorf("an operation on a page was not answered for %v", Patience))
				}
			}
			h.waitMu.Unlock()
		}
	}
}

// serve reads until the connection is lost.
func (h *hub) serve() {
	r := bufio.NewReaderSize(h.conn, 64<<10)
	buf := new([headSize + maxData]byte)
	var f frame
	for {
		if err := h.read(r, &f, buf); err != nil {
			h.lose(fmt.Errorf("its connection ended: %w", err))
			return
		}
		if err := h.take(&f); err != nil {
			h.lose(fmt.Errorf("protocol error: %w", err))
			return
		}
	}
}

// take handles a frame. It does not wait.
func (h *hub) take(f *frame) error {
	switch f.kind {
	case frameBeat:
	case frameClock:
		go h.write(&frame{kind: frameClock, id: f.id, addr: uint64(monotonic())})
	case frameFault:
		fault := coherence.Fault{
			Process: int(f.process), Addr: uintptr(f.addr),
			Write: f.flags&flagWrite != 0, WP: f.flags&flagWP != 0,
		}
		if len(f.data) == 8 {
			fault.Goroutine = binary.LittleEndian.Uint64(f.data)
		}
		go h.handle(fault)
	case frameError:
		process, err := int(f.process), f.failure()
		go h.failed(process, err)
	case frameReply:
		h.waitMu.Lock()
		p := h.waiting[f.id]
		delete(h.waiting, f.id)
		h.waitMu.Unlock()
		if p == nil {
			return fmt.Errorf("a reply to operation %d, which nobody waits for", f.id)
		}
		err := f.failure()
		switch {
		case err != nil || p.page == nil:
		case p.sends && f.flags&flagWords != 0:
			p.sent.Short = true
			p.sent.Words, err = f.takeWords(p.page)
		default:
			err = f.takePage(p.page)
		}
		p.done <- err
	default:
		return fmt.Errorf("a frame of kind %d", f.kind)
	}
	return nil
}

// start sends an operation that is answered; wait waits for it.
func (h *hub) start(f *frame, page *[coherence.PageSize]byte) *pending {
	p := h.prepare(f, page)
	h.flush()
	return p
}

// prepare is start, but that the operation may wait for the next flush.
func (h *hub) prepare(f *frame, page *[coherence.PageSize]byte) *pending {
	p := pendings.Get().(*pending)
	p.page, p.since, p.sends, p.sent = page, time.Now(), f.sends(), coherence.Sent{}
	h.waitMu.Lock()
	h.id++
	f.id = h.id
	h.waiting[f.id] = p
	h.waitMu.Unlock()
	h.put(f)
	return p
}

func (h *hub) wait(id uint32, p *pending) error {
	_, err := h.waitSent(id, p)
	return err
}

// waitSent is wait for an operation that may send a page.
func (h *hub) waitSent(id uint32, p *pending) (sent coherence.Sent, err error) {
	select {
	case err = <-p.done:
	case <-h.lost:
		h.waitMu.Lock()
		_, mine := h.waiting[id]
		delete(h.waiting, id)
		h.waitMu.Unlock()
		if !mine {
			err = <-p.done // the reader has it, and may be writing the page
		} else {
			err = fmt.Errorf("%w: %w", coherence.ErrLost, h.err)
		}
	}
	sent, p.page = p.sent, nil
	pendings.Put(p)
	return sent, err
}

// far is the memory of a process on a node.
type far struct {
	hub     *hub
	process uint8
}

var (
	_ coherence.Direct = far{}
	_ coherence.Runs   = far{}
	_ pager.Memory     = far{}
)

// ask makes an operation that is answered.
func (m far) ask(kind frameKind, page uintptr, buf *[coherence.PageSize]byte) error {
	f := frame{kind: kind, process: m.process, addr: uint64(page)}
	p := m.hub.start(&f, buf)
	return m.hub.wait(f.id, p)
}

// tell makes one that is not.
func (m far) tell(kind frameKind, page uintptr) error {
	m.hub.write(&frame{kind: kind, process: m.process, addr: uint64(page)})
	return nil
}

// Protect implements [coherence.Memory].
func (m far) Protect(page uintptr) error { return m.ask(opProtect, page, nil) }

// Read implements [coherence.Memory].
func (m far) Read(page uintptr, buf *[coherence.PageSize]byte) error { return m.ask(opRead, page, buf) }

// Drop implements [coherence.Memory].
func (m far) Drop(page uintptr) error { return m.ask(opDrop, page, nil) }

// ProtectRead implements [coherence.Far].
func (m far) ProtectRead(page uintptr, buf *[coherence.PageSize]byte) error {
	return m.ask(opProtectRead, page, buf)
}

// Take implements [coherence.Far].
func (m far) Take(page uintptr, buf *[coherence.PageSize]byte) error {
	return m.ask(opTake, page, buf)
}

// StartDrop implements [coherence.Far].
func (m far) StartDrop(page uintptr) (done func() error) {
	f := frame{kind: opDrop, process: m.process, addr: uint64(page)}
	p := m.hub.start(&f, nil)
	return func() error { return m.hub.wait(f.id, p) }
}

// ProtectRun implements [coherence.Runs]: the operations on all pages are under way at
// the same time.
func (m far) ProtectRun(page uintptr, data [][coherence.PageSize]byte) (n int, err error) {
	n = len(data)
	err = m.all(opProtectRead, page, n, func(i int) *[coherence.PageSize]byte { return &data[i] })
	for i := range data {
		if data[i] == zeroPage {
			return i, err // perhaps a hole
		}
	}
	return n, err
}

// DropRun implements [coherence.Runs].
func (m far) DropRun(page uintptr, n int) error {
	return m.all(opDrop, page, n, func(int) *[coherence.PageSize]byte { return nil })
}

// all makes an operation that is answered on n pages.
func (m far) all(kind frameKind, page uintptr, n int, buf func(i int) *[coherence.PageSize]byte) (err error) {
	ids, pending := make([]uint32, n), make([]*pending, n)
	for i := range n {
		f := frame{kind: kind, process: m.process, addr: uint64(page) + uint64(i)*coherence.PageSize}
		pending[i] = m.hub.prepare(&f, buf(i))
		ids[i] = f.id
	}
	m.hub.flush()
	for i, p := range pending {
		if e := m.hub.wait(ids[i], p); e != nil && err == nil {
			err = e
		}
	}
	return err
}

// InstallRun implements [coherence.Runs].
func (m far) InstallRun(page uintptr, data [][coherence.PageSize]byte, writable bool) error {
	for i := range data {
		f := install(opInstall, m.process, page+uintptr(i)*coherence.PageSize, writable)
		f.page(&data[i])
		m.hub.put(&f)
	}
	m.hub.flush()
	return nil
}

// ZeroRun implements [coherence.Runs].
func (m far) ZeroRun(page uintptr, n int) error {
	for i := range n {
		m.hub.put(&frame{kind: opInstallZero, process: m.process, addr: uint64(page) + uint64(i)*coherence.PageSize})
	}
	m.hub.flush()
	return nil
}

// install returns an operation to install a page: opInstall or opInstallSent.
func install(kind frameKind, process uint8, page uintptr, writable bool) frame {
	if writable {
		kind++ // see there
	}
	return frame{kind: kind, process: process, addr: uint64(page)}
}

// Install implements [coherence.Memory].
func (m far) Install(page uintptr, data *[coherence.PageSize]byte, writable bool) error {
	f := install(opInstall, m.process, page, writable)
	f.page(data)
	m.hub.write(&f)
	return nil
}

// InstallZero implements [coherence.Memory].
func (m far) InstallZero(page uintptr) error { return m.tell(opInstallZero, page) }

// Unprotect implements [coherence.Memory].
func (m far) Unprotect(page uintptr) error { return m.tell(opUnprotect, page) }

// Wake implements [coherence.Memory].
func (m far) Wake(page uintptr) error { return m.tell(opWake, page) }

// Poison implements [pager.Memory].
func (m far) Poison(page uintptr) error { return m.tell(opPoison, page) }
