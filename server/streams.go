package server

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"remotec.dev/server/fds"
)

// streams are the standard streams of a program on another host: a pipe each,
// whose one end the session process has as its descriptor 0, 1 or 2 from the
// start, and a connection from the program process. The master copies
// between the two rather than the session process, because that one may
// execute another program, and because children may hold the pipes longer.
type streams struct {
	theirs [3]int // ends for the session process; closed once it is started

	mu    sync.Mutex
	pipes [3]*os.File // ends of the master; nil: none
	conns [3]net.Conn // nil: not connected yet
	over  bool        // the session process is gone
	idle  sync.WaitGroup
}

// lingering is how long output of children is copied after the end of the
// session process.
const lingering = 2 * time.Second

// newStreams makes the pipes. Where joined, descriptors 1 and 2 are one.
func newStreams(joined bool) (*streams, error) {
	s := &streams{theirs: [3]int{-1, -1, -1}}
	for n := range 3 {
		if n == 2 && joined {
			s.theirs[2] = s.theirs[1]
			break
		}
		var p [2]int
		if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC); err != nil {
			s.started()
			s.abort()
			return nil, os.NewSyscallError("pipe2", err)
		}
		ours, theirs := p[1], p[0]
		if n > 0 {
			ours, theirs = p[0], p[1]
		}
		syscall.SetNonblock(ours, true) // for deadlines
		s.theirs[n], s.pipes[n] = theirs, os.NewFile(uintptr(ours), "pipe")
	}
	return s, nil
}

// started closes the ends that the session process has.
func (s *streams) started() {
	for n, fd := range s.theirs {
		if fd >= 0 && (n != 2 || fd != s.theirs[1]) {
			syscall.Close(fd)
		}
	}
}

// connect makes c, which stays the caller's, the other end of stream n.
func (s *streams) connect(n uint32, c *fds.Conn) error {
	fd, err := syscall.Dup(c.FD)
	if err != nil {
		return os.NewSyscallError("dup", err)
	}
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "stream")
	conn, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n >= 3 || s.pipes[n] == nil || s.conns[n] != nil || s.over {
		conn.Close()
		return fmt.Errorf("connection for standard stream %d, which is not wanted", n)
	}
	if _, err := conn.Write([]byte{0}); err != nil { // the answer; fits any socket buffer
		conn.Close()
		return err
	}
	pipe := s.pipes[n]
	s.conns[n] = conn
	s.idle.Go(func() {
		defer conn.Close()
		defer pipe.Close()
		if n == 0 {
			copyStream(pipe, conn, math.MaxInt)
		} else {
			copyOutput(conn, pipe)
		}
	})
	return nil
}

// copyOutput copies what is written to the pipe until all its writers are gone,
// or the reader is, or lingering is over.
func copyOutput(conn net.Conn, pipe *os.File) {
	go func() {
		// Nothing comes this way but the end: the next write is to fail.
		conn.Read(make([]byte, 1))
		pipe.Close()
	}()
	err := copyStream(conn, pipe, math.MaxInt)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// The reader may be slow: what is in the pipe by now still counts.
		pipe.SetReadDeadline(time.Time{})
		copyStream(conn, pipe, buffered(pipe))
	}
}

// copyStream copies up to n bytes. It returns nil at the end.
func copyStream(to io.Writer, from io.Reader, n int) error {
	const pipeSize = 64 << 10 // capacity in bytes, pipe(7)
	buf := make([]byte, pipeSize)
	for n > 0 {
		k, err := from.Read(buf[:min(n, len(buf))])
		n -= k
		if k > 0 {
			if _, err := to.Write(buf[:k]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// buffered returns how many bytes lie in a pipe.
func buffered(pipe *os.File) int {
	var n int32
	c, err := pipe.SyscallConn()
	if err != nil {
		return 0
	}
	const fionread = 0x541b
	c.Control(func(fd uintptr) {
		syscall.Syscall(syscall.SYS_IOCTL, fd, fionread, uintptr(unsafe.Pointer(&n)))
	})
	return int(n)
}

// end is called when the session process is gone.
func (s *streams) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for n, pipe := range s.pipes {
		switch conn := s.conns[n]; {
		case pipe == nil:
		case conn == nil:
			pipe.Close()
		case n == 0:
			conn.Close()
		default:
			pipe.SetReadDeadline(time.Now().Add(lingering))
		}
	}
}

// abort ends the copying without regard to what is on its way.
func (s *streams) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for n, pipe := range s.pipes {
		if pipe != nil {
			pipe.Close()
		}
		if conn := s.conns[n]; conn != nil {
			conn.Close()
		}
	}
}
