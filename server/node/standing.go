package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"
)

// standing is a node that has joined a server. It takes part in each session
// that it is called to.
type standing struct {
	cfg      *JoinConfig
	terms    *tls.Config
	first    *tls.Conn
	programs forwards
	sessions sync.WaitGroup
}

// errRefused is that a server does not know the node any more.
var errRefused = errors.New("it is not the server that this node joined, or has given up on it")

// run serves the server until it ends, or is lost for longer than [rejoinFor].
func (s *standing) run(ctx context.Context, conn *tls.Conn) error {
	// Sessions outlive the standing connection: their own tell them what is lost.
	sessions, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	for {
		err := s.serve(ctx, sessions, conn)
		if err == nil || ctx.Err() != nil {
			done := make(chan struct{})
			go func() { s.sessions.Wait(); close(done) }()
			if ctx.Err() == nil {
				select { // the server ends them
				case <-done:
				case <-time.After(Silence):
				}
			}
			end()
			<-done
			if ctx.Err() != nil {
				return errors.New("this node was stopped by a signal")
			}
			return nil
		}
		why := lostFor(err)
		if conn, err = s.again(ctx); err != nil {
			end()
			s.sessions.Wait()
			return fmt.Errorf("the server at %s is lost: %w", s.cfg.Addr, why)
		}
		if s.cfg.Joined != nil {
			s.cfg.Joined()
		}
	}
}

// again connects anew with the certificate.
func (s *standing) again(ctx context.Context) (*tls.Conn, error) {
	for limit := time.Now().Add(rejoinFor); ; {
		conn, err := s.stand(ctx)
		if err == nil || errors.Is(err, errRefused) || ctx.Err() != nil || time.Now().After(limit) {
			return conn, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(beat):
		}
	}
}

// stand opens the standing connection.
func (s *standing) stand(ctx context.Context) (*tls.Conn, error) {
	conn, err := dial(ctx, s.cfg.Addr, s.terms)
	if errors.Is(err, errUnwelcome) {
		return nil, errRefused
	}
	if err != nil {
		return nil, err
	}
	var taken call
	conn.SetDeadline(time.Now().Add(introduction))
	if err = send(conn, opening{}); err == nil {
		err = receive(conn, &taken)
	}
	if err != nil {
		conn.Close()
		if errors.Is(unwelcome(err), errUnwelcome) {
			err = errRefused
		}
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return conn, nil
}

// serve follows calls until the connection is lost; nil is that the server has ended.
func (s *standing) serve(ctx, sessions context.Context, conn *tls.Conn) error {
	defer conn.NetConn().Close()
	s.programs.set(true)
	defer s.programs.set(false)
	over := make(chan struct{})
	defer close(over)
	go func() {
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for {
			var say sign
			select {
			case <-over:
				return
			case <-ctx.Done():
				say.Leaving = "it was stopped by a signal"
			case <-tick.C:
			}
			conn.SetWriteDeadline(time.Now().Add(Silence))
			if send(conn, say) != nil || say.Leaving != "" {
				conn.NetConn().Close() // the reader says why
				return
			}
		}
	}()
	for {
		var c call
		conn.SetReadDeadline(time.Now().Add(Silence))
		if err := receive(conn, &c); err != nil {
			return err
		}
		switch {
		case c.End != nil && *c.End == "":
			return nil
		case c.End != nil:
			return errors.New(*c.End)
		case c.Token != "":
			s.sessions.Go(func() {
				if err := s.cfg.session(sessions, c.Token); err != nil && s.cfg.Failed != nil {
					s.cfg.Failed(err)
				}
			})
		}
	}
}

// session takes part in a session of the server.
func (cfg *JoinConfig) session(ctx context.Context, token Token) error {
	one := *cfg
	one.Token, one.Joined, one.Opened = token, nil, nil
	if cfg.Session != nil {
		return cfg.Session(ctx, one)
	}
	return Join(ctx, one)
}
