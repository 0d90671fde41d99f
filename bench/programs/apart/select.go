package main

import "remotec.dev/bench/programs/measure"

// selects measures a value there and one back by selects, each over a channel of either process.
func selects() {
	made := make(chan chan int)
	elsewhere(func() { made <- make(chan int) })
	there, back := make(chan int), <-made
	quiet := make(chan int)
	over := make(chan bool)
	elsewhere(func() {
		for {
			select {
			case v := <-there:
				select {
				case back <- v:
				case <-quiet:
				}
			case <-back:
				close(over)
				return
			}
		}
	})
	const n = 500
	measure.Time("apart/select", n, func() {
		for i := range n {
			there <- i
			select {
			case <-back:
			case <-quiet:
			}
		}
	})
	back <- 0
	<-over
}
