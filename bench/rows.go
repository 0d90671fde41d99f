package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// variant is a way to run a program.
type variant string

const (
	plain     variant = "plain"
	plainOneP variant = "plainOneP" // GOMAXPROCS=1
	plainTwoP variant = "plainTwoP" // GOMAXPROCS=2
	remote    variant = "remote"    // remotec run
	accounted variant = "accounted" // goroutines have accounts from the middle on
	forwarded variant = "forwarded" // remotec run -hand=false
	two       variant = "two"       // remotec run -n 2
	oneP      variant = "oneP"      // remotec run, GOMAXPROCS=1
	moving    variant = "moving"    // remotec run -n 2 -chaos migrate=2ms
	twoP      variant = "twoP"      // remotec run -n 2, GOMAXPROCS=1 in each
	local     variant = "local"     // the same with -placement local
	balance   variant = "balance"   // and balance; the others have spread
)

// series names the samples of one measure of one variant.
type series struct {
	variant variant
	measure string
}

// row compares the samples of series what with those of series base.
type row struct {
	name       string
	what, base series
	target     target
}

// limit is the kind of a target.
type limit int

const (
	none        limit = iota // for information
	atMost                   // of the ratio
	atLeast                  // of the ratio
	atMostExtra              // of the difference, in milliseconds
	atMostNs                 // of the value, in nanoseconds
	atLeastMB                // of the value, in MB/s
)

type target struct {
	limit limit
	value float64
}

func (t target) String() string {
	switch t.limit {
	case atMost:
		return fmt.Sprintf("at most %.2f", t.value)
	case atLeast:
		return fmt.Sprintf("at least %.2f", t.value)
	case atMostExtra:
		return fmt.Sprintf("at most +%.0f ms", t.value)
	case atMostNs:
		return "at most " + value(t.value, "ns")
	case atLeastMB:
		return fmt.Sprintf("at least %.0f MB/s", t.value)
	}
	return ""
}

func (t target) met(ratio, extra, value float64) bool {
	switch t.limit {
	case atMost:
		return ratio <= t.value
	case atLeast:
		return ratio >= t.value
	case atMostExtra:
		return extra <= t.value
	case atMostNs:
		return value <= t.value
	case atLeastMB:
		return value >= t.value
	}
	return true
}

// against compares a measure of the remote binary with the plain one's.
func against(name, measure string, t target) row {
	return row{name, series{remote, measure}, series{plain, measure}, t}
}

// accounts compares a program whose goroutines have accounts with the same process before.
func accounts(name, measure string) row {
	return row{name, series{accounted, "account/" + measure}, series{accounted, "without/" + measure}, cpu}
}

// roundTrips compares a forwarded call with a bare round trip.
func roundTrips(name, measure, base string, t target) row {
	return row{name, series{forwarded, measure}, series{plain, "roundtrip/" + base}, t}
}

var (
	cpu   = target{atMost, 1.02}
	alloc = target{atMost, 1.05}
	sched = target{atMost, 1.10}
	call  = target{atMost, 2}
)

var allRows = slices.Concat([]row{
	against("CPU: n-body", "cpu/nbody", cpu),
	against("CPU: matrix product", "cpu/matmul", cpu),
	against("CPU: sort", "cpu/sort", cpu),
	against("CPU: map", "cpu/map", cpu),
	against("CPU: SHA-256", "cpu/sha256", cpu),
	against("allocation: binary trees", "alloc/trees", alloc),
	against("allocation: small objects", "alloc/small", alloc),
	against("allocation: 4 KiB slices", "alloc/big", alloc),
	against("channel, unbuffered", "chan/unbuffered", sched),
	against("channel, buffered", "chan/buffered", sched),
	against("select", "select", sched),
	against("go statement, one at a time", "go/one", sched),
	against("go statement, 1000 at a time", "go/many", sched),
	against("mutex, uncontended", "mutex/free", sched),
	against("mutex, contended", "mutex/contended", sched),
	accounts("accounting: CPU, map / without", "cpu/map"),
	accounts("accounting: allocation, small objects / without", "alloc/small"),
	accounts("accounting: channel, unbuffered / without", "chan/unbuffered"),
	accounts("accounting: channel, buffered / without", "chan/buffered"),
	accounts("accounting: select / without", "select"),
	accounts("accounting: go statement, one at a time / without", "go/one"),
	accounts("accounting: go statement, 1000 at a time / without", "go/many"),
	accounts("accounting: mutex, uncontended / without", "mutex/free"),
	against("start-up of hello", "startup", target{atMostExtra, 50}),

	roundTrips("forwarded pread 4 KiB / round trip", "os/pread", "unixconn", call),
	roundTrips("forwarded write 64 B / round trip", "os/write", "unixconn", call),
	roundTrips("forwarded stat / round trip", "os/stat", "unixconn", call),
	roundTrips("forwarded pread 4 KiB / blocking round trip", "os/pread", "blocking", target{}),
	roundTrips("forwarded write 64 B / blocking round trip", "os/write", "blocking", target{}),
	roundTrips("forwarded stat / blocking round trip", "os/stat", "blocking", target{}),
	against("pread 4 KiB", "os/pread", target{}),
	against("write 64 B", "os/write", target{}),
	against("stat", "os/stat", target{}),
	against("open and close", "os/open", target{}),
	against("os.ReadFile 4 KiB", "os/readfile", target{}),
	against("unbuffered lines on stdout", "stdout", target{}),
	against("starting and awaiting a process", "spawn", target{}),

	against("streaming a file, 64 KiB reads", "stream/64K", target{atLeast, 0.7}),
	against("streaming a file, 1 MiB reads", "stream/1M", target{atLeast, 0.7}),
	streamForwarded("streaming forwarded, 64 KiB reads", "stream/64K"),
	streamForwarded("streaming forwarded, 1 MiB reads", "stream/1M"),
	against("HTTP hello, 8 connections", "http", target{atLeast, 0.5}),
	{"HTTP hello forwarded, 8 connections", series{forwarded, "http"}, series{plain, "http"}, target{}},
	against("TCP echo 64 B, 1 connection", "echo", target{}),
	{"TCP echo 64 B forwarded, 1 connection", series{forwarded, "echo"}, series{plain, "echo"}, target{}},

	apart("two processes: page fault, on pointers / the kernel's own", "fault", "userfault", call),
	apart("two processes: unbuffered channel, there and back / blocking round trip", "pingpong", "roundtrip/blocking", call),
	apart("the same / net/rpc call", "pingpong", "peers/netrpc", target{}),
	apart("two processes: select over channels of two processes, there and back / blocking round trip", "select", "roundtrip/blocking", target{}),
	apart("two processes: 64 B messages, capacity 1024 / NATS publish", "stream", "peers/nats", target{atMost, 1}),
	apart("the same / gRPC stream", "stream", "peers/grpc", target{}),
	apart("the same / one process", "stream", "apart/stream", target{}),
	apart("two processes: go statement / one process", "go", "apart/go", target{}),
	apart("two processes: go statement, until the goroutine has answered / one process", "gowait", "apart/gowait", target{atMostNs, 25_000}),
	apart("two processes: function with captured variables, awaited by a WaitGroup / one process", "gather", "apart/gather", target{}),
	apart("two processes: a lock handed over, and one back / blocking round trip", "lock", "roundtrip/blocking", target{}),
	apart("two processes: TCP echo 64 B, by a process that did not open the connection / one process", "echo", "apart/echo", target{}),
	apart("two processes: reading 64 MiB of numbers once / one process", "transfer", "apart/transfer", target{atLeastMB, 1000}),
	apart("two processes: reading 64 MiB of pointers once / one process", "transferpointers", "apart/transferpointers", target{atLeastMB, 1000}),
	apart("two processes: writing again 64 MiB of pointers that the other one has read / one process", "transferpointers/again", "apart/transferpointers/again", target{}),
	{"moving a goroutine that computes, 8 KiB of stack: until it runs there / page fault, the kernel's own", series{moving, "moves/one"}, series{plain, "userfault"}, target{atMostNs, 100_000}},
	{"draining a process, for each of 10,000 goroutines that wait / the same", series{two, "drain"}, series{plain, "userfault"}, target{atMostNs, 10_000}},
	{"draining a process until it is gone, 10,000 goroutines in all states / until they have left it", series{two, "retire/gone"}, series{two, "retire/left"}, target{atMostNs, 2e9}},
},
	parallel("mandelbrot", "mandelbrot"),
	parallel("matrix product 256x256, rows of slices", "matmul256"),
	parallel("matrix product 256x256, one slice", "flat256"),
	parallel("matrix product 512x512, rows of slices", "matmul512"),
	parallel("matrix product 512x512, one slice", "flat512"),
	parallel("matrix product 1024x1024, rows of slices", "matmul1024"),
	parallel("matrix product 1024x1024, one slice", "flat1024"),
	[]row{
		placed("placement: work that is in one of two processes at first / one process", "placed/compute", oneP, target{atMost, 1 / 1.8}),
		placed("placement: a pair that begins apart / left apart", "pair", twoP, target{atMost, 0.2}),
		placed("placement, nothing to gain: one goroutine / not placed", "placed/alone", local, target{atMost, 1.02}),
		placed("placement, nothing to gain: a chain of goroutines / not placed", "placed/sieve", local, target{atMost, 1.02}),
	})

// parallel compares a computation in two processes with that in one, and plain Go's with two
// Ps with that with one: what the second CPU of this machine is worth.
func parallel(name, measure string) []row {
	measure = "parallel/" + measure
	return []row{
		{name + ", two processes of one P / one", series{twoP, measure}, series{oneP, measure}, half},
		{name + ", plain Go: two Ps / one", series{plainTwoP, measure}, series{plainOneP, measure}, target{}},
	}
}

// placed compares what the placement does with what is done without.
func placed(name, measure string, base variant, t target) row {
	return row{name, series{balance, measure}, series{base, measure}, t}
}

// half is the time that 1.9 times the speed takes.
var half = target{atMost, 1 / 1.9}

// apart compares a measure of program apart in two processes with something else.
func apart(name, measure, base string, t target) row {
	return row{name, series{two, "apart/" + measure}, series{plain, base}, t}
}

func streamForwarded(name, measure string) row {
	return row{name, series{forwarded, measure}, series{plain, measure}, target{}}
}

var buildRows = []row{
	against("go build of a net/http program, cold", "build/cold", target{atMost, 1.3}),
	against("the same, main edited", "build/edit", target{atMost, 1.2}),
	against("the same, nothing changed", "build/same", target{atMostExtra, 50}),
	against("the same, cold, first ever: makes the linker", "build/first", target{}),
}

// selected returns the rows whose names match only.
func selected(only *regexp.Regexp, build bool) []row {
	rows := slices.Clone(allRows)
	if build {
		rows = append(rows, buildRows...)
	}
	return slices.DeleteFunc(rows, func(r row) bool { return !only.MatchString(r.name) })
}

// needs reports the variants of program whose samples rows compare. A program
// is the first part of the names of its measures.
func needs(rows []row, programs ...string) (variants []variant) {
	for _, v := range []variant{plain, remote, accounted, forwarded, two, moving, plainOneP, plainTwoP, oneP, twoP, local, balance} {
		if slices.ContainsFunc(rows, func(r row) bool {
			return r.what.of(v, programs) || r.base.of(v, programs)
		}) {
			variants = append(variants, v)
		}
	}
	return variants
}

func (s series) of(v variant, programs []string) bool {
	first, _, _ := strings.Cut(s.measure, "/")
	return s.variant == v && slices.Contains(programs, first)
}
