package wire

import "unsafe"

// The accounts of goroutines, and what else a process tells of itself when it is asked.

// WaitKinds is how many kinds of waiting are told apart.
const WaitKinds = 8

// WaitNames names them, as tools show them.
var WaitNames = [WaitKinds]string{"run", "chan", "select", "lock", "sleep", "io", "call", "other"}

// Use is what goroutines used. All fields are words of 8 bytes: the runtime fills it in.
type Use struct {
	CPU     uint64            // ns that they ran, without system calls
	Bytes   uint64            // allocated; right to within a span of 8 KiB and more for each size of objects
	Objects uint64            // allocated, as Bytes
	Chans   uint64            // sends, receives, closings of channels and selects
	Calls   uint64            // system calls
	Waited  [WaitKinds]uint64 // ns, by what for: a processor, a channel, one of several, a lock, a time, a descriptor, a system call, other things
}

const useWords = 5 + WaitKinds

func (u *Use) words() *[useWords]uint64 { return (*[useWords]uint64)(unsafe.Pointer(u)) }

// Add adds o to u.
func (u *Use) Add(o *Use) {
	a, b := u.words(), o.words()
	for i := range a {
		a[i] += b[i]
	}
}

// Site is a place in the program that creates goroutines.
type Site struct {
	PC                   uint64
	Created, Ended, Live uint64
	Line                 uint32
	Func, File           string
	Use                  Use // of all its goroutines, ended and live
}

// Goroutine is one live goroutine.
type Goroutine struct {
	ID, PC  uint64
	Status  uint32 // as in runtime2.go, _Grunnable ...
	Process uint32 // that has it
	Wait    string
	Stack   uint64 // bytes
	Use     Use
}

// Goroutines is a process's account of its goroutines. Counts are totals
// since the process started; Live is a moment's value.
type Goroutines struct {
	Created, Ended, Live uint64
	Hooks                []uint64 // counts by hook kind
	Sites                []Site
	List                 []Goroutine
	More                 bool   // the list goes on in a further message; the rest of this one means nothing
	Collections          uint64 // of garbage
	Pause                uint64 // ns that the process stood still for them
	Heap                 uint64 // bytes in use
}

// What EventAsk asks for.
const (
	AskStacks    = 1 + iota // text: the goroutines of the process, as runtime.Stack has them
	AskGoroutine            // a profile of goroutines: samples as package server/profile reads them, as all that follow
	AskHeap                 // of memory
	AskBlock                // of waiting
	AskMutex                // of contention
	AskThreads              // of the creation of threads
	AskCPU                  // of the processor; B: how long it takes, in ns
)

// PutGoroutines writes g as a frame into dst.
func PutGoroutines(dst []byte, g *Goroutines) ([]byte, bool) {
	var w builder
	p := w.start(dst, uint16(TagGoroutines))
	at := w.newStruct(p, 7, 3)
	if !w.ok {
		return nil, false
	}
	put64(w.b[at:], g.Created)
	put64(w.b[at+8:], g.Ended)
	put64(w.b[at+16:], g.Live)
	if g.More {
		w.b[at+24] = 1
	}
	put64(w.b[at+32:], g.Collections)
	put64(w.b[at+40:], g.Pause)
	put64(w.b[at+48:], g.Heap)
	at += 56
	hooks := w.structList(at, len(g.Hooks), 1, 0)
	for i, n := range g.Hooks {
		if w.ok {
			put64(w.b[hooks+8*i:], n)
		}
	}
	const siteSize = 5*8 + 3*8
	sites := w.structList(at+8, len(g.Sites), 5, 3)
	for i := range g.Sites {
		if !w.ok {
			break
		}
		s, e := &g.Sites[i], sites+i*siteSize
		put64(w.b[e:], s.PC)
		put64(w.b[e+8:], s.Created)
		put64(w.b[e+16:], s.Ended)
		put64(w.b[e+24:], s.Live)
		put32(w.b[e+32:], s.Line)
		w.text(e+40, s.Func)
		w.text(e+48, s.File)
		w.use(e+56, &s.Use)
	}
	const goSize = 4*8 + 2*8
	list := w.structList(at+16, len(g.List), 4, 2)
	for i := range g.List {
		if !w.ok {
			break
		}
		r, e := &g.List[i], list+i*goSize
		put64(w.b[e:], r.ID)
		put64(w.b[e+8:], r.PC)
		put32(w.b[e+16:], r.Status)
		put32(w.b[e+20:], r.Process)
		put64(w.b[e+24:], r.Stack)
		w.text(e+32, r.Wait)
		w.use(e+40, &r.Use)
	}
	return w.finish()
}

func (w *builder) use(ptr int, u *Use) {
	at := w.newStruct(ptr, useWords, 0)
	if !w.ok {
		return
	}
	for i, v := range u.words() {
		put64(w.b[at+8*i:], v)
	}
}

func (o *object) use(i int, u *Use) error {
	c, err := o.child(i)
	if err != nil {
		return err
	}
	for i := range u.words() {
		u.words()[i] = c.u64(8 * i)
	}
	return nil
}

// GetGoroutines reads a Goroutines frame.
func GetGoroutines(frame []byte) (*Goroutines, error) {
	o, err := body(frame, TagGoroutines)
	if err != nil {
		return nil, err
	}
	g := &Goroutines{Created: o.u64(0), Ended: o.u64(8), Live: o.u64(16), More: o.u32(24)&1 != 0,
		Collections: o.u64(32), Pause: o.u64(40), Heap: o.u64(48)}
	err = o.structs(0, func(e *object) error {
		g.Hooks = append(g.Hooks, e.u64(0))
		return nil
	})
	if err != nil {
		return nil, err
	}
	total := 0
	err = o.structs(1, func(e *object) (err error) {
		s := Site{PC: e.u64(0), Created: e.u64(8), Ended: e.u64(16), Live: e.u64(24), Line: e.u32(32)}
		if s.Func, err = e.text(0); err != nil {
			return err
		}
		if s.File, err = e.text(1); err != nil {
			return err
		}
		if err = e.use(2, &s.Use); err != nil {
			return err
		}
		if total += len(s.Func) + len(s.File); total > len(frame) {
			return errOverlap
		}
		g.Sites = append(g.Sites, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = o.structs(2, func(e *object) (err error) {
		r := Goroutine{ID: e.u64(0), PC: e.u64(8), Status: e.u32(16), Process: e.u32(20), Stack: e.u64(24)}
		if r.Wait, err = e.text(0); err != nil {
			return err
		}
		if err = e.use(1, &r.Use); err != nil {
			return err
		}
		if total += len(r.Wait); total > len(frame) {
			return errOverlap
		}
		g.List = append(g.List, r)
		return nil
	})
	return g, err
}
