package mail

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ledgers of the processes lie behind their mailboxes. The patched runtime's
// remotec_ledger.go says what is in them; the figures are the same.
const (
	ledgerSize = 0xb000
	readyMost  = 64
	// LabelsMost is how many labels can be asked for.
	LabelsMost  = 32
	arrivedMost = 256
	threadsMost = 1024
	trafficMost = 1024
	labelsMost  = 512
)

// ledger is the ledger of a process, in memory that it writes meanwhile: the words are
// read one by one, and no relation between them is relied on.
type ledger struct {
	tick, weighed, procs, waiting, listed, marked uint32

	stamp, came uint64
	_           [512 - 40]byte
	wanted      [LabelsMost]uint64
	ready       [readyMost]uint64
	arrived     [arrivedMost]uint64
	threads     [threadsMost]struct{ thread, goroutine uint64 }
	traffic     [trafficMost]struct {
		key   uint64
		count uint32
		tick  uint32
	}
	labels [labelsMost]struct{ goroutine, mask uint64 }
}

var _ [ledgerSize - unsafe.Sizeof(ledger{})]byte

// mapLedgers makes the memory as long as the processes need it, and maps the ledgers.
func (m *Mail) mapLedgers() error {
	boxes, size := int64(m.count)*boxSize, m.count*ledgerSize
	if err := unix.Ftruncate(m.memory, boxes+int64(size)); err != nil {
		return fmt.Errorf("ftruncate: %w", err)
	}
	var err error
	if m.ledgers, err = unix.Mmap(m.memory, boxes, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("mapping the ledgers: %w", err)
	}
	return nil
}

func (m *Mail) ledger(process int) *ledger {
	if m == nil || process < m.first || process >= m.first+m.count {
		return nil
	}
	return (*ledger)(unsafe.Pointer(&m.ledgers[(process-m.first)*ledgerSize]))
}

// Has reports whether a process has a ledger here.
func (m *Mail) Has(process int) bool { return m.ledger(process) != nil }

// Load is how busy a process is.
type Load struct {
	Procs   int // Ps; 0: the process has not said so yet
	Running int // of them, now
	Waiting int // goroutines that are ready and wait for a P
	Stamp   uint64
	Ready   []uint64 // of these, some that were preempted as they computed, first come first
}

// Load returns how busy a process is. What it says of goroutines that wait is as of Stamp,
// which changes with each list.
func (m *Mail) Load(process int) (load Load) {
	l := m.ledger(process)
	if l == nil {
		return load
	}
	load.Procs = int(atomic.LoadUint32(&l.procs))
	load.Running = m.running(process)
	load.Waiting = int(atomic.LoadUint32(&l.waiting))
	load.Stamp = atomic.LoadUint64(&l.stamp)
	for i := range min(atomic.LoadUint32(&l.listed), readyMost) {
		load.Ready = append(load.Ready, atomic.LoadUint64(&l.ready[i]))
	}
	return load
}

// Came calls f for the goroutines that came to a process since it had got seen of them, and
// returns how many it has got. Where they are too many f is called for the last ones.
func (m *Mail) Came(process int, seen uint64, f func(goroutine uint64)) (now uint64) {
	l := m.ledger(process)
	if l == nil {
		return 0
	}
	now = atomic.LoadUint64(&l.came)
	if now-seen > arrivedMost {
		seen = now - arrivedMost
	}
	for ; seen < now; seen++ {
		f(atomic.LoadUint64(&l.arrived[seen%arrivedMost]))
	}
	return now
}

// Goroutine returns the number of the goroutine that a thread of a process runs, or ran
// last; 0 where it is not known. Hint is where it was found the last time, and is kept up to date.
func (m *Mail) Goroutine(process int, thread uint32, hint *int) uint64 {
	l := m.ledger(process)
	if l == nil {
		return 0
	}
	for i := range threadsMost {
		at := (*hint + i) % threadsMost
		if atomic.LoadUint64(&l.threads[at].thread) == uint64(thread) {
			*hint = at
			return atomic.LoadUint64(&l.threads[at].goroutine)
		}
	}
	return 0
}

// Operations calls f for what goroutines of a process have done with other processes since they
// began to: the place of the entry, which may become another's, the goroutine, the process and the
// number of operations. It is a look: entries that are not written for some looks end.
func (m *Mail) Operations(process int, f func(entry int, goroutine uint64, with int, count uint32)) {
	l := m.ledger(process)
	if l == nil {
		return
	}
	atomic.AddUint32(&l.tick, 1)
	for i := range l.traffic {
		e := &l.traffic[i]
		if key := atomic.LoadUint64(&e.key); key != 0 {
			f(i, key>>8, int(key&0xff)-1, atomic.LoadUint32(&e.count))
		}
	}
}

// Ask asks a process which goroutines have labels with these hashes.
func (m *Mail) Ask(process int, labels []uint64) {
	l := m.ledger(process)
	if l == nil {
		return
	}
	n := min(len(labels), LabelsMost)
	for i, h := range labels[:n] {
		atomic.StoreUint64(&l.wanted[i], h)
	}
	atomic.StoreUint32(&l.weighed, uint32(n))
}

// Labelled calls f for the goroutines of a process that have some of the labels asked for:
// bit i of mask stands for the i-th.
func (m *Mail) Labelled(process int, f func(goroutine, mask uint64)) {
	l := m.ledger(process)
	if l == nil {
		return
	}
	for i := range min(atomic.LoadUint32(&l.marked), labelsMost) {
		f(atomic.LoadUint64(&l.labels[i].goroutine), atomic.LoadUint64(&l.labels[i].mask))
	}
}

// LabelHash is the hash of a label: FNV-1a of KEY=VALUE.
func LabelHash(key, value string) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range []byte(key + "=" + value) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// running returns how many Ps of a process run.
func (m *Mail) running(process int) int {
	var word [4]byte
	if n, err := unix.Pread(m.memory, word[:], int64(process-m.first)*boxSize+runningPos); err != nil || n != len(word) {
		return 0
	}
	return int(word[0]) | int(word[1])<<8
}
