package main

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unique"
	"weak"
)

var runtimeLoads = []load{
	{"gc", collect}, {"stacks", stacks}, {"shrink", shrink}, {"pool", pool}, {"itabs", itabs}, {"reflects", reflects},
	{"finalizers", finalizers}, {"weaks", weaks}, {"uniques", uniques}, {"panics", panics}, {"coroutines", coroutines},
	{"threads", threads}, {"spins", spins},
}

// collect is the collector, in several ways, beside everything else.
func collect(r *round) {
	switch r.IntN(6) {
	case 0:
		runtime.GC()
	case 1:
		old := debug.SetGCPercent(10 + r.IntN(100))
		defer debug.SetGCPercent(old)
	case 2:
		go debug.FreeOSMemory()
	case 3:
		go runtime.GC()
		runtime.GC()
	}
	var keep [][]*int
	for range 20 {
		var l []*int
		for i := range 100 {
			l = append(l, &i)
		}
		keep = append(keep, l)
	}
	time.Sleep(time.Millisecond)
	for _, l := range keep {
		for i, p := range l {
			if *p != i {
				r.fail("element %d is %d", i, *p)
			}
		}
	}
}

// deep calls itself with a frame of some size and calls f at the bottom.
func deep(depth int, f func()) (sum int) {
	var frame [32]int
	for i := range frame {
		frame[i] = depth * i
	}
	if depth == 0 {
		f()
	} else {
		sum = deep(depth-1, f)
	}
	for i, v := range frame {
		if v != depth*i {
			panic(fmt.Sprintf("a frame at depth %d has %d at %d", depth, v, i))
		}
		sum += v
	}
	return sum
}

// stacks grows stacks while others write to variables in them: what a receive
// stores its element in, and a select.
func stacks(r *round) {
	c, d := make(chan [4]uint64), make(chan *[2]string, 1)
	want := deep(3, func() {})
	all(4, func(k int) {
		depth := 10 * (k + 1)
		if k%2 == 0 {
			for i := range uint64(6) {
				deep(depth, func() { c <- [4]uint64{i, i, i, i} })
				deep(2*depth, func() { d <- &[2]string{"a", fmt.Sprint(i)} })
			}
			return
		}
		for range 6 {
			deep(depth, func() {
				e := <-c // in this frame
				if e[0] != e[3] || e[1] != e[2] || e[0] != e[1] {
					r.fail("element %v", e)
				}
			})
			deep(depth/2, func() {
				select {
				case p := <-d:
					if p[0] != "a" || len(p[1]) != 1 {
						r.fail("element %v", *p)
					}
				case <-time.After(20 * time.Second):
					r.fail("no element in 20 s")
				}
			})
		}
	})
	if got := deep(3, func() {}); got != want {
		r.fail("deep is %d, was %d", got, want)
	}
}

// shrink has goroutines wait with large stacks that have become empty: the
// collector shrinks them while others send.
func shrink(r *round) {
	const n = 4
	var in [n]chan [6]uint64
	var locks [n]sync.Mutex
	ready, out := make(chan bool, n), make(chan uint64, n)
	for k := range n {
		in[k] = make(chan [6]uint64)
		locks[k].Lock()
		go func() {
			deep(60, func() {}) // 20 KiB, no longer needed
			ready <- true
			var local [6]uint64
			other := make(chan int)
			switch k % 2 {
			case 0:
				local = <-in[k]
			default:
				select {
				case local = <-in[k]:
				case <-other:
				}
			}
			locks[k].Lock()
			sum := uint64(0)
			for i, v := range local {
				if v != local[0]+uint64(i) {
					r.fail("received %v", local)
				}
				sum += v
			}
			out <- sum
		}()
	}
	for range n {
		<-ready
	}
	if r.IntN(4) == 0 {
		runtime.GC()
	} else {
		time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
	}
	want := uint64(0)
	for k := range in {
		var e [6]uint64
		for i := range e {
			e[i] = uint64(100*k + i)
			want += e[i]
		}
		go func() {
			in[k] <- e
			locks[k].Unlock()
		}()
	}
	got := uint64(0)
	for range n {
		got += <-out
	}
	if got != want {
		r.fail("sum %d, want %d", got, want)
	}
}

type pooled struct {
	used atomic.Int32
	data []int
}

var thePool = sync.Pool{New: func() any { return &pooled{data: make([]int, 8)} }}

// pool hands each object to one goroutine at a time.
func pool(r *round) {
	all(4, func(k int) {
		for i := range 15 {
			p := thePool.Get().(*pooled)
			if n := p.used.Add(1); n != 1 {
				r.fail("an object of a pool is used %d times", n)
			}
			for j := range p.data {
				p.data[j] = k*100 + i
			}
			if i%4 == 0 {
				runtime.Gosched()
			}
			for _, v := range p.data {
				if v != k*100+i {
					r.fail("an object of a pool has %d, want %d", v, k*100+i)
				}
			}
			p.used.Add(-1)
			if i%5 != 4 {
				thePool.Put(p)
			}
		}
	})
}

type (
	namer interface{ Name() string }
	sizer interface{ Size() int }
	both  interface {
		namer
		sizer
	}
	boxed[T any] struct{ v T }
	lengths      []int
)

func (b boxed[T]) Name() string      { return fmt.Sprintf("%T", b.v) }
func (b *boxed[T]) Size() int        { return int(reflect.TypeFor[T]().Size()) }
func (l lengths) Len() int           { return len(l) }
func (l lengths) Less(i, j int) bool { return l[i] < l[j] }
func (l lengths) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }

// itabs makes itabs at run time and compares interface values of several
// goroutines.
func itabs(r *round) {
	objects := []any{&boxed[int]{1}, &boxed[string]{"s"}, &boxed[[3]int]{}, &boxed[*int]{}, boxed[bool]{true}, lengths{3, 1, 2},
		errors.New("e"), &strings.Builder{}, reflect.ValueOf(1), time.Second, &sync.Mutex{}}
	names := make([]namer, len(objects))
	bothOf := make([]both, len(objects))
	stringers := make([]fmt.Stringer, len(objects))
	all(len(objects), func(i int) {
		names[i], _ = objects[i].(namer)
		bothOf[i], _ = objects[i].(both)
		stringers[i], _ = objects[i].(fmt.Stringer)
		if l, ok := objects[i].(sort.Interface); ok {
			sort.Sort(l)
		}
	})
	all(len(objects), func(i int) {
		if n, _ := objects[i].(namer); n != names[i] {
			r.fail("object %d: interface values differ: %v, %v", i, n, names[i])
		}
		if b, _ := objects[i].(both); b != bothOf[i] || b != nil && b.Name() != names[i].Name() {
			r.fail("object %d: interface values differ: %v, %v", i, b, bothOf[i])
		}
		if i != 8 { // a reflect.Value is not to be compared
			if s, _ := objects[i].(fmt.Stringer); s != stringers[i] {
				r.fail("object %d: interface values differ: %v, %v", i, s, stringers[i])
			}
		}
	})
	if names[0].Name() != "int" || bothOf[2].Size() != 24 || bothOf[5] != nil || stringers[9].String() != "1s" || objects[5].(lengths)[0] != 1 {
		r.fail("methods: %v %v %v", names[0].Name(), bothOf[2].Size(), stringers[9])
	}
	m := map[any]int{}
	for i, o := range objects {
		if i != 5 && i != 8 {
			m[o] = i
		}
	}
	done := make(chan bool)
	go func() {
		for i, o := range objects {
			if i != 5 && i != 8 && m[o] != i {
				r.fail("object %d is not found in a map", i)
			}
		}
		done <- true
	}()
	<-done
}

// reflects makes types at run time, the same in several goroutines.
func reflects(r *round) {
	n := 1 + r.IntN(30)
	types := make([]reflect.Type, 4)
	values := make([]reflect.Value, 4)
	all(4, func(k int) {
		t := reflect.StructOf([]reflect.StructField{
			{Name: fmt.Sprint("A", n), Type: reflect.TypeFor[int](), Tag: `json:"a"`},
			{Name: "B", Type: reflect.SliceOf(reflect.ArrayOf(n, reflect.TypeFor[string]()))},
			{Name: "C", Type: reflect.MapOf(reflect.TypeFor[string](), reflect.ArrayOf(n, reflect.TypeFor[int]()))},
		})
		v := reflect.New(t)
		v.Elem().Field(0).SetInt(int64(k))
		s := reflect.MakeSlice(t.Field(1).Type, 2, 2)
		s.Index(1).Index(n - 1).SetString(fmt.Sprint("s", k))
		v.Elem().Field(1).Set(s)
		m := reflect.MakeMap(t.Field(2).Type)
		m.SetMapIndex(reflect.ValueOf("key"), reflect.Zero(t.Field(2).Type.Elem()))
		v.Elem().Field(2).Set(m)
		types[k], values[k] = t, v
	})
	all(4, func(k int) {
		o := (k + 1) % 4
		if types[k] != types[o] {
			r.fail("types made by two goroutines differ: %v", types[k])
		}
		v := values[o].Elem()
		if v.Field(0).Int() != int64(o) || v.Field(1).Index(1).Index(n-1).String() != fmt.Sprint("s", o) ||
			v.Field(2).MapIndex(reflect.ValueOf("key")).Len() != n {
			r.fail("value %d is %v", o, v)
		}
		if reflect.TypeOf(v.Interface()) != types[k] || v.Type().String() != types[k].String() {
			r.fail("type %v, want %v", v.Type(), types[k])
		}
	})
	f := reflect.MakeFunc(reflect.TypeFor[func(int, string) string](), func(in []reflect.Value) []reflect.Value {
		return []reflect.Value{reflect.ValueOf(fmt.Sprint(in[0].Int(), in[1].String()))}
	}).Interface().(func(int, string) string)
	c := make(chan string)
	go func() { c <- f(n, "x") }()
	if s := <-c; s != fmt.Sprint(n, "x") {
		r.fail("a made function gives %q", s)
	}
	ch := reflect.MakeChan(reflect.ChanOf(reflect.BothDir, reflect.ArrayOf(n, reflect.TypeFor[int]())), 0)
	go func() { ch.Send(reflect.Zero(ch.Type().Elem())) }()
	if _, v, ok := reflect.Select([]reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: ch}}); !ok || v.Len() != n {
		r.fail("received %v", v)
	}
}

type finalized struct {
	alive   atomic.Bool
	counter *atomic.Int32
	_       *finalized // pointers, so that it is no tiny object
	_       [4]uint64
}

// finalizers runs each finalizer and cleanup at most once, and none of an object
// in use.
func finalizers(r *round) {
	const n = 6
	var count, cleaned atomic.Int32
	objects := make([]*finalized, n)
	all(n, func(i int) { objects[i] = &finalized{counter: &count} })
	all(n, func(i int) {
		o := objects[(i+1)%n] // perhaps another process's
		o.alive.Store(true)
		runtime.SetFinalizer(o, func(o *finalized) {
			if o.alive.Load() {
				r.fail("an object in use was finalized")
			}
			o.counter.Add(1)
		})
		c := runtime.AddCleanup(objects[i], func(k *atomic.Int32) { k.Add(1) }, &cleaned)
		if i == 0 {
			c.Stop()
		}
	})
	if r.IntN(3) == 0 {
		runtime.GC()
	}
	if count.Load() != 0 || cleaned.Load() != 0 {
		r.fail("%d finalizers and %d cleanups of objects in use ran", count.Load(), cleaned.Load())
	}
	for i, o := range objects {
		o.alive.Store(false)
		if i == 1 {
			runtime.SetFinalizer(o, nil)
		}
	}
	runtime.KeepAlive(objects)
	clear(objects)
	if r.IntN(3) == 0 {
		runtime.GC()
	}
	if count.Load() > n-1 || cleaned.Load() > n-1 {
		r.fail("%d finalizers and %d cleanups ran, of %d objects", count.Load(), cleaned.Load(), n)
	}
}

// weaks has weak pointers to objects in use and to ones that are not.
func weaks(r *round) {
	type thing struct {
		id int
		_  [3]*int
	}
	const n = 5
	things, pointers := make([]*thing, n), make([]weak.Pointer[thing], n)
	all(n, func(i int) { things[i] = &thing{id: i} })
	all(n, func(i int) { pointers[i] = weak.Make(things[(i+1)%n]) })
	if r.IntN(4) == 0 {
		runtime.GC()
	}
	all(n, func(i int) {
		p := pointers[i].Value()
		if p != things[(i+1)%n] || p == nil || p.id != (i+1)%n {
			r.fail("a weak pointer to an object in use is %v", p)
		}
		if weak.Make(things[(i+1)%n]) != pointers[i] {
			r.fail("two weak pointers to one object differ")
		}
	})
	clear(things)
	all(n, func(i int) {
		if p := pointers[i].Value(); p != nil && p.id != (i+1)%n {
			r.fail("a weak pointer leads to object %d, want %d", p.id, (i+1)%n)
		}
	})
}

// uniques has one handle for equal values.
func uniques(r *round) {
	type key struct {
		s string
		n int
	}
	const n = 4
	var handles [n][8]unique.Handle[string]
	var keys [n]unique.Handle[key]
	all(n, func(k int) {
		for i := range handles[k] {
			handles[k][i] = unique.Make(strings.Repeat("u", i+r.IntNFor(5)))
		}
		keys[k] = unique.Make(key{"k", r.IntNFor(9)})
	})
	all(n, func(k int) {
		for i, h := range handles[k] {
			if h != handles[0][i] || len(h.Value()) != i+r.IntNFor(5) {
				r.fail("handle %d of goroutine %d is %q, of 0 it is %q", i, k, h.Value(), handles[0][i].Value())
			}
		}
		if keys[k] != keys[0] || keys[k].Value() != (key{"k", r.IntNFor(9)}) {
			r.fail("handle %v", keys[k].Value())
		}
	})
}

type stressError struct{ n *int }

func (e *stressError) Error() string { return fmt.Sprint("error ", *e.n) }

// panics panics, recovers, defers and leaves goroutines by Goexit.
func panics(r *round) {
	errs := make(chan error, 4)
	for k := range 4 {
		go func() {
			defer func() {
				switch v := recover().(type) {
				case nil:
					errs <- nil
				case runtime.Error:
					errs <- v
				case error:
					errs <- v
				default:
					errs <- fmt.Errorf("%v", v)
				}
			}()
			deep(10+k, func() {
				switch k {
				case 0:
					panic(&stressError{&k})
				case 1:
					m := noMap
					m["x"] = 1
				case 2:
					runtime.Goexit()
				default:
					var p *[100]int
					p[7]++
				}
			})
		}()
	}
	seen := map[string]int{}
	for range 4 {
		if err := <-errs; err == nil {
			seen["goexit"]++
		} else {
			seen[err.Error()]++
		}
	}
	for _, want := range []string{"error 0", "assignment to entry in nil map", "goexit", "runtime error: invalid memory address or nil pointer dereference"} {
		if seen[want] != 1 {
			r.fail("the goroutines ended by %v", seen)
		}
	}
}

// coroutines pulls values out of an iterator, here and elsewhere.
func coroutines(r *round) {
	ended := make(chan bool, 1)
	count := func(yield func(int) bool) {
		defer func() { ended <- true }()
		for i := range 20 {
			if !yield(i) {
				return
			}
		}
	}
	next, stop := iter.Pull(count)
	done := make(chan bool)
	want := 0
	pull := func() {
		for range 3 {
			if v, ok := next(); !ok || v != want {
				r.fail("the iterator gives %d, %v, want %d", v, ok, want)
			}
			want++
		}
	}
	for range 3 {
		pull()
		go func() {
			pull()
			done <- true
		}()
		<-done
	}
	if r.IntN(2) == 0 {
		stop()
	} else {
		go stop()
	}
	<-ended
}

// threads locks goroutines to threads.
func threads(r *round) {
	c := make(chan int)
	all(2, func(k int) {
		runtime.LockOSThread()
		if r.IntNFor(2) == 0 { // else the thread ends
			defer runtime.UnlockOSThread()
		}
		for i := range 5 {
			if k == 0 {
				c <- i
			} else if v := <-c; v != i {
				r.fail("received %d, want %d", v, i)
			}
		}
	})
}

// spins computes without calls, beside what wants to stop the world.
func spins(r *round) {
	n := 50_000 + r.IntN(100_000)
	var sums [2]uint64
	all(2, func(k int) {
		h := uint64(1)
		for i := range n {
			h = h*6364136223846793005 + uint64(i)
		}
		sums[k] = h
	})
	if sums[0] != sums[1] {
		r.fail("two computations give %#x and %#x", sums[0], sums[1])
	}
}

// noMap is what a write to a map of nil fails on.
var noMap map[string]int
