// Moves measures how long a goroutine that computes does not run while it moves to another
// process, which something else makes it do again and again. With arguments N PROCESS it is
// a program of N goroutines in that process instead, for others to move: in process 0 all wait for a channel, in
// others they are in all states.
package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
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
		process, err := strconv.Atoi(os.Args[2])
		measure.Must(err)
		if process == 0 {
			wait(n)
		} else {
			ready := make(chan bool)
			remote.GoOn(process, func() { begin(n); ready <- true })
			<-ready
		}
		time.Sleep(100 * time.Millisecond)
		fmt.Println("ready")
		time.Sleep(time.Minute)
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
}

// begin has n goroutines be in all states: they wait for channels, in selects and for a mutex, sleep, and compute; of
// the last ones there are twice as many as CPUs.
func begin(n int) {
	computing := 2 * runtime.NumCPU()
	c, d := make(chan int), make(chan int)
	var mu sync.Mutex
	mu.Lock()
	for i := range n {
		switch {
		case i < computing:
			go func() {
				for x := uint64(i); ; x = x*6364136223846793005 + 1 {
					if x == 0 {
						measure.Sink = i
					}
				}
			}()
		case i%4 == 0:
			go func() { <-c }()
		case i%4 == 1:
			go func() {
				select {
				case <-c:
				case <-d:
				}
			}()
		case i%4 == 2:
			go func() { mu.Lock() }()
		default:
			go func() {
				for {
					time.Sleep(20 * time.Millisecond)
				}
			}()
		}
	}
}
