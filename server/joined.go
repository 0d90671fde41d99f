package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
	"remotec.dev/server/mail"
	"remotec.dev/server/node"
	"remotec.dev/server/pager"
	"remotec.dev/server/program"
	"remotec.dev/server/session"
)

// joined is the first process of a program in several, where the program was not
// started by its session process, but attached to a master. It began as a process
// that is alone: it is told to start again. Its end is what the user sees, so that
// it ends as whichever process ended the program.
type joined struct {
	child child
	conn  *fds.Conn
	once  sync.Once
	exit  Exit // of the program, where it ended in another process; set by leave
}

// askedFor returns how many processes the program that attached with a is to have, and
// notes which placement it asks for.
func (cfg *Config) askedFor(a *wire.Attach, local bool) (int, error) {
	n := cfg.Processes
	if a.Processes > 0 {
		n = int(a.Processes)
	}
	switch a.Placement {
	case wire.PlaceLocal:
		cfg.Placement = PlaceLocal
	case wire.PlaceSpread:
		cfg.Placement = PlaceSpread
	case wire.PlaceAffinity:
		cfg.Placement = PlaceAffinity
	case wire.PlaceBalance:
		cfg.Placement = PlaceBalance
	}
	switch {
	case n > session.MaxProcesses:
		return 0, fmt.Errorf("a session has at most %d processes, not %d", session.MaxProcesses, n)
	case n <= 1:
		return 1, nil
	case !local && a.Processes > 1:
		return 0, fmt.Errorf("a program that comes from another host runs in one process, not in %d: start it on the server's host, with nodes there (remotec serve -join, remotec join)", n)
	case !local:
		cfg.log.Info("the program runs in one process: it came from another host", "program", a.Path)
		return 1, nil
	}
	if err := pager.Supported(); err != nil {
		return 0, fmt.Errorf("running a program in %d processes: %w", n, err)
	}
	return n, nil
}

// serveSeveral is the rest of serveSession for a program in n processes of this
// host, the first of which is at the other end of client.
func serveSeveral(cfg Config, n int, client *fds.Conn, a *wire.Attach, beacon *session.Beacon, master *fds.FrameReader, party *node.Party) error {
	refuse := func(err error) error {
		refuseFor(client, err, cfg.log)
		return nil
	}
	cred, err := syscall.GetsockoptUcred(client.FD, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err != nil {
		return refuse(os.NewSyscallError("getsockopt", err))
	}
	p := Program{Program: program.Program{Path: fmt.Sprintf("/proc/%d/exe", cred.Pid), Args: a.Args}}
	if len(p.Args) == 0 {
		p.Args = []string{a.Path}
	}
	if p.Env, err = environOf(int(cred.Pid)); err != nil {
		return refuse(fmt.Errorf("reading the environment of the program: %w", err))
	}
	// By its name it says in lists of processes what it is.
	if named, err := os.Stat(a.Path); err == nil {
		if own, err := os.Stat(p.Path); err == nil && os.SameFile(named, own) {
			p.Path = a.Path
		}
	}
	cfg.Processes = n
	j := &joined{child: child{pid: int(cred.Pid), done: make(chan Exit, 1), over: make(chan struct{})}, conn: client}
	r := &running{cfg: cfg, program: p, id: uint64(os.Getpid()), beacon: beacon, joined: j, opened: make(chan struct{})}
	var guests func(*fds.Conn)
	if party != nil {
		if err := r.expect(party); err != nil {
			return refuse(err)
		}
		guests = r.guests.Take
	}
	go follow(master, r.begun, guests, cfg.log)
	exit, err := r.run()
	if err != nil {
		return refuse(err)
	}
	os.Exit(exit.Code())
	return nil
}

// refuseFor tells a program that there will be no session, and why.
func refuseFor(client *fds.Conn, why error, log *slog.Logger) {
	log.Warn("session not started", "err", why)
	session.Refuse(client, &wire.Refused{Code: wire.RefuseBusy, Message: why.Error()})
}

// environOf returns the environment that process pid was started with.
func environOf(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSuffix(text, []byte{0})
	return strings.Split(string(text), "\x00"), nil
}

// again has the first process start as that, and returns the connection on which it
// will attach. The descriptors for messages follow, one beside each byte.
func (j *joined) again(number string, m *mail.Mail) (*fds.Conn, error) {
	if m != nil {
		number += "/0" + m.Value(0)
		number = strings.TrimSuffix(number, "0") // the process finds a place for them
	}
	session.Refuse(j.conn, &wire.Refused{Code: wire.RefuseAgain, Message: number})
	for _, fd := range m.Files() {
		if _, err := j.conn.Send([]byte{0}, []int{fd}); err != nil {
			return nil, fmt.Errorf("starting the program anew: %w", err)
		}
	}
	return j.conn, nil
}

// leave ends the first process as the program ended in another one.
func (j *joined) leave(s *session.Session, exit Exit) {
	j.exit = exit
	if s == nil || s.Leave(exit.Status, exit.Signal) != nil {
		j.conn.Shutdown()
		return
	}
	// A process that waits for a page which is lost reads no events. That its connection
	// ends it notices all the same, and then what was said before.
	time.AfterFunc(farewell/4, j.conn.Shutdown)
}

// ended notes that the first process is gone. It is another's child: what it
// announced is all there is to know of how it ended.
func (j *joined) ended(s *session.Session) {
	exit := Exit{}
	if s != nil {
		exit.Status, _ = s.Exited()
	}
	j.once.Do(func() { j.child.done <- exit })
}
