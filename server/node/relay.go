package node

import (
	"io"
	"net/netip"
	"syscall"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
)

// readFrame reads a frame of a program process into buf, or a larger one.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	buf = append(buf[:0], make([]byte, 8)...)
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, err
	}
	n, err := wire.FrameSize(buf, wire.MaxFrame)
	if err != nil {
		return nil, err
	}
	buf = append(buf, make([]byte, n-8)...)
	_, err = io.ReadFull(r, buf[8:])
	return buf, err
}

// write sends a frame to the session as the process would; with it goes a descriptor,
// unless hand is nil.
func (r *remote) write(frame []byte, hand *fds.Conn) error {
	r.sendMu.Lock()
	defer r.sendMu.Unlock()
	if hand != nil {
		raw, err := r.control.SyscallConn()
		if err != nil {
			return err
		}
		n, rights := 0, syscall.UnixRights(hand.FD)
		var sent error
		err = raw.Write(func(fd uintptr) bool {
			n, sent = syscall.SendmsgN(int(fd), frame, rights, nil, syscall.MSG_NOSIGNAL)
			return sent != syscall.EAGAIN
		})
		if err == nil {
			err = sent
		}
		if err != nil {
			return err
		}
		frame = frame[n:]
	}
	_, err := r.control.Write(frame)
	return err
}

// shutdown ends what the session reads.
func (r *remote) shutdown() {
	if raw, err := r.control.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_WR) })
	}
}

func ip6(b [16]byte) string { return netip.AddrFrom16(b).Unmap().String() }
