// Placed measures what the placement of goroutines that have begun does for a program: one whose
// work is all in one process, and ones that have nothing to gain. Each is done once, as what the
// policies take to find out belongs to it. An argument is the name of the only measure to take.
package main

import (
	"os"
	"sync"
	"time"

	"remotec.dev/bench/programs/measure"
)

func main() {
	for name, f := range map[string]func(){"compute": compute, "alone": alone, "sieve": sieve} {
		if len(os.Args) > 1 && os.Args[1] != name {
			continue
		}
		start := time.Now()
		f()
		measure.Report("placed/"+name, float64(time.Since(start)), "ns")
	}
}

// work computes for a tenth of a second or so.
func work() (sum uint64) {
	for i := range uint64(100_000_000) {
		sum += i ^ sum<<1
	}
	return sum
}

// compute has goroutines compute that have begun before there is anything to do.
func compute() {
	const workers, parts = 4, 8
	gate, sums := make(chan bool), make([]uint64, workers)
	var begun, done sync.WaitGroup
	for i := range workers {
		begun.Add(1)
		done.Go(func() {
			begun.Done()
			<-gate
			sum := uint64(0)
			for range parts {
				sum += work()
			}
			sums[i] = sum
		})
	}
	begun.Wait()
	close(gate)
	done.Wait()
	measure.Sink = sums
}

// alone computes in one goroutine.
func alone() {
	for range 20 {
		measure.Sink = work()
	}
}

// sieve finds primes by a chain of goroutines, each of which does little with each number.
func sieve() {
	c := make(chan int)
	go func(to chan int) {
		for i := 2; ; i++ {
			to <- i
		}
	}(c)
	for range 2000 {
		prime := <-c
		next := make(chan int)
		go func(from chan int) {
			for {
				if v := <-from; v%prime != 0 {
					next <- v
				}
			}
		}(c)
		c = next
	}
}
