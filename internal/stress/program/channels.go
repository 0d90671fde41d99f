package main

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

var channelLoads = []load{
	{"pipe", pipe}, {"pointers", pointers}, {"large", large}, {"selects", selects},
	{"polls", polls}, {"closes", closes}, {"rendezvous", rendezvous}, {"chanofchan", chanOfChan},
	{"small", small}, {"pingpong", pingpong},
}

var capacities = []int{0, 1, 3, 7, 8, 64}

// pipe sends numbers through stages in a row: all arrive, in order.
func pipe(r *round) {
	const n = 40
	stages := 2 + r.IntN(4)
	first := make(chan int, capacities[r.IntN(len(capacities))])
	go func() {
		for i := range n {
			first <- i
		}
		close(first)
	}()
	in := first
	for range stages {
		out := make(chan int, capacities[r.IntN(len(capacities))])
		from := in
		go func() {
			for v := range from {
				out <- v + 1
			}
			close(out)
		}()
		in = out
	}
	want := 0
	for v := range in {
		if v != want+stages {
			r.fail("element %d is %d, want %d", want, v, want+stages)
			return
		}
		want++
	}
	if want != n {
		r.fail("%d elements arrived, want %d", want, n)
	}
}

// parcel is what travels by pointer: it is written to wherever it comes by.
type parcel struct {
	canary  uint64
	path    []int
	note    string
	sum     uint64
	next    *parcel
	payload [9]uint64
}

func newParcel(id uint64) *parcel {
	p := &parcel{canary: id ^ 0xfeedface, note: fmt.Sprint("parcel ", id)}
	for i := range p.payload {
		p.payload[i] = mix(id, uint64(i))
	}
	p.sum = p.hash()
	return p
}

func (p *parcel) hash() uint64 {
	h := p.canary
	for _, v := range p.payload {
		h = mix(h, v)
	}
	for _, v := range p.path {
		h = mix(h, uint64(v))
	}
	for i := range len(p.note) {
		h = mix(h, uint64(p.note[i]))
	}
	return h
}

// visit checks p and changes it.
func (p *parcel) visit(at int) string {
	if h := p.hash(); h != p.sum {
		return fmt.Sprintf("parcel %#x has hash %#x, want %#x: %+v", p.canary^0xfeedface, h, p.sum, *p)
	}
	p.path = append(p.path, at)
	p.payload[at%len(p.payload)]++
	if at%3 == 0 {
		p.note += "."
	}
	p.sum = p.hash()
	return ""
}

// pointers moves objects through goroutines that write to them.
func pointers(r *round) {
	const n, stages = 20, 4
	in := make(chan *parcel, capacities[r.IntN(len(capacities))])
	first := in
	for s := range stages {
		out := make(chan *parcel, capacities[r.IntN(len(capacities))])
		from := in
		go func() {
			defer close(out)
			for p := range from {
				if s == 2 {
					p.next = newParcel(uint64(s)) // an object of this process in another's
				}
				if bad := p.visit(s); bad != "" {
					r.fail("stage %d: %s", s, bad)
				}
				out <- p
			}
		}()
		in = out
	}
	go func() {
		for i := range n {
			first <- newParcel(uint64(i))
		}
		close(first)
	}()
	i := 0
	for p := range in {
		switch bad := p.visit(stages); {
		case bad != "":
			r.fail("end: %s", bad)
		case p.canary^0xfeedface != uint64(i) || len(p.path) != stages+1:
			r.fail("parcel %d, path %v, want %d", p.canary^0xfeedface, p.path, i)
		}
		if bad := p.next.visit(0); bad != "" {
			r.fail("the next one: %s", bad)
		}
		i++
	}
	if i != n {
		r.fail("%d parcels, want %d", i, n)
	}
}

// wide is an element larger than a word, with pointers in it.
type wide struct {
	id    uint64
	name  string
	list  []uint64
	any   any
	inner [20]uint64
	next  *wide
}

func newWide(id uint64) wide {
	w := wide{id: id, name: strings.Repeat("x", int(id%50)), any: fmt.Sprint(id), next: &wide{id: id + 1}}
	for i := range w.inner {
		w.inner[i] = mix(id, uint64(i))
		w.list = append(w.list, w.inner[i])
	}
	return w
}

func (w *wide) check() string {
	for i, v := range w.inner {
		if v != mix(w.id, uint64(i)) || w.list[i] != v {
			return fmt.Sprintf("word %d of element %d is %#x", i, w.id, v)
		}
	}
	if w.any != any(fmt.Sprint(w.id)) || len(w.name) != int(w.id%50) || strings.Trim(w.name, "x") != "" || w.next.id != w.id+1 {
		return fmt.Sprintf("element %d: %v", w.id, *w)
	}
	return ""
}

// large sends elements that do not fit in a word to several receivers.
func large(r *round) {
	const n, senders, receivers = 10, 3, 3
	c := make(chan wide, capacities[r.IntN(len(capacities))])
	var sum [receivers]uint64
	var left sync.WaitGroup
	left.Add(senders)
	go func() {
		left.Wait()
		close(c)
	}()
	for s := range senders {
		go func() {
			defer left.Done()
			for i := range n {
				c <- newWide(uint64(s*n + i))
			}
		}()
	}
	all(receivers, func(k int) {
		for w := range c {
			if bad := w.check(); bad != "" {
				r.fail("%s", bad)
			}
			sum[k] += w.id
		}
	})
	total := sum[0] + sum[1] + sum[2]
	if want := uint64(senders * n * (senders*n - 1) / 2); total != want {
		r.fail("the ids of all elements sum up to %d, want %d", total, want)
	}
}

// selects sends and receives by select, over channels of several goroutines.
func selects(r *round) {
	const chans, n = 4, 15
	var c [chans]chan *int
	made := make(chan int)
	for i := range c {
		capacity := capacities[r.IntN(len(capacities))]
		go func() { // made elsewhere
			c[i] = make(chan *int, capacity)
			made <- i
		}()
	}
	for range c {
		<-made
	}
	done := make(chan bool)
	go func() { // one sends to whatever takes
		for i := range chans * n {
			v := &i
			select {
			case c[0] <- v:
			case c[1] <- v:
			case c[2] <- v:
			case c[3] <- v:
			}
		}
		close(done)
	}()
	var mu sync.Mutex
	var seen [chans * n]int
	all(3, func(int) {
		var never chan *int
		for {
			var v *int
			select {
			case v = <-c[0]:
			case v = <-c[1]:
			case v = <-c[2]:
			case v = <-c[3]:
			case <-never:
				r.fail("a nil channel was received from")
			case <-done:
				for _, c := range c { // what is in buffers
					for len(c) > 0 {
						select {
						case v := <-c:
							mu.Lock()
							seen[*v]++
							mu.Unlock()
						default:
						}
					}
				}
				return
			}
			mu.Lock()
			seen[*v]++
			mu.Unlock()
		}
	})
	for i, n := range seen {
		if n != 1 {
			r.fail("value %d was received %d times", i, n)
		}
	}
}

// polls sends and receives without waiting, beside others that wait.
func polls(r *round) {
	const n = 30
	c := make(chan [3]uint64, r.IntN(3))
	var sent, received [4]uint64
	var senders sync.WaitGroup
	senders.Add(2)
	go func() {
		senders.Wait()
		close(c)
	}()
	for k := range 2 {
		go func() {
			defer senders.Done()
			for i := range uint64(n) {
				e := [3]uint64{i, i ^ 99, i * i}
				if k == 0 {
					c <- e
					sent[k] += i
					continue
				}
				select {
				case c <- e:
					sent[k] += i
				default:
				}
			}
		}()
	}
	all(2, func(k int) {
		take := func(e [3]uint64, ok bool) bool {
			if ok && (e[1] != e[0]^99 || e[2] != e[0]*e[0]) {
				r.fail("element %v", e)
			}
			received[k] += e[0]
			return ok
		}
		for {
			if k == 0 {
				select {
				case e, ok := <-c:
					if !take(e, ok) {
						return
					}
				default:
					time.Sleep(50 * time.Microsecond)
				}
			} else if e, ok := <-c; !take(e, ok) {
				return
			}
		}
	})
	if a, b := sent[0]+sent[1], received[0]+received[1]; a != b {
		r.fail("sent %d, received %d", a, b)
	}
}

// closes wakes waiters of all kinds by closing a channel.
func closes(r *round) {
	c, full, ready := make(chan int), make(chan *int, 1), make(chan bool, 16)
	full <- new(int)
	woken := make(chan string, 16)
	for k := range 6 {
		go func() {
			defer func() {
				if v := recover(); v != nil {
					woken <- fmt.Sprint(v)
				}
			}()
			ready <- true
			switch k {
			case 0, 1:
				_, ok := <-c
				woken <- fmt.Sprint("receive ", ok)
			case 2:
				select {
				case _, ok := <-c:
					woken <- fmt.Sprint("receive ", ok)
				case <-make(chan int):
				}
			case 3, 4:
				full <- nil
			default:
				select {
				case full <- nil:
				case <-make(chan int):
				}
			}
		}()
	}
	for range 6 {
		<-ready
	}
	if r.IntN(2) == 0 {
		time.Sleep(200 * time.Microsecond)
	}
	close(c)
	close(full)
	count := map[string]int{}
	for range 6 {
		count[<-woken]++
	}
	if count["receive false"] != 3 || count["send on closed channel"] != 3 {
		r.fail("the waiters were woken with %v", count)
	}
}

// rendezvous has each element received before its sender goes on.
func rendezvous(r *round) {
	c, state := make(chan int), 0
	done := make(chan bool)
	go func() {
		for i := range 20 {
			state = i // the receiver of i-1 has said so
			c <- i
			<-done
		}
		close(c)
	}()
	for v := range c {
		if state != v {
			r.fail("received %d while its sender is at %d", v, state)
		}
		done <- true
	}
}

// chanOfChan sends channels by channels: requests with a place for the answer.
func chanOfChan(r *round) {
	type request struct {
		a, b  int
		reply chan<- int
		fail  chan error
	}
	server := make(chan request, capacities[r.IntN(len(capacities))])
	for range 2 {
		go func() {
			for q := range server {
				if q.b == 0 {
					q.fail <- fmt.Errorf("%d by 0", q.a)
					continue
				}
				q.reply <- q.a / q.b
			}
		}()
	}
	all(4, func(k int) {
		for b := range 6 {
			reply, fail := make(chan int), make(chan error, 1)
			server <- request{k * 100, b, reply, fail}
			select {
			case v := <-reply:
				if b == 0 || v != k*100/b {
					r.fail("%d / %d = %d", k*100, b, v)
				}
			case err := <-fail:
				if b != 0 || err.Error() != fmt.Sprintf("%d by 0", k*100) {
					r.fail("%d / %d: %v", k*100, b, err)
				}
			}
		}
	})
	close(server)
}

// small sends elements of less than a word, and of none.
func small(r *round) {
	a, b, c, d, e := make(chan byte), make(chan struct{}), make(chan int16, 2), make(chan bool, 1), make(chan float32)
	go func() {
		for i := range 10 {
			a <- byte(i)
			b <- struct{}{}
			c <- int16(-i)
			d <- i%2 == 0
			e <- float32(i) / 4
		}
		close(e)
	}()
	for i := range 10 {
		av := <-a
		<-b
		cv, dv, ev := <-c, <-d, <-e
		if av != byte(i) || cv != int16(-i) || dv != (i%2 == 0) || ev != float32(i)/4 {
			r.fail("element %d: %v %v %v %v", i, av, cv, dv, ev)
		}
	}
	if _, ok := <-e; ok {
		r.fail("a closed channel has an element")
	}
}

// pingpong has two goroutines write to the same object in turn.
func pingpong(r *round) {
	type table struct{ hits [2]int }
	ball := make(chan *table)
	done := make(chan *table)
	for k := range 2 {
		go func() {
			for t := range ball {
				t.hits[k]++
				if t.hits[0]+t.hits[1] >= 20 {
					close(ball)
					done <- t
					return
				}
				ball <- t
			}
		}()
	}
	ball <- new(table)
	if t := <-done; t.hits[0]+t.hits[1] != 20 || t.hits[0] != 10 {
		r.fail("hits %v", t.hits)
	}
}
