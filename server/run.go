package server

import (
	"fmt"
	"os"
	"runtime"

	"remotec.dev/server/fds"
	"remotec.dev/server/program"
	"remotec.dev/server/session"
)

// Program is what Run runs.
type Program struct {
	program.Program
	// Env is its environment; default: that of this process.
	Env []string
}

// serverVariable tells a remote binary where its server is.
const serverVariable = "GORUNTIMESERVER"

// Run runs a program in a session of its own, for which this process is the
// session process: it belongs to the program from now on, and is left by
// os.Exit or Exit.Mirror soon after Run returns. An error means that the
// program was not started.
func Run(cfg Config, p Program) (Exit, error) {
	cfg = cfg.withDefaults()
	if err := hold(); err != nil {
		return Exit{}, fmt.Errorf("preparing descriptors: %w", err)
	}
	if len(p.Args) == 0 {
		return Exit{}, errNoArgs
	}
	if p.Env == nil {
		p.Env = os.Environ()
	}
	if err := becomeSession(); err != nil {
		return Exit{}, err
	}
	beacon, err := session.Listen(&space, cfg.log)
	if err != nil {
		return Exit{}, err
	}
	r := &running{cfg: cfg, program: p, id: uint64(os.Getpid()), beacon: beacon, opened: make(chan struct{})}
	if r.page, err = cfg.Page.listen(&space); err != nil {
		return Exit{}, err
	}
	exit, err := r.run()
	if err != nil {
		return Exit{}, err
	}
	cfg.Events(Event{Kind: SessionEnded, Session: r.id, Program: p.Path, Exit: exit})
	return exit, nil
}

// becomeSession sets the Go runtime up for a process whose threads block in
// system calls most of the time. With few Ps a thread that returns from a
// call would wait for one until the runtime's monitor takes it from a blocked
// thread, which is up to 10 ms.
func becomeSession() error {
	runtime.GOMAXPROCS(max(32, runtime.NumCPU()))
	return fds.CloseCgroup()
}
