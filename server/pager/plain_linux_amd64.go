package pager

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"remotec.dev/server/coherence"
)

// Mapper has a process map length bytes of file, whose offset for an address is that of the
// layout, at addr in place of what is there.
type Mapper func(process, file int, addr, length uintptr) error

// plain is what the directory does with memory without pointers. A process keeps two tables
// at the end of its memfd, with a byte for each of the pages that its runtime counts in: in one it
// says which have no pointers, in the other the pager says which are common.
// remotec_plain.go in the patched runtime has the same figures.
type plain struct{ p *Pager }

var _ coherence.Plain = plain{}

const (
	// RuntimePage is the unit of the tables in bytes.
	RuntimePage = 8192

	kindPlain = 1    // no pointers
	kindStart = 0x80 // first page of an object, or of a span of small ones

	// largeRegion is from which size on, in bytes, a region is made at the first fault.
	largeRegion = 128 << 10
)

// tables are those of one process; nil where it has none.
type tables struct{ kinds, common []byte }

// mapTables maps the tables of a process, if its file has them.
func (a *attached) mapTables(size int64) error {
	n := int64(a.layout.SlotSize / RuntimePage)
	if size < a.layout.FileSize()+2*n {
		return nil
	}
	all, err := unix.Mmap(a.memfd, a.layout.FileSize(), int(2*n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		return fmt.Errorf("mapping the tables of its memory: %w", err)
	}
	a.all, a.tables = all, &tables{kinds: all[:n], common: all[n:]}
	return nil
}

// fence keeps what is read after it from being read before what was written before it. Here
// that takes an operation with a lock prefix.
var fence atomic.Uint32

// SetMapper makes f what has processes map memory. Until then, and where all
// processes are not on this host, nothing is made common.
func (p *Pager) SetMapper(f Mapper) { p.mapper.Store(&f) }

// Uncommon is called when process is about to use memory of its own for something else
// that it was told is common.
func (p *Pager) Uncommon(process int, addr, length uintptr) error {
	slot := p.config.Layout.Slot(process)
	if addr%RuntimePage != 0 || length%RuntimePage != 0 || addr < slot.Start || length > slot.End-addr || addr > slot.End {
		return fmt.Errorf("pager: process %d gives up %#x bytes at %#x, which are not its own", process, length, addr)
	}
	return p.directory.Uncommon(process, coherence.Range{Start: addr, End: addr + length})
}

// of returns the tables of a home, and where addr is in them.
func (l plain) of(home int, addr uintptr) (*tables, int) {
	if l.p.mapper.Load() == nil {
		return nil, 0
	}
	t := l.p.tables[home].Load()
	slot := l.p.config.Layout.Slot(home)
	if t == nil || !slot.Contains(addr) {
		return nil, 0
	}
	return t, int((addr - slot.Start) / RuntimePage)
}

// Pointerless implements [coherence.Plain].
func (l plain) Pointerless(home int, addr uintptr) bool {
	t, at := l.of(home, addr)
	return t != nil && t.kinds[at]&kindPlain != 0
}

// Region implements [coherence.Plain].
func (l plain) Region(home int, addr uintptr) (r coherence.Range, large, ok bool) {
	t, at := l.of(home, addr)
	if t == nil || t.kinds[at]&kindPlain == 0 {
		return r, false, false
	}
	const perGranule = coherence.Granule / RuntimePage
	first := at &^ (perGranule - 1)
	start, end := at, at+1
	for start > first && t.kinds[start]&kindStart == 0 {
		if start--; t.kinds[start]&kindPlain == 0 {
			return r, false, false // it changes just now
		}
	}
	for end < first+perGranule && t.kinds[end] == kindPlain {
		end++
	}
	base := l.p.config.Layout.Slot(home).Start
	r = coherence.Range{Start: base + uintptr(start)*RuntimePage, End: base + uintptr(end)*RuntimePage}
	large = r.End-r.Start >= largeRegion ||
		start == first && t.kinds[start]&kindStart == 0 || end == first+perGranule && end < len(t.kinds) && t.kinds[end] == kindPlain
	return r, large, true
}

// Claim implements [coherence.Plain].
func (l plain) Claim(home int, r coherence.Range) bool {
	t, at := l.of(home, r.Start)
	if t == nil {
		return false
	}
	l.set(t, at, r, 1)
	fence.Add(1)
	if now, _, ok := l.Region(home, r.Start); !ok || now != r {
		l.set(t, at, r, 0)
		return false
	}
	return true
}

// Release implements [coherence.Plain].
func (l plain) Release(home int, r coherence.Range) {
	if t, at := l.of(home, r.Start); t != nil {
		l.set(t, at, r, 0)
	}
}

func (l plain) set(t *tables, at int, r coherence.Range, v byte) {
	copy(t.common[at:], bytes.Repeat([]byte{v}, int((r.End-r.Start)/RuntimePage)))
}

// Map implements [coherence.Plain].
func (l plain) Map(process, home int, r coherence.Range) error {
	l.p.mu.Lock()
	from := l.p.attached[home]
	l.p.mu.Unlock()
	if from == nil {
		return fmt.Errorf("process %d has not joined the session", home)
	}
	return (*l.p.mapper.Load())(process, from.memfd, r.Start, r.End-r.Start)
}

// Unmap implements [coherence.Plain].
func (l plain) Unmap(process int, r coherence.Range) error {
	l.p.mu.Lock()
	a := l.p.attached[process]
	l.p.mu.Unlock()
	if a == nil {
		return fmt.Errorf("process %d has not joined the session", process)
	}
	if err := (*l.p.mapper.Load())(process, a.memfd, r.Start, r.End-r.Start); err != nil {
		return err
	}
	return a.check("registering", r.Start, func() error { return Register(a.uffd, r.Start, r.End-r.Start) })
}
