package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"remotec.dev/internal/linker"
	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/coherence"
	"remotec.dev/server/fds"
)

// Sessions of several processes: how further ones attach, what they say to
// each other, and their memory.
//
// Invariants: messages from one process to another arrive in the order in
// which they were posted. A function value on its way is pinned from before its
// message is sent until the receiver's collector has counted the message. Processes
// on one host have another way to each other, in package mail, of which the session
// hears only what matters for garbage collection and deadlock.

// Address ranges of the heaps; the patched runtime has the same in
// remotec_memory.go.
const (
	heapBase = wire.SlotBase
	slotSize = 1 << 40
	// MaxProcesses is how many processes a session can have.
	MaxProcesses = 64
)

// Layout returns the layout of the memory of n processes that run the
// executable at path.
func Layout(path string, n int) (coherence.Layout, error) {
	data, bss, err := linker.Bounds(path)
	if err != nil {
		return coherence.Layout{}, err
	}
	return coherence.Layout{Base: heapBase, SlotSize: slotSize, Slots: n, Globals: []coherence.Range{
		{Start: uintptr(data.Lo), End: uintptr(data.Hi)}, {Start: uintptr(bss.Lo), End: uintptr(bss.Hi)},
	}}, nil
}

// Join takes a further process into the session, as Open does the first. Run
// reads what it sends.
func (s *Session) Join(number int, r *fds.FrameReader, a *wire.Attach) (interface{ Run() error }, error) {
	p := newProcess(s, number, r)
	p.pid = int(a.PID)
	if a.BuildID != s.attach.BuildID {
		return nil, fmt.Errorf("process %d runs another binary than the first", number)
	}
	if err := p.answer(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("the session is over")
	}
	s.procs[number] = p
	if !s.accounted.IsZero() {
		go p.event(&wire.Event{Kind: wire.EventAccount})
	}
	s.cfg.Log.Debug("process attached", "process", number, "pid", p.pid)
	return p, nil
}

// eventTo sends e to a process.
func (s *Session) eventTo(number int, e *wire.Event) error {
	s.mu.Lock()
	if number < 0 || number >= len(s.procs) || s.procs[number] == nil {
		s.mu.Unlock()
		return fmt.Errorf("event for process %d of %d, which has not attached", number, len(s.procs))
	}
	p := s.procs[number]
	if s.Retired(number) {
		s.mu.Unlock()
		return fmt.Errorf("event for process %d, which has retired", number)
	}
	if s.slow != nil && e.Kind == wire.EventProbe {
		s.slow[number].put(e)
		p = nil
	}
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	return p.event(e)
}

// pass passes a message of process p on: it is written when p has no more, or
// with the next event. It waits until the memory that it is about can be read by
// the receiver.
func (p *process) pass(number int, e *wire.Event) {
	s := p.s
	s.mu.Lock()
	to := s.procs[number]
	switch {
	case !s.shared[number]:
		s.waiting[number] = append(s.waiting[number], *e)
		to = nil
	case s.slow != nil:
		s.slow[number].put(e)
		to = nil
	}
	s.mu.Unlock()
	if to == nil {
		return
	}
	to.sendMu.Lock()
	to.queue(e) // an error is a process that ends, and says so itself
	to.sendMu.Unlock()
	if !slices.Contains(p.touched, to) {
		p.touched = append(p.touched, to)
	}
}

// sharing notes that the memory of process p is served, and sends it what
// waited for that.
func (s *Session) sharing(p *process) error {
	p.sendMu.Lock() // nothing overtakes what waited
	defer p.sendMu.Unlock()
	s.mu.Lock()
	s.shared[p.number] = true
	if !slices.Contains(s.shared, false) {
		close(s.served)
	}
	waiting := s.waiting[p.number]
	s.waiting[p.number] = nil
	s.mu.Unlock()
	for i := range waiting {
		if err := p.send(&waiting[i]); err != nil {
			return err
		}
	}
	return nil
}

// shareMemory takes the memory that the process sends with l. On another host its
// descriptors stay with that host's node.
func (p *process) shareMemory(l *wire.Link) error {
	s := p.s
	var hand []int
	if p.far == nil {
		if hand = p.frames.Take(2); hand == nil {
			return errors.New("memory frame without descriptors")
		}
	}
	if err := s.checkKey(l); err != nil {
		return err
	}
	if s.cfg.Memory == nil {
		return errors.New("memory for a session of one process")
	}
	s.mu.Lock()
	again := s.shared[p.number] || p.memory
	p.memory = true
	s.mu.Unlock()
	if again {
		return errors.New("memory of a process twice")
	}
	for i, fd := range hand {
		var err error
		if hand[i], err = s.cfg.Space.Adopt(fd); err != nil {
			return err
		}
	}
	if p.number != 0 {
		// Whatever it touches first is a global of process 0.
		select {
		case <-s.home:
		case <-s.ended:
			return nil
		}
	}
	attach := p.far
	if attach == nil {
		attach = func() error { return s.cfg.Memory.Attach(p.number, hand[0], hand[1]) }
	}
	if err := attach(); err != nil {
		return fmt.Errorf("memory of process %d: %w", p.number, err)
	}
	if p.number == 0 {
		close(s.home)
	}
	if err := p.event(&wire.Event{Kind: wire.EventMemory}); err != nil {
		return err
	}
	return s.sharing(p)
}

// post carries out NrPost. An error is a process that does not keep to the
// protocol.
func (p *process) post(c *wire.Call) error {
	s, target, kind := p.s, int(c.Args[0]), uint32(c.Args[1])
	if c.Args[0] >= uint64(len(s.procs)) || target == p.number || s.cfg.Memory == nil {
		return fmt.Errorf("message for process %d from process %d of %d", c.Args[0], p.number, len(s.procs))
	}
	s.posts.Add(1)
	if kind == wire.PostRefs {
		p.refer(target, c.Blobs[0])
		p.posted.Add(1)
		return nil
	}
	e := wire.Event{Kind: wire.EventPost, N: kind, A: c.Args[2], B: c.Args[3], C: c.Args[4], D: c.Args[5], Text: string(c.Blobs[0])}
	f := &s.flights[target]
	f.mu.Lock() // the order of tokens is that of the events
	defer f.mu.Unlock()
	// What may be a reference that nobody else keeps alive: the function, or
	// elements.
	f.sent++
	switch kind {
	case wire.PostSpawn:
		f.hold(s, e.A)
	case wire.PostMove:
		f.join(p.refs[target])
		delete(p.refs, target)
	default:
		f.hold(s, e.B)
	}
	for b := c.Blobs[0]; len(b) >= 8; b = b[8:] {
		f.hold(s, binary.LittleEndian.Uint64(b))
	}
	many := f.many()
	p.pass(target, &e)
	if kind == wire.PostMove {
		p.push(target, e.C, e.D)
	}
	p.posted.Add(1)
	p.postedTo[target].Add(1)
	if many && s.whole.early(time.Now()) {
		s.collectTogether()
	}
	return nil
}

// pushMost is how many pages of its stack go ahead with a goroutine: where it is.
const pushMost = 4

// push sends the pages of a goroutine's stack after it, from the stack pointer on. They arrive
// with it, where each would take a round trip between hosts after that.
func (p *process) push(target int, sp, end uint64) {
	m := p.s.cfg.Memory
	if end < sp || sp < heapBase {
		return // malformed; the receiver says so
	}
	go func() {
		page := uintptr(sp) &^ (coherence.PageSize - 1)
		for range pushMost {
			if page >= uintptr(end) {
				return
			}
			m.Push(target, page)
			page += coherence.PageSize
		}
	}()
}

// refer pins what the next goroutine refers to that p sends to a process: see PostRefs.
func (p *process) refer(target int, words []byte) {
	s := p.s
	for ; len(words) >= 8; words = words[8:] {
		word := uintptr(binary.LittleEndian.Uint64(words))
		if owner, ok := s.cfg.Layout.Home(word); ok && word >= heapBase {
			p.refs[target] = append(p.refs[target], s.cfg.Memory.Pins().Hold(owner, word))
		}
	}
}

// await waits until n messages of the process were passed on: they take another
// way than its calls.
func (p *process) await(n uint64) bool {
	for i := 0; p.posted.Load() < n; i++ {
		if i == 50_000 {
			return false
		}
		time.Sleep(100 * time.Microsecond)
	}
	return true
}

// flights are the messages to a process that its collector has not counted.
type flights struct {
	mu   sync.Mutex
	sent uint64   // messages; guarded by mu
	held []flight // in the order of messages; guarded by mu
	told int      // how many there were when many last said so; guarded by mu
}

// flight is a pin of what a message refers to.
type flight struct {
	message uint64 // number of the message, from 1
	token   uint64
}

// hold pins word, if it is an address of a heap, for the last message; f.mu is
// held.
func (f *flights) hold(s *Session, word uint64) {
	if word < heapBase {
		return
	}
	if owner, ok := s.cfg.Layout.Home(uintptr(word)); ok {
		f.held = append(f.held, flight{f.sent, s.cfg.Memory.Pins().Hold(owner, uintptr(word))})
	}
}

// join makes pins those of the last message; f.mu is held.
func (f *flights) join(tokens []uint64) {
	for _, t := range tokens {
		f.held = append(f.held, flight{f.sent, t})
	}
}

// heldMost is how many pins of messages there may be before their receiver is made to
// count them.
const heldMost = 1 << 17

// many reports whether there are more of them, and twice as many as when it last did;
// f.mu is held.
func (f *flights) many() bool {
	if len(f.held) < max(heldMost, 2*f.told) {
		return false
	}
	f.told = len(f.held)
	return true
}

// arrived notes that the process has received n messages in all: its collector
// looks after what they refer to.
func (s *Session) arrived(process int, n uint64) {
	f := &s.flights[process]
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.held) > 0 && f.held[0].message <= n {
		s.cfg.Memory.Pins().Deliver(f.held[0].token, process)
		f.held = f.held[1:]
	}
	f.told = 0
}

// collector is a process's garbage collection under way.
type collector struct {
	list  []uintptr // the rest of the list that it reads
	met   []uintptr
	roots int  // that are pins, as of its begin
	whole bool // it is part of a whole mark, or was until that failed
}

// collect carries out NrCollect. The reply is in blob 1.
func (p *process) collect(c *wire.Call, w *wire.ReplyWriter) (r1 uint64, e syscall.Errno) {
	m := p.s.cfg.Memory
	if m == nil {
		return 0, syscall.EINVAL
	}
	p.collectMu.Lock()
	defer p.collectMu.Unlock()
	g := &p.collector
	whole := p.s.whole.marks
	switch c.Args[0] {
	case wire.CollectBegin:
		if !p.await(c.Args[2]) {
			return 0, syscall.EINVAL
		}
		p.s.arrived(p.number, c.Args[1])
		g.list, g.met, g.whole = m.Pins().Begin(p.number), nil, false
		g.roots = len(g.list)
	case wire.CollectBeginPart:
		if !p.await(c.Args[2]) {
			return 0, syscall.EINVAL
		}
		p.s.arrived(p.number, c.Args[1])
		g.met = nil
		g.list, g.whole = whole.Begin(p.number)
		g.roots = len(g.list)
		if g.whole {
			return 1, 0
		}
	case wire.CollectHeld:
		g.list = m.Directory().HeldExclusive(p.number)
	case wire.CollectSince:
		g.list = m.Pins().Since(p.number)
	case wire.CollectNext:
		n := min(len(g.list), int(min(c.Args[1], wire.CollectPart)))
		b := w.Blob(1, 8*n)
		if b == nil {
			return 0, syscall.ENOBUFS
		}
		for i, a := range g.list[:n] {
			binary.LittleEndian.PutUint64(b[8*i:], uint64(a))
		}
		g.list = g.list[n:]
		return uint64(n), 0
	case wire.CollectMet:
		g.met = appendWords(g.met, c.Blobs[1])
	case wire.CollectGot:
		whole.Got(p.number, appendWords(nil, c.Blobs[1]))
	case wire.CollectEnd:
		done := whole.End(p.number, g.met)
		if p.s.whole.ended(time.Now(), p.number, c.Args[1], g.roots, g.whole, done) {
			p.s.collectTogether()
		}
		g.list, g.met = nil, nil
		p.s.keep()
	case wire.CollectAsk:
		if c.Args[1] == 0 {
			p.s.whole.ask()
		}
		done, _ := whole.Counts()
		return uint64(done), 0
	case wire.CollectReady:
		return uint64(whole.Ready(p.number)), 0
	case wire.CollectBegun:
		return uint64(whole.Begun(p.number)), 0
	case wire.CollectTell:
		whole.Met(p.number, appendWords(nil, c.Blobs[1]))
	case wire.CollectQuiet:
		return uint64(whole.Quiet(p.number)), 0
	case wire.CollectVote:
		return uint64(whole.Vote(p.number)), 0
	case wire.CollectEstate:
		if err := p.estate(c); err != nil {
			p.s.cfg.Log.Warn("a process cannot retire", "session", p.s.cfg.ID, "err", err)
			return 0, syscall.EINVAL
		}
	case wire.CollectRetire:
		if err := p.leaves(c); err != nil {
			p.s.cfg.Log.Warn("a process cannot retire", "session", p.s.cfg.ID, "err", err)
			return 0, syscall.EINVAL
		}
	case wire.CollectWithdraw:
		if whole.Withdraw(p.number, c.Args[1] != 0) {
			return 1, 0
		}
	default:
		return 0, syscall.EINVAL
	}
	return 0, 0
}

// appendWords appends the addresses in b.
func appendWords(list []uintptr, b []byte) []uintptr {
	for ; len(b) >= 8; b = b[8:] {
		list = append(list, uintptr(binary.LittleEndian.Uint64(b)))
	}
	return list
}
