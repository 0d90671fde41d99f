package node

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"remotec.dev/server/coherence"
	"remotec.dev/server/mail"
	"remotec.dev/server/pager"
)

// rim is the node's end of a memory connection.
type rim struct {
	*memoryConn
	// memory returns the memory of a process, nil where it has none.
	memory func(process int) pager.Memory
	// attach has the faults of a process answered from now on.
	attach    func(process int) error
	peers     *peers
	layout    atomic.Pointer[coherence.Layout] // nil before the first process
	clock     chan frame                       // answers to frameClock
	threads   atomic.Pointer[mail.Threads]     // finds goroutines that wait for pages; nil: nobody wants to know
	roundTrip atomic.Int64                     // to the session, in ns; 0: it was not measured yet
}

func newRim(c *memoryConn) *rim { return &rim{memoryConn: c, clock: make(chan frame, 1)} }

// serve carries out operations, one after the other, until the connection is lost. They
// take microseconds.
func (m *rim) serve() {
	r := bufio.NewReaderSize(m.conn, 64<<10)
	buf, page, words := new([headSize + maxData]byte), new([coherence.PageSize]byte), new([coherence.PageSize]byte)
	var f frame
	for {
		if r.Buffered() < headSize {
			m.flushAll()
		}
		if err := m.read(r, &f, buf); err != nil {
			m.lose(fmt.Errorf("its connection ended: %w", err))
			return
		}
		switch {
		case f.kind == frameBeat:
		case f.kind == frameClock:
			select {
			case m.clock <- frame{id: f.id, addr: f.addr}:
			default: // nobody waits any more
			}
		case f.sends():
			m.send(&f, page, words)
		case f.kind < opInstall:
			answer := frame{kind: frameReply, process: f.process, id: f.id}
			reads, err := m.ask(&f, page)
			if err != nil {
				answer.fail(err)
			} else if reads {
				answer.page(page)
			}
			m.say(&answer)
		case f.kind <= opPoison:
			if err := m.tell(&f, page); err != nil {
				// Nobody else will wake who waits for the page. Where that is lost the session ends.
				if memory := m.memory(int(f.process)); memory != nil && f.kind != opPoison && !errors.Is(err, errNotSent) {
					err = errors.Join(err, memory.Poison(uintptr(f.addr)))
				}
				m.failed(f.process, err)
			}
		default:
			m.lose(fmt.Errorf("protocol error: a frame of kind %d", f.kind))
			return
		}
	}
}

// enough is how many bytes of frames do not wait for more of them.
const enough = 32 << 10

// say answers. The answers to operations that came together go together.
func (m *rim) say(f *frame) {
	if m.put(f) > enough {
		m.flushAll()
	}
}

// flushAll sends what was put, before something is waited for. The page takes one way, the words on it, which
// are in the answer, two: they go first.
func (m *rim) flushAll() {
	m.flush()
	if m.peers != nil {
		m.peers.flush()
	}
}

// failed says that an operation failed that nobody waits for.
func (m *rim) failed(process uint8, err error) {
	f := frame{kind: frameError, process: process}
	f.fail(err)
	m.say(&f)
}

// send carries out an operation whose page is for another memory, which the session is only to know words of. Who reads
// and stages what this writes does not wait for anything, so that this does not for long.
func (m *rim) send(f *frame, page, words *[coherence.PageSize]byte) {
	answer := frame{kind: frameReply, process: f.process, id: f.id}
	do := *f
	do.kind = [...]frameKind{opRead, opProtectRead, opTake}[f.kind-opSendRead]
	if _, err := m.ask(&do, page); err != nil {
		answer.fail(err)
		m.say(&answer)
		return
	}
	layout := m.layout.Load()
	var stage func(uint32, *[coherence.PageSize]byte) error
	if layout != nil && f.node != 0 && *page != zeroPage {
		stage = m.peers.reserve(int(f.node))
	}
	if layout == nil || *page == zeroPage || stage == nil && f.node != 0 {
		answer.page(page)
		m.say(&answer)
		return
	}
	*words = *page
	answer.flags, answer.data = flagWords, words[:layout.Words(words)*8]
	m.say(&answer)
	if stage == nil {
		return
	}
	if err := stage(f.stage, page); err != nil {
		m.failed(f.process, err)
	}
}

// fault forwards a fault.
func (m *rim) fault(f coherence.Fault) error {
	out := frame{kind: frameFault, process: uint8(f.Process), addr: uint64(f.Addr)}
	if f.Write {
		out.flags |= flagWrite
	}
	if f.WP {
		out.flags |= flagWP
	}
	var goroutine [8]byte
	if threads := m.threads.Load(); threads != nil {
		binary.LittleEndian.PutUint64(goroutine[:], threads.Goroutine(f.Process, uint32(f.Thread)))
		out.data = goroutine[:]
	}
	m.write(&out)
	return nil
}

var errNoMemory = errors.New("the process has not shared its memory")

// ask carries out an operation that is answered; with a page where reads.
func (m *rim) ask(f *frame, page *[coherence.PageSize]byte) (reads bool, err error) {
	if f.kind == opAttach {
		return false, m.attach(int(f.process))
	}
	memory, addr := m.memory(int(f.process)), uintptr(f.addr)
	if memory == nil {
		return false, errNoMemory
	}
	switch f.kind {
	case opProtect:
		return false, memory.Protect(addr)
	case opRead:
		return true, memory.Read(addr, page)
	case opDrop:
		return false, memory.Drop(addr)
	}
	// opProtectRead and opTake
	if err = memory.Protect(addr); err == nil {
		err = memory.Read(addr, page)
	}
	if err == nil && f.kind == opTake {
		err = memory.Drop(addr)
	}
	return true, err
}

// tell carries out one that is not.
func (m *rim) tell(f *frame, page *[coherence.PageSize]byte) error {
	memory, addr := m.memory(int(f.process)), uintptr(f.addr)
	switch f.kind {
	case opInstallSent, opInstallSentWritable, opDiscard:
		sent, err := m.peers.take(int(f.node), f.stage, m.flushAll)
		if err != nil {
			return fmt.Errorf("page %#x of process %d: %w", addr, f.process, err)
		}
		defer stagedPages.Put(sent)
		if f.kind == opDiscard {
			return nil
		}
		page = sent
	}
	if memory == nil {
		return errNoMemory
	}
	switch f.kind {
	case opInstall, opInstallWritable, opInstallSent, opInstallSentWritable:
		if f.kind < opInstallSent {
			if err := f.takePage(page); err != nil {
				return err
			}
		}
		if err := memory.Install(addr, page, f.kind == opInstallWritable || f.kind == opInstallSentWritable); err != nil {
			return err
		}
		return memory.Wake(addr)
	case opInstallZero:
		return memory.InstallZero(addr)
	case opUnprotect:
		return memory.Unprotect(addr)
	case opWake:
		return memory.Wake(addr)
	}
	return memory.Poison(addr)
}

// ahead measures by how much the session's clock is ahead of the one of this host, in
// ns: from the fastest of some exchanges, whose time bounds the error twice.
func (m *rim) ahead() (ns int64, err error) {
	best := time.Duration(1 << 62)
	for i := range 8 {
		before := monotonic()
		m.write(&frame{kind: frameClock, id: uint32(i)})
		var f frame
		select {
		case f = <-m.clock:
		case <-m.lost:
			return 0, m.err
		}
		after := monotonic()
		if took := time.Duration(after - before); took < best {
			m.roundTrip.Store(int64(took))
			best, ns = took, int64(f.addr)-(before+after)/2
		}
	}
	return ns, nil
}
