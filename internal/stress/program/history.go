package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"remotec.dev/internal/stress/history"
)

// recorder takes down what one goroutine does to one object.
type recorder struct {
	*rand.Rand
	start          time.Time
	object, client int
	ops            []history.Op
}

// op carries out an operation; fn fills in what came of it.
func (r *recorder) op(o history.Op, fn func(o *history.Op)) history.Op {
	o.Object, o.Client = r.object, r.client
	o.Call = int64(time.Since(r.start))
	fn(&o)
	o.Return = int64(time.Since(r.start))
	r.ops = append(r.ops, o)
	return o
}

var histories = map[string]func(object int, clients int) func(r *recorder){
	"chan": channelHistory, "select": selectHistory, "selects": selectsHistory, "mutex": mutexHistory, "rwmutex": rwmutexHistory, "register": registerHistory,
}

// record prints the histories of objects of one kind, an operation a line,
// until the time is over.
func record(what string) {
	make := histories[what]
	if make == nil {
		fmt.Fprintf(os.Stderr, "stress: no history of %q\n", what)
		os.Exit(2)
	}
	start := time.Now()
	out := json.NewEncoder(os.Stdout)
	for object := 0; time.Since(start) < *length; object++ {
		clients := 3 + object%3
		recorders := []*recorder{}
		objects := [](func(r *recorder)){}
		all(1, func(int) { objects = append(objects, make(object, clients)) }) // made by another process each time
		for k := range clients {
			recorders = append(recorders, &recorder{Rand: rand.New(rand.NewPCG(*seed, uint64(object*100+k))), start: start, object: object, client: k})
		}
		all(clients, func(k int) { objects[0](recorders[k]) })
		for _, r := range recorders {
			for _, o := range r.ops {
				out.Encode(o)
			}
		}
	}
}

// send and the others are the operations on a channel.
func (r *recorder) send(c chan int64, v int64, try bool) {
	o := history.Op{Kind: "send", Value: v, Cap: cap(c)}
	if try {
		o.Kind = "try-send"
	}
	r.op(o, func(o *history.Op) {
		defer func() { recover() }() // closed
		if !try {
			c <- v
			o.OK = true
			return
		}
		select {
		case c <- v:
			o.OK = true
		default:
			o.Value = -v // full
		}
	})
}

func (r *recorder) receive(c chan int64, try bool) history.Op {
	if !try {
		return r.op(history.Op{Kind: "receive", Cap: cap(c)}, func(o *history.Op) { o.Value, o.OK = <-c })
	}
	return r.op(history.Op{Kind: "try-receive", Cap: cap(c)}, func(o *history.Op) {
		select {
		case o.Value, o.OK = <-c:
		default:
			o.Value = -1 // empty
		}
	})
}

// channelHistory is a channel that is sent to, received from, and closed at the
// end by the last of the senders, or in the midst of all.
func channelHistory(object, clients int) func(r *recorder) {
	c := make(chan int64, []int{0, 1, 2, 9}[object%4])
	sending := new(atomic.Int32)
	sending.Store(int32(clients+1) / 2)
	early := object%8 >= 6
	return func(r *recorder) {
		const each = 12
		if r.client%2 == 1 {
			for range 10 * each {
				try := cap(c) > 0 && r.IntN(3) == 0
				if o := r.receive(c, try); !o.OK && o.Value == 0 {
					return
				} else if !o.OK {
					time.Sleep(100 * time.Microsecond)
				}
			}
			for r.receive(c, false).OK {
			}
			return
		}
		for i := range each {
			r.send(c, int64(r.client*1000+i+1), cap(c) > 0 && r.IntN(4) == 0)
			if early && r.client == 0 && i == each/2 {
				r.op(history.Op{Kind: "close", Cap: cap(c)}, func(*history.Op) { close(c) })
			}
		}
		if sending.Add(-1) == 0 && !early {
			r.op(history.Op{Kind: "close", Cap: cap(c)}, func(*history.Op) { close(c) })
		}
	}
}

// selectHistory is like channelHistory by selects with a second channel on which
// nothing happens, of another process perhaps.
func selectHistory(object, clients int) func(r *recorder) {
	c := make(chan int64, []int{0, 1, 2, 9}[object%4])
	sending := new(atomic.Int32)
	sending.Store(int32(clients+1) / 2)
	return func(r *recorder) {
		idle := make(chan int64)
		if r.client%2 == 1 {
			for ok := true; ok; {
				o := r.op(history.Op{Kind: "receive", Cap: cap(c)}, func(o *history.Op) {
					select {
					case o.Value, o.OK = <-c:
					case <-idle:
					}
				})
				ok = o.OK
			}
			return
		}
		for i := range 12 {
			v := int64(r.client*1000 + i + 1)
			r.op(history.Op{Kind: "send", Value: v, Cap: cap(c)}, func(o *history.Op) {
				select {
				case c <- v:
					o.OK = true
				case idle <- v:
				}
			})
		}
		if sending.Add(-1) == 0 {
			r.op(history.Op{Kind: "close", Cap: cap(c)}, func(*history.Op) { close(c) })
		}
	}
}

// selectsHistory is of selects that send to, or receive from, any of three channels, of
// different processes, and of operations on one of them. What is written down of a select is what it did to the
// channel that it chose, each of which is an object.
func selectsHistory(object, clients int) func(r *recorder) {
	var c [3]chan int64
	all(len(c), func(i int) { c[i] = make(chan int64, []int{0, 0, 1, 2}[(object+i)%4]) })
	sending := new(atomic.Int32)
	sending.Store(int32(clients+1) / 2)
	chosen := func(o *history.Op, i int) {
		o.Object, o.Cap = len(c)*object+i, cap(c[i])
	}
	return func(r *recorder) {
		if r.client%2 == 1 {
			left := c
			for left != [3]chan int64{} {
				r.op(history.Op{Kind: "receive"}, func(o *history.Op) {
					i := 0
					select {
					case o.Value, o.OK = <-left[0]:
					case o.Value, o.OK = <-left[1]:
						i = 1
					case o.Value, o.OK = <-left[2]:
						i = 2
					}
					if chosen(o, i); !o.OK {
						left[i] = nil
					}
				})
			}
			return
		}
		for k := range 12 {
			v := int64(r.client*1000 + k + 1)
			r.op(history.Op{Kind: "send", Value: v, OK: true}, func(o *history.Op) {
				i := r.IntN(2 * len(c))
				if i < len(c) {
					c[i] <- v
				} else {
					select {
					case c[0] <- v:
						i = 0
					case c[1] <- v:
						i = 1
					case c[2] <- v:
						i = 2
					}
				}
				chosen(o, i)
			})
		}
		if sending.Add(-1) == 0 {
			for i := range c {
				r.op(history.Op{Kind: "close"}, func(o *history.Op) { chosen(o, i); close(c[i]) })
			}
		}
	}
}

func mutexHistory(object, clients int) func(r *recorder) {
	mu := new(sync.Mutex)
	return func(r *recorder) {
		for range 15 {
			kind, ok := "lock", true
			if r.IntN(3) == 0 {
				kind = "try-lock"
			}
			ok = r.op(history.Op{Kind: kind}, func(o *history.Op) {
				if o.OK = true; kind == "lock" {
					mu.Lock()
				} else {
					o.OK = mu.TryLock()
				}
			}).OK
			if !ok {
				continue
			}
			if r.IntN(4) == 0 {
				runtime.Gosched()
			}
			r.op(history.Op{Kind: "unlock"}, func(*history.Op) { mu.Unlock() })
		}
	}
}

func rwmutexHistory(object, clients int) func(r *recorder) {
	mu := new(sync.RWMutex)
	return func(r *recorder) {
		for range 12 {
			if r.IntN(3) == 0 {
				r.op(history.Op{Kind: "lock", OK: true}, func(*history.Op) { mu.Lock() })
				r.op(history.Op{Kind: "unlock"}, func(*history.Op) { mu.Unlock() })
				continue
			}
			r.op(history.Op{Kind: "rlock"}, func(*history.Op) { mu.RLock() })
			r.op(history.Op{Kind: "runlock"}, func(*history.Op) { mu.RUnlock() })
		}
	}
}

// registerHistory is a word that is changed atomically, on a page with others.
func registerHistory(object, clients int) func(r *recorder) {
	words := make([]atomic.Int64, 3)
	v := &words[1]
	return func(r *recorder) {
		for i := range 20 {
			words[0].Add(1)
			fresh := int64(r.client*1000 + i + 1)
			switch r.IntN(4) {
			case 0:
				r.op(history.Op{Kind: "load"}, func(o *history.Op) { o.Value = v.Load() })
			case 1:
				r.op(history.Op{Kind: "add", OK: true}, func(o *history.Op) { o.Value = v.Add(1_000_000) })
			case 2:
				r.op(history.Op{Kind: "swap", Value: fresh, OK: true}, func(o *history.Op) { o.Old = v.Swap(fresh) })
			default:
				r.op(history.Op{Kind: "cas", Value: fresh}, func(o *history.Op) {
					o.Old = v.Load()
					o.OK = v.CompareAndSwap(o.Old, fresh)
				})
			}
			if slices.Contains([]int{3, 9}, i) {
				runtime.Gosched()
			}
		}
	}
}
