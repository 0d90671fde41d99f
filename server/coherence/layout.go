package coherence

import "fmt"

const (
	// PageSize is the unit of coherence in bytes: the page of amd64.
	PageSize = 4096
	// Granule is the unit in bytes in which a home's memory is put under the
	// pager's control, and the alignment of ranges in a backing file: what one
	// page table maps.
	Granule = 2 << 20
	// MaxProcesses bounds the processes of a session: the width of a Set.
	MaxProcesses = 128
)

// Layout says which addresses the processes of a session share, and which
// process is home of each. It is the same for all of them and does not change.
type Layout struct {
	Base     uintptr // start of slot 0, a multiple of SlotSize
	SlotSize uintptr // bytes, a power of two, at least Granule
	Slots    int     // number of processes
	Globals  []Range // shared global variables; home is process 0
}

// Range is a page-aligned range of addresses, without End.
type Range struct{ Start, End uintptr }

// Contains says whether addr lies in r.
func (r Range) Contains(addr uintptr) bool { return r.Start <= addr && addr < r.End }

// Check returns an error that says what is wrong with l.
func (l Layout) Check() error {
	switch {
	case l.Slots < 1 || l.Slots > MaxProcesses:
		return fmt.Errorf("coherence: %d slots: a session has 1 to %d processes", l.Slots, MaxProcesses)
	case l.SlotSize < Granule || l.SlotSize&(l.SlotSize-1) != 0:
		return fmt.Errorf("coherence: slot size %#x: must be a power of two and at least %#x", l.SlotSize, Granule)
	case l.Base == 0 || l.Base%Granule != 0:
		return fmt.Errorf("coherence: base %#x: must be a multiple of %#x", l.Base, Granule)
	case (^uintptr(0)-l.Base)/l.SlotSize < uintptr(l.Slots):
		return fmt.Errorf("coherence: %d slots of %#x bytes at %#x: do not fit into the address space", l.Slots, l.SlotSize, l.Base)
	}
	slots := l.slots()
	for i, r := range l.Globals {
		if r.Start%PageSize != 0 || r.End%PageSize != 0 || r.Start >= r.End {
			return fmt.Errorf("coherence: globals %#x-%#x: must be a page-aligned range that is not empty", r.Start, r.End)
		}
		if r.Start < slots.End && slots.Start < r.End {
			return fmt.Errorf("coherence: globals %#x-%#x overlap the slots %#x-%#x", r.Start, r.End, slots.Start, slots.End)
		}
		for _, other := range l.Globals[:i] {
			if r.Start < other.End && other.Start < r.End {
				return fmt.Errorf("coherence: globals %#x-%#x and %#x-%#x overlap", other.Start, other.End, r.Start, r.End)
			}
		}
	}
	return nil
}

func (l Layout) slots() Range {
	return Range{l.Base, l.Base + uintptr(l.Slots)*l.SlotSize}
}

// Slot returns the addresses of a process's slot.
func (l Layout) Slot(process int) Range {
	start := l.Base + uintptr(process)*l.SlotSize
	return Range{start, start + l.SlotSize}
}

// Home returns the process that is home of addr: whose slot it is in, or 0 for
// a shared global. ok is false where addr is not shared.
func (l Layout) Home(addr uintptr) (process int, ok bool) {
	if l.slots().Contains(addr) {
		return int((addr - l.Base) / l.SlotSize), true
	}
	for _, r := range l.Globals {
		if r.Contains(addr) {
			return 0, true
		}
	}
	return 0, false
}

// Words puts those words of a page that look like addresses in a slot at the beginning of it,
// in their order and without those that repeat the one before, and returns how many there are. It is all of the page
// that [Pins.PinPage] looks at.
func (l Layout) Words(data *[PageSize]byte) (n int) {
	words, span := pageWords(data), uintptr(l.Slots)*l.SlotSize
	var before uintptr
	for _, word := range words {
		if word-l.Base < span && word != before {
			words[n] = word
			n++
			before = word
		}
	}
	return n
}

// Offset returns where addr is in the backing file of every process: the slots
// come first, then the ranges of globals, each rounded up to a Granule.
func (l Layout) Offset(addr uintptr) (offset int64, ok bool) {
	if l.slots().Contains(addr) {
		return int64(addr - l.Base), true
	}
	for i, r := range l.Globals {
		if r.Contains(addr) {
			return l.GlobalsOffset(i) + int64(addr-r.Start), true
		}
	}
	return 0, false
}

// GlobalsOffset returns where range i of the globals starts in a backing file;
// GlobalsOffset(len(l.Globals)) is the size of the file.
func (l Layout) GlobalsOffset(i int) int64 {
	offset := int64(l.Slots) * int64(l.SlotSize)
	for _, r := range l.Globals[:i] {
		offset += int64((r.End - r.Start + Granule - 1) &^ (Granule - 1))
	}
	return offset
}

// FileSize returns the size in bytes of a process's (sparse) backing file.
func (l Layout) FileSize() int64 { return l.GlobalsOffset(len(l.Globals)) }

// GranuleOf returns the addresses of the Granule around addr, as far as they
// are in the same slot or range of globals.
func (l Layout) GranuleOf(addr uintptr) Range {
	start := addr &^ (Granule - 1)
	g := Range{start, start + Granule}
	for _, r := range l.Globals {
		if r.Contains(addr) {
			return Range{max(g.Start, r.Start), min(g.End, r.End)}
		}
	}
	return g
}
