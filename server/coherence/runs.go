package coherence

import (
	"fmt"
	"sync"
)

// Going ahead. A process that reads or writes pages of one owner one after the other,
// by faults, is given further ones at once: twice as many each time, up to
// maxRun, or maxTaken if it takes them from others; and as many as before where it begins again. So is one
// that writes to its copies of pages that others have read.
//
// Invariants: a run is a sequence of pages of one granule, all exclusive at the same
// owner, which has them (no holes), or all with the same holders, locked in ascending order. Those that turn out to be
// no part of it may be write-protected: their owner's next write unprotects them. What is done with one
// page is done with all, in the order of the package comment.

// Runs is a Memory that carries out operations on several neighbouring pages at once.
type Runs interface {
	Memory
	// ProtectRun is Protect of the pages that data, in which it is Read to, has room
	// for, up to the first hole, or page of zeros. It returns how many these are.
	ProtectRun(page uintptr, data [][PageSize]byte) (int, error)
	// ZeroRun is InstallZero of n pages, perhaps only up to the first that is no hole.
	ZeroRun(page uintptr, n int) error
	// DropRun is Drop of n pages.
	DropRun(page uintptr, n int) error
	// InstallRun is Install of data.
	InstallRun(page uintptr, data [][PageSize]byte, writable bool) error
}

// NearRuns is a Runs on this host.
type NearRuns interface {
	Runs
	Near
	// UnprotectRun is Unprotect of n pages.
	UnprotectRun(page uintptr, n int) error
}

const (
	// maxRun is the largest number of pages that a fault is answered with. Of 64 MiB of pointers, 256 are read 1.15 times as
	// fast as 64.
	maxRun = 256
	// maxTaken is the largest number of those that others have no more. What was too many they get back by a fault each,
	// at first.
	maxTaken = 64
)

// runBuffer is room for a run.
type runBuffer struct {
	data [maxRun][PageSize]byte
	sent [maxRun]Sent
}

// readers are the places where a process goes on, and where it began: what is written and
// read over and over, a ring above all, it begins again.
type readers struct {
	mu   sync.Mutex
	runs [4]run // most recent first
}

type run struct {
	start uintptr // first page
	next  uintptr // page that continues it
	size  int     // pages that the last fault was answered with
	whole int     // pages that it had when it was begun again
}

// ahead returns how many pages a fault at page is to be answered with.
func (r *readers) ahead(page uintptr) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, known := range r.runs {
		switch page {
		case known.next:
			return min(2*known.size, maxRun)
		case known.start:
			return min(max(known.pages(), known.whole), maxRun)
		}
	}
	return 1
}

func (known run) pages() int { return int((known.next - known.start) / PageSize) }

// answered notes that a fault at page was answered with n pages.
func (r *readers) answered(page uintptr, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, next := len(r.runs)-1, run{start: page, size: n}
	for i, known := range r.runs {
		if known.next == page {
			at, next = i, run{start: known.start, size: n, whole: known.whole}
			break
		}
		if known.start == page {
			at, next.whole = i, known.pages()
			break
		}
	}
	next.next = page + uintptr(n)*PageSize
	copy(r.runs[1:at+1], r.runs[:at])
	r.runs[0] = next
}

// handleAhead answers a fault on p, at addr, which is exclusive elsewhere, together with
// those that are to be expected on the next pages if process goes on: it gets read-only
// copies, or takes the pages. It reports false, and has done nothing, where only p is
// to be dealt with.
func (d *Directory) handleAhead(p *page, addr uintptr, process int, to Memory, take bool) (done bool, err error) {
	reader := &d.readers[process]
	n := reader.ahead(addr)
	target, ok := to.(Runs)
	if take {
		n = min(n, maxTaken)
	}
	if n < 2 || !ok || d.options.NoAhead {
		reader.answered(addr, 1)
		return false, nil
	}
	owner := int(p.owner)
	m, err := d.memory(owner)
	if err != nil {
		return false, err
	}
	source, ok := m.(Runs)
	if !ok {
		return false, nil
	}
	pages, err := d.lockAhead(p, addr, n)
	defer unlockAhead(pages)
	if err != nil {
		return false, err
	}
	buf := d.runs.Get().(*runBuffer)
	defer d.runs.Put(buf)
	if len(pages) > chunk && !take && !isFar(m) && !isFar(to) {
		c := chunks{d: d, pages: pages, addr: addr, process: process, owner: owner, source: source, target: target, buf: buf}
		if n, err = c.share(); n > 0 || err != nil {
			reader.answered(addr, n)
			return n > 0, err
		}
		reader.answered(addr, 1)
		return false, nil
	}
	data, sent := buf.data[:], buf.sent[:]
	clear(sent)
	direct, _ := m.(Direct)
	if direct != nil && !direct.Reaches(to) {
		direct = nil
	}
	if n = len(pages); n > 1 {
		if direct != nil {
			n, err = direct.SendRun(addr, to, data[:n], sent[:n])
		} else {
			n, err = source.ProtectRun(addr, data[:n])
		}
		if err != nil {
			return false, err
		}
	}
	if n < 2 {
		discard(to, sent[:n])
		reader.answered(addr, 1)
		return false, nil
	}
	data = data[:n]
	start := d.now()
	if take {
		if err := source.DropRun(addr, n); err != nil {
			discard(to, sent[:n])
			return false, err
		}
	}
	affected := SetOf(process, int(p.home), owner)
	for i, q := range pages[:n] {
		at := addr + uintptr(i)*PageSize
		if take && process != int(q.home) {
			d.hold(process, at)
		}
		d.pin(q, at, sent[i].words(&data[i]), affected)
		if owner != int(q.home) {
			d.release(owner, at)
		}
		if take {
			q.holders = SetOf(process)
			q.owner = int16(process)
			d.granted(q, at, process, start)
		} else {
			q.migration.shared(q, process)
			q.exclusive = false
			q.holders.Add(process)
		}
	}
	reader.answered(addr, n)
	if direct == nil {
		return true, target.InstallRun(addr, data, take)
	}
	return true, to.(Direct).InstallRunSent(addr, data, sent, take)
}

// upgradeAhead makes the read-only copy that process has of p, at addr, the only one, and writable, together
// with those of the next pages. It reports false as handleAhead does.
func (d *Directory) upgradeAhead(p *page, addr uintptr, process int, to Memory) (done bool, err error) {
	writer := &d.writers[process]
	n := min(writer.ahead(addr), maxTaken)
	target, ok := to.(NearRuns)
	var losers []NearRuns
	for holder := range p.holders.All() {
		if holder != process && n > 1 {
			m, err := d.memory(holder)
			if err != nil {
				return false, err
			}
			near, isNear := m.(NearRuns)
			losers, ok = append(losers, near), ok && isNear
		}
	}
	if n < 2 || !ok || d.options.NoAhead {
		writer.answered(addr, 1)
		return false, nil
	}
	pages, err := d.lockCopies(p, addr, n, target)
	defer unlockAhead(pages)
	if err != nil {
		return false, err
	}
	if n = len(pages); n < 2 {
		writer.answered(addr, 1)
		return false, nil
	}
	start := d.now()
	buf := d.runs.Get().(*runBuffer)
	defer d.runs.Put(buf)
	for i, q := range pages {
		c := contents{buf: &buf.data[i], brief: true}
		if err := d.read(q, addr+uintptr(i)*PageSize, &c); err != nil {
			return false, err
		}
		buf.sent[i] = c.sent
	}
	for _, m := range losers {
		if err := m.DropRun(addr, n); err != nil {
			return false, fmt.Errorf("taking copies: %w", err)
		}
	}
	affected := p.holders
	affected.Add(int(p.home))
	for i, q := range pages {
		at := addr + uintptr(i)*PageSize
		q.migration.upgraded(q, process)
		if process != int(q.home) {
			d.hold(process, at)
		}
		d.pin(q, at, buf.sent[i].words(&buf.data[i]), affected)
		q.holders = SetOf(process)
		q.owner, q.exclusive = int16(process), true
		d.granted(q, at, process, start)
	}
	writer.answered(addr, n)
	return true, target.UnprotectRun(addr, n)
}

// zeroAhead answers a fault on p, at addr, a hole that process has to itself, together
// with those on the next pages. It reports false as handleAhead does.
func (d *Directory) zeroAhead(p *page, addr uintptr, process int, to Memory) (done bool, err error) {
	reader := &d.readers[process]
	n := reader.ahead(addr)
	target, ok := to.(Runs)
	if n < 2 || !ok || d.options.NoAhead {
		reader.answered(addr, 1)
		return false, nil
	}
	pages, err := d.lockAhead(p, addr, n)
	defer unlockAhead(pages)
	if err != nil {
		return false, err
	}
	reader.answered(addr, len(pages))
	return true, target.ZeroRun(addr, len(pages))
}

// lockAhead locks pages that follow p, at addr: those that are p's owner's as well,
// and that it is not to keep. It returns what lockRun does.
func (d *Directory) lockAhead(p *page, addr uintptr, n int) ([]*page, error) {
	return d.lockRun(p, addr, n, func(q *page, _ uintptr) (bool, error) {
		return q.exclusive && q.owner == p.owner && !d.kept(q), nil
	})
}

// lockCopies is lockAhead for pages that have the holders of p, of whom m, the memory of one, has no hole there.
func (d *Directory) lockCopies(p *page, addr uintptr, n int, m Near) ([]*page, error) {
	return d.lockRun(p, addr, n, func(q *page, at uintptr) (bool, error) {
		if q.exclusive || q.holders != p.holders {
			return false, nil
		}
		return m.Present(at)
	})
}

// lockRun locks pages that follow p, at addr, as long as they have p's home and are alike. It returns at most n of
// one granule, of which p is the first, to be given to unlockAhead, with an error, too.
func (d *Directory) lockRun(p *page, addr uintptr, n int, alike func(q *page, at uintptr) (bool, error)) (pages []*page, err error) {
	n = min(n, int((d.layout.GranuleOf(addr).End-addr)/PageSize))
	pages = []*page{p}
	for len(pages) < n {
		at := addr + uintptr(len(pages))*PageSize
		q, err := d.page(at)
		if err != nil {
			return pages, err
		}
		// No waiting: who has it may wait for a page before it.
		if !q.mu.TryLock() {
			break
		}
		same := q.home == p.home && q.region == nil
		if same {
			same, err = alike(q, at)
		}
		if !same || err != nil {
			q.mu.Unlock()
			return pages, err
		}
		pages = append(pages, q)
	}
	return pages, nil
}

// unlockAhead unlocks what lockRun has locked.
func unlockAhead(pages []*page) {
	for _, q := range pages[1:] {
		q.mu.Unlock()
	}
}
