// Command common is what the tests of several hosts run: goroutines in all processes that
// share variables, channels and locks.
//
//	common work    does a bit of everything and prints what came out
//	common fault   prints how long page faults take
//	common move    prints how long a goroutine takes to another process and back
//	common pages A B   has processes A and B write in turns to the same memory, and prints what came out
//	common wait    goes on until it is ended, touching common memory all the time
//	common where   prints in how many processes goroutines were, and on how many hosts
//	common account prints what a goroutine used in two processes, and waits with it
//	common exit    ends with status 7, from a goroutine of another process
//	common panic   panics in a goroutine of another process
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"remotec.dev/remote"
)

var (
	counter atomic.Int64
	table   = map[string]int{}
	mu      sync.Mutex
)

func main() {
	switch os.Args[1] {
	case "work":
		start := time.Now()
		fmt.Println("table", words())
		fmt.Println("trees", trees())
		fmt.Println("channel", channel())
		fmt.Println("clock", clock(start))
		fmt.Println("file", file())
		fmt.Println("descriptor", descriptor())
		fmt.Fprintln(os.Stderr, "took", time.Since(start))
	case "fault":
		faults()
	case "move":
		move()
	case "pages":
		pages()
	case "wait":
		wait()
	case "account":
		account()
	case "where":
		where()
	case "spread":
		spread()
	case "pair":
		pair()
	case "stacks":
		stacks()
	case "computes":
		computes()
	case "exit":
		for range 8 {
			go os.Exit(7)
		}
		select {}
	case "panic":
		for range 8 {
			go func() { panic("in another process") }()
		}
		select {}
	}
}

// account has a goroutine compute for a while and allocate 8 MiB, in process 0 and then in process 1. It prints the
// goroutine's number and for how many ns it computed in all.
func account() {
	err := remote.GoOn(0, func() {
		var took time.Duration
		var kept [][]byte
		for process := range 2 {
			if err := remote.Migrate(process); err != nil {
				panic(err)
			}
			start := time.Now()
			for range 128 {
				kept = append(kept, make([]byte, 64<<10))
			}
			for time.Since(start) < 400*time.Millisecond {
			}
			took += time.Since(start)
			if p := remote.Process(); p != process {
				panic(fmt.Sprint("it is in process ", p))
			}
		}
		stack := make([]byte, 64)
		stack = stack[:runtime.Stack(stack, false)]
		fmt.Println("used", strings.Fields(string(stack))[1], int64(took))
		<-make(chan int)
		runtime.KeepAlive(kept)
	})
	if err != nil {
		panic(err)
	}
	time.Sleep(time.Minute) // somebody ends it before
}

// spread computes in as many goroutines as the program has processes, all of which begin in this one, until each has one.
func spread() {
	var at [64]atomic.Int32 // process of a goroutine plus 1
	var done atomic.Bool
	start := time.Now()
	each(remote.Processes(), func(i int) {
		for n := 1; !done.Load(); n++ {
			if n%(1<<24) != 0 { // some ms: what it writes the others read
				continue
			}
			at[i].Store(int32(remote.Process() + 1))
			seen := map[int32]bool{}
			for k := range remote.Processes() {
				if p := at[k].Load(); p != 0 {
					seen[p] = true
				}
			}
			if len(seen) == remote.Processes() || time.Since(start) > 20*time.Second {
				done.Store(true)
			}
		}
	})
	seen := map[int32]bool{}
	for k := range remote.Processes() {
		seen[at[k].Load()] = true
	}
	fmt.Println("processes", len(seen))
	fmt.Fprintln(os.Stderr, "took", time.Since(start))
}

// pair has two goroutines that begin in different processes hand values to each other until they are in the same one.
func pair() {
	there, back := make(chan int), make(chan int)
	err := remote.GoOn(1, func() {
		for range there {
			back <- remote.Process()
		}
		close(back)
	})
	if err != nil {
		panic(err)
	}
	start := time.Now()
	together := 0 // times in sequence
	for time.Since(start) < 20*time.Second && together < 1000 {
		there <- 0
		if <-back == remote.Process() {
			together++
		} else {
			together = 0
		}
	}
	close(there)
	<-back
	fmt.Println("together", together == 1000)
	fmt.Fprintln(os.Stderr, "took", time.Since(start))
}

// computes sends values from process 1 to process 0, which computes meanwhile, for two seconds, and prints how many.
func computes() {
	values, sent := make(chan int), make(chan int, 1)
	remote.GoOn(0, func() {
		for range values {
		}
	})
	remote.GoOn(1, func() {
		n := 0
		for start := time.Now(); time.Since(start) < 2*time.Second; n++ {
			values <- 0
		}
		sent <- n
	})
	for len(sent) == 0 {
		for range 1 << 28 {
		}
	}
	fmt.Println("values", <-sent)
}

// stacks prints how many pages the stacks of goroutines begin on, at first and when they were big and have shrunk.
func stacks() {
	const n, page = 64, 4096
	for _, grow := range []bool{false, true} {
		pages := make([]uintptr, n)
		var ready, done sync.WaitGroup
		leave := make(chan bool)
		ready.Add(n)
		done.Add(n)
		for i := range n {
			remote.GoOn(0, func() {
				if grow {
					deep(100)
				}
				ready.Done()
				<-leave
				var here byte
				pages[i] = uintptr(unsafe.Pointer(&here)) / page
				done.Done()
			})
		}
		ready.Wait()
		for range 5 {
			runtime.GC()
		}
		close(leave)
		done.Wait()
		different := map[uintptr]bool{}
		for _, p := range pages {
			different[p] = true
		}
		fmt.Println(n, "goroutines on", len(different), "pages")
	}
}

// deep needs some KiB of stack.
func deep(n int) byte {
	var local [128]byte
	if n == 0 {
		return 1
	}
	local[n] = deep(n - 1)
	return local[n] + 1
}

// each runs f in n goroutines and waits for them.
func each(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			f(i)
		}()
	}
	all.Wait()
}

func words() (sum int) {
	each(6, func(i int) {
		for k := range 10 {
			mu.Lock()
			table[fmt.Sprint("word ", i, k)] = i * k
			mu.Unlock()
			counter.Add(1)
		}
	})
	for _, v := range table {
		sum += v
	}
	return sum + len(table) + int(counter.Load())
}

type tree struct {
	left, right *tree
	value       int
}

func (t *tree) add(v int) *tree {
	switch {
	case t == nil:
		return &tree{value: v}
	case v < t.value:
		t.left = t.left.add(v)
	default:
		t.right = t.right.add(v)
	}
	return t
}

func (t *tree) sum() int {
	if t == nil {
		return 0
	}
	return t.value + t.left.sum() + t.right.sum()
}

// trees are made by other processes and read by this one.
func trees() (sum int) {
	var roots [4]*tree
	each(len(roots), func(i int) {
		var t *tree
		for k := range 500 {
			t = t.add((k*7919 + i) % 10007)
		}
		roots[i] = t
	})
	for _, t := range roots {
		sum += t.sum()
	}
	return sum
}

func channel() (sum int) {
	in, out := make(chan int), make(chan int, 4)
	go func() {
		for i := range 20 {
			in <- i
		}
		close(in)
	}()
	go func() {
		each(2, func(int) {
			for v := range in {
				out <- v * v
			}
		})
		close(out)
	}()
	for v := range out {
		sum += v
	}
	return sum
}

// clock reports whether all processes agree on how late it is.
func clock(start time.Time) bool {
	var wrong atomic.Bool
	each(4, func(int) {
		if d := time.Since(start); d < 0 || d > time.Minute {
			wrong.Store(true)
		}
		time.Sleep(time.Millisecond)
	})
	return !wrong.Load()
}

// file reports whether all processes see the files of the first one's host.
func file() bool {
	name := os.Args[2]
	var wrong atomic.Bool
	each(4, func(int) {
		if text, err := os.ReadFile(name); err != nil || string(text) != "here\n" {
			wrong.Store(true)
		}
	})
	return !wrong.Load()
}

// descriptor returns the lowest free number.
func descriptor() uintptr {
	f, err := os.Open(os.Args[2])
	if err != nil {
		panic(err)
	}
	defer f.Close()
	return f.Fd()
}

// faults measures page faults of two processes, one after the other, of which one has the
// pages.
func faults() {
	const pages, size = 200, 4096
	buf := make([]byte, (pages+1)*size)
	buf = buf[size-int(uintptr(unsafe.Pointer(&buf[0])))%size:]
	measure := func(what string, f func(i int)) {
		var took [pages]time.Duration
		for i := range took {
			start := time.Now()
			f(i)
			took[i] = time.Since(start)
		}
		slices.Sort(took[:])
		fmt.Printf("%-8s p50 %v p90 %v\n", what, took[pages/2], took[pages*9/10])
	}
	for i := range pages {
		buf[i*size] = 1
	}
	for i := range 2 {
		each(1, func(int) {
			fmt.Println("goroutine", i)
			sum := 0
			measure("read", func(i int) { sum += int(buf[i*size]) })
			measure("upgrade", func(i int) { buf[i*size] = 2 })
		})
		measure("back", func(i int) { buf[i*size] = 3 })
	}
}

// pages are written by one process after the other, which finds on them what the one before left.
func pages() {
	var a, b int
	fmt.Sscan(os.Args[2], &a)
	fmt.Sscan(os.Args[3], &b)
	on := func(process int, f func()) {
		done := make(chan bool)
		if err := remote.GoOn(process, func() { f(); close(done) }); err != nil {
			panic(err)
		}
		<-done
	}
	var numbers []uint64
	var refs []*uint64
	on(a, func() {
		numbers, refs = make([]uint64, 1<<18), make([]*uint64, 1<<10)
		for i := range numbers {
			numbers[i] = uint64(i) * 0x9e3779b97f4a7c15
		}
		for i := range refs {
			refs[i] = new(uint64)
		}
	})
	fmt.Println("begin")
	for range 10 {
		for _, process := range []int{b, a} {
			on(process, func() {
				for i := range numbers {
					numbers[i] += uint64(i)
				}
				for i, r := range refs {
					refs[i] = new(uint64)
					*refs[i] = *r + 1
				}
				runtime.GC()
			})
		}
	}
	var sum uint64
	on(b, func() {
		for _, v := range numbers {
			sum = sum*31 + v
		}
		for _, r := range refs {
			sum = sum*31 + *r
		}
	})
	fmt.Println("sum", sum)
}

func wait() {
	var shared [512]atomic.Int64
	for i := range 8 {
		go func() {
			for {
				shared[i].Add(1)
				mu.Lock()
				counter.Add(1)
				mu.Unlock()
			}
		}()
	}
	time.Sleep(100 * time.Millisecond)
	fmt.Println("ready")
	select {}
}

func where() {
	var mu sync.Mutex
	seen := map[int]bool{}
	each(32, func(int) {
		mu.Lock()
		seen[remote.Process()] = true
		mu.Unlock()
	})
	line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	fmt.Printf("processes %d of %d, %d arguments, heard %s\n", len(seen), remote.Processes(), len(os.Args)-2, strings.TrimSpace(line))
}

func move() {
	var took [200]time.Duration
	for i := range took {
		start := time.Now()
		for _, to := range []int{1, 0} {
			if err := remote.Migrate(to); err != nil {
				panic(err)
			}
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took[:])
	fmt.Printf("there and back p50 %v p90 %v\n", took[len(took)/2], took[len(took)*9/10])
}
