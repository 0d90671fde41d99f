package osys

import (
	"sync/atomic"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
)

// Stats are a session's counts.
type Stats struct {
	Calls       uint64
	ByNumber    map[uint32]uint64 // calls by number, pseudo calls included
	Descriptors int               // open and the program's
}

// Counting is implemented by an OS that counts what it does; Passthrough's
// does.
type Counting interface{ Stats() Stats }

// counters count calls by number. Each thread has its own, so that threads do
// not share cache lines.
type counters struct {
	system [512]atomic.Uint64
	pseudo [wire.LastPseudo - wire.NrPseudo + 1]atomic.Uint64
}

func (k *counters) count(nr uint32) {
	if nr < uint32(len(k.system)) {
		k.system[nr].Add(1)
	} else if i := nr - wire.NrPseudo; i < uint32(len(k.pseudo)) {
		k.pseudo[i].Add(1)
	}
}

func (k *counters) add(from *counters) {
	for i := range k.system {
		k.system[i].Add(from.system[i].Load())
	}
	for i := range k.pseudo {
		k.pseudo[i].Add(from.pseudo[i].Load())
	}
}

// Stats counts the calls so far. The descriptors are counted by listing them:
// that costs the calls themselves nothing.
func (p *passthrough) Stats() Stats {
	var sum counters
	p.mu.Lock()
	sum.add(p.counts)
	for t := range p.threads {
		sum.add(&t.counts)
	}
	p.mu.Unlock()
	s := Stats{ByNumber: make(map[uint32]uint64)}
	note := func(nr int, n uint64) {
		if n > 0 {
			s.ByNumber[uint32(nr)] = n
			s.Calls += n
		}
	}
	for i := range sum.system {
		note(i, sum.system[i].Load())
	}
	for i := range sum.pseudo {
		note(wire.NrPseudo+i, sum.pseudo[i].Load())
	}
	open, _ := fds.Open()
	for _, fd := range open {
		if !p.reserved(uint64(fd)) {
			s.Descriptors++
		}
	}
	return s
}
