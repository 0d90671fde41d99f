// Sched measures what goroutines of one process do with each other.
package main

import (
	"sync"

	"remotec.dev/bench/programs/measure"
)

func main() {
	channel("chan/unbuffered", 0, 10_000)
	channel("chan/buffered", 128, 50_000)
	selects()
	goStatement()
	mutex()
}

// channel passes n values from one goroutine to another.
func channel(name string, size, n int) {
	measure.Time(name, n, func() {
		c := make(chan int, size)
		go func() {
			for i := range n {
				c <- i
			}
			close(c)
		}()
		for range c {
		}
	})
}

// selects passes values through two channels of which the receiver takes what
// comes first.
func selects() {
	const n = 10_000
	measure.Time("select", n, func() {
		a, b, quit := make(chan int, 16), make(chan int, 16), make(chan bool)
		go func() {
			for i := range n / 2 {
				a <- i
				b <- i
			}
			close(quit)
		}()
		for {
			select {
			case <-a:
			case <-b:
			case <-quit:
				return
			}
		}
	})
}

// goStatement creates goroutines and waits for their end: one at a time, and
// many at once.
func goStatement() {
	const n = 5_000
	measure.Time("go/one", n, func() {
		done := make(chan struct{})
		for range n {
			go func() { done <- struct{}{} }()
			<-done
		}
	})
	measure.Time("go/many", n, func() {
		var wg sync.WaitGroup
		for range n / 1000 {
			wg.Add(1000)
			for range 1000 {
				go wg.Done()
			}
			wg.Wait()
		}
	})
}

func mutex() {
	var mu sync.Mutex
	count := 0
	const n = 200_000
	measure.Time("mutex/free", n, func() {
		for range n {
			mu.Lock()
			count++
			mu.Unlock()
		}
	})
	const each = 25_000
	measure.Time("mutex/contended", 4*each, func() {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range each {
					mu.Lock()
					count++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	})
}
