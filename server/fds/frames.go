package fds

import (
	"io"
	"syscall"

	"remotec.dev/runtimestub/wire"
)

// FrameReader reads frames and the descriptors beside them from a Conn.
//
// The kernel joins the bytes of several messages in one read, up to and with
// the first that carries descriptors: which frame they belong to is not
// known from the read alone. They queue up here, and the reader of a frame
// that announces descriptors takes them.
type FrameReader struct {
	Conn *Conn
	Max  int // bound of a frame's length in bytes
	// Exact makes it read no further than asked for, so that another reader
	// can take over the connection.
	Exact bool

	buf   []byte
	start int // of the next frame
	end   int // of what was read
	hand  []int
}

// Next returns the next frame, valid until the following call. It returns
// io.EOF when the peer closed the connection between frames,
// io.ErrUnexpectedEOF within one.
func (r *FrameReader) Next() ([]byte, error) {
	if err := r.fill(8); err != nil {
		return nil, err
	}
	n, err := wire.FrameSize(r.buf[r.start:r.start+8], r.Max)
	if err != nil {
		return nil, err
	}
	if err := r.fill(n); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	frame := r.buf[r.start : r.start+n : r.start+n]
	r.start += n
	return frame, nil
}

// Ready reports whether Next has a whole frame without reading.
func (r *FrameReader) Ready() bool {
	have := r.buf[r.start:r.end]
	if len(have) < 8 {
		return false
	}
	n, err := wire.FrameSize(have[:8], r.Max)
	return err != nil || n <= len(have)
}

// Preamble reads the first 8 bytes of a connection.
func (r *FrameReader) Preamble() (string, error) {
	if err := r.fill(8); err != nil {
		return "", err
	}
	p := string(r.buf[r.start : r.start+8])
	r.start += 8
	return p, nil
}

// Take returns n descriptors that arrived with the last frame, which are
// then the caller's, or nil where there are not that many.
func (r *FrameReader) Take(n int) []int {
	if len(r.hand) < n {
		return nil
	}
	hand := r.hand[:n:n]
	r.hand = r.hand[n:]
	return hand
}

// Rest returns the bytes that were read and belong to no frame yet.
func (r *FrameReader) Rest() []byte { return r.buf[r.start:r.end] }

// Drop closes descriptors that no frame took.
func (r *FrameReader) Drop() {
	for _, fd := range r.hand {
		if s := r.Conn.space; s != nil {
			s.Close(fd)
		} else {
			syscall.Close(fd)
		}
	}
	r.hand = nil
}

// fill makes at least n bytes available from start on.
func (r *FrameReader) fill(n int) error {
	for r.end-r.start < n {
		if r.start == r.end {
			r.Drop() // nothing that could claim them
		}
		if r.start > 0 {
			copy(r.buf, r.buf[r.start:r.end])
			r.end -= r.start
			r.start = 0
		}
		if len(r.buf) < n || len(r.buf) == 0 {
			grown := make([]byte, max(n, 4096))
			copy(grown, r.buf[:r.end])
			r.buf = grown
		}
		room := r.buf[r.end:]
		if r.Exact {
			room = r.buf[r.end : r.start+n]
		}
		k, err := r.Conn.Recv(room, &r.hand)
		if err != nil {
			if err == io.EOF && r.end > r.start {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		r.end += k
	}
	return nil
}
