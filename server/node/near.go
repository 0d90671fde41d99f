package node

import (
	"bufio"
	"errors"
	"fmt"
	"time"

	"remotec.dev/server/coherence"
	"remotec.dev/server/pager"
)

// rim is the node's end of a memory connection.
type rim struct {
	*memoryConn
	// memory returns the memory of a process, nil where it has none.
	memory func(process int) pager.Memory
	// attach has the faults of a process answered from now on.
	attach func(process int) error
	clock  chan frame // answers to frameClock
}

func newRim(c *memoryConn) *rim { return &rim{memoryConn: c, clock: make(chan frame, 1)} }

// serve carries out operations, one after the other, until the connection is lost. They
// take microseconds.
func (m *rim) serve() {
	r := bufio.NewReaderSize(m.conn, 64<<10)
	buf, page := new([headSize + maxData]byte), new([coherence.PageSize]byte)
	var f frame
	for {
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
		case f.kind <= opTake:
			answer := frame{kind: frameReply, process: f.process, id: f.id}
			reads, err := m.ask(&f, page)
			if err != nil {
				answer.fail(err)
			} else if reads {
				answer.page(page)
			}
			m.write(&answer)
		case f.kind <= opPoison:
			if err := m.tell(&f, page); err != nil {
				// Nobody else will wake who waits for the page.
				if memory := m.memory(int(f.process)); memory != nil && f.kind != opPoison {
					err = errors.Join(err, memory.Poison(uintptr(f.addr)))
				}
				answer := frame{kind: frameError, process: f.process}
				answer.fail(err)
				m.write(&answer)
			}
		default:
			m.lose(fmt.Errorf("protocol error: a frame of kind %d", f.kind))
			return
		}
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
	if memory == nil {
		return errNoMemory
	}
	switch f.kind {
	case opInstall, opInstallWritable:
		if err := f.takePage(page); err != nil {
			return err
		}
		if err := memory.Install(addr, page, f.kind == opInstallWritable); err != nil {
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
			best, ns = took, int64(f.addr)-(before+after)/2
		}
	}
	return ns, nil
}
