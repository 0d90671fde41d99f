package main

import (
	"fmt"
	"runtime"
	"time"
)

// ring is an object of a garbage cycle, with a load, so that many are missed soon.
type ring struct {
	next *ring
	load [32 << 10]byte
}

const ringSize = 8

// makeRings makes garbage cycles for some time, whose objects are in the heaps of
// different processes, and prints how many megabytes these had, how large the heaps
// were at most meanwhile, and how large they are after a collection.
func makeRings(length time.Duration) {
	made, worst := uint64(0), uint64(0)
	for start := time.Now(); time.Since(start) < length; {
		done := make(chan *ring)
		for range ringSize {
			go func() { done <- new(ring) }()
		}
		var all [ringSize]*ring
		for i := range all {
			all[i] = <-done
		}
		for i, r := range all {
			r.next = all[(i+1)%ringSize]
		}
		made += ringSize * uint64(len(ring{}.load))
		if made/(ringSize*uint64(len(ring{}.load)))%64 == 0 {
			worst = max(worst, heap())
		}
	}
	worst = max(worst, heap())
	runtime.GC()
	fmt.Println(made>>20, worst>>20, heap()>>20)
}

// heap is how many bytes the heaps of all processes have.
func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
