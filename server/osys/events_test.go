package osys

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"remotec.dev/runtimestub/wire"
)

const eventTimeout = 10 * time.Second

// next returns the next event, or one of kind 0.
func (c *client) next() wire.Event {
	select {
	case e := <-c.events:
		return e
	case <-time.After(eventTimeout):
		return wire.Event{}
	}
}

func kill(sig syscall.Signal) { syscall.Kill(os.Getpid(), sig) }

func init() {
	helpers["signals"] = func(c *client) {
		set := func(op uint64, sig syscall.Signal) {
			c.must(wire.Call{Nr: wire.NrSignal, Args: wire.Args{op, uint64(sig)}})
		}
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, 40, 64} {
			kill(sig)
			fmt.Print(c.next().N, " ")
		}
		fmt.Println()
		// Ignored, it does not arrive; the next one does.
		set(wire.SignalIgnore, syscall.SIGUSR1)
		kill(syscall.SIGUSR1)
		kill(syscall.SIGCHLD) // nobody asked for it
		kill(syscall.SIGPIPE)
		kill(syscall.SIGUSR2)
		fmt.Println(c.next().N)
		// Enabled and back.
		for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGCHLD, syscall.SIGWINCH, syscall.SIGTSTP} {
			set(wire.SignalNotify, sig)
			kill(sig)
			fmt.Print(c.next().N, " ")
		}
		fmt.Println()
		set(wire.SignalDefault, syscall.SIGCHLD)
		set(wire.SignalDefault, syscall.SIGWINCH)
		set(wire.SignalDefault, syscall.SIGUSR1)
		kill(syscall.SIGCHLD)
		kill(syscall.SIGWINCH)
		kill(syscall.SIGUSR1)
		fmt.Println(c.next().N)
		// kill(2) of the program by itself.
		c.must(wire.Call{Nr: wire.SYS_KILL, Args: wire.Args{uint64(os.Getpid()), uint64(syscall.SIGHUP)}})
		fmt.Println(c.next().N)
		_, e := c.do(wire.Call{Nr: wire.NrSignal, Args: wire.Args{wire.SignalNotify, 65}})
		fmt.Println(e == syscall.EINVAL)
	}
	// Started with SIGHUP ignored, as by nohup.
	helpers["nohup"] = func(c *client) {
		kill(syscall.SIGHUP)
		kill(syscall.SIGTERM)
		fmt.Println(c.next().N)
		c.must(spawnCall(&wire.SpawnAttr{}, "sh", "-c", "kill -HUP $$; echo survived"))
		c.must(waitCall(-1, 0))
		c.must(wire.Call{Nr: wire.NrSignal, Args: wire.Args{wire.SignalNotify, 1}})
		kill(syscall.SIGHUP)
		fmt.Println(c.next().N)
	}
	helpers["outnohup"] = func(c *client) {
		// The shell ignores SIGHUP for the helper that it becomes.
		syscall.Exec("/bin/sh", []string{"sh", "-c", "trap '' HUP; exec " + os.Args[0]},
			append(os.Environ(), helperVar+"=nohup"))
	}
	// More signals than events are taken: none of a kind is lost for good.
	helpers["flood"] = func(c *client) {
		for range 2000 {
			kill(syscall.SIGUSR1)
		}
		kill(syscall.SIGUSR2)
		for range 2001 {
			if c.next().N == uint32(syscall.SIGUSR2) {
				fmt.Println("all there")
				return
			}
		}
	}
}

func TestSignalsReachTheProgram(t *testing.T) {
	wantLines(t, runHelper(t, "signals"), "15 2 3 10 40 64 ", "12", "10 17 28 20 ", "10", "1", "true")
}

func TestIgnoredAtStartStaysIgnored(t *testing.T) {
	wantLines(t, runHelper(t, "outnohup"), "15", "survived", "1")
}

func TestSignalFlood(t *testing.T) {
	wantLines(t, runHelper(t, "flood"), "all there")
}

func TestReadiness(t *testing.T) {
	events := make(chan wire.Event, 16)
	c := testClient(t, Config{Events: func(_ int, e *wire.Event) error { events <- *e; return nil }})
	c.events = events
	c.must(wire.Call{Nr: wire.SYS_PIPE2, Args: wire.Args{1: syscall.O_NONBLOCK}})
	r, w := uint64(le32(c.reply.Blobs[0])), uint64(le32(c.reply.Blobs[0][4:]))
	const cookie = 0xfedcba9876543210
	c.must(wire.Call{Nr: wire.NrPollOpen, Args: wire.Args{r, cookie}})
	epoll := c.os.(*passthrough).poller(0).epoll.Load() - 1
	_, e := c.do(wire.Call{Nr: wire.SYS_CLOSE, Args: wire.Args{uint64(epoll)}})
	wantErrno(t, "close of the epoll instance", e, syscall.EBADF)
	for range 3 {
		c.write(w, "x")
		if e := c.next(); e.Kind != wire.EventReady || e.A != cookie || e.N&syscall.EPOLLIN == 0 {
			t.Fatalf("event %+v", e)
		}
		c.read(r, 10)
	}
	_, e = c.do(wire.Call{Nr: wire.NrPollOpen, Args: wire.Args{r, 1}})
	wantErrno(t, "watching twice", e, syscall.EEXIST)
	first, second := c.th, c.os.Thread(MakeThreadID(1, 0))
	defer second.Close()
	c.th = second
	_, e = c.do(wire.Call{Nr: wire.NrPollOpen, Args: wire.Args{r, 1}})
	wantErrno(t, "watching in another process", e, syscall.EEXIST)
	c.th = first
	c.must(wire.Call{Nr: wire.NrPollClose, Args: wire.Args{r}})
	_, e = c.do(wire.Call{Nr: wire.NrPollClose, Args: wire.Args{r}})
	wantErrno(t, "unwatching twice", e, syscall.ENOENT)
	file := c.open(tempFile(t, "x"), 0)
	_, e = c.do(wire.Call{Nr: wire.NrPollOpen, Args: wire.Args{file, 1}})
	wantErrno(t, "watching a regular file", e, syscall.EPERM)

	// A copy keeps the pipe open after close, as one that was handed over
	// does; its events must end all the same.
	c.must(wire.Call{Nr: wire.NrPollOpen, Args: wire.Args{r, 7}})
	dup := c.must(wire.Call{Nr: wire.SYS_DUP, Args: wire.Args{r}})
	c.close(r)
	c.must(wire.Call{Nr: wire.NrPollOpen, Args: wire.Args{dup, 8}})
	c.write(w, "x")
	if e := c.next(); e.A != 8 {
		t.Errorf("event %+v for a closed descriptor", e)
	}
	c.close(dup)
	c.close(w)
	c.close(file)
}

func TestCloseReleasesEverything(t *testing.T) {
	count := func() int {
		names, _ := os.ReadDir("/proc/self/fd")
		n := 0
		for _, e := range names {
			link, _ := os.Readlink("/proc/self/fd/" + e.Name())
			if strings.Contains(link, "event") {
				n++
			}
		}
		return n
	}
	newClient(Config{}).os.Close() // the runtime's own poller may start now
	before := count()
	for range 3 {
		c := newClient(Config{})
		c.must(wire.Call{Nr: wire.SYS_PIPE2})
		r, w := uint64(le32(c.reply.Blobs[0])), uint64(le32(c.reply.Blobs[0][4:]))
		c.must(wire.Call{Nr: wire.NrPollOpen, Args: wire.Args{r, 1}})
		c.close(r)
		c.close(w)
		c.th.Close()
		c.os.Close()
		c.os.Close()
	}
	if after := count(); after != before {
		t.Errorf("%s event descriptors before, %s after", strconv.Itoa(before), strconv.Itoa(after))
	}
}
