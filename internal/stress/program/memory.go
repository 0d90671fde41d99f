package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
)

var memoryLoads = []load{
	{"lists", lists}, {"trees", trees}, {"maps", mapsLoad}, {"mapmoves", mapMoves}, {"closures", closures}, {"spawntree", spawnTree},
	{"stringwork", stringWork}, {"slices", slicesLoad}, {"bigobjects", bigObjects}, {"neighbours", neighbours},
	{"tables", tables}, {"cycles", cycles}, {"interior", interior}, {"jsonwork", jsonWork}, {"mesh", mesh},
}

type element struct {
	v, canary uint64
	next      *element
	prev      *element
}

// lists moves doubly linked lists from goroutine to goroutine; each adds and
// takes away elements, so that neighbours were made by different processes.
func lists(r *round) {
	type chain struct {
		head *element
		n    int
		sum  uint64
	}
	check := func(c *chain) {
		n, sum := 0, uint64(0)
		var prev *element
		for e := c.head; e != nil; prev, e = e, e.next {
			if e.canary != ^e.v || e.prev != prev {
				r.fail("element %d of %d: value %#x, canary %#x", n, c.n, e.v, e.canary)
				return
			}
			n++
			sum += e.v
		}
		if n != c.n || sum != c.sum {
			r.fail("%d elements with sum %d, want %d with %d", n, sum, c.n, c.sum)
		}
	}
	const stages = 4
	var at [stages + 1]chan *chain
	for i := range at {
		at[i] = make(chan *chain, 1)
	}
	for s := range stages {
		random := r.Uint64()
		go func() {
			for c := range at[s] {
				check(c)
				for i := range 10 {
					e := &element{v: mix(random, uint64(i)), next: c.head}
					e.canary = ^e.v
					if c.head != nil {
						c.head.prev = e
					}
					c.head, c.n, c.sum = e, c.n+1, c.sum+e.v
				}
				k := 0
				for e := c.head; e != nil; e = e.next {
					if k++; k%4 == s && e.prev != nil { // out of the middle
						e.prev.next = e.next
						if e.next != nil {
							e.next.prev = e.prev
						}
						c.n, c.sum = c.n-1, c.sum-e.v
					}
				}
				at[s+1] <- c
			}
			close(at[s+1])
		}()
	}
	go func() {
		for range 3 {
			at[0] <- &chain{}
		}
		close(at[0])
	}()
	for c := range at[stages] {
		check(c)
	}
}

type tree struct {
	left, right *tree
	key         int
	label       string
}

func (t *tree) insert(key int) *tree {
	if t == nil {
		return &tree{key: key, label: fmt.Sprint("key ", key)}
	}
	if key < t.key {
		t.left = t.left.insert(key)
	} else if key > t.key {
		t.right = t.right.insert(key)
	}
	return t
}

func (t *tree) walk(yield func(*tree) bool) bool {
	return t == nil || t.left.walk(yield) && yield(t) && t.right.walk(yield)
}

// trees grows a tree in several goroutines and reads it in others.
func trees(r *round) {
	var mu sync.Mutex
	var root *tree
	want := map[int]bool{}
	keys := r.Perm(60)
	for _, k := range keys {
		want[k] = true
	}
	all(4, func(k int) {
		for i := k; i < len(keys); i += 4 {
			mu.Lock()
			root = root.insert(keys[i])
			mu.Unlock()
		}
	})
	all(3, func(int) {
		n := 0
		root.walk(func(t *tree) bool {
			if t.key != n || t.label != fmt.Sprint("key ", n) {
				r.fail("node %d has key %d, label %q", n, t.key, t.label)
			}
			n++
			return true
		})
		if n != len(want) {
			r.fail("%d nodes, want %d", n, len(want))
		}
	})
}

// mapsLoad fills a map in several goroutines; it grows meanwhile.
func mapsLoad(r *round) {
	var mu sync.Mutex
	words, numbers, values := map[string]*parcel{}, map[int]int{}, map[any][]string{}
	const n, each = 4, 30
	all(n, func(k int) {
		for i := range each {
			id := k*each + i
			mu.Lock()
			words[fmt.Sprint("w", id)] = newParcel(uint64(id))
			numbers[id] = id * id
			values[[2]any{k, i}] = append(values[[2]any{k, i}], fmt.Sprint(id))
			if i%7 == 6 {
				delete(numbers, id-3)
			}
			mu.Unlock()
		}
	})
	all(3, func(int) {
		if len(words) != n*each || len(values) != n*each {
			r.fail("%d words, %d values", len(words), len(values))
		}
		for k, p := range words {
			if bad := p.hash() != p.sum || fmt.Sprint("w", p.canary^0xfeedface) != k; bad {
				r.fail("word %s: %+v", k, *p)
			}
		}
		for k, v := range numbers {
			if v != k*k {
				r.fail("%d squared is %d", k, v)
			}
		}
		for k := range n {
			for i := range each {
				id := k*each + i
				if v := values[[2]any{k, i}]; len(v) != 1 || v[0] != fmt.Sprint(id) {
					r.fail("value %d is %v", id, v)
				}
				if _, ok := numbers[id]; ok == (i < each-each%7 && i%7 == 3) {
					r.fail("number %d: %v", id, ok)
				}
			}
		}
	})
}

// mapMoves hands maps on, each made, grown, cleared and copied elsewhere.
func mapMoves(r *round) {
	c := make(chan map[string]int)
	go func() {
		m := map[string]int{}
		for i := range 50 {
			m[fmt.Sprint(i)] = i
		}
		c <- m
	}()
	d := make(chan map[string]int)
	go func() {
		m := <-c
		copied := maps.Clone(m)
		for i := range 25 {
			delete(m, fmt.Sprint(i))
		}
		for i := 50; i < 100; i++ {
			m[fmt.Sprint(i)] = i
		}
		d <- m
		d <- copied
	}()
	m, copied := <-d, <-d
	if len(m) != 75 || len(copied) != 50 {
		r.fail("maps of %d and %d", len(m), len(copied))
	}
	for i := range 100 {
		if v, ok := m[fmt.Sprint(i)]; ok != (i >= 25) || ok && v != i {
			r.fail("m[%d] is %d, %v", i, v, ok)
		}
		if v, ok := copied[fmt.Sprint(i)]; ok != (i < 50) || ok && v != i {
			r.fail("copied[%d] is %d, %v", i, v, ok)
		}
	}
}

// closures starts functions that caught variables, which are called elsewhere.
func closures(r *round) {
	type op struct {
		f    func(int) int
		undo func()
	}
	ops := make(chan op, 2)
	total := 0
	go func() {
		defer close(ops)
		for i := range 12 {
			local := i * 3
			label := fmt.Sprint("op ", i)
			ops <- op{
				f: func(v int) int {
					local += v
					if label != fmt.Sprint("op ", i) {
						r.fail("label %q", label)
					}
					return local
				},
				undo: func() { local = -1 },
			}
		}
	}()
	i := 0
	for o := range ops {
		result := make(chan int)
		go func() {
			o.f(1)
			total += o.f(1)
			o.undo()
			result <- o.f(0)
		}()
		if v := <-result; v != -1 {
			r.fail("closure %d gives %d", i, v)
		}
		i++
	}
	if want := 3*66 + 2*12; total != want || i != 12 {
		r.fail("total %d, want %d", total, want)
	}
}

// spawnTree adds numbers by goroutines that start goroutines.
func spawnTree(r *round) {
	var add func(from, to int, out chan<- int)
	add = func(from, to int, out chan<- int) {
		if to-from == 1 {
			out <- from
			return
		}
		half := make(chan int, r.IntNFor(2))
		go add(from, (from+to)/2, half)
		go add((from+to)/2, to, half)
		out <- <-half + <-half
	}
	out := make(chan int)
	go add(0, 24, out)
	if v := <-out; v != 24*23/2 {
		r.fail("sum %d, want %d", v, 24*23/2)
	}
}

// IntNFor is IntN for goroutines beside the round's own: no random number.
func (r *round) IntNFor(n int) int { return (r.number + r.worker) % n }

// stringWork builds and takes apart strings that others made.
func stringWork(r *round) {
	text := make(chan string)
	go func() {
		var b strings.Builder
		for i := range 60 {
			fmt.Fprintf(&b, "%d,", i)
		}
		text <- b.String()
	}()
	fields := make(chan []string)
	go func() {
		s := <-text
		fields <- strings.Split(strings.TrimSuffix(s, ","), ",")
	}()
	list := <-fields
	var sorted []string
	all(2, func(k int) {
		if k == 0 {
			sorted = slices.Clone(list)
			sort.Strings(sorted)
		}
	})
	if !slices.IsSorted(sorted) || len(sorted) != 60 {
		r.fail("sorted: %q", sorted)
	}
	for i, s := range list {
		if s != fmt.Sprint(i) {
			r.fail("field %d is %q", i, s)
		}
	}
	bs := []byte(strings.Join(list, " "))
	up := make(chan []byte)
	go func() { up <- bytes.ReplaceAll(bs, []byte(" "), []byte("--")) }()
	if s := string(<-up); s != strings.Join(list, "--") {
		r.fail("replaced: %q", s)
	}
}

// slicesLoad has goroutines append to and write parts of a common array.
func slicesLoad(r *round) {
	const n, part = 4, 37 // parts share pages and cache lines
	data := make([]uint32, n*part)
	pointers := make([]*uint32, n*part)
	all(n, func(k int) {
		mine := data[k*part : (k+1)*part]
		for pass := range 3 {
			for i := range mine {
				mine[i] += uint32(k*1000 + i + pass)
				pointers[k*part+i] = &mine[i]
			}
		}
		var grown []int
		for i := range 100 {
			grown = append(grown, i)
		}
		if len(grown) != 100 || grown[99] != 99 {
			r.fail("grown slice %v", grown)
		}
	})
	for k := range n {
		for i := range part {
			at := k*part + i
			if want := uint32(3*(k*1000+i) + 3); data[at] != want || pointers[at] != &data[at] {
				r.fail("data[%d] is %d, want %d", at, data[at], want)
			}
		}
	}
}

// bigObjects moves objects of many pages, whose memory is taken back by the
// collector and given out anew.
func bigObjects(r *round) {
	c := make(chan []uint64)
	size := 1000 + r.IntN(30_000)
	go func() {
		b := make([]uint64, size)
		for i, v := range b {
			if v != 0 {
				r.fail("word %d of new memory is %#x", i, v)
				break
			}
		}
		for i := 0; i < size; i += 61 {
			b[i] = uint64(i)
		}
		c <- b
	}()
	b := <-c
	d := make(chan uint64)
	go func() {
		sum := uint64(0)
		for i := 0; i < size; i += 61 {
			if b[i] != uint64(i) {
				r.fail("word %d of %d is %#x", i, size, b[i])
				break
			}
			sum += b[i]
			b[i] = ^uint64(0) // dirt for who gets the memory next
		}
		d <- sum
	}()
	n := uint64((size + 60) / 61)
	if sum := <-d; sum != 61*n*(n-1)/2 {
		r.fail("sum %d of %d words", sum, size)
	}
}

// neighbours are small objects on the same pages, written by many.
func neighbours(r *round) {
	type cell struct {
		n uint64
		p *uint64
	}
	const n, each = 4, 16
	cells := make([]*cell, n*each)
	for i := range cells {
		cells[i] = &cell{}
	}
	all(n, func(k int) {
		for pass := range 5 {
			for i := k; i < len(cells); i += n {
				cells[i].n++
				v := cells[i].n
				if cells[i].p != nil && *cells[i].p != v-1 {
					r.fail("cell %d, pass %d: %d, want %d", i, pass, *cells[i].p, v-1)
				}
				cells[i].p = &v
			}
		}
	})
	for i, c := range cells {
		if c.n != 5 || *c.p != 5 {
			r.fail("cell %d is %d, %d", i, c.n, *c.p)
		}
	}
}

// cycles makes rings of objects of several processes, and garbage of them.
func cycles(r *round) {
	type ring struct {
		next *ring
		id   int
		pad  [5]uint64
	}
	const n = 5
	made := make(chan *ring, n)
	for i := range n {
		go func() { made <- &ring{id: i, pad: [5]uint64{uint64(i)}} }()
	}
	var all [n]*ring
	for range n {
		p := <-made
		all[p.id] = p
	}
	for i, p := range all {
		p.next = all[(i+1)%n]
	}
	done := make(chan bool)
	go func() {
		p := all[0]
		for i := range 3 * n {
			if p.id != i%n || p.pad[0] != uint64(i%n) {
				r.fail("step %d is at %d", i, p.id)
				break
			}
			p = p.next
		}
		done <- true
	}()
	<-done
}

// interior keeps objects alive by pointers into their middle only.
func interior(r *round) {
	type block struct {
		words [40]uint64
		s     []uint64
	}
	middle := make(chan *uint64, 4)
	tails := make(chan []uint64, 4)
	go func() {
		for k := range uint64(4) {
			b := &block{}
			for i := range b.words {
				b.words[i] = k<<32 | uint64(i)
			}
			b.s = b.words[30:]
			middle <- &b.words[20]
			tails <- b.s
		}
	}()
	all(4, func(int) {
		p := <-middle
		garbage := make([][]byte, 0, 20)
		for i := range 20 {
			garbage = append(garbage, make([]byte, 100*i))
		}
		if *p&0xffffffff != 20 || len(garbage) != 20 {
			r.fail("the middle of a block is %#x", *p)
		}
		s := <-tails
		for i, v := range s {
			if v&0xffffffff != uint64(30+i) || v>>32 != s[0]>>32 {
				r.fail("word %d of a block is %#x", 30+i, v)
			}
		}
	})
}

// jsonWork goes through much of the standard library: reflection, caches, pools.
func jsonWork(r *round) {
	type inner struct {
		A []int
		M map[string]float64
	}
	type doc struct {
		Name  string
		Inner *inner `json:",omitempty"`
		Any   any
	}
	c := make(chan []byte)
	d := doc{Name: "x", Inner: &inner{A: []int{1, 2, 3}, M: map[string]float64{"pi": 3.14, "e": 2.71}}, Any: []any{"s", 1.5, nil, true}}
	go func() {
		b, err := json.Marshal(d)
		if err != nil {
			r.fail("%v", err)
		}
		c <- b
	}()
	b := <-c
	back := make(chan doc)
	go func() {
		var v doc
		if err := json.Unmarshal(b, &v); err != nil {
			r.fail("%v of %s", err, b)
			v = d
		}
		back <- v
	}()
	v := <-back
	if fmt.Sprintf("%+v %+v", v, *v.Inner) != fmt.Sprintf("%+v %+v", doc{d.Name, v.Inner, d.Any}, *d.Inner) {
		r.fail("%+v came back as %+v", d, v)
	}
}

// mesh is a long-lived graph, whose nodes are replaced by whoever comes by: old
// objects get references to new ones of other processes.
func mesh(r *round) {
	meshMu.Lock()
	defer meshMu.Unlock()
	done := make(chan bool)
	go func() {
		for range 6 {
			i, j := r.IntN(len(meshNodes)), r.IntN(len(meshNodes))
			n := &meshNode{id: i, check: ^i}
			if old := meshNodes[i]; old != nil {
				n.links = old.links
				if old.id != i || old.check != ^i {
					r.fail("node %d is %d, %#x", i, old.id, old.check)
				}
			}
			n.links[r.IntN(len(n.links))] = meshNodes[j]
			meshNodes[i] = n
			for k, l := range n.links {
				for depth := 0; l != nil && depth < 8; depth++ {
					if l.check != ^l.id {
						r.fail("link %d of node %d leads to %d, %#x", k, i, l.id, l.check)
						return
					}
					l = l.links[depth%len(l.links)]
				}
			}
		}
		// Not ever longer.
		if k := r.IntN(len(meshNodes)); meshNodes[k] != nil {
			meshNodes[k].links = [4]*meshNode{}
		}
		done <- true
	}()
	<-done
}

type meshNode struct {
	id    int
	links [4]*meshNode
	check int
}

var (
	meshMu    sync.Mutex
	meshNodes [64]*meshNode
)
