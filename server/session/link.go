package session

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
	"remotec.dev/server/osys"
)

// Sizes of a link's buffers in bytes. Most calls are far below first; a
// buffer that a large one made grow is kept, because large calls come in rows
// and the memory would have to be zeroed anew for each.
const (
	firstBuffer = 16 << 10
	maxLinks    = 10000 // threads; the Go runtime ends a process with more
)

// link is a connection that carries the calls of one thread.
type link struct {
	s      *Session
	p      *process // whose thread this is
	conn   *fds.Conn
	ring   *ring // nil: frames go over conn; guarded by Session.mu once the link thread ends
	thread uint32
	calls  atomic.Uint64
}

// AddLink takes conn as the link that frame f describes; conn is the
// session's from then on. pending is what was read beyond the frame.
func (s *Session) AddLink(conn *fds.Conn, f *wire.Link, pending []byte) error {
	return s.addLink(conn, 0, f, pending, -1)
}

// addLink is AddLink with the memfd of the link's ring, which it closes; -1
// for a link without.
func (s *Session) addLink(conn *fds.Conn, number int, f *wire.Link, pending []byte, memfd int) error {
	l := &link{s: s, conn: conn, thread: f.Thread}
	err := s.checkLink(f, memfd)
	if memfd >= 0 {
		if err == nil {
			l.ring, err = openRing(memfd)
		}
		s.cfg.Space.Close(memfd)
	}
	if err != nil {
		conn.Close()
		return err
	}
	s.mu.Lock()
	switch {
	case s.closed:
		err = errors.New("link to a session that is over")
	case s.procs[number] == nil:
		err = errors.New("link of a process that has not attached")
	case len(s.links) >= maxLinks*len(s.procs):
		err = fmt.Errorf("more than %d links", maxLinks)
	default:
		l.p = s.procs[number]
		s.links[l] = struct{}{}
		s.idle.Add(1)
	}
	s.mu.Unlock()
	if err != nil {
		conn.Close()
		if l.ring != nil {
			l.ring.unmap()
		}
		return err
	}
	in := make([]byte, max(firstBuffer, len(pending)))
	n := copy(in, pending)
	go l.serve(in, n)
	return nil
}

// checkLink tells whether the sender of f belongs to the session. The key is
// compared in constant time: it is all that a TCP link proves itself by.
func (s *Session) checkLink(f *wire.Link, memfd int) error {
	if err := s.checkKey(f); err != nil {
		return err
	}
	if f.Flags != 0 && (f.Flags != wire.LinkRing || !s.cfg.Ring || memfd < 0) {
		return fmt.Errorf("link with flags %#x, which the policy does not allow", f.Flags)
	}
	return nil
}

// checkKey tells whether the sender of f has the session's key.
func (s *Session) checkKey(f *wire.Link) error {
	if f.Session != s.cfg.ID {
		return fmt.Errorf("link for session %d, this is %d", f.Session, s.cfg.ID)
	}
	if subtle.ConstantTimeCompare(f.Key, s.key) != 1 {
		return errors.New("link with a wrong key")
	}
	return nil
}

// serve is the link thread. in[:n] was read already.
func (l *link) serve(in []byte, n int) {
	// The thread is the program's for the link's life. It goes back to the
	// runtime afterwards instead of ending: children that asked for a signal
	// at their parent's death mean the thread that started them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := l.loop(in, n)
	if err != nil && !over(err) {
		l.s.cfg.Log.Warn("link ended", "session", l.s.cfg.ID, "thread", l.thread, "err", err)
	}
	s := l.s
	s.mu.Lock()
	delete(s.links, l)
	s.calls.Add(l.calls.Load())
	if l.ring != nil {
		l.ring.unmap()
	}
	s.mu.Unlock()
	l.conn.Close()
	s.idle.Done()
}

// over reports whether err is how a connection ends whose program process is
// gone: in the middle of a call that nobody waits for any more, the kernel
// resets it.
func over(err error) bool {
	return err == io.EOF || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// loop answers calls until the connection ends.
func (l *link) loop(in []byte, n int) error {
	thread := l.s.os.Thread(osys.MakeThreadID(l.p.number, l.thread))
	defer thread.Close()
	out := make([]byte, firstBuffer)
	var call wire.Call
	for {
		var size, got int
		var err error
		if l.ring != nil {
			size, err = l.ring.next(&in)
			got = size
		} else {
			size, got, err = l.read(&in, n)
		}
		if err != nil {
			return err
		}
		if err := wire.GetCall(in[:size], &call); err != nil {
			return err
		}
		need := osys.ReplySize(&call)
		if call.Nr == wire.NrCollect {
			need += 8 * wire.CollectPart
		}
		if need > len(out) {
			out = make([]byte, need)
		}
		if l.s.cfg.Delay > 0 {
			time.Sleep(l.s.cfg.Delay)
		}
		l.calls.Add(1)
		if call.Nr == wire.NrWriteErr {
			l.p.printed.Add(1)
		}
		reply, hand := l.common(thread, &call, out)
		if reply == nil {
			reply, hand = thread.Call(&call, out)
		}
		if err := l.answer(reply, hand); err != nil {
			return err
		}
		// A client sends its next call after the reply, so this is empty
		// unless it tries something.
		n = copy(in, in[size:got])
	}
}

// common carries out the calls that are between the processes of the session;
// it returns nil for any other.
func (l *link) common(t osys.Thread, c *wire.Call, dst []byte) (reply []byte, hand []int) {
	switch c.Nr {
	case wire.NrCollect, wire.NrAsleep, wire.NrTracebacks, wire.NrTraced, wire.NrMoving,
		wire.NrMap, wire.NrRemap, wire.NrMapFile, wire.NrMapped, wire.NrMapNext, wire.NrUncommon,
		wire.NrObserved, wire.NrInspected, wire.NrSteered, wire.NrTold:
	default:
		return nil, nil
	}
	var w wire.ReplyWriter
	w.Start(dst)
	var r1, r2 uint64
	var e syscall.Errno
	switch c.Nr {
	case wire.NrAsleep:
		l.s.sleep.answer(l.p, c)
	case wire.NrTracebacks:
		l.s.tracebacks(l.p, uint32(c.Args[0]))
	case wire.NrTraced:
		l.p.traced(c.Args[0])
	case wire.NrMoving:
		l.s.moves.answer(l.p, c)
	case wire.NrObserved:
		l.s.observing.answer(l.p, c)
	case wire.NrInspected:
		l.s.inspecting.answer(l.p, c)
	case wire.NrSteered:
		l.s.steering.answer(l.p, c)
	case wire.NrTold:
		l.s.asks.told(l.p, c)
	case wire.NrMap:
		r1, e = l.s.maps.add(l.s, t, c)
	case wire.NrRemap:
		r1, e = l.s.maps.change(l.s, c)
	case wire.NrMapFile:
		hand, e = l.s.maps.file(c.Args[0])
	case wire.NrMapped:
		l.s.maps.mapped(c.Args[0], syscall.Errno(c.Args[1]))
	case wire.NrMapNext:
		r1, r2, hand, e = l.p.mapNext(syscall.Errno(c.Args[0]))
	case wire.NrUncommon:
		e = l.p.uncommon(c)
	default:
		r1, e = l.p.collect(c, &w)
	}
	reply, _ = w.Finish(uint32(e), uint32(len(hand)), r1, r2)
	return reply, hand
}

// answer sends a reply, and with it the descriptors of hand.
func (l *link) answer(reply []byte, hand []int) error {
	if l.ring == nil {
		_, err := l.conn.Send(reply, hand)
		return err
	}
	if len(hand) > 0 {
		if _, err := l.conn.Send([]byte{0}, hand); err != nil {
			return err
		}
	}
	return l.ring.reply(reply)
}

// read makes *buf hold at least one frame, of which n bytes are there. It
// returns the frame's size and how much was read. The common frame takes one
// system call.
func (l *link) read(buf *[]byte, n int) (size, got int, err error) {
	need := 8
	for {
		if n >= 8 && size == 0 {
			if size, err = wire.FrameSize(*buf, wire.MaxFrame); err != nil {
				return 0, n, err
			}
			need = size
		}
		if n >= need {
			return size, n, nil
		}
		if need > len(*buf) {
			grown := make([]byte, need)
			copy(grown, (*buf)[:n])
			*buf = grown
		}
		k, err := l.conn.Read((*buf)[n:])
		if err != nil {
			if err == io.EOF && n > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, n, err
		}
		n += k
	}
}
