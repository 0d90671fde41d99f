package coherence

// pinTable is the set of addresses pinned at one owner, with who holds them: a
// hash table with open addressing. There is no removal. A cell says until
// when it counts, and what counts no longer is left out when the table is
// rebuilt.
//
// A row is [seen, flights, seq of holder 0, seq of holder 1, ...].
type pinTable struct {
	holders int
	keys    []uintptr // 0: free
	cells   []uint32  // a row for each key
	used    int
	shift   uint
}

const (
	cellSeen    = 0 // owner's mark in which the address was reported
	cellFlights = 1 // messages under way that hold the address
	cellSeq     = 2 // of holder 0
	minTable    = 64
)

type pinRow []uint32

func newPinTable(holders, capacity int) *pinTable {
	size, shift := minTable, uint(64-6)
	for size*3/4 < capacity {
		size, shift = size*2, shift-1
	}
	t := &pinTable{holders: holders, keys: make([]uintptr, size), shift: shift}
	t.cells = make([]uint32, size*t.stride())
	return t
}

func (t *pinTable) stride() int { return cellSeq + t.holders }

func (t *pinTable) row(i int) pinRow {
	stride := t.stride()
	return t.cells[i*stride : (i+1)*stride : (i+1)*stride]
}

// full says whether add needs a rebuilt table.
func (t *pinTable) full() bool { return t.used >= len(t.keys)*3/4 }

// add returns the row of addr, a new one of zeros where there was none. It is
// valid until the table is rebuilt.
func (t *pinTable) add(addr uintptr) pinRow {
	mask := len(t.keys) - 1
	// Fibonacci hashing: Knuth, The Art of Computer Programming 3, 6.4.
	i := int(uint64(addr) * 0x9E3779B97F4A7C15 >> t.shift)
	for {
		switch t.keys[i] {
		case addr:
			return t.row(i)
		case 0:
			t.keys[i] = addr
			t.used++
			return t.row(i)
		}
		i = (i + 1) & mask
	}
}

// rebuilt returns a table of the rows that keep wants, with room for as many
// again.
func (t *pinTable) rebuilt(keep func(pinRow) bool) *pinTable {
	live := 0
	for i, key := range t.keys {
		if key != 0 && keep(t.row(i)) {
			live++
		}
	}
	next := newPinTable(t.holders, 2*live)
	for i, key := range t.keys {
		if key != 0 && keep(t.row(i)) {
			copy(next.add(key), t.row(i))
		}
	}
	return next
}
