package stress

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestRings has a program make garbage cycles across its processes all the time, whose
// heaps stay small. A collection that the program asks for frees them all.
func TestRings(t *testing.T) {
	for _, mode := range []string{"", "GODEBUG=clobberfree=1", "GODEBUG=gccheckmark=1"} {
		for _, n := range []int{2, 4} {
			t.Run(fmt.Sprintf("%d %s", n, mode), func(t *testing.T) {
				defer func(n int) { *processes = n }(*processes)
				*processes = n
				part := max(*length/4, 2*time.Second)
				out := start(t, strings.Fields(mode), "-rings", "-time", part.String()).finish(t, part+time.Minute)
				words := strings.Fields(string(out))
				var mb [3]int
				for i := range mb {
					var err error
					if mb[i], err = strconv.Atoi(words[i]); err != nil {
						t.Fatalf("%v: %s", err, out)
					}
				}
				made, worst, left := mb[0], mb[1], mb[2]
				t.Logf("%d MB of cycles, at most %d MB of them at a time, at the end %d MB", made, worst, left)
				if left > 2 {
					t.Errorf("%d MB survive a collection", left)
				}
				// Less garbage is no reason to look for cycles.
				if made > 256 && worst > made*3/4 {
					t.Errorf("heaps of %d MB, with %d MB of garbage cycles", worst, made)
				}
			})
		}
	}
}
