package main

// tables writes large tables of pointers from end to end, reads them in several goroutines at the same time, and writes
// them again, so that long runs of pages go from process to process; others store single elements meanwhile.
func tables(r *round) {
	const size = 3 << 16 // elements: 1.5 MiB, 384 pages
	table := make([]*element, size)
	single := r.Perm(size)[:64]
	for turn := range uint64(3) {
		value := func(i int) uint64 { return mix(turn, uint64(i)) }
		check := func(i int, e *element) {
			if e == nil || e.v != value(i) || e.canary != ^e.v {
				r.fail("turn %d: element %d is %+v, want %#x", turn, i, e, value(i))
			}
		}
		halves := 1 + r.IntN(2)
		all(halves, func(k int) {
			var e *element
			for i := k * size / halves; i < (k+1)*size/halves; i++ {
				if e == nil || i%64 == 0 { // in one of 64 places one of its own
					e = &element{v: value(i &^ 63)}
					e.canary = ^e.v
				}
				table[i] = e
			}
		})
		all(3, func(k int) {
			if k == 2 {
				for _, i := range single {
					e := &element{v: value(i &^ 63)}
					e.canary = ^e.v
					table[i] = e // readers see the old element or the new one, which are equal
				}
				return
			}
			for i, e := range table {
				if i%64 == 0 || i%1024 == 1023 {
					check(i&^63, e)
				}
			}
		})
		for _, i := range single {
			check(i&^63, table[i])
		}
	}
}
