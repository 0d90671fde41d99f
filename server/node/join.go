package node

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/yamux"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/pager"
)

// JoinConfig is what a node joins a session with.
type JoinConfig struct {
	Addr    string // of the session, host:port
	Token   Token
	Version string // of remotec, for people
	Cache   string // directory of executables
	// Peer is where other nodes of the session reach this one, host:port; empty: the address from which it
	// reached the session, and any port.
	Peer string
	// Joined is told that the session, or the server, took the node; also where that has
	// come back to a server.
	Joined func()
	// Session takes part in a session of a server that this node has joined, and
	// returns when that is over; default: Join, in this process.
	Session func(context.Context, JoinConfig) error
	// Opened is told, where this node has joined a server, how to connect to that for a
	// program of this host. Without it, or with an error, the node leaves.
	Opened func(open func(context.Context) (HalfConn, error)) error
	// Failed is told that one of those sessions was lost.
	Failed func(error)
}

// Join makes this host take part in what is at cfg.Addr. If that is a session, it runs
// processes of its program until the session ends, which is no error, or one end loses
// the other, or ctx ends. If it is a server, it does so for its sessions, until the
// server ends.
func Join(ctx context.Context, cfg JoinConfig) error {
	n, server, err := join(ctx, &cfg)
	if err != nil {
		return fmt.Errorf("joining %s: %w", cfg.Addr, err)
	}
	if cfg.Joined != nil && (server != nil || cfg.Opened == nil) {
		cfg.Joined()
	}
	if server == nil && cfg.Opened != nil {
		n.memory.lose(errors.New("it wants to serve programs of its own"))
		return fmt.Errorf("joining %s: it is a session, which takes no programs of this host: those are for a server, remotec serve -join", cfg.Addr)
	}
	if server != nil {
		if cfg.Opened != nil {
			if err := cfg.Opened(server.open); err != nil {
				server.first.Close()
				return err
			}
		}
		return server.run(ctx, server.first)
	}
	// What the processes of this host do must not wait for a P, see becomeSession
	// of package server.
	runtime.GOMAXPROCS(max(16, runtime.NumCPU()))
	return n.run(ctx)
}

// join makes the connections; it returns a node of a session, or of a server.
func join(ctx context.Context, cfg *JoinConfig) (*agent, *standing, error) {
	secrets, err := cfg.Token.derive()
	if err != nil {
		return nil, nil, err
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, err
	}
	w, err := introduce(ctx, cfg, &secrets, key)
	if err != nil {
		return nil, nil, err
	}
	terms, err := member(w, key)
	if err != nil {
		return nil, nil, err
	}
	peers, err := newPeers(w, terms)
	if err != nil {
		return nil, nil, err
	}
	if w.Standing {
		s := &standing{cfg: cfg, terms: terms}
		if s.first, err = s.stand(ctx); err != nil {
			return nil, nil, fmt.Errorf("second connection: %w", err)
		}
		return nil, s, nil
	}
	streams, err := dial(ctx, cfg.Addr, terms)
	if err == nil {
		err = send(streams, opening{})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("second connection: %w", err)
	}
	memory, err := dial(ctx, cfg.Addr, terms)
	if err == nil {
		err = send(memory, opening{Memory: true})
	}
	if err != nil {
		streams.Close()
		return nil, nil, fmt.Errorf("third connection: %w", err)
	}
	session, err := multiplex(streams, true)
	if err != nil {
		return nil, nil, err
	}
	n, err := newAgent(cfg, session, newMemoryConn(memory), peers)
	return n, nil, err
}

// dial opens a connection.
func dial(ctx context.Context, addr string, terms *tls.Config) (*tls.Conn, error) {
	d := net.Dialer{Timeout: introduction}
	raw, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, unreachable(err)
	}
	c := tls.Client(raw, terms)
	if err := shake(c); err != nil {
		raw.Close()
		return nil, unwelcome(err)
	}
	return c, nil
}

// unreachable adds what to do to an error of connecting.
func unreachable(err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing listens there; is remotec run still waiting, with -nodes and -listen, or remotec serve there, with -join?", err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Errorf("%w: can this host reach that address?", err)
	}
	return err
}

var errUnwelcome = errors.New("it closed the connection without a word: the token is wrong or was used before, " +
	"or what is there is no session or server that waits for nodes; tokens are printed by remotec run and remotec serve")

// unwelcome says what the end of a connection means that was not answered.
func unwelcome(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return errUnwelcome
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("it did not answer for %v: what is there is no session or server that waits for nodes, or something stands between (%w)", introduction, err)
	}
	return err
}

// introduce makes the first connection, on which the token is used up.
func introduce(ctx context.Context, cfg *JoinConfig, secrets *secrets, key ed25519.PrivateKey) (*welcome, error) {
	terms, err := secrets.join()
	if err != nil {
		return nil, err
	}
	c, err := dial(ctx, cfg.Addr, terms)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(introduction))
	name, _ := os.Hostname()
	me := hello{
		Protocol: protocol, Version: cfg.Version, API: wire.APIVersion, Name: name,
		OS: runtime.GOOS, Arch: runtime.GOARCH, Features: features(), CPUs: runtime.NumCPU(),
		Key: key.Public().(ed25519.PublicKey),
	}
	if err := pager.Supported(); err != nil {
		me.Missing = err.Error()
	}
	var w welcome
	if err = send(c, me); err == nil {
		err = receive(c, &w)
	}
	if err != nil {
		return nil, unwelcome(err)
	}
	if w.Refused != "" {
		return nil, fmt.Errorf("it refused this node: %s", w.Refused)
	}
	return &w, nil
}

// openStream opens a stream that says what it is.
func openStream(s *yamux.Session, kind streamKind, process int) (*yamux.Stream, error) {
	stream, err := s.OpenStream()
	if err == nil {
		if err = send(stream, streamHead{Kind: kind, Process: process}); err == nil {
			return stream, nil
		}
		stream.Close()
	}
	return nil, fmt.Errorf("opening a stream for %s: %w", strings.ToLower(string(kind)), err)
}
