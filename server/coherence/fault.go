package coherence

import (
	"errors"
	"fmt"
	"time"
)

// Fault is an access that a process could not make.
type Fault struct {
	Process int
	Addr    uintptr // anywhere on the page
	Write   bool
	// WP says that the page is there and not writable; else it is missing.
	WP bool
	// Thread is the id of the thread on its host, where the session's host is that;
	// 0: it is not known.
	Thread int
	// Goroutine is the number of the one that the thread runs, where that is known already.
	Goroutine uint64
}

// Outcome says how a fault was answered.
type Outcome uint8

const (
	// Failed is the outcome beside an error.
	Failed Outcome = iota
	// Retried faults were answered already, or overtaken: who waits tries again.
	Retried
	// Zeroed faults met a hole on a page that the process has to itself.
	Zeroed
	// Shared faults got a read-only copy.
	Shared
	// Upgraded faults made a read-only copy the only one, and writable.
	Upgraded
	// Stolen faults got the page writable, from whoever had it.
	Stolen
	// Migrated faults are reads that got the page writable.
	Migrated
	// Deferred faults are to be handed in again after a while, see Handle.
	Deferred
	// PlainMemory faults are to be handed to Common.
	PlainMemory
	// Outcomes is the number of outcomes.
	Outcomes
)

var outcomeNames = [Outcomes]string{"failed", "retried", "zeroed", "shared", "upgraded", "stolen", "migrated", "deferred", "plain"}

func (o Outcome) String() string {
	if o < Outcomes {
		return outcomeNames[o]
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// Handle answers a fault: it moves or copies the page as is needed and wakes who
// waits. With an error nobody was woken. Where Unmapped(err), nothing has changed;
// after any other error the contents of the page may be lost.
//
// With the outcome Deferred nobody was woken either: it is another process's turn, and
// the fault is to be handed in again after wait. With PlainMemory nobody was, either: Common
// answers the fault.
func (d *Directory) Handle(f Fault) (outcome Outcome, wait time.Duration, err error) {
	outcome, _, wait, err = d.HandleFrom(f)
	return outcome, wait, err
}

// Origin says where the page of a fault was.
type Origin struct {
	Process int  // that had it, or one of them; that of the fault itself where it had it alone
	Wanders bool // processes take it from each other
}

// HandleFrom is Handle, and says where the page came from.
func (d *Directory) HandleFrom(f Fault) (outcome Outcome, from Origin, wait time.Duration, err error) {
	addr := f.Addr &^ (PageSize - 1)
	p, err := d.page(addr)
	if err == nil {
		p.mu.Lock()
		from = p.origin(f.Process)
		source, at := p.source(f.Process), d.sample(p, addr, f)
		outcome, wait, err = d.handle(p, addr, f)
		d.count(p, addr, f, outcome, source, at)
		p.mu.Unlock()
		if err == nil && (outcome == Shared || outcome == Stolen || outcome == Migrated) {
			err = d.wake(f.Process, addr)
		}
		if err == nil {
			return outcome, from, wait, nil
		}
	}
	kind := "read"
	if f.Write {
		kind = "write"
	}
	return Failed, from, 0, fmt.Errorf("coherence: process %d: %s of %#x: %w", f.Process, kind, f.Addr, err)
}

// origin returns where p is, from the point of view of process; p is locked.
func (p *page) origin(process int) Origin {
	from := Origin{int(p.owner), p.hold.wanders() || p.migration.score > 0}
	if p.exclusive {
		return from
	}
	for holder := range p.holders.All() {
		if holder != process {
			from.Process = holder
			break
		}
	}
	return from
}

// wake makes who waits for a page that was installed try again. On one host that is not
// done with the page locked: the kernel may run the thread at once, in place of this one, and
// the next process that wants the page would wait for that, too.
func (d *Directory) wake(process int, addr uintptr) error {
	m, err := d.memory(process)
	if err != nil {
		return err
	}
	if _, ok := m.(Far); ok {
		return nil
	}
	return m.Wake(addr)
}

// handle is Handle with p, the page at addr, locked.
func (d *Directory) handle(p *page, addr uintptr, f Fault) (outcome Outcome, wait time.Duration, err error) {
	m, err := d.memory(f.Process)
	if err != nil {
		return Failed, 0, err
	}
	if d.plainly(p, addr, f) {
		return PlainMemory, 0, nil
	}
	holds := p.holders.Has(f.Process)
	switch {
	case f.WP && !holds:
		// It lost the page between the fault and now. Once woken it will find the
		// page missing. To unprotect would be wrong: there may be a hole, which
		// the directory must hear of.
		return Retried, 0, m.Wake(addr)
	case f.WP && p.exclusive:
		return Retried, 0, m.Unprotect(addr)
	case f.WP:
		if done, err := d.upgradeAhead(p, addr, f.Process, m); done || err != nil {
			return Upgraded, 0, err
		}
		return Upgraded, 0, d.upgrade(p, addr, f.Process, m)
	case holds && (p.exclusive || p.holders.Len() == 1):
		// Never touched, or released by MADV_REMOVE; or there is a page, and
		// the fault is one that was answered already.
		p.exclusive, p.owner = true, int16(f.Process)
		if done, err := d.zeroAhead(p, addr, f.Process, m); done || err != nil {
			return Zeroed, 0, err
		}
		return Zeroed, 0, m.InstallZero(addr)
	}
	if wait = d.dwell(p, f.Process); wait > 0 {
		return Deferred, wait, nil
	}
	take := f.Write || !holds && p.exclusive && !d.options.NoMigration && p.migration.grant()
	outcome = Shared
	switch {
	case f.Write:
		outcome = Stolen
	case take:
		outcome = Migrated
	}
	if !holds && p.exclusive {
		if done, err := d.handleAhead(p, addr, f.Process, m, take); done || err != nil {
			return outcome, 0, err
		}
	}
	if take {
		return outcome, 0, d.steal(p, addr, f.Process, m)
	}
	// A holder gets here too, with a hole in a page that others have: its home
	// released it. They agree on the contents, so it gets those.
	return outcome, 0, d.share(p, addr, f.Process, m)
}

// The steps of the three transitions are in this order for the reasons given in
// the package comment: no process may read what is pinned before the pins
// are there (pin before install), a loser's pins are younger than its last access
// (drop before pin), and a page that a process can write to is in its held set
// as long as its words might not be pinned (hold before pin, release after it).

// share gives process a read-only copy.
func (d *Directory) share(p *page, addr uintptr, process int, to Memory) error {
	c := contents{buf: d.buffer(), to: to}
	defer d.buffers.Put(c.buf)
	affected := SetOf(process, int(p.home))
	exclusive, owner := p.exclusive, int(p.owner)
	if exclusive {
		affected.Add(owner)
		m, err := d.memory(owner)
		if err != nil {
			return err
		}
		if err := c.fetch(StepProtectRead, owner, m, addr); err != nil {
			return err
		}
	} else if err := d.read(p, addr, &c); err != nil {
		return err
	}
	p.migration.shared(p, process)
	p.exclusive = false
	p.holders.Add(process)
	d.pin(p, addr, c.words(), affected)
	if exclusive && owner != int(p.home) {
		d.release(owner, addr)
	}
	return c.install(addr, false)
}

// upgrade makes the read-only copy of process the only one, and writable.
func (d *Directory) upgrade(p *page, addr uintptr, process int, to Memory) error {
	start := d.now()
	c := contents{buf: d.buffer(), brief: true}
	defer d.buffers.Put(c.buf)
	if err := d.read(p, addr, &c); err != nil {
		return err
	}
	p.migration.upgraded(p, process)
	if err := d.take(p, addr, process, &c, nobody, start); err != nil {
		return err
	}
	return to.Unprotect(addr)
}

// steal gives process the page to itself.
func (d *Directory) steal(p *page, addr uintptr, process int, to Memory) error {
	start := d.now()
	c := contents{buf: d.buffer(), to: to}
	defer d.buffers.Put(c.buf)
	dropped := nobody
	if p.exclusive {
		owner, err := d.memory(int(p.owner))
		if err != nil {
			return err
		}
		step := StepProtectRead
		if _, ok := owner.(Taker); ok {
			step, dropped = StepTake, int(p.owner)
		}
		if err := c.fetch(step, int(p.owner), owner, addr); err != nil {
			return err
		}
	} else if err := d.read(p, addr, &c); err != nil {
		return err
	}
	if err := d.take(p, addr, process, &c, dropped, start); err != nil {
		c.discard()
		return err
	}
	return c.install(addr, true)
}

// take makes process the only holder, and pins the contents. The copy of dropped
// has been dropped already. It all began at start.
func (d *Directory) take(p *page, addr uintptr, process int, c *contents, dropped int, start time.Duration) error {
	affected := p.holders
	affected.Add(process)
	affected.Add(int(p.home))
	if err := d.drop(p, addr, process, dropped); err != nil {
		return err
	}
	if process != int(p.home) {
		d.hold(process, addr)
	}
	d.pin(p, addr, c.words(), affected)
	if p.exclusive && int(p.owner) != process {
		d.release(int(p.owner), addr)
	}
	p.holders = SetOf(process)
	p.owner, p.exclusive = int16(process), true
	d.granted(p, addr, process, start)
	return nil
}

// drop drops all copies of p but those of keep and of dropped. It waits for far ones
// at the same time.
func (d *Directory) drop(p *page, addr uintptr, keep, dropped int) (err error) {
	var waiting []func() error
	for holder := range p.holders.All() {
		if holder == keep || holder == dropped {
			continue
		}
		m, e := d.memory(holder)
		if e == nil {
			if far, ok := m.(Far); ok {
				waiting = append(waiting, far.StartDrop(addr))
				continue
			}
			e = m.Drop(addr)
		}
		if e != nil {
			err = fmt.Errorf("taking the copy of process %d: %w", holder, e)
			break
		}
	}
	for _, done := range waiting {
		if e := done(); e != nil && err == nil {
			err = fmt.Errorf("taking a copy: %w", e)
		}
	}
	return err
}

// read gets the contents of a page that is read-only everywhere. The copies are
// equal, except that the home's may be a hole because it released the page. So
// another one is preferred, but not a far one to a home that has the page: what is a
// hole after the home was read was one, as it gets the page back by a fault only.
func (d *Directory) read(p *page, addr uintptr, c *contents) error {
	from, far := nobody, true
	var m Memory
	for holder := range p.holders.All() {
		if holder == int(p.home) || from != nobody && !far {
			continue
		}
		next, err := d.memory(holder)
		if err != nil {
			return err
		}
		if _, ok := next.(Far); !ok || from == nobody {
			from, far, m = holder, ok, next
		}
	}
	if far && p.holders.Has(int(p.home)) {
		home, err := d.memory(int(p.home))
		if err != nil {
			return err
		}
		near, ok := home.(Near)
		if ok {
			if err := d.readFrom(int(p.home), home, addr, c.buf); err != nil {
				return err
			}
			if present, err := near.Present(addr); present || err != nil {
				return err
			}
		}
		if from == nobody {
			from, m = int(p.home), home
		}
	}
	return c.fetch(StepRead, from, m, addr)
}

func (d *Directory) readFrom(process int, m Memory, addr uintptr, buf *[PageSize]byte) error {
	if err := m.Read(addr, buf); err != nil {
		return fmt.Errorf("reading the copy of process %d: %w", process, err)
	}
	return nil
}

func (d *Directory) buffer() *[PageSize]byte { return d.buffers.Get().(*[PageSize]byte) }

// Unmapped says whether err is about an access to where no memory is: the
// program is at fault, not the directory.
func Unmapped(err error) bool { return errors.Is(err, ErrUnmapped) }
