// Apart measures what two processes of a program do with each other: one half of
// each measure runs in process 0, the other in process 1, or in the same process
// where there is only one.
package main

import (
	"math/rand"
	"slices"
	"sync"
	"time"
	"unsafe"

	"remotec.dev/bench/programs/measure"
	"remotec.dev/remote"
)

// elsewhere starts f in the other process.
func elsewhere(f func()) {
	if remote.Processes() < 2 {
		go f()
		return
	}
	measure.Must(remote.GoOn(1, f))
}

func main() {
	pingPong()
	selects()
	stream()
	echo()
	start()
	locks()
	gather()
	faults()
	transfer()
}

// pingPong measures a value there and one back over unbuffered channels.
func pingPong() {
	there, back := make(chan int), make(chan int)
	elsewhere(func() {
		for v := range there {
			back <- v
		}
	})
	const n = 500
	measure.Time("apart/pingpong", n, func() {
		for i := range n {
			there <- i
			<-back
		}
	})
	close(there)
}

// stream measures messages of 64 bytes through a buffered channel.
func stream() {
	type message [8]uint64
	const n = 100_000
	c, taken := make(chan message, 1024), make(chan uint64)
	elsewhere(func() {
		var sum uint64
		for i := 1; ; i++ {
			m, ok := <-c
			if !ok {
				return
			}
			if sum += m[0]; i%n == 0 {
				taken <- sum
			}
		}
	})
	measure.Time("apart/stream", n, func() {
		for i := range uint64(n) {
			c <- message{i}
		}
		measure.Sink = <-taken
	})
	close(c)
}

var started sync.WaitGroup

// start measures go statements whose goroutines run in the other process, and how
// long one takes from there to its first statement and back.
func start() {
	const n = 1000
	measure.Time("apart/go", n, func() {
		started.Add(n)
		for range n {
			elsewhere(started.Done)
		}
		started.Wait()
	})
	done := make(chan bool)
	f := func() { done <- true }
	measure.Time("apart/gowait", 100, func() {
		for range 100 {
			elsewhere(f)
			<-done
		}
	})
}

const (
	page    = 4096
	perPage = page / 8
)

// faults measures the first read of a page that the other process has written, in
// no order that could be foreseen: of pages with pointers, which move.
func faults() {
	const pages = 1000
	memory := make([]*byte, (pages+1)*perPage)
	at := -int(uintptr(unsafe.Pointer(&memory[0]))) & (page - 1) / 8
	memory = memory[at : at+pages*perPage]
	var bytes [256]byte
	order := rand.New(rand.NewSource(1)).Perm(pages)
	result := make(chan time.Duration)
	var all []time.Duration
	for round := range 5 {
		for i := range pages {
			memory[i*perPage] = &bytes[round]
		}
		elsewhere(func() {
			var took [pages]time.Duration
			same := uint64(0)
			for i, p := range order {
				start := time.Now()
				if memory[p*perPage] == &bytes[round] {
					same++
				}
				took[i] = time.Since(start)
			}
			slices.Sort(took[:])
			result <- took[pages/2]
			measure.Sink = same
		})
		all = append(all, <-result)
	}
	slices.Sort(all)
	measure.Report("apart/fault", float64(all[len(all)/2]), "ns")
}

const transferred = 64 << 20 // bytes

// transfer measures reading once what the other process has written: bytes, which the
// processes of a host have in common, and pointers.
func transfer() {
	memory := make([]uint64, transferred/8)
	timeTransfer("apart/transfer", func(round int) {
		for i := 0; i < len(memory); i += 8 {
			memory[i] = uint64(round)
		}
	}, func() (sum uint64) {
		for _, w := range memory {
			sum += w
		}
		return sum
	})
	pointers := make([]*byte, transferred/8)
	var bytes [8]byte
	timeTransfer("apart/transferpointers", func(round int) {
		for i := 0; i < len(pointers); i += 8 {
			pointers[i] = &bytes[round]
		}
	}, func() (sum uint64) {
		for _, p := range pointers {
			if p != nil {
				sum++
			}
		}
		return sum
	})
}

func timeTransfer(name string, write func(round int), read func() uint64) {
	result := make(chan time.Duration)
	var all, again []float64
	for round := range 3 {
		start := time.Now()
		write(round)
		if round > 0 { // the other process has read it
			again = append(again, transferred/time.Since(start).Seconds()/1e6)
		}
		elsewhere(func() {
			start := time.Now()
			measure.Sink = read()
			result <- time.Since(start)
		})
		all = append(all, transferred/(<-result).Seconds()/1e6)
	}
	slices.Sort(all)
	measure.Report(name, all[len(all)/2], "MB/s")
	slices.Sort(again)
	measure.Report(name+"/again", again[len(again)/2], "MB/s")
}
