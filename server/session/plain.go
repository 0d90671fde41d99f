package session

import (
	"errors"
	"fmt"
	"syscall"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/coherence"
)

// mapRequest is memory that a process is to map in place of what it has.
type mapRequest struct {
	addr, length uintptr
	file         int
	done         chan syscall.Errno // has room for the answer
}

// mapIn has a process map length bytes at addr of file, which is that of a process's
// memory: a pager.Mapper.
func (s *Session) mapIn(number, file int, addr, length uintptr) error {
	s.mu.Lock()
	p := s.procs[number]
	s.mu.Unlock()
	if p == nil {
		return fmt.Errorf("process %d has not attached", number)
	}
	if s.Retired(number) {
		return nil // nobody looks there
	}
	r := &mapRequest{addr, length, file, make(chan syscall.Errno, 1)}
	select {
	case p.maps <- r:
	case <-p.gone:
		return nil
	case <-s.ended:
		return coherence.ErrLost
	}
	select {
	case e := <-r.done:
		if e != 0 {
			return fmt.Errorf("process %d: mmap of %d bytes at %#x: %w", number, length, addr, e)
		}
		return nil
	case <-p.gone:
		return nil
	case <-s.ended:
		return coherence.ErrLost
	}
}

// mapNext carries out NrMapNext.
func (p *process) mapNext(last syscall.Errno) (addr, length uint64, hand []int, e syscall.Errno) {
	if !p.mapThread.CompareAndSwap(false, true) {
		return 0, 0, nil, syscall.EBUSY
	}
	defer p.mapThread.Store(false)
	if p.mapping != nil {
		p.mapping.done <- last
		p.mapping = nil
	}
	select {
	case r := <-p.maps:
		p.mapping = r
		return uint64(r.addr), uint64(r.length), []int{r.file}, 0
	case <-p.gone:
		return 0, 0, nil, syscall.ESHUTDOWN
	case <-p.s.ended:
		return 0, 0, nil, syscall.ESHUTDOWN
	}
}

// uncommon carries out NrUncommon.
func (p *process) uncommon(c *wire.Call) syscall.Errno {
	memory := p.s.cfg.Memory
	if memory == nil {
		return syscall.EINVAL
	}
	if err := memory.Uncommon(p.number, uintptr(c.Args[0]), uintptr(c.Args[1])); err != nil {
		if !errors.Is(err, coherence.ErrLost) { // else the session ends just now
			p.s.cfg.Log.Warn("giving up common memory", "session", p.s.cfg.ID, "err", err)
		}
		return syscall.EINVAL
	}
	return 0
}

// near reports whether all processes are on this host.
func (s *Session) near() bool {
	for k := range s.procs {
		if s.cfg.Far != nil && s.cfg.Far(k) != nil {
			return false
		}
	}
	return true
}
