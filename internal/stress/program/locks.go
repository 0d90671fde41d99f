package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

var lockLoads = []load{
	{"mutex", mutex}, {"rwmutex", rwmutex}, {"cond", cond}, {"once", once}, {"waitgroup", waitgroup},
	{"atomics", atomics}, {"globals", globals}, {"contexts", contexts}, {"timers", timers}, {"tickers", tickers},
	{"syncmap", syncMap},
}

// mutex adds under a lock, now and then by TryLock.
func mutex(r *round) {
	const n, each = 4, 30
	var mu sync.Mutex
	count, inside := 0, 0
	tried := [n]int{}
	all(n, func(k int) {
		for i := range each {
			if i%5 == 4 {
				if !mu.TryLock() {
					continue
				}
			} else {
				mu.Lock()
			}
			if inside++; inside != 1 {
				r.fail("%d goroutines hold a mutex", inside)
			}
			count++
			tried[k]++
			inside--
			mu.Unlock()
		}
	})
	if want := tried[0] + tried[1] + tried[2] + tried[3]; count != want {
		r.fail("count is %d, want %d", count, want)
	}
}

// rwmutex keeps two words equal under a write lock.
func rwmutex(r *round) {
	var mu sync.RWMutex
	var a, b int
	all(5, func(k int) {
		for range 15 {
			if k < 2 {
				mu.Lock()
				a++
				b++
				mu.Unlock()
				continue
			}
			mu.RLock()
			if a != b {
				r.fail("a reader sees %d and %d", a, b)
			}
			mu.RUnlock()
		}
	})
	if a != 30 || b != 30 {
		r.fail("%d and %d, want 30", a, b)
	}
}

// cond is a queue with a bound.
func cond(r *round) {
	const n, producers, bound = 12, 3, 4
	var (
		mu              sync.Mutex
		space, filled   = sync.NewCond(&mu), sync.NewCond(&mu)
		queue           []*int
		sum, taken      int
		everyone, start = sync.NewCond(&mu), false
	)
	all(2*producers, func(k int) {
		mu.Lock()
		for !start {
			if k == 2*producers-1 {
				start = true
				everyone.Broadcast()
				break
			}
			everyone.Wait()
		}
		mu.Unlock()
		for i := range n {
			mu.Lock()
			if k < producers {
				for len(queue) == bound {
					space.Wait()
				}
				v := k*n + i
				queue = append(queue, &v)
				filled.Signal()
			} else {
				for len(queue) == 0 {
					filled.Wait()
				}
				sum += *queue[0]
				taken++
				queue = queue[1:]
				space.Signal()
			}
			mu.Unlock()
		}
	})
	if want := producers * n * (producers*n - 1) / 2; sum != want || taken != producers*n {
		r.fail("%d values with sum %d, want %d with %d", taken, sum, producers*n, want)
	}
}

// once runs a function once, and all see what it did.
func once(r *round) {
	var o sync.Once
	var runs int
	var value *[4]int
	lazy := sync.OnceValues(func() (*int, error) {
		v := runs * 7
		return &v, nil
	})
	all(6, func(int) {
		o.Do(func() {
			value = &[4]int{1, 2, 3, 4}
			runs++
		})
		if runs != 1 || *value != [4]int{1, 2, 3, 4} {
			r.fail("runs %d, value %v", runs, value)
		}
		if v, err := lazy(); *v != 7 || err != nil {
			r.fail("lazy is %d, %v", *v, err)
		}
	})
}

// waitgroup reuses a WaitGroup.
func waitgroup(r *round) {
	var wg sync.WaitGroup
	var n atomic.Int64
	for round := range 4 {
		for range 5 {
			wg.Go(func() { n.Add(1) })
		}
		waiters := make(chan int64, 2)
		for range cap(waiters) {
			go func() {
				wg.Wait()
				waiters <- n.Load()
			}()
		}
		for range cap(waiters) {
			if got := <-waiters; got != int64(5*(round+1)) {
				r.fail("after Wait %d have ended, want %d", got, 5*(round+1))
			}
		}
	}
}

// atomics adds, and keeps a stack without locks (Treiber's) of nodes made and
// taken everywhere.
func atomics(r *round) {
	type node struct {
		v    int
		next *node
	}
	const n, each = 4, 25
	var head atomic.Pointer[node]
	var sum, flag atomic.Int64
	var bits atomic.Uint32
	all(2*n, func(k int) {
		for i := range each {
			flag.Add(1)
			bits.Or(1 << k)
			if k < n {
				nd := &node{v: k*each + i}
				for {
					nd.next = head.Load()
					if head.CompareAndSwap(nd.next, nd) {
						break
					}
				}
				continue
			}
			for tries := 0; ; tries++ {
				nd := head.Load()
				if nd == nil {
					if tries > 100 {
						time.Sleep(100 * time.Microsecond)
					}
					continue
				}
				if head.CompareAndSwap(nd, nd.next) { // no ABA: nodes are not reused
					sum.Add(int64(nd.v))
					break
				}
			}
		}
	})
	if want := int64(n * each * (n*each - 1) / 2); sum.Load() != want || flag.Load() != 2*n*each || bits.Load() != 1<<(2*n)-1 {
		r.fail("sum %d, want %d; count %d, bits %b", sum.Load(), want, flag.Load(), bits.Load())
	}
}

var shared struct {
	mu    sync.Mutex
	count int
	table map[int]*wide
	list  []*int
	text  string
	f     func() int
}

var sharedTotal atomic.Int64

// globals keeps variables of the package consistent with each other.
func globals(r *round) {
	all(3, func(int) {
		shared.mu.Lock()
		defer shared.mu.Unlock()
		if shared.table == nil {
			shared.table = map[int]*wide{}
			shared.f = func() int { return shared.count }
		}
		if shared.count != len(shared.list) || shared.f() != shared.count || len(shared.text) != shared.count {
			r.fail("count %d, %d elements, %d letters", shared.count, len(shared.list), len(shared.text))
		}
		for i, p := range shared.list {
			if *p != i {
				r.fail("element %d is %d", i, *p)
			}
			if w := shared.table[i]; w.check() != "" || w.id != uint64(i) {
				r.fail("entry %d: %s", i, w.check())
			}
		}
		if shared.count >= 40 {
			shared.count, shared.list, shared.text = 0, nil, ""
			clear(shared.table)
			return
		}
		i, w := shared.count, newWide(uint64(shared.count))
		shared.list, shared.table[i], shared.text = append(shared.list, &i), &w, shared.text+"x"
		shared.count++
		sharedTotal.Add(1)
	})
}

// valueKey is the key of a value in a context.
type valueKey struct{}

// contexts cancels trees of contexts.
func contexts(r *round) {
	root, cancel := context.WithCancelCause(context.WithValue(context.Background(), valueKey{}, 5))
	cause := errors.New("the cause")
	var ready sync.WaitGroup
	ready.Add(3)
	ended := make(chan error, 6)
	for range 3 {
		go func() {
			ctx, stop := context.WithTimeout(root, time.Hour)
			defer stop()
			if ctx.Value(valueKey{}) != 5 {
				r.fail("value %v", ctx.Value(valueKey{}))
			}
			go func() {
				<-ctx.Done()
				ended <- context.Cause(ctx)
			}()
			context.AfterFunc(ctx, func() { ended <- context.Cause(ctx) })
			ready.Done()
			<-ctx.Done()
		}()
	}
	ready.Wait()
	cancel(cause)
	for range 6 {
		if err := <-ended; err != cause {
			r.fail("a context ended with %v", err)
		}
	}
	ctx, stop := context.WithTimeout(root, time.Millisecond)
	defer stop()
	if <-ctx.Done(); context.Cause(ctx) != cause {
		r.fail("a child of an ended context: %v", context.Cause(ctx))
	}
}

// timers fires, stops and resets timers of other goroutines.
func timers(r *round) {
	start := time.Now()
	fired := make(chan time.Duration, 4)
	made := make(chan *time.Timer)
	go func() { // stopped below
		made <- time.AfterFunc(time.Hour, func() { r.fail("a stopped timer fired") })
		made <- time.NewTimer(time.Hour)
		made <- time.AfterFunc(time.Hour, func() { fired <- time.Since(start) })
	}()
	stopped, reset, early := <-made, <-made, <-made
	if !stopped.Stop() || stopped.Stop() {
		r.fail("stopping a timer of another goroutine")
	}
	if !reset.Reset(2 * time.Millisecond) {
		r.fail("the timer was not active")
	}
	early.Reset(time.Millisecond)
	all(3, func(k int) {
		d := time.Duration(k+1) * 500 * time.Microsecond
		before := time.Now()
		select {
		case <-time.After(d):
		case <-time.After(20 * time.Second):
			r.fail("20 s passed before %v", d)
		}
		if got := time.Since(before); got < d {
			r.fail("%v passed in %v", d, got)
		}
	})
	select {
	case <-reset.C:
	case <-time.After(20 * time.Second):
		r.fail("a timer that was reset does not fire")
	}
	if d := <-fired; d < time.Millisecond {
		r.fail("a timer of 1 ms fired after %v", d)
	}
}

// tickers ticks for other goroutines.
func tickers(r *round) {
	t := time.NewTicker(300 * time.Microsecond)
	done := make(chan bool)
	go func() {
		for range 4 {
			<-t.C // their times are not in order: each is corrected by its delay
		}
		done <- true
	}()
	<-done
	t.Reset(time.Millisecond)
	<-t.C
	t.Stop()
	select {
	case <-t.C:
		r.fail("a stopped ticker ticks")
	default:
	}
}

// syncMap keeps counters in a sync.Map.
func syncMap(r *round) {
	var m sync.Map
	all(4, func(k int) {
		for i := range 12 {
			v, _ := m.LoadOrStore(i, new(atomic.Int64))
			v.(*atomic.Int64).Add(int64(k))
			m.Store([2]int{k, i}, "x")
			if k == 3 {
				m.Delete([2]int{k, i})
			}
		}
	})
	n := 0
	m.Range(func(key, v any) bool {
		n++
		if i, ok := key.(int); ok && v.(*atomic.Int64).Load() != 6 {
			r.fail("counter %d is %d, want 6", i, v.(*atomic.Int64).Load())
		}
		return true
	})
	if n != 12+36 {
		r.fail("%d keys, want 48", n)
	}
}
