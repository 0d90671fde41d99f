package coherence

import "sync"

// Going ahead. A process that reads or writes pages of one owner one after the other,
// by faults, is given further ones at once: twice as many each time, up to
// maxRun; and as many as before where it begins again.
//
// Invariants: a run is a sequence of pages of one granule, all exclusive at the same
// owner, which has them (no holes), locked in ascending order. Those that turn out to be
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

// maxRun is the largest number of pages that a fault is answered with.
const maxRun = 64

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
// and that it is not to keep. It returns at most n of one granule, of which p is the first,
// to be given to unlockAhead, with an error, too.
func (d *Directory) lockAhead(p *page, addr uintptr, n int) (pages []*page, err error) {
	n = min(n, int((d.layout.GranuleOf(addr).End-addr)/PageSize))
	pages = []*page{p}
	for len(pages) < n {
		q, err := d.page(addr + uintptr(len(pages))*PageSize)
		if err != nil {
			return pages, err
		}
		// No waiting: who has it may wait for a page before it.
		if !q.mu.TryLock() {
			break
		}
		if !q.exclusive || q.owner != p.owner || q.home != p.home || q.region != nil || d.kept(q) {
			q.mu.Unlock()
			break
		}
		pages = append(pages, q)
	}
	return pages, nil
}

// unlockAhead unlocks what lockAhead has locked.
func unlockAhead(pages []*page) {
	for _, q := range pages[1:] {
		q.mu.Unlock()
	}
}
