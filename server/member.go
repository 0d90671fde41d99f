package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"remotec.dev/server/node"
)

// A node that has joined a server takes part in each session by a process of its own, as
// the server has one for each: what is one session's no other can reach.

// ticketFD is where such a process reads what it is to join.
const ticketFD = 3

// ticket is a session that a node is called to.
type ticket struct {
	Addr    string
	Token   node.Token
	Version string
	Cache   string
	Peer    string
}

// Join makes this host a node of the session or server at cfg.Addr, as node.Join does. Where
// listen is not empty, programs of this host can attach to the server there; ready is
// told the actual address.
func Join(ctx context.Context, cfg node.JoinConfig, listen string, ready func(addr string)) error {
	cfg.Session = takePart
	if listen != "" {
		f, err := openForwarder(listen, NewLog(os.Stderr, slog.LevelWarn))
		if err != nil {
			return err
		}
		defer f.close()
		cfg.Opened = func(open func(context.Context) (node.HalfConn, error)) error {
			f.open = open
			go f.serve()
			ready(f.l.Addr().String())
			return nil
		}
	}
	return node.Join(ctx, cfg)
}

// takePart starts the process for a session and waits for its end.
func takePart(ctx context.Context, cfg node.JoinConfig) error {
	text, err := json.Marshal(ticket{Addr: cfg.Addr, Token: cfg.Token, Version: cfg.Version, Cache: cfg.Cache, Peer: cfg.Peer})
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{sessionName, "join"}
	cmd.Stderr, cmd.ExtraFiles = os.Stderr, []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// PR_SET_PDEATHSIG means the thread that forked, not the process
	// (prctl(2)): this one stays until the other process ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Start()
	r.Close()
	if err == nil {
		_, err = w.Write(text) // less than a pipe holds
	}
	w.Close()
	if err != nil {
		return fmt.Errorf("starting a process for a session: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	cmd.Wait() // it has said itself what went wrong
	return nil
}

// joinSession is the whole of such a process.
func joinSession() error {
	f := os.NewFile(ticketFD, "ticket")
	if f == nil {
		return errors.New("the process of a session is started by remotec join")
	}
	var t ticket
	err := json.NewDecoder(f).Decode(&t)
	f.Close()
	if err != nil {
		return fmt.Errorf("reading which session to join: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return node.Join(ctx, node.JoinConfig{Addr: t.Addr, Token: t.Token, Version: t.Version, Cache: t.Cache, Peer: t.Peer})
}
