package session

import (
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"
	"unsafe"

	"remotec.dev/server/fds"
)

// Names of the abstract unix sockets of a session process, each followed by
// its process id. Abstract ones vanish with the process.
const (
	// BeaconName says that the process is a session process: it answers with
	// BeaconWord and closes. A remote binary that a program of the session
	// started finds its way to the server's executable by it.
	BeaconName = "@remotec-session-"
	BeaconWord = "REMOTECS"
	// ControlName takes RPC connections about the session.
	ControlName = "@remotec-control-"
)

// Beacon is what a session process can be found by.
type Beacon struct {
	space          *fds.Space
	log            *slog.Logger
	alive, control int // listening sockets
}

// Listen opens the sockets. Connections wait until Serve.
func Listen(space *fds.Space, log *slog.Logger) (*Beacon, error) {
	b := &Beacon{space: space, log: log}
	for _, s := range []struct {
		name string
		fd   *int
	}{{BeaconName, &b.alive}, {ControlName, &b.control}} {
		fd, err := ListenAbstract(space, fmt.Sprint(s.name, os.Getpid()))
		if err != nil {
			return nil, err
		}
		*s.fd = fd
	}
	return b, nil
}

// ListenAbstract listens on an abstract unix socket.
func ListenAbstract(space *fds.Space, name string) (int, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if fd, err = space.Adopt(fd); err != nil {
		return -1, err
	}
	if err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: name}); err == nil {
		err = syscall.Listen(fd, 64)
	}
	if err != nil {
		space.Close(fd)
		return -1, fmt.Errorf("listening on %s: %w", name, err)
	}
	return fd, nil
}

// Serve answers connections from now on: it announces the session process,
// and hands RPC connections to rpc, each on a goroutine of its own. Peers of
// another user are turned away.
func (b *Beacon) Serve(rpc func(*fds.Conn)) {
	go func() {
		for {
			ready, err := b.wait()
			if err != nil {
				b.log.Warn("waiting for connections", "err", err)
				return
			}
			c, err := fds.Accept(b.space, ready)
			switch {
			case err != nil:
				// Out of descriptors, or a peer that is gone again.
				time.Sleep(10 * time.Millisecond)
			case !fds.Trusted(c.FD):
				c.Close()
			case ready == b.control:
				go rpc(c)
			default:
				c.Write([]byte(BeaconWord)) // fits any socket buffer
				c.Close()
			}
		}
	}()
}

// wait returns a listening socket that has a connection. One thread waits
// for both.
func (b *Beacon) wait() (int, error) {
	type pollfd struct {
		fd              int32
		events, revents int16
	}
	const in = 1 // POLLIN
	set := [2]pollfd{{fd: int32(b.alive), events: in}, {fd: int32(b.control), events: in}}
	for {
		_, _, errno := syscall.Syscall(syscall.SYS_POLL, uintptr(unsafe.Pointer(&set)), uintptr(len(set)), ^uintptr(0))
		if errno != 0 && errno != syscall.EINTR {
			return -1, errno
		}
		for _, p := range set {
			if errno == 0 && p.revents != 0 {
				return int(p.fd), nil
			}
		}
	}
}
