package session

import (
	"testing"
	"time"
)

// TestWholeMarksAreRare has marks end, and checks when a whole one is asked for.
func TestWholeMarksAreRare(t *testing.T) {
	w := whole{bytes: make([]uint64, 2), pause: wholePause}
	now := time.Unix(1000, 0)
	const mb = 1 << 20
	for i, c := range []struct {
		after           time.Duration
		process         int
		bytes           uint64
		roots           int
		part, succeeded bool
		want            bool
	}{
		{0, 0, 5 * mb, 1000, false, false, false},                      // small
		{0, 0, 50 * mb, 3, false, false, false},                        // nothing is pinned
		{0, 1, 50 * mb, 1000, false, false, true},                      // the first
		{0, 0, 50 * mb, 1000, false, false, false},                     // asked just now
		{20 * time.Millisecond, 0, 40 * mb, 10, true, true, false},     // it takes place
		{0, 1, 30 * mb, 10, true, true, false},                         //
		{time.Second, 0, 85 * mb, 1000, false, false, false},           // not yet doubled
		{0, 1, 69 * mb, 1000, false, false, true},                      //
		{time.Second, 0, 99 * mb, 10, true, false, false},              // it fails: a pause of 1 s
		{0, 1, 99 * mb, 10, true, false, false},                        //
		{0, 0, 99 * mb, 1000, false, false, false},                     //
		{500 * time.Millisecond, 0, 99 * mb, 1000, false, false, true}, //
		{time.Second, 0, 99 * mb, 10, true, false, false},              // again: 2 s
		{time.Second, 1, 99 * mb, 1000, false, false, false},           //
		{time.Second, 1, 99 * mb, 1000, false, false, true},            //
		{time.Millisecond, 0, 99 * mb, 10, true, true, false},          // it succeeds
		{200 * time.Millisecond, 0, 500 * mb, 100, false, false, true}, //
	} {
		now = now.Add(c.after)
		if got := w.ended(now, c.process, c.bytes, c.roots, c.part, c.succeeded); got != c.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}
