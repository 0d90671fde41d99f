// Alloc measures allocation and garbage collection.
package main

import "remotec.dev/bench/programs/measure"

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

	// Larger ones measure how the machine gives pages and takes them back.
	const slices = 20_000
	big := make([][]byte, 128)
	measure.Time("alloc/big", slices, func() {
		for i := range slices {
			big[i%len(big)] = make([]byte, 4<<10+i%256)
		}
	})
	measure.Sink = [2]any{kept, big}
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
