// Moves measures how long a goroutine that computes does not run while it moves to another
// process, which something else makes it do again and again. With an argument it is
// a program of so many goroutines that wait instead, for others to move.
package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"remotec.dev/bench/programs/measure"
	"remotec.dev/remote"
)

const (
	stack = 8 << 10 // bytes that the goroutine uses
	moves = 300
	limit = 20 * time.Second
)

func main() {
	if len(os.Args) > 1 {
		n, err := strconv.Atoi(os.Args[1])
		measure.Must(err)
		wait(n)
		return
	}
	done := make(chan []time.Duration)
	go func() { done <- compute() }()
	gaps := <-done
	slices.Sort(gaps)
	measure.Report("moves/one", float64(gaps[len(gaps)/2]), "ns")
}

// compute looks at the clock until it has moved often enough, and returns for how long it did not.
//
//go:noinline
func compute() (gaps []time.Duration) {
	var used [stack]byte
	at, start := remote.Process(), time.Now()
	for last := start; len(gaps) < moves; {
		now := time.Now()
		if p := remote.Process(); p != at {
			at = p
			now = time.Now() // it may have moved since it looked
			gaps = append(gaps, now.Sub(last))
		}
		used[len(gaps)*7%stack]++
		if last = now; last.Sub(start) > limit && len(gaps) > 0 {
			break
		}
	}
	measure.Sink = used[len(gaps)]
	return gaps
}

// wait has n goroutines wait for longer than it takes.
func wait(n int) {
	c := make(chan int)
	for range n {
		go func() { <-c }()
	}
	time.Sleep(100 * time.Millisecond)
	fmt.Println("ready")
	time.Sleep(time.Minute)
}
