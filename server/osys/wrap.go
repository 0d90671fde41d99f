package osys

import (
	"log/slog"

	"remotec.dev/runtimestub/wire"
)

// Middleware changes how the calls of thread id are carried out: it returns
// a Thread that does something of its own and, usually, calls next.
type Middleware func(id ThreadID, next Thread) Thread

// Wrap returns an OS like os whose threads go through m.
func Wrap(os OS, m Middleware) OS { return &wrapped{OS: os, m: m} }

type wrapped struct {
	OS
	m Middleware
}

func (w *wrapped) Thread(id ThreadID) Thread { return w.m(id, w.OS.Thread(id)) }

// Stats are those of the OS that w wraps.
func (w *wrapped) Stats() Stats {
	if c, ok := w.OS.(Counting); ok {
		return c.Stats()
	}
	return Stats{}
}

// Log is a Middleware that logs each call with its answer.
func Log(l *slog.Logger) Middleware {
	return func(id ThreadID, next Thread) Thread { return &logged{Thread: next, id: id, log: l} }
}

type logged struct {
	Thread
	id  ThreadID
	log *slog.Logger
}

func (t *logged) Call(c *wire.Call, dst []byte) ([]byte, []int) {
	reply, hand := t.Thread.Call(c, dst)
	var r wire.Reply
	if err := wire.GetReply(reply, &r); err != nil {
		t.log.Error(Format(c, nil), "thread", t.id, "err", err)
	} else {
		t.log.Info(Format(c, &r), "thread", t.id, "handed", len(hand))
	}
	return reply, hand
}
