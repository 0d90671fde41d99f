// A program that looks at where its own variables lie. The scaffold's runtime
// and stub set attached, before any init function runs.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

//go:linkname remoteShared runtime.remoteShared
var remoteShared [4]uintptr

//go:linkname attached runtime.remoteAttached
var attached bool

type node struct {
	next *node
	pad  [4]uint64
}

var (
	number   = 42                        // .noptrdata
	words    = []string{"a", "b"}        // .data
	head     *node                       // .bss
	counts   [100]uint64                 // .noptrbss
	table    = map[string]*node{"x": {}} // set by init
	pool     = sync.Pool{New: func() any { return new(node) }}
	empty    struct{}
	early    = attached
	location = time.Local
)

func kind(p unsafe.Pointer) string {
	a := uintptr(p)
	switch {
	case remoteShared[0] <= a && a < remoteShared[1]:
		return "shared data"
	case remoteShared[2] <= a && a < remoteShared[3]:
		return "shared bss"
	}
	return "local"
}

func want(name string, p unsafe.Pointer, kinds ...string) {
	for _, k := range kinds {
		if kind(p) == k {
			return
		}
	}
	fmt.Printf("%s at %p is %s, want %s (bounds %#x)\n", name, p, kind(p), kinds, remoteShared)
	os.Exit(1)
}

func main() {
	for i, b := range remoteShared {
		if b < 4096 || b%4096 != 0 || i > 0 && b < remoteShared[i-1] {
			fmt.Printf("bounds %#x\n", remoteShared)
			os.Exit(1)
		}
	}
	if !early {
		fmt.Println("the stub was not called before init")
		os.Exit(1)
	}
	want("number", unsafe.Pointer(&number), "shared data")
	want("words", unsafe.Pointer(&words), "shared data")
	want("words' array", unsafe.Pointer(&words[0]), "shared data")
	want("head", unsafe.Pointer(&head), "shared bss")
	want("counts", unsafe.Pointer(&counts), "shared bss")
	want("table", unsafe.Pointer(&table), "shared bss")
	want("os.Args", unsafe.Pointer(&os.Args), "shared bss")
	want("location", unsafe.Pointer(&location), "shared data", "shared bss")
	want("*location", unsafe.Pointer(location), "shared data", "shared bss")
	want("pool", unsafe.Pointer(&pool), "shared data")
	want("empty", unsafe.Pointer(&empty), "local")
	want("runtime.remoteShared", unsafe.Pointer(&remoteShared), "local")
	want("runtime.remoteAttached", unsafe.Pointer(&attached), "local")
	want("runtime.MemProfileRate", unsafe.Pointer(&runtime.MemProfileRate), "local")

	// Every pointer below is found through a global: a wrong mask loses it.
	for i := range 2000 {
		head = &node{next: head}
		table[fmt.Sprint(i)] = &node{next: table["x"]}
		words = append(words, fmt.Sprint(i))
		counts[i%len(counts)]++
		if i%500 == 0 {
			runtime.GC()
		}
	}
	n := 0
	for p := head; p != nil; p = p.next {
		n++
	}
	fmt.Println("ok", n, len(table), words[2000], counts[7])
}
