package session

import (
	"encoding/binary"
	"slices"
	"sync"
	"syscall"
	"unsafe"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/osys"
)

// maps is the memory that a program of several processes has mapped by itself.
// All its processes have the same mappings, at addresses chosen here: each
// change is carried out by one after the other of them, and the call that asked
// for it returns when all have. The kernel keeps such memory coherent: it belongs to a
// file, of the program, or without a name where the mapping is anonymous or
// private and writable.
//
// Where a process is on another host nothing of this is possible, and a mapping
// is one of the process that made it.
type maps struct {
	mu   sync.Mutex // held for the whole of a change
	list []mapping  // in the order of addresses, without overlap; guarded by mu

	stepMu sync.Mutex
	step   *mapStep // the one under way; guarded by stepMu
	number uint64   // of the last step; guarded by stepMu
}

// mapping is a range of addresses in use.
type mapping struct {
	start, end uint64
	own        bool // its file is one of ours, without a name
}

// mapStep is a call that all processes carry out.
type mapStep struct {
	number uint64
	file   int                // whose descriptor travels with it; -1: none
	result chan syscall.Errno // has room for one of each process
}

const (
	mapPage = 4096

	mapFixed          = 0x10
	map32Bit          = 0x40
	mapFixedNoReplace = 0x100000

	remapMayMove   = 1
	remapFixed     = 2
	remapDontUnmap = 4

	adviseDontNeed = 4
	adviseFree     = 8
	adviseRemove   = 9

	// ownSize is the length of a file without a name, most of which is never
	// there: a mapping of it may grow.
	ownSize = 1 << 42
)

// possible reports whether all processes can have the same mappings, once all
// are there.
func (m *maps) possible(s *Session) bool {
	if s.cfg.Memory == nil {
		return false
	}
	select {
	case <-s.served:
	case <-s.ended:
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !slices.ContainsFunc(s.procs, func(p *process) bool { return p == nil || p.far != nil })
}

// add carries out NrMap.
func (m *maps) add(s *Session, t osys.Thread, c *wire.Call) (addr uint64, e syscall.Errno) {
	hint, length, prot, flags, fd, off := c.Args[0], c.Args[1], c.Args[2], c.Args[3], c.Args[4], c.Args[5]
	inRange := hint >= wire.MapBase && hint < wire.MapEnd
	if flags&mapFixed != 0 && !inRange || flags&map32Bit != 0 || !m.possible(s) {
		return 0, syscall.ENOTSUP
	}
	if length == 0 || length > wire.MapEnd-wire.MapBase || hint%mapPage != 0 && flags&(mapFixed|mapFixedNoReplace) != 0 || off%mapPage != 0 {
		return 0, syscall.EINVAL
	}
	size := (length + mapPage - 1) &^ (mapPage - 1)
	file, own, e := m.source(s, t, size, prot, flags, fd, &off)
	if e != 0 {
		return 0, e
	}
	defer s.cfg.Space.Close(file)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case flags&mapFixed != 0:
		if addr = hint; addr+size > wire.MapEnd {
			return 0, syscall.ENOMEM
		}
	case flags&mapFixedNoReplace != 0 && inRange:
		if addr = hint; !m.free(addr, size) {
			return 0, syscall.EEXIST
		}
	default:
		if addr = m.place(size); addr == 0 {
			return 0, syscall.ENOMEM
		}
	}
	flags &^= syscall.MAP_ANON | mapFixedNoReplace
	if own || prot&syscall.PROT_WRITE != 0 {
		flags = flags&^syscall.MAP_PRIVATE | syscall.MAP_SHARED
	}
	// Nothing else is at these addresses, unless the program asked for that.
	e, some := m.all(s, syscall.SYS_MMAP, [6]uint64{addr, length, prot, flags | mapFixed, 0, off}, file)
	if e != 0 {
		if some && flags&mapFixed == 0 {
			m.all(s, syscall.SYS_MUNMAP, [6]uint64{addr, size}, -1)
		}
		return 0, e
	}
	m.remove(addr, addr+size)
	m.insert(mapping{addr, addr + size, own})
	return addr, 0
}

// source returns a descriptor of this process of what a mapping shows, and
// whether it is a file without a name, in which the mapping starts at *off.
func (m *maps) source(s *Session, t osys.Thread, size, prot, flags, fd uint64, off *uint64) (file int, own bool, e syscall.Errno) {
	if flags&syscall.MAP_ANON != 0 {
		*off = 0
		file, e = nameless(s, size)
		return file, true, e
	}
	// The OS decides whether the program's descriptor may be used.
	ask := wire.Call{Nr: wire.NrHand, Args: wire.Args{fd}}
	frame, hand := t.Call(&ask, make([]byte, osys.ReplySize(&ask)))
	var r wire.Reply
	if err := wire.GetReply(frame, &r); err != nil {
		return -1, false, syscall.EIO
	}
	if e := syscall.Errno(r.Errno); e != 0 && e != syscall.EPERM {
		return -1, false, e
	}
	private := flags&0xf == syscall.MAP_PRIVATE
	if len(hand) > 0 && !(private && prot&syscall.PROT_WRITE != 0) {
		if file, err := s.cfg.Space.Copy(hand[0]); err == nil {
			return file, false, 0
		}
		return -1, false, syscall.EMFILE
	}
	if file, e = nameless(s, size); e != 0 {
		return -1, false, e
	}
	if e = copyTo(file, t, fd, *off, size); e != 0 {
		s.cfg.Space.Close(file)
		return -1, false, e
	}
	*off = 0
	return file, true, 0
}

// nameless makes a file without a name that has room for size bytes.
func nameless(s *Session, size uint64) (int, syscall.Errno) {
	name := []byte("remotec\x00")
	const cloexec, memfdCreate = 1, 319
	fd, _, e := syscall.Syscall(memfdCreate, uintptr(unsafe.Pointer(&name[0])), cloexec, 0)
	if e != 0 {
		return -1, e
	}
	file, err := s.cfg.Space.Adopt(int(fd))
	if err != nil {
		return -1, syscall.EMFILE
	}
	// Beyond the limit the kernel sends a signal.
	length := max(size, ownSize)
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit) == nil && length > limit.Cur {
		length = size
	}
	if length > limit.Cur {
		s.cfg.Space.Close(file)
		return -1, syscall.ENOMEM
	}
	if err := syscall.Ftruncate(file, int64(length)); err != nil {
		s.cfg.Space.Close(file)
		return -1, syscall.ENOMEM
	}
	return file, 0
}

// copyTo copies size bytes of the program's descriptor fd from off on, or as many as it
// has, to the start of file.
func copyTo(file int, t osys.Thread, fd, off, size uint64) syscall.Errno {
	var dst []byte
	for have := uint64(0); have < size; {
		c := wire.Call{Nr: syscall.SYS_PREAD64, Args: wire.Args{fd, 0, min(size-have, 1<<20), off + have}}
		if n := osys.ReplySize(&c); n > len(dst) {
			dst = make([]byte, n)
		}
		frame, _ := t.Call(&c, dst)
		var r wire.Reply
		if err := wire.GetReply(frame, &r); err != nil {
			return syscall.EIO
		}
		if r.Errno != 0 {
			return syscall.Errno(r.Errno)
		}
		b := r.Blobs[1]
		if len(b) == 0 {
			break
		}
		if n, err := syscall.Pwrite(file, b, int64(have)); err != nil || n < len(b) {
			return syscall.ENOMEM
		}
		have += uint64(len(b))
	}
	return 0
}

// change carries out NrRemap.
func (m *maps) change(s *Session, c *wire.Call) (r1 uint64, e syscall.Errno) {
	addr, size := c.Args[1], (c.Args[2]+mapPage-1)&^(mapPage-1)
	if addr < wire.MapBase || size > wire.MapEnd-addr || addr%mapPage != 0 {
		return 0, syscall.EINVAL
	}
	if !m.possible(s) {
		return 0, syscall.ENOTSUP
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	args := [6]uint64{addr, c.Args[2], c.Args[3]}
	switch c.Args[0] {
	case syscall.SYS_MUNMAP:
		if size == 0 {
			return 0, syscall.EINVAL
		}
		if e, _ = m.all(s, syscall.SYS_MUNMAP, args, -1); e == 0 {
			m.remove(addr, addr+size)
		}
		return 0, e
	case syscall.SYS_MPROTECT:
		e, _ = m.all(s, syscall.SYS_MPROTECT, args, -1)
		return 0, e
	case syscall.SYS_MADVISE:
		switch advice := c.Args[3]; {
		case advice != adviseDontNeed && advice != adviseFree:
			return 0, syscall.ENOTSUP // each process for itself
		case !m.owns(addr, addr+size):
			return 0, syscall.ENOTSUP
		}
		// What is not needed reads as zeros afterwards, in all processes.
		args[2] = adviseRemove
		e, _ = m.all(s, syscall.SYS_MADVISE, args, -1)
		return 0, e
	case syscall.SYS_MREMAP:
		return m.resize(s, addr, size, (c.Args[3]+mapPage-1)&^(mapPage-1), c.Args[4])
	}
	return 0, syscall.EINVAL
}

// resize carries out mremap; m.mu is held.
func (m *maps) resize(s *Session, addr, from, to, flags uint64) (uint64, syscall.Errno) {
	i := slices.IndexFunc(m.list, func(r mapping) bool { return addr >= r.start && addr+from <= r.end })
	switch {
	case i < 0:
		return 0, syscall.EFAULT
	case from == 0 || to == 0 || to > wire.MapEnd-wire.MapBase || flags&(remapFixed|remapDontUnmap) != 0:
		return 0, syscall.EINVAL
	}
	target, own := addr, m.list[i].own
	args := [6]uint64{addr, from, to}
	if to > from && !m.free(addr+from, to-from) {
		if flags&remapMayMove == 0 {
			return 0, syscall.ENOMEM
		}
		if target = m.place(to); target == 0 {
			return 0, syscall.ENOMEM
		}
		args[3], args[4] = remapMayMove|remapFixed, target
	}
	if e, _ := m.all(s, syscall.SYS_MREMAP, args, -1); e != 0 {
		return 0, e
	}
	m.remove(addr, addr+from)
	m.insert(mapping{target, target + to, own})
	return target, 0
}

// all has all processes carry out a system call, and waits for them. It returns
// the error of one, and whether the call succeeded in another; m.mu is held.
func (m *maps) all(s *Session, nr uint32, args [6]uint64, file int) (e syscall.Errno, some bool) {
	step := &mapStep{file: file, result: make(chan syscall.Errno, len(s.procs))}
	m.stepMu.Lock()
	m.number++
	step.number = m.number
	m.step = step
	m.stepMu.Unlock()
	defer func() {
		m.stepMu.Lock()
		m.step = nil
		m.stepMu.Unlock()
	}()
	var text []byte
	for _, a := range args {
		text = binary.LittleEndian.AppendUint64(text, a)
	}
	event := wire.Event{Kind: wire.EventMap, N: nr, A: step.number, Text: string(text)}
	if file >= 0 {
		event.B = 1
	}
	living := s.living() // none of them retires meanwhile: m.mu
	for _, k := range living {
		if s.eventTo(k, &event) != nil {
			return syscall.EIO, some // the process ends, and with it the session
		}
	}
	for range living {
		select {
		case r := <-step.result:
			if r != 0 {
				e = r
			} else {
				some = true
			}
		case <-s.ended:
			return syscall.EIO, some
		}
	}
	return e, some
}

// file carries out NrMapFile.
func (m *maps) file(number uint64) ([]int, syscall.Errno) {
	m.stepMu.Lock()
	defer m.stepMu.Unlock()
	if m.step == nil || m.step.number != number || m.step.file < 0 {
		return nil, syscall.EINVAL
	}
	return []int{m.step.file}, 0
}

// mapped carries out NrMapped.
func (m *maps) mapped(number uint64, e syscall.Errno) {
	m.stepMu.Lock()
	defer m.stepMu.Unlock()
	if m.step == nil || m.step.number != number {
		return
	}
	select {
	case m.step.result <- e:
	default: // one that answers twice
	}
}

// place returns where size bytes are free, or 0.
func (m *maps) place(size uint64) uint64 {
	at := uint64(wire.MapBase)
	for _, r := range m.list {
		if r.start-at >= size {
			return at
		}
		at = r.end
	}
	if wire.MapEnd-at >= size {
		return at
	}
	return 0
}

// free reports whether a range of addresses is in no use.
func (m *maps) free(addr, size uint64) bool {
	return addr+size <= wire.MapEnd && !slices.ContainsFunc(m.list, func(r mapping) bool { return r.start < addr+size && addr < r.end })
}

// owns reports whether all mappings in a range have files of ours.
func (m *maps) owns(start, end uint64) bool {
	return !slices.ContainsFunc(m.list, func(r mapping) bool { return r.start < end && start < r.end && !r.own })
}

// insert enters a mapping; its addresses are free.
func (m *maps) insert(r mapping) {
	i, _ := slices.BinarySearchFunc(m.list, r.start, func(a mapping, start uint64) int {
		if a.start < start {
			return -1
		}
		return 1
	})
	m.list = slices.Insert(m.list, i, r)
}

// remove frees a range of addresses.
func (m *maps) remove(start, end uint64) {
	var list []mapping
	for _, r := range m.list {
		if r.end <= start || r.start >= end {
			list = append(list, r)
			continue
		}
		if r.start < start {
			list = append(list, mapping{r.start, start, r.own})
		}
		if r.end > end {
			list = append(list, mapping{end, r.end, r.own})
		}
	}
	m.list = list
}
