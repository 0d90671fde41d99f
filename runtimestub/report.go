package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// The account of this process's goroutines, made on the event thread: in
// mapped memory, because there is no P to allocate with.

const (
	maxSites = 4096 // distinct creation sites in a report; a power of two
	maxList  = 4096 // goroutines in one message: a list of more is several
)

// workspace is the memory of a report; its strings point into the binary's
// own tables.
type workspace struct {
	sites [maxSites]wire.Site
	list  [maxList]wire.Goroutine
	hooks [32]uint64
	frame [wire.MaxFrame]byte
}

var work uintptr

func report(all bool) {
	if work == 0 {
		if work = mapMemory(unsafe.Sizeof(workspace{})); work == 0 {
			return
		}
	}
	w := (*workspace)(ptr(work))
	clear(w.sites[:])
	clear(w.hooks[:])
	var g wire.Goroutines
	g.Created, g.Ended, g.Live = totals(&w.hooks)
	g.Hooks = w.hooks[:]
	collections, pause, heap := processUse()
	g.Collections, g.Pause, g.Heap = uint64(collections), pause, heap

	eachSite(func(pc uintptr, ended uint64, use unsafe.Pointer) {
		if s := w.site(uint64(pc)); s != nil {
			s.Ended += ended
			s.Use.Add((*wire.Use)(use))
		}
	})
	listed := 0
	eachG(func(id uint64, pc uintptr, status uint32, wait string, stack uintptr, use unsafe.Pointer) {
		if s := w.site(uint64(pc)); s != nil {
			s.Live++
			s.Use.Add((*wire.Use)(use))
		}
		if !all {
			return
		}
		if listed == maxList {
			w.send(&wire.Goroutines{More: true, List: w.list[:listed]})
			listed = 0
		}
		w.list[listed] = wire.Goroutine{ID: id, PC: uint64(pc), Status: status, Wait: wait, Stack: uint64(stack), Use: *(*wire.Use)(use)}
		listed++
	})
	g.List = w.list[:listed]

	// Close ranks: the table is a hash table until here.
	n := 0
	for i := range w.sites {
		s := w.sites[i]
		if s.Live|s.Ended == 0 {
			continue
		}
		s.Created = s.Live + s.Ended
		s.Func, s.File, s.Line = symbol(uintptr(s.PC))
		w.sites[n] = s
		n++
	}
	g.Sites = w.sites[:n]
	w.send(&g)
}

func (w *workspace) send(g *wire.Goroutines) {
	frame, ok := wire.PutGoroutines(w.frame[:], g)
	if !ok {
		return
	}
	lockSpin(&controlLock)
	ok = writeAll(control, frame)
	unlockSpin(&controlLock)
	if !ok {
		lost()
	}
}

// site finds or makes the entry of a creation site; nil when the table is
// full.
func (w *workspace) site(pc uint64) *wire.Site {
	h := pc * 0x9e3779b97f4a7c15 >> 40
	for i := range uint64(maxSites) {
		s := &w.sites[(h+i)%maxSites]
		if s.PC == pc && s.Live|s.Ended != 0 || s.Live|s.Ended == 0 {
			s.PC = pc
			return s
		}
	}
	return nil
}
