package session

import (
	"slices"
	"sync"
	"time"
)

// MoveRecord is a goroutine that went from one process to another, or was to.
type MoveRecord struct {
	At        time.Time     `json:"at"`
	Goroutine uint64        `json:"goroutine"`
	From      int           `json:"from"` // -1: not known
	To        int           `json:"to"`
	Reason    string        `json:"reason"`
	Error     string        `json:"error,omitempty"` // why it did not go
	Took      time.Duration `json:"took,omitempty"`  // ns
}

// LogLine is a line of the server's log.
type LogLine struct {
	At    time.Time `json:"at"`
	Level string    `json:"level"`
	Text  string    `json:"text"`
}

const historySize = 200

// history remembers the last moves.
type history struct {
	mu    sync.Mutex
	moves []MoveRecord // guarded by mu
	count uint64       // of all; guarded by mu
}

// NoteMove remembers a move and its reason.
func (s *Session) NoteMove(m MoveRecord) { s.history.note(m) }

func (h *history) note(m MoveRecord) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	if len(h.moves) == historySize {
		h.moves = slices.Delete(h.moves, 0, 1)
	}
	h.moves = append(h.moves, m)
}

// list returns them, the last one first.
func (h *history) list() ([]MoveRecord, uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := slices.Clone(h.moves)
	slices.Reverse(list)
	return list, h.count
}

// reasonSeen is the reason of moves that nobody told of: two observations differ.
const reasonSeen = "not asked for here: remote.Migrate, or fault injection"

// compare notes the goroutines that are elsewhere than they were, and that nobody told of.
func (h *history) compare(before, after *observation) {
	if before == nil {
		return
	}
	i, noted := 0, 0
	for _, r := range after.rows {
		for i < len(before.rows) && before.rows[i].ID < r.ID {
			i++
		}
		if i == len(before.rows) {
			return
		}
		if b := before.rows[i]; b.ID == r.ID && b.Process != r.Process && !h.told(r.ID, r.Process, before.at) {
			if noted++; noted > historySize {
				return
			}
			h.note(MoveRecord{At: after.at, Goroutine: r.ID, From: b.Process, To: r.Process, Reason: reasonSeen})
		}
	}
}

// told reports whether a move of goroutine to a process was noted since.
func (h *history) told(goroutine uint64, to int, since time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range slices.Backward(h.moves) {
		if m.Goroutine == goroutine && m.To == to && m.At.Add(m.Took).After(since.Add(-time.Second)) {
			return true
		}
	}
	return false
}

// placeOf returns the process that a goroutine was in when somebody looked, or -1.
func (s *Session) placeOf(goroutine uint64) int {
	o := &s.observing
	o.asking.Lock()
	defer o.asking.Unlock()
	if o.last == nil {
		return -1
	}
	i, ok := slices.BinarySearchFunc(o.last.rows, goroutine, func(r Row, id uint64) int {
		if r.ID < id {
			return -1
		}
		if r.ID > id {
			return 1
		}
		return 0
	})
	if !ok {
		return -1
	}
	return o.last.rows[i].Process
}
