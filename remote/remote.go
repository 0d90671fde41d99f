// Package remote tells a program about the runtime server it is attached to,
// and lets it say where goroutines run. It is for programs that want to know;
// a program needs nothing of it to be a remote binary.
//
// The package works in every build. In a plain one there is no server and one
// process, number 0. In a remote binary, one that is built with
//
//	go build -toolexec=remotec
//
// the values are those of the session that the process attached to before the
// first init function ran. They are the same from then on to the end of the
// process, so that they may be used in init functions and kept, but for the number of
// the process: a goroutine may move to another one.
//
// A *session* is one run of a program with a runtime server. Its *processes*
// are numbered from 0; process 0 is the one that runs main. All have the same
// memory: a pointer means the same in each.
package remote

import (
	"errors"
	"fmt"
)

// Attached reports whether this process is attached to a runtime server. It is
// true in a remote binary, always, since a remote binary without a server does
// not start; and false in a plain build.
func Attached() bool { return current().attached }

// Server returns the name and version of the runtime server as it gave them at
// the attach, "remotec devel 0123456789ab". It is empty when not attached.
func Server() string { return current().server }

// Process returns the number of this process in its session, from 0. It is 0
// when not attached. A goroutine may get another answer later, if it is moved: by
// itself ([Migrate]), or by the user (remotec migrate).
func Process() int { return current().process }

// Processes returns how many processes the session has, at least 1. It is 1
// when not attached.
func Processes() int { return current().processes }

// GoOn starts f as a new goroutine on the process of the given number. On the
// caller's own process it is `go f()`. It returns once the goroutine exists;
// it does not wait for f.
//
// The error says why the goroutine was not created: there is no process of
// that number, the server cannot start goroutines there, the process is drained, or f is nil.
func GoOn(process int, f func()) error {
	if f == nil {
		return errors.New("remote: starting a goroutine: the function is nil")
	}
	if err := reach(process); err != nil {
		return fmt.Errorf("remote: starting a goroutine on process %d: %w", process, err)
	}
	switch {
	case process == Process():
		go f()
	case drained(process):
		return fmt.Errorf("remote: starting a goroutine on process %d: it is drained, and gets no new ones", process)
	default:
		start(process, f)
	}
	return nil
}

// Migrate moves the calling goroutine to the process of the given number. On
// return without an error it runs there. To be there already is no error.
//
// The error says why the goroutine was not moved: there is no process of that
// number, it is on another host, or the goroutine is pinned where it is, as one that
// is locked to its thread. It then runs where it ran before.
func Migrate(process int) error {
	err := reach(process)
	if err == nil && process != Process() {
		if pinned := migrate(process); pinned != "" {
			err = errors.New(pinned)
		}
	}
	if err != nil {
		return fmt.Errorf("remote: moving a goroutine to process %d: %w", process, err)
	}
	return nil
}

// state is what the runtime keeps of the attach; see state.go.
type state struct {
	attached  bool
	server    string
	process   int
	processes int
}

// reach returns why this process cannot have a goroutine run on another one.
func reach(process int) error {
	s := current()
	switch {
	case process == s.process:
		return nil
	case !s.attached:
		return errors.New("this is not a remote binary, so process 0 is the only one; build it with go build -toolexec=remotec and run it with remotec run")
	case process < 0 || process >= s.processes:
		return fmt.Errorf("the session has %d process(es), numbered from 0", s.processes)
	}
	return nil
}
