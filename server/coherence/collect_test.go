package coherence

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// world is a program with a garbage collector in each process, on top of the real
// directory and pins, in one random interleaving. An object is two words.
type world struct {
	layout    Layout
	directory *Directory
	fakes     []*fake
	r         *rand.Rand
	procs     []*collector
	whole     *Whole // nil: no whole marks
	clock     *wholeClock
	swept     int
	err       error
}

type collector struct {
	*world
	*fake
	regs      []uintptr
	allocated map[uintptr]bool // objects of the slot

	marking bool
	black   []bool           // registers that are scanned
	marked  map[uintptr]bool // own objects
	grey    []uintptr        // own objects
	met     map[uintptr]bool
	pages   []uintptr

	stopped bool             // the program does not run
	part    bool             // of a whole mark
	held    []uintptr        // pages that are roots if that fails
	told    map[uintptr]bool // of met
}

const (
	worldPages = 2
	objectSize = 16
	perPage    = 6
)

func newWorld(n int, seed uint64) *world {
	layout := Layout{Base: 1 << 32, SlotSize: 2 << 20, Slots: n}
	d, fakes := newFakes(layout, Options{})
	for i := range fakes {
		if seed/3>>i&1 == 1 {
			makeDirect(d, fakes, i)
		}
	}
	w := &world{layout: layout, directory: d, fakes: fakes, r: rand.New(rand.NewPCG(seed, 1))}
	for _, m := range fakes {
		w.procs = append(w.procs, &collector{world: w, fake: m, regs: make([]uintptr, 4), allocated: make(map[uintptr]bool)})
	}
	return w
}

func (w *world) check(err error) {
	if err != nil && w.err == nil {
		w.err = err
	}
}

// places returns the places of objects in the slot of process.
func (w *world) places(process int) (all []uintptr) {
	for page := range uintptr(worldPages) {
		for i := range uintptr(perPage) {
			all = append(all, w.layout.Slot(process).Start+page*PageSize+objectSize*(i+1))
		}
	}
	return all
}

func (c *collector) shade(addr uintptr) {
	if addr == 0 || !c.marking {
		return
	}
	if home, _ := c.layout.Home(addr); home != c.id {
		c.met[addr] = true
	} else if c.allocated[addr] && !c.marked[addr] {
		c.marked[addr] = true
		c.grey = append(c.grey, addr)
	}
}

// set is a pointer store with its write barrier.
func (c *collector) set(addr, value uintptr) {
	old, err := c.load(addr)
	c.check(err)
	c.shade(old)
	c.shade(value)
	c.check(c.store(addr, value))
}

// mutate makes one step of the program.
func (c *collector) mutate() {
	reg := &c.regs[c.r.IntN(len(c.regs))]
	other := c.regs[c.r.IntN(len(c.regs))]
	field := uintptr(8 * c.r.IntN(2))
	switch c.r.IntN(8) {
	case 0:
		for _, addr := range c.places(c.id) {
			if !c.allocated[addr] {
				c.allocated[addr] = true
				if c.marking {
					c.marked[addr] = true
				}
				*reg = addr
				c.set(addr, 0)
				c.set(addr+8, 0)
				break
			}
		}
	case 1:
		*reg = 0
	case 2:
		if other != 0 {
			c.set(other+field, 0)
		}
	case 3, 4:
		if other != 0 && *reg != 0 {
			c.set(other+field, *reg)
		}
	case 5, 6:
		if other != 0 {
			v, err := c.load(other + field)
			c.check(err)
			*reg = v
		}
	case 7: // a message, which arrives at once
		if other != 0 {
			to := c.procs[c.r.IntN(len(c.procs))]
			owner, _ := c.layout.Home(other)
			token := c.world.directory.pins.Hold(owner, other)
			to.regs[c.r.IntN(len(to.regs))] = other
			c.world.directory.pins.Deliver(token, to.id)
		}
	}
}

// scanPage shades all words of a page, at home or not.
func (c *collector) scanPage(page uintptr) {
	_, err := c.load(page)
	c.check(err)
	c.mu.Lock()
	words := c.fake.pages[page].words
	c.mu.Unlock()
	for _, word := range words {
		if _, ok := c.layout.Home(word); ok {
			c.shade(word)
		}
	}
}

// collect makes one step of the garbage collection.
func (c *collector) collect() {
	pins := c.world.directory.pins
	if !c.marking {
		answer := No
		if c.whole != nil {
			if c.r.IntN(10) == 0 {
				c.whole.Ask()
			}
			if answer = c.whole.Ready(c.id); answer == Wait {
				return
			}
		}
		c.marking = true
		c.black = make([]bool, len(c.regs))
		c.marked, c.met, c.grey = make(map[uintptr]bool), make(map[uintptr]bool), nil
		c.told = make(map[uintptr]bool)
		var roots []uintptr
		if answer == Go {
			roots, c.part = c.whole.Begin(c.id)
			c.stopped = c.part
		} else {
			roots = pins.Begin(c.id)
		}
		for _, root := range roots {
			c.shade(root)
		}
		c.held = c.world.directory.HeldExclusive(c.id)
		if !c.part {
			c.pages = c.held
		}
		return
	}
	if c.stopped { // before the first step
		switch c.whole.Begun(c.id) {
		case Wait:
			return
		case No:
			c.fall()
		}
		c.stopped = false
		return
	}
	if len(c.grey) > 0 {
		addr := c.grey[len(c.grey)-1]
		c.grey = c.grey[:len(c.grey)-1]
		for i := range uintptr(2) {
			v, err := c.load(addr + 8*i)
			c.check(err)
			c.shade(v)
		}
		return
	}
	if len(c.pages) > 0 {
		c.scanPage(c.pages[0])
		c.pages = c.pages[1:]
		return
	}
	if !c.black[0] { // the stack, at once
		for i, v := range c.regs {
			c.shade(v)
			c.black[i] = true
		}
		return
	}
	c.since()
	if len(c.grey) > 0 {
		return
	}
	if c.part {
		c.vote()
		return
	}
	c.finish()
}

// finish is mark termination: the world is stopped since the last since.
func (c *collector) finish() {
	var met []uintptr
	for addr := range c.met {
		met = append(met, addr)
	}
	reachable := c.reachable()
	for addr := range c.allocated {
		if c.marked[addr] {
			continue
		}
		if reachable[addr] {
			c.check(fmt.Errorf("process %d sweeps %#x, which is reachable", c.id, addr))
		}
		delete(c.allocated, addr)
		c.swept++
	}
	if c.whole != nil {
		c.whole.End(c.id, met)
	} else {
		c.world.directory.pins.End(c.id, met)
	}
	c.marking, c.part = false, false
}

func (c *collector) since() {
	for _, addr := range c.world.directory.pins.Since(c.id) {
		c.shade(addr)
	}
}

// fall makes the mark an ordinary one.
func (c *collector) fall() {
	c.part, c.pages = false, c.held
	c.since()
}

// vote ends the whole mark, if all have nothing to do. It takes no time: the worlds stop
// and go on within it.
func (c *collector) vote() {
	c.tell()
	switch c.whole.Quiet(c.id) {
	case No:
		c.fall()
		return
	case Again:
		c.since()
		c.whole.Withdraw(c.id, len(c.grey) > 0)
		return
	case Wait:
		return
	}
	won := false
	for round := 0; !won; round++ { // until nobody is told anything new
		for _, p := range c.procs {
			p.tell()
			answer := No
			if len(p.grey) == 0 && round < 4 {
				answer = c.whole.Vote(p.id)
			}
			switch answer {
			case Again:
				p.since()
			case Go:
				won = true
			case No:
				for _, p := range c.procs {
					c.whole.Withdraw(p.id, len(p.grey) > 0)
				}
				return
			}
		}
	}
	for _, p := range c.procs {
		if answer := c.whole.Vote(p.id); answer != Go {
			c.check(fmt.Errorf("process %d is told %d at the end of a whole mark", p.id, answer))
		}
		p.finish()
	}
}

// tell tells the owners what was met.
func (c *collector) tell() {
	var list []uintptr
	for addr := range c.met {
		if !c.told[addr] {
			c.told[addr] = true
			list = append(list, addr)
		}
	}
	if len(list) > 0 {
		c.whole.Met(c.id, list)
	}
}

// reachable returns what the registers of all processes lead to.
func (w *world) reachable() map[uintptr]bool {
	set := make(map[uintptr]bool)
	var visit func(uintptr)
	visit = func(addr uintptr) {
		if addr == 0 || set[addr] {
			return
		}
		set[addr] = true
		visit(peek(w.directory, w.fakes, addr))
		visit(peek(w.directory, w.fakes, addr+8))
	}
	for _, c := range w.procs {
		for _, v := range c.regs {
			visit(v)
		}
	}
	return set
}

func (w *world) run(steps int) error {
	for range steps {
		c := w.procs[w.r.IntN(len(w.procs))]
		if w.whole != nil && w.r.IntN(5000) == 0 {
			w.clock.at = w.clock.at.Add(2 * time.Second)
		}
		if c.stopped || w.r.IntN(3) == 0 {
			c.collect()
		} else {
			c.mutate()
		}
		if w.err != nil {
			return w.err
		}
	}
	return nil
}

// TestCollectors runs programs with garbage collectors on the real directory and
// pins.
func TestCollectors(t *testing.T) {
	swept := 0
	for seed := range uint64(12) {
		w := newWorld(2+int(seed%3), seed)
		if err := w.run(50000); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		swept += w.swept
	}
	t.Logf("%d objects swept", swept)
	if swept < 1000 {
		t.Errorf("%d objects were swept: the test proves little", swept)
	}
}

// TestWholeCollectors is TestCollectors with whole marks, which fail now and then.
func TestWholeCollectors(t *testing.T) {
	swept, done, failed := 0, 0, 0
	for seed := range uint64(12) {
		w := newWorld(2+int(seed%3), seed)
		w.whole, w.clock = newTestWhole(w.directory.pins)
		if err := w.run(50000); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		swept += w.swept
		d, f := w.whole.Counts()
		done, failed = done+d, failed+f
	}
	t.Logf("%d objects swept; %d whole marks, %d more failed", swept, done, failed)
	if swept < 1000 || done < 100 || failed < 20 {
		t.Error("the test proves little")
	}
}

// TestCollectorsFindOmissions is the test of TestCollectors.
func TestCollectorsFindOmissions(t *testing.T) {
	for name, omit := range map[string]unsoundness{
		"no log":            {noLog: true},
		"no pins for pages": {noPage: true},
		"no roots later":    {noFall: true},
	} {
		found := false
		for seed := uint64(0); seed < 100 && !found; seed++ {
			w := newWorld(2, seed)
			w.directory.pins.unsound = omit
			if omit.noFall {
				w.whole, w.clock = newTestWhole(w.directory.pins)
				w.directory.options.NoAhead = true // what moves is pinned, and so few objects are left to lose
			}
			found = w.run(25000) != nil
		}
		if !found {
			t.Errorf("%s: nothing was lost", name)
		}
	}
}
