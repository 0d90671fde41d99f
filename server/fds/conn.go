package fds

import (
	"io"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Conn is a stream socket that is read and written by blocking system calls
// on the calling thread. It stays clear of the runtime's network poller:
// waking a parked goroutine costs two to three times as much as a thread
// that waits in the kernel, and the poller's setup opens descriptors.
//
// One goroutine may read while another writes.
type Conn struct {
	FD    int
	space *Space // nil where the descriptor is not an own one
}

// NewConn adopts fd into s and returns it as a Conn; with a nil s the
// descriptor keeps its number.
func NewConn(s *Space, fd int) (*Conn, error) {
	if s != nil {
		own, err := s.Adopt(fd)
		if err != nil {
			return nil, err
		}
		fd = own
	}
	return &Conn{FD: fd, space: s}, nil
}

// Accept waits for a connection on a listening socket.
func Accept(s *Space, listener int) (*Conn, error) {
	for {
		fd, _, err := syscall.Accept4(listener, syscall.SOCK_CLOEXEC)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("accept4", err)
		}
		return NewConn(s, fd)
	}
}

// Conn returns the own descriptor fd of s as a Conn.
func (s *Space) Conn(fd int) *Conn { return &Conn{FD: fd, space: s} }

// Close closes the connection.
func (c *Conn) Close() error {
	if c.space != nil {
		return c.space.Close(c.FD)
	}
	return os.NewSyscallError("close", syscall.Close(c.FD))
}

// Shutdown makes blocked and later reads and writes of both sides end.
func (c *Conn) Shutdown() { syscall.Shutdown(c.FD, syscall.SHUT_RDWR) }

// SetTimeout bounds each later read and write; 0 means no limit. A read or
// write that exceeds it fails with syscall.EAGAIN.
func (c *Conn) SetTimeout(d time.Duration) error {
	tv := syscall.NsecToTimeval(d.Nanoseconds())
	err := syscall.SetsockoptTimeval(c.FD, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &tv)
	if err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	return c.SetWriteTimeout(d)
}

// SetWriteTimeout bounds each later write, like SetTimeout.
func (c *Conn) SetWriteTimeout(d time.Duration) error {
	tv := syscall.NsecToTimeval(d.Nanoseconds())
	return os.NewSyscallError("setsockopt", syscall.SetsockoptTimeval(c.FD, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &tv))
}

// Read reads what is there, at least one byte. It returns io.EOF at the end.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := syscall.Syscall(syscall.SYS_READ, uintptr(c.FD), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		switch {
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		}
		return int(n), nil
	}
}

// Write writes all of p.
func (c *Conn) Write(p []byte) (int, error) {
	return c.Send(p, nil)
}

// Send writes all of p; the descriptors of hand travel on its first byte.
func (c *Conn) Send(p []byte, hand []int) (int, error) {
	done := 0
	if len(hand) > 0 {
		n, err := c.sendRights(p, hand)
		if err != nil {
			return 0, err
		}
		done = n
	}
	for done < len(p) {
		// sendto with no address: write would raise SIGPIPE.
		n, _, errno := syscall.Syscall6(syscall.SYS_SENDTO, uintptr(c.FD), uintptr(unsafe.Pointer(&p[done])), uintptr(len(p)-done), syscall.MSG_NOSIGNAL, 0, 0)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			return done, errno
		}
		done += int(n)
	}
	return done, nil
}

// sendRights writes some of p, with descriptors.
func (c *Conn) sendRights(p []byte, hand []int) (int, error) {
	rights := syscall.UnixRights(hand...)
	for {
		n, err := syscall.SendmsgN(c.FD, p, rights, nil, syscall.MSG_NOSIGNAL)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// maxHanded is how many descriptors Recv takes at once.
const maxHanded = 8

// Recv reads what is there, like Read, and appends the descriptors that came
// along to hand, adopted into the Conn's Space where it has one.
func (c *Conn) Recv(p []byte, hand *[]int) (int, error) {
	oob := make([]byte, syscall.CmsgSpace(maxHanded*4))
	for {
		n, oobn, _, _, err := syscall.Recvmsg(c.FD, p, oob, syscall.MSG_CMSG_CLOEXEC)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		got := Rights(oob[:oobn])
		for _, fd := range got {
			if c.space != nil {
				if fd, err = c.space.Adopt(fd); err != nil {
					return n, err
				}
			}
			*hand = append(*hand, fd)
		}
		if n == 0 {
			return 0, io.EOF
		}
		return n, nil
	}
}

// Rights returns the descriptors in the control messages of a datagram.
func Rights(oob []byte) []int {
	if len(oob) == 0 {
		return nil
	}
	list, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var all []int
	for i := range list {
		if fds, err := syscall.ParseUnixRights(&list[i]); err == nil {
			all = append(all, fds...)
		}
	}
	return all
}

// PeerUID returns the user id at the other end of a unix socket.
func PeerUID(fd int) (int, error) {
	cred, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err != nil {
		return -1, os.NewSyscallError("getsockopt SO_PEERCRED", err)
	}
	return int(cred.Uid), nil
}

// Trusted reports whether the peer of unix socket fd is this user or root.
func Trusted(fd int) bool {
	uid, err := PeerUID(fd)
	return err == nil && (uid == 0 || uid == os.Getuid())
}
