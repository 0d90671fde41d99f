// Command tracelogger is a runtime server that logs every call of a program,
// the way strace does, and runs the program as remotec run does:
//
//	go run ./examples/tracelogger [-o FILE] ./prog args...
//
// It shows what it takes to write a runtime server: the passthrough server,
// with one part replaced. Because descriptors are never handed over, all that
// the program does to the outside world goes through that part.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server"
	"remotec.dev/server/osys"
	"remotec.dev/server/program"
)

// outputVariable takes the log file to the sessions of programs that the
// program starts: their session processes are this program again.
const outputVariable = "TRACELOGGER_OUTPUT"

func main() {
	trace := &tracer{start: time.Now()}
	cfg := server.Config{
		Name:   "tracelogger",
		Policy: server.Policy{Hand: false},
		OS: func(c osys.Config) osys.OS {
			trace.open()
			return osys.Wrap(osys.Passthrough(c), trace.thread)
		},
	}
	server.Main(cfg) // session processes do not return from here

	output := flag.String("o", os.Getenv(outputVariable), "append the log to this `file` instead of standard error")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: tracelogger [-o FILE] PROGRAM [ARGUMENT...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if *output != "" {
		name, err := filepath.Abs(*output)
		if err != nil {
			fail(err)
		}
		os.Setenv(outputVariable, name)
	}
	p, err := (&program.Builder{Tool: "remotec", Output: os.Stderr}).Find(flag.Args())
	if err != nil {
		fail(err)
	}
	exit, err := server.Run(cfg, server.Program{Program: *p})
	p.Remove()
	if err != nil {
		fail(err)
	}
	os.Exit(exit.Code())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "tracelogger:", err)
	os.Exit(1)
}

// tracer writes the log of one session.
type tracer struct {
	start time.Time
	mu    sync.Mutex // serialises lines
	w     io.Writer
}

// open opens the log. Its descriptor must not be where the program's are.
func (t *tracer) open() {
	name := os.Getenv(outputVariable)
	fd, err := syscall.Dup(2)
	if name != "" {
		fd, err = syscall.Open(name, syscall.O_WRONLY|syscall.O_APPEND|syscall.O_CREAT, 0o666)
	}
	if err == nil {
		fd, err = server.Adopt(fd)
	}
	if err != nil {
		fail(fmt.Errorf("opening the log %s: %w", name, err))
	}
	t.w = os.NewFile(uintptr(fd), name)
}

// thread is the middleware: it stands before each thread of the program.
func (t *tracer) thread(id osys.ThreadID, next osys.Thread) osys.Thread {
	return &traced{Thread: next, id: id, tracer: t}
}

type traced struct {
	osys.Thread
	id     osys.ThreadID
	tracer *tracer
}

// Call carries out a call and logs it with its answer.
func (t *traced) Call(c *wire.Call, dst []byte) ([]byte, []int) {
	began := time.Now()
	reply, hand := t.Thread.Call(c, dst)
	took := time.Since(began)
	var r wire.Reply
	line := "malformed reply"
	if err := wire.GetReply(reply, &r); err == nil {
		line = osys.Format(c, &r)
	}
	t.tracer.mu.Lock()
	defer t.tracer.mu.Unlock()
	fmt.Fprintf(t.tracer.w, "%9.6f [%d] %s <%v>\n", began.Sub(t.tracer.start).Seconds(), t.id, line, took.Round(time.Microsecond))
	return reply, hand
}
