// Alloc measures allocation and garbage collection.
package main

import (
	"runtime"

	"remotec.dev/bench/programs/measure"
)

func main() {
	measure.Time("alloc/trees", 8, func() {
		for range 8 {
			measure.Sink = tree(14)
		}
	})

	const objects = 100_000
	kept := make([]*object, 1<<12)
	measure.Time("alloc/small", objects, func() {
		for i := range objects {
			kept[i%len(kept)] = &object{next: kept[(i+1)%len(kept)], n: i}
		}
	})

	// Larger ones measure how the machine gives pages and takes them back. What lives beside them has the collector begin at
	// about the same heap each time; without, what is allocated while it marks makes the heap many times what
	// lives, now and then, and the measure is about that.
	const slices = 20_000
	beside := make([]byte, 8<<20)
	for i := 0; i < len(beside); i += 4 << 10 {
		beside[i] = 1
	}
	runtime.GC()
	big := make([][]byte, 128)
	measure.Time("alloc/big", slices, func() {
		for i := range slices {
			big[i%len(big)] = make([]byte, 4<<10+i%256)
		}
	})
	measure.Sink = [3]any{kept, big, beside}
}

type node struct{ left, right *node }

// tree is that of the binary-trees benchmark.
func tree(depth int) *node {
	if depth == 0 {
		return new(node)
	}
	return &node{tree(depth - 1), tree(depth - 1)}
}

type object struct {
	next *object
	n    int
	_    [3]uint64
}
