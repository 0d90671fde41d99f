// Package mail makes what the processes of a session that are on one host send each
// other messages by: memory that they share, and an eventfd for each to be woken by.
// The processes do the rest among themselves; the patched runtime's remotec_mail.go has
// the protocol.
package mail

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"remotec.dev/server/fds"
)

// Mail belongs to the processes of consecutive numbers that are on one host.
type Mail struct {
	first, count int
	delay        time.Duration
	memory       int
	files        []int // the memory, and the processes' eventfds
	space        *fds.Space
	ledgers      []byte // mapped; nil without
}

// New makes the mail of count processes, with descriptors that space owns. For tests they do not
// look at their messages for as long as delay after they have looked.
func New(first, count int, delay time.Duration, space *fds.Space) (*Mail, error) {
	m := &Mail{first: first, count: count, delay: delay, space: space}
	add := func(what string, fd int, err error) error {
		if err == nil {
			fd, err = space.Adopt(fd)
		}
		if err != nil {
			m.Close()
			return fmt.Errorf("messages between processes: %s: %w", what, err)
		}
		m.files = append(m.files, fd)
		return nil
	}
	fd, err := unix.MemfdCreate("remotec-mail", unix.MFD_CLOEXEC)
	if err := add("memfd_create", fd, err); err != nil {
		return nil, err
	}
	m.memory = m.files[0]
	if err := m.mapLedgers(); err != nil {
		m.Close()
		return nil, fmt.Errorf("messages between processes: %w", err)
	}
	for range count {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err := add("eventfd", fd, err); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Where a process says how many of its Ps run: remotec_mail.go has the same figures.
const (
	boxSize    = 0x41000 // of a process, in bytes
	runningPos = 128 + 3*4
)

// Idle reports whether none of the Ps of a process runs. It is true of one that is not on
// this host as well. After Close the answer means nothing.
func (m *Mail) Idle(process int) bool {
	if m == nil || process < m.first || process >= m.first+m.count {
		return true
	}
	var word [4]byte
	n, err := unix.Pread(m.memory, word[:], int64(process-m.first)*boxSize+runningPos)
	return err == nil && n == len(word) && word == [4]byte{}
}

// Files returns what each of the processes inherits, as consecutive descriptors.
func (m *Mail) Files() []int {
	if m == nil {
		return nil
	}
	return m.files
}

// Value returns what a process is told, whose first inherited descriptor of Files
// is fd: the last fields of REMOTEC_PROCESS, which docs/api.md describes.
func (m *Mail) Value(fd int) string {
	if m == nil {
		return ""
	}
	return fmt.Sprintf("/%x/%x/%x/%x", m.first, m.delay.Nanoseconds(), m.count, fd)
}

// Close closes the descriptors. Processes that were started have theirs. The ledgers stay
// mapped: somebody may be looking at them.
func (m *Mail) Close() {
	for _, fd := range m.Files() {
		m.space.Close(fd)
	}
	if m != nil {
		m.files = nil
	}
}
