// Command lively is a program to look at: an HTTP service with clients, workers that
// share memory, goroutines that wait for all kinds of things. With an argument it parks so many
// goroutines. It ends when its standard input does.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// counters are neighbours in memory that different goroutines count in.
type counters struct {
	requests, bytes, hashes, retries atomic.Int64
}

// hits are global variables beside each other.
var hits [4]int64

type order struct {
	id   int
	text [600]byte
	next *order
	done bool
}

func serve() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello")
	}))
	return "http://" + l.Addr().String()
}

func client(url string, c *counters) {
	for {
		r, err := http.Get(url)
		if err == nil {
			n, _ := io.Copy(io.Discard, r.Body)
			r.Body.Close()
			c.bytes.Add(n)
		}
		c.requests.Add(1)
		time.Sleep(3 * time.Millisecond)
	}
}

func tally(i int) {
	for {
		for range 500 {
			hits[i]++
		}
		time.Sleep(time.Millisecond)
	}
}

func hasher(c *counters, jobs <-chan *order, results chan<- [32]byte) {
	for o := range jobs {
		sum := sha256.Sum256(o.text[:])
		for range 200 {
			sum = sha256.Sum256(sum[:])
		}
		c.hashes.Add(1)
		results <- sum
	}
}

func clerk(jobs chan<- *order) {
	for i := 0; ; i++ {
		jobs <- &order{id: i}
		time.Sleep(400 * time.Microsecond)
	}
}

func collector(results <-chan [32]byte) {
	for range results {
	}
}

func follower(mu *sync.Mutex, cond *sync.Cond) {
	mu.Lock()
	for {
		cond.Wait()
	}
}

// spinner computes until it is told to stop, which nobody does.
func spinner(stop *atomic.Bool) {
	n := 0
	for !stop.Load() {
		for range 20000 {
			n++
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func parked(never <-chan bool) { <-never }

func park(n int) {
	never := make(chan bool)
	for range n {
		go parked(never)
	}
}

func main() {
	if len(os.Args) > 1 {
		n, err := strconv.Atoi(os.Args[1])
		if err != nil {
			panic(err)
		}
		park(n)
		fmt.Println("parked")
		io.Copy(io.Discard, os.Stdin)
		return
	}
	c := new(counters)
	jobs, results := make(chan *order, 16), make(chan [32]byte, 16)
	url := serve()
	for range 4 {
		go client(url, c)
	}
	for i := range len(hits) {
		go tally(i)
	}
	for range 6 {
		go hasher(c, jobs, results)
	}
	for range 2 {
		go clerk(jobs)
		go collector(results)
	}
	var mu sync.Mutex
	cond := sync.NewCond(&mu)
	for range 5 {
		go follower(&mu, cond)
	}
	park(40)
	go spinner(new(atomic.Bool))
	fmt.Println("lively")
	io.Copy(io.Discard, os.Stdin)
}
