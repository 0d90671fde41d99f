package main

import (
	"sync"

	"remotec.dev/bench/programs/measure"
)

// locks measures a lock that is handed over to a goroutine that waits for it, and another one back.
func locks() {
	const n = 500
	var there, back sync.Mutex
	there.Lock()
	back.Lock()
	stop := false
	elsewhere(func() {
		for !stop {
			there.Lock()
			back.Unlock()
		}
	})
	measure.Time("apart/lock", n, func() {
		for range n {
			there.Unlock()
			back.Lock()
		}
	})
	stop = true
	there.Unlock()
}

// gather measures goroutines that have captured variables, and are waited for.
func gather() {
	const n = 200
	measure.Time("apart/gather", n, func() {
		for i := range n {
			var all sync.WaitGroup
			got := make([]int, 1)
			all.Add(1)
			elsewhere(func() {
				got[0] = i
				all.Done()
			})
			all.Wait()
			measure.Sink = got[0]
		}
	})
}
