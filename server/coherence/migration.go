package coherence

// nobody stands for no process.
const nobody = -1

// migration recognises pages that wander: each process in turn reads and then
// writes. Such a page is granted writable to the reader, which saves the second
// of two faults. (Adaptive cache coherence: Cox and Fowler, ISCA 1993; Stenström,
// Brorsson and Sandberg, ibid.)
//
// A write after such a grant is not seen. So now and then a read gets a copy only,
// to find out whether the page still wanders.
type migration struct {
	reader int16 // made the page shared, and nothing else has happened since
	score  uint8 // moves by read and upgrade in sequence
	grants uint8 // since the page was last seen to wander
}

const (
	migrationScore  = 2  // from when on pages are granted
	migrationGrants = 16 // without a look
)

// grant says whether a reader is to get a page writable that is exclusive
// elsewhere.
func (m *migration) grant() bool {
	if m.score < migrationScore {
		return false
	}
	if m.grants++; m.grants > migrationGrants {
		m.grants = 0
		m.score = migrationScore - 1
		return false
	}
	return true
}

// shared notes that process is about to get a copy of p.
func (m *migration) shared(p *page, process int) {
	if p.exclusive {
		m.reader = int16(process)
		return
	}
	m.reader, m.score = nobody, 0
}

// upgraded notes that process is about to get p, of which it has a copy, to
// itself.
func (m *migration) upgraded(p *page, process int) {
	if int(m.reader) == process && p.holders.Len() == 2 {
		m.score = min(m.score+1, migrationScore)
	} else {
		m.score = 0
	}
	m.reader = nobody
}
