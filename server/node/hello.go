package node

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// peekName returns the server name that the first message of a TLS connection asks for,
// without taking anything from the connection, on which nothing is sent: it may be
// for another process to answer.
func peekName(fd int) (string, error) {
	const recordHead, handshake, most = 5, 22, 16 << 10
	buf := make([]byte, recordHead+most)
	for limit := time.Now().Add(introduction); ; {
		left := time.Until(limit)
		if left <= 0 {
			return "", errors.New("it did not say what it is")
		}
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
		if _, err := unix.Poll(p, int(left.Milliseconds())+1); err != nil && err != unix.EINTR {
			return "", err
		}
		n, _, err := unix.Recvfrom(fd, buf, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			continue
		case err != nil:
			return "", err
		case n > 0 && buf[0] != handshake:
			return "", errStranger
		case n >= recordHead:
			if size := int(binary.BigEndian.Uint16(buf[3:])); size > most {
				return "", errStranger
			} else if n >= recordHead+size {
				return nameIn(buf[:recordHead+size])
			}
		}
		if p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0 {
			return "", io.ErrUnexpectedEOF
		}
		time.Sleep(time.Millisecond) // the kernel would report what is there again at once
	}
}

// nameIn returns the server name in a record with a ClientHello.
func nameIn(record []byte) (name string, err error) {
	found := false
	tls.Server(&replay{rest: record}, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name, found = h.ServerName, true
		return nil, errStranger
	}}).Handshake()
	if !found || name == "" {
		return "", fmt.Errorf("%w, that asks for no name", errStranger)
	}
	return name, nil
}

// replay is a connection from which what was read before can be read, and nothing else.
type replay struct {
	net.Conn
	rest []byte
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *replay) Write(p []byte) (int, error) { return len(p), nil }

func (r *replay) Close() error { return nil }

func (r *replay) SetDeadline(time.Time) error { return nil }

func (r *replay) SetReadDeadline(time.Time) error { return nil }

func (r *replay) SetWriteDeadline(time.Time) error { return nil }
