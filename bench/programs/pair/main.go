// Pair measures goroutines of two processes that hand values to each other. It is done once, as
// what the placement takes to find out belongs to it.
package main

import (
	"time"

	"remotec.dev/bench/programs/measure"
	"remotec.dev/remote"
)

func main() {
	start := time.Now()
	pair()
	measure.Report("pair", float64(time.Since(start)), "ns")
}

// pair has a goroutine of each process hand values to the other.
func pair() {
	const rounds = 100_000
	there, back := make(chan int), make(chan int)
	f := func() {
		for v := range there {
			back <- v
		}
	}
	if remote.Processes() < 2 {
		go f()
	} else {
		measure.Must(remote.GoOn(1, f))
	}
	for i := range rounds {
		there <- i
		<-back
	}
	close(there)
}
