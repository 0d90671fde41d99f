package server

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"syscall"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/control"
	"remotec.dev/server/fds"
	"remotec.dev/server/node"
	"remotec.dev/server/session"
)

// Descriptors that a session process of a master starts with, beside the
// program's standard ones.
const (
	channelFD = 3 + iota // frames from the master
	clientFD             // the program's control connection
	logFD                // standard error of the master
	cwdFD                // the program's working directory; the last, may be missing
)

// start starts a session process for the program that attached with a on c.
func (m *master) start(c *fds.Conn, r *fds.FrameReader, a *wire.Attach, frame []byte, from string) error {
	full := func(format string, args ...any) error {
		no := &wire.Refused{Code: wire.RefuseBusy, Message: fmt.Sprintf(format, args...)}
		session.Refuse(c, no)
		return (*session.RefusedError)(no)
	}
	h := &hosted{program: a.Path, key: make([]byte, 16)}
	rand.Read(h.key) // never fails: crypto/rand
	var std []int
	local := a.Flags&wire.AttachFDs != 0
	cwd := -1
	if local {
		hand := r.Take(4)
		if hand == nil {
			no := &wire.Refused{Code: wire.RefuseProtocol, Message: "descriptors announced by the attach did not arrive"}
			session.Refuse(c, no)
			return (*session.RefusedError)(no)
		}
		defer closeAll(hand)
		std, cwd = hand[:3], hand[3]
	} else if a.Flags&wire.AttachStdio != 0 {
		s, err := newStreams(a.Flags&wire.AttachJoined != 0)
		if err != nil {
			return full("the server cannot start a session: %v", err)
		}
		defer s.started()
		h.streams, std = s, s.theirs[:]
	} else {
		null, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return full("the server cannot start a session: %v", err)
		}
		defer syscall.Close(null)
		std = []int{null, 1, 2}
		m.cfg.log.Info("the program's standard streams are the server's: it came by TCP and does not carry its own", "program", a.Path)
	}
	ours, theirs, err := socketpair()
	if err != nil {
		return full("the server cannot start a session: %v", err)
	}
	defer syscall.Close(theirs)
	h.channel = &fds.Conn{FD: ours}
	files := []uintptr{uintptr(std[0]), uintptr(std[1]), uintptr(std[2]), uintptr(theirs), uintptr(c.FD), 2}
	if cwd >= 0 {
		files = append(files, uintptr(cwd))
	}
	// Nothing is to come before the key: where it comes from must be known.
	h.mu.Lock()
	defer h.mu.Unlock()
	party, n, err := m.gather(a, local)
	if err == nil {
		h.party = party
		err = m.fork(h, files, local, from, n)
	}
	if err != nil {
		party.End()
		h.channel.Close()
		if h.streams != nil {
			h.streams.abort()
		}
		return full("the server cannot start a session: %v", err)
	}
	m.known(c)
	m.cfg.log.Info("session started", "session", h.pid, "program", a.Path)
	m.cfg.Events(Event{Kind: SessionStarted, Session: uint64(h.pid), Program: a.Path})
	key, _ := wire.PutLink(make([]byte, 256), &wire.Link{Session: uint64(h.pid), Key: h.key})
	if h.party != nil {
		told, err := tell(h.party)
		if err != nil {
			return full("the server cannot start a session: %v", err)
		}
		key = append(key, told...)
		defer h.call()
	}
	_, err = h.channel.Write(append(key, frame...))
	return err
}

// fork starts the session process of h.
func (m *master) fork(h *hosted, files []uintptr, local bool, remote string, n int) error {
	if remote == onHost {
		remote = ""
	}
	// Held throughout: a link may name the session as soon as it answers.
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ending:
		return errors.New("it is shutting down")
	case len(m.sessions) >= maxSessions:
		return fmt.Errorf("it has %d sessions, which is its limit", len(m.sessions))
	}
	argv := []string{sessionName, "serve", strconv.FormatBool(local), remote,
		strconv.FormatBool(m.cfg.Policy.Hand), strconv.FormatBool(m.cfg.Policy.Ring),
		strconv.Itoa(n), strconv.Itoa(int(m.cfg.Placement)), strconv.FormatBool(m.cfg.Account)}
	pid, err := syscall.ForkExec("/proc/self/exe", argv, &syscall.ProcAttr{
		Env: os.Environ(), Files: files,
		// A session of its own, so that it can read a terminal that is not
		// its controlling one, and so that ours does not signal it.
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	h.pid = pid
	m.sessions[pid] = h
	m.gone.Add(1)
	go m.reap(h)
	return nil
}

func closeAll(list []int) {
	for _, fd := range list {
		syscall.Close(fd)
	}
}

// serveSession is the whole of a session process that a master started. The
// channel carries frames: first a Link with the key that links are to present
// and the program's Attach, then a Link with its connection for each that came
// to the master, and an Event at the end.
func serveSession(cfg Config, args []string) error {
	if len(args) != 7 {
		return errors.New("a session process is started by remotec serve")
	}
	// What is decided by flags of the master this process cannot know.
	local, from := args[0] == "true", args[1]
	cfg.Policy = Policy{Hand: args[2] == "true" && from == "", Ring: args[3] == "true"}
	cfg.Processes, _ = strconv.Atoi(args[4])
	placement, _ := strconv.Atoi(args[5])
	cfg.Placement = Placement(placement)
	cfg.Account = args[6] == "true"
	if err := becomeSession(); err != nil {
		return err
	}
	if err := takeLog(&cfg); err != nil {
		return err
	}
	channel, err := fds.NewConn(&space, channelFD)
	if err != nil {
		return err
	}
	client, err := fds.NewConn(&space, clientFD)
	if err != nil {
		return err
	}
	r := &fds.FrameReader{Conn: channel, Max: wire.MaxAttach}
	frame, err := r.Next()
	if err != nil {
		return fmt.Errorf("channel of the master: %w", err)
	}
	terms, err := wire.GetLink(frame)
	if err != nil {
		return err
	}
	key := bytes.Clone(terms.Key)
	if frame, err = r.Next(); err != nil {
		return fmt.Errorf("channel of the master: %w", err)
	}
	var party *node.Party
	if kind, _ := wire.Kind(frame); kind == wire.TagEvent {
		if party, err = takeParty(frame); err != nil {
			return err
		}
		if frame, err = r.Next(); err != nil {
			return fmt.Errorf("channel of the master: %w", err)
		}
	}
	a, err := wire.GetAttach(frame)
	if err != nil {
		return err
	}
	beacon, err := session.Listen(&space, cfg.log)
	if err != nil {
		return err
	}
	takePlace(a, local, cfg.log)
	switch n, err := cfg.askedFor(a, local); {
	case err != nil:
		refuseFor(client, err, cfg.log)
		return nil
	case n > 1:
		return serveSeveral(cfg, n, client, a, beacon, r, party)
	}
	sc := cfg.session(uint64(os.Getpid()))
	sc.Local = local
	sc.Remote = from
	sc.Key = key
	sc.Stdio = !local && a.Flags&wire.AttachStdio != 0
	s, err := session.Open(sc, &fds.FrameReader{Conn: client}, a)
	if err != nil {
		return err
	}
	beacon.Serve((&control.Own{Server: cfg.Name, Session: s}).Accept)
	go follow(r, func() *session.Session { return s }, nil, cfg.log)
	err = s.Run()
	if err != nil {
		cfg.log.Warn("session ended", "session", s.ID(), "err", err)
		s.End(err.Error())
	}
	// The program is another's child: what it announced is all there is to
	// know of how it ended.
	if status, ok := s.Exited(); ok {
		os.Exit(status)
	}
	os.Exit(0)
	return nil
}

// takeLog directs what cfg logs to the master's standard error: descriptor 2
// is the program's.
func takeLog(cfg *Config) error {
	fd, err := space.Adopt(logFD)
	if err != nil {
		return err
	}
	cfg.setLog(os.NewFile(uintptr(fd), "log"))
	return nil
}

// takePlace gives this process the program's working directory and umask.
func takePlace(a *wire.Attach, local bool, log *slog.Logger) {
	syscall.Umask(int(a.Umask & 0o777))
	err := error(nil)
	if local {
		err = syscall.Fchdir(cwdFD)
		syscall.Close(cwdFD)
	} else {
		err = syscall.Chdir(a.Cwd)
	}
	if err != nil {
		log.Info("the program's working directory cannot be entered", "dir", a.Cwd, "err", err)
		syscall.Chdir("/") // not the server's
	}
}

// takeParty reads which nodes take part in the session.
func takeParty(frame []byte) (*node.Party, error) {
	var e wire.Event
	if err := wire.GetEvent(frame, &e); err != nil || e.Kind != channelNodes {
		return nil, errors.New("channel of the master: something else than the attach")
	}
	party := new(node.Party)
	if err := json.Unmarshal([]byte(e.Text), party); err != nil {
		return nil, fmt.Errorf("channel of the master: %w", err)
	}
	return party, nil
}

// follow handles what the master sends, and ends the session with it. There may be
// no session yet: nil. Connections of nodes are given to guests.
func follow(r *fds.FrameReader, opened func() *session.Session, guests func(*fds.Conn), log *slog.Logger) {
	for {
		frame, err := r.Next()
		s := opened()
		if err != nil {
			why := "the server is gone"
			if err != io.EOF {
				why = err.Error()
			}
			if s != nil {
				s.End(why)
			}
			os.Exit(1)
		}
		switch kind, _ := wire.Kind(frame); kind {
		case wire.TagLink:
			l, err := wire.GetLink(frame)
			if hand := r.Take(1); err == nil && hand != nil && s != nil {
				err = s.AddLink(space.Conn(hand[0]), l, nil)
			}
			if err != nil {
				log.Warn("link refused", "session", os.Getpid(), "err", err)
			}
		case wire.TagEvent:
			var e wire.Event
			if wire.GetEvent(frame, &e) != nil {
				continue
			}
			switch {
			case e.Kind == channelNode:
				if hand := r.Take(1); hand != nil && guests != nil {
					guests(space.Conn(hand[0]))
				}
			case e.Kind == wire.EventEnd && s == nil:
				os.Exit(1)
			case e.Kind == wire.EventEnd:
				s.End(e.Text)
				time.AfterFunc(farewell/2, func() { os.Exit(1) })
			}
		}
	}
}
