package server

import (
	"fmt"
	"os"
	"runtime"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/control"
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
	ours, theirs, err := socketpair()
	if err != nil {
		return Exit{}, err
	}
	conn, err := fds.NewConn(&space, ours)
	if err != nil {
		return Exit{}, err
	}
	// Moved too: while the program process is being made, nothing of ours is
	// at a low number that CloseOnExec would have to tell from the user's.
	theirs, err = space.Adopt(theirs)
	if err != nil {
		return Exit{}, err
	}
	beacon, err := session.Listen(&space, cfg.log)
	if err != nil {
		return Exit{}, err
	}
	c, err := launch(p.Path, p.Args, environ(p.Env, serverVariable, "fd:3"), theirs)
	space.Close(theirs)
	if err != nil {
		return Exit{}, err
	}
	id := uint64(os.Getpid())
	go host(cfg, id, conn, beacon)
	exit := <-c.done
	cfg.Events(Event{Kind: SessionEnded, Session: id, Program: p.Path, Exit: exit})
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

// host serves the program at the other end of control until it goes away.
func host(cfg Config, id uint64, conn *fds.Conn, beacon *session.Beacon) {
	r := &fds.FrameReader{Conn: conn}
	a, err := session.Greet(r, &session.Terms{})
	if err != nil {
		// The program, which has been told, says so itself; one that never
		// spoke has ended or was never a remote binary.
		cfg.Events(Event{Kind: AttachRefused, Session: id, Err: err})
		conn.Shutdown()
		return
	}
	sc := cfg.session(id)
	sc.Local = a.Flags&wire.AttachChild != 0
	s, err := session.Open(sc, r, a)
	if err != nil {
		cfg.log.Warn("session not started", "err", err)
		conn.Shutdown()
		return
	}
	beacon.Serve((&control.Own{Server: cfg.Name, Session: s}).Accept)
	cfg.Events(Event{Kind: SessionStarted, Session: id, Program: a.Path})
	if err := s.Run(); err != nil {
		cfg.log.Warn("session ended", "session", id, "err", err)
		s.End(err.Error())
	}
	s.Close()
}
