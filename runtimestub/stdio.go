package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// The standard streams of a program whose server is reached over TCP, where
// descriptors cannot travel: the server holds one end of a connection per
// stream, and a thread of this process copies between the other end and the
// descriptor that the process was started with. Like the event thread they
// have no P, see doc.go.
//
// Standard input is read ahead, as everything that copies does. So that a
// program which never reads it leaves it to others (a loop of the shell over
// the lines of a file), copying begins when the program first does something
// that may read it.

// stream is one standard stream.
type stream struct {
	conn    int32  // connection to the server
	local   int32  // copy of the process's own descriptor
	taken   uint32 // 1: a thread has it
	writing uint32 // 1 while that thread writes to local
	moved   uint32 // counts what was received, for drain
}

// streamSize is how many bytes are copied at once: what a pipe holds.
const streamSize = 64 << 10

var (
	streams   [3]stream // written by attach, before the threads start
	streamsOn int32     // how many there are: 0, 2 where 1 and 2 are the same file, 3
	outputs   uint32    // those that can still produce output; futex
	stdinIdle uint32    // 1: nothing has asked for standard input yet; futex
)

// sameFile reports whether descriptors 1 and 2 of this process are one file.
// They are one stream then, so that the order of what is written stays.
func sameFile() bool {
	var st [2][144]byte // struct stat: device and inode first
	for i := range st {
		_, _, errno := raw(wire.SYS_FSTAT, uintptr(i)+1, uintptr(unsafe.Pointer(&st[i])), 0, 0, 0, 0)
		if errno != 0 {
			return false
		}
	}
	return [16]byte(st[0][:16]) == [16]byte(st[1][:16])
}

// openStreams connects n standard streams. It returns when the server has
// taken each of them.
//
// buf is room for a Link frame.
func openStreams(n int32, buf []byte) {
	for i := range n {
		s := &streams[i]
		mine := openOrNull(i)
		// Above what settleStd replaces; see there for why not far above.
		const dupCloexec, above = 1030, 10 // F_DUPFD_CLOEXEC
		r, _, errno := raw(wire.SYS_FCNTL, uintptr(mine), dupCloexec, above, 0, 0, 0)
		if errno != 0 {
			fatal("no descriptor left in the program's process for its standard streams")
		}
		if mine != i {
			closeFD(mine)
		}
		s.local = int32(r)
		if s.conn, errno = dialed.connect(); errno != 0 {
			lost()
		}
		frame, _ := wire.PutLink(buf, &wire.Link{
			Session: session, Thread: uint32(i), Flags: wire.LinkStdio, Key: linkKey[:],
		})
		if !writeString(s.conn, wire.PreambleFramed) || !writeAll(s.conn, frame) {
			lost()
		}
	}
	for i := range n {
		s := &streams[i]
		setTimeouts(s.conn, answerLimit)
		for {
			got, _, errno := raw(wire.SYS_READ, uintptr(s.conn), addrOf(buf), 1, 0, 0, 0)
			if errno == eINTR {
				continue
			}
			if errno != 0 || got != 1 {
				lost()
			}
			break
		}
		setTimeouts(s.conn, 0)
		own(s.conn)
		own(s.local)
	}
	streamsOn, outputs, stdinIdle = n, uint32(n-1), 1
}

// stdio is the whole life of a thread that copies a stream.
//
//go:linkname stdio runtime.remoteStdio
func stdio() {
	// Signals are for the others: a handler would stop the copying, SIGTTIN
	// the whole process, and a pipe that breaks here is the session's to break.
	all := ^uint64(0)
	const setMask = 2
	raw(wire.SYS_RT_SIGPROCMASK, setMask, uintptr(unsafe.Pointer(&all)), 0, 8, 0, 0)
	i := 0
	for !cas(&streams[i].taken, 0, 1) {
		i++
	}
	s := &streams[i]
	mem := mapMemory(streamSize)
	if mem == 0 {
		fatal("no memory for the program's standard streams")
	}
	if i == 0 {
		s.input(bytesAt(mem, streamSize))
	} else {
		s.output(bytesAt(mem, streamSize))
	}
	// The ends are seen: by the server, and by who is at the other end here.
	closeOwn(s.conn)
	closeOwn(s.local)
	if i > 0 {
		for n := load(&outputs); !cas(&outputs, n, n-1); n = load(&outputs) {
		}
		futexWakeAll(&outputs)
	}
	for { // the runtime keeps the thread on its list
		raw(wire.SYS_PAUSE, 0, 0, 0, 0, 0, 0)
	}
}

const (
	pollIn   = 1
	pollOut  = 4
	pollGone = 8 | 16 | 32 // POLLERR, POLLHUP, POLLNVAL: always reported
)

type pollFD struct {
	fd              int32
	events, revents int16
}

// output writes what the server sends until one of the two ends is gone.
func (s *stream) output(buf []byte) {
	for {
		set := [2]pollFD{{fd: s.conn, events: pollIn}, {fd: s.local}}
		_, _, errno := raw(wire.SYS_POLL, uintptr(unsafe.Pointer(&set)), 2, ^uintptr(0), 0, 0, 0)
		if errno != 0 {
			continue
		}
		if set[1].revents&pollGone != 0 {
			return // nobody reads: the program's next write is to fail
		}
		n, _, errno := raw(wire.SYS_READ, uintptr(s.conn), addrOf(buf), uintptr(len(buf)), 0, 0, 0)
		if errno != 0 || n == 0 {
			return
		}
		xchg(&s.writing, 1)
		xchg(&s.moved, s.moved+1)
		errno = writeLocal(s.local, buf[:n])
		xchg(&s.writing, 0)
		switch errno {
		case 0:
		case ePIPE: // the program gets it too, at its next write
			return
		default: // but this one it does not
			var number [20]byte
			say("remotec: output of the program cannot be written: errno ")
			say(decimal(&number, uint64(errno)))
			say("\n")
			return
		}
	}
}

// writeLocal writes b to a descriptor of any kind.
func writeLocal(fd int32, b []byte) (errno uintptr) {
	for len(b) > 0 {
		n, _, errno := raw(wire.SYS_WRITE, uintptr(fd), addrOf(b), uintptr(len(b)), 0, 0, 0)
		switch errno {
		case 0:
			b = b[n:]
		case eINTR:
		case eAGAIN: // another process made it non-blocking
			waitFor(fd, pollOut)
		default:
			return errno
		}
	}
	return 0
}

// input sends what this process's standard input has, from when the program
// wants it.
func (s *stream) input(buf []byte) {
	for load(&stdinIdle) != 0 {
		futexWait(&stdinIdle, 1, 0)
	}
	for {
		n, _, errno := raw(wire.SYS_READ, uintptr(s.local), addrOf(buf), uintptr(len(buf)), 0, 0, 0)
		switch {
		case errno == eINTR:
		case errno == eAGAIN:
			waitFor(s.local, pollIn)
		case errno == eIO && inBackground(s.local):
			pause := [2]int64{1, 0} // seconds
			raw(wire.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pause)), 0, 0, 0, 0, 0)
		case errno != 0 || n == 0:
			return
		case !writeAll(s.conn, buf[:n]):
			return
		}
	}
}

func waitFor(fd int32, events int16) {
	p := pollFD{fd: fd, events: events}
	raw(wire.SYS_POLL, uintptr(unsafe.Pointer(&p)), 1, ^uintptr(0), 0, 0, 0)
}

// inBackground reports whether fd is a terminal that belongs to another
// process group for now.
func inBackground(fd int32) bool {
	const tiocgpgrp = 0x540f
	var front int32
	if _, _, errno := raw(wire.SYS_IOCTL, uintptr(fd), tiocgpgrp, uintptr(unsafe.Pointer(&front)), 0, 0, 0); errno != 0 {
		return false
	}
	mine, _, _ := raw(wire.SYS_GETPGRP, 0, 0, 0, 0, 0, 0)
	return int32(mine) != front
}

// wantStdin starts the copying of standard input.
func wantStdin() {
	if cas(&stdinIdle, 1, 0) {
		futexWake(&stdinIdle)
	}
}

// readsStdin reports whether c may read standard input, or make something
// that will.
func readsStdin(c *sysCall) bool {
	switch c.nr {
	case wire.SYS_READ, wire.SYS_READV, wire.SYS_PREADV2, wire.SYS_DUP, wire.SYS_DUP2, wire.SYS_DUP3,
		wire.SYS_SPLICE, wire.SYS_TEE, wire.SYS_COPY_FILE_RANGE:
		return int32(c.args[0]) == 0
	case wire.SYS_FCNTL:
		const getFlags, setFlags = 1, 4 // and what lies between
		return int32(c.args[0]) == 0 && (c.args[1] < getFlags || c.args[1] > setFlags)
	case wire.SYS_SENDFILE:
		return int32(c.args[1]) == 0
	case wire.SYS_EPOLL_CTL:
		return int32(c.args[2]) == 0
	case wire.SYS_OPEN:
		return namesStdin(c.args[0])
	case wire.SYS_OPENAT, wire.SYS_OPENAT2:
		return namesStdin(c.args[1])
	case wire.SYS_POLL, wire.SYS_PPOLL, wire.SYS_SELECT, wire.SYS_PSELECT6, wire.SYS_SENDMSG, wire.SYS_SENDMMSG,
		wire.SYS_EXECVE, wire.SYS_EXECVEAT, wire.SYS_PIDFD_GETFD:
		return true // not worth a closer look
	}
	return false
}

func namesStdin(path uintptr) bool {
	if path == 0 {
		return false
	}
	switch b := cString(path); string(b) {
	case "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0":
		return true
	}
	return false
}

// Bounds of drain in nanoseconds.
const (
	noLimit = int64(1) << 62
	second  = int64(1e9)
)

// drain waits until what the server has still to send is written. It gives up
// when nothing comes for silence, and when a write of ours takes longer than
// stuck: a plain program that ends has its output in the pipe already, but one
// that waits for its reader waits for ever.
func drain(silence, stuck int64) {
	last, since := ^uint32(0), nanotime()
	for open := load(&outputs); open != 0; open = load(&outputs) {
		now, limit := uint32(0), silence
		for i := 1; i < len(streams); i++ {
			now += load(&streams[i].moved)
			if load(&streams[i].writing) != 0 {
				limit = stuck
			}
		}
		if now != last {
			last, since = now, nanotime()
		} else if nanotime()-since > limit {
			return
		}
		futexWait(&outputs, open, 1)
	}
}

// endSession lets the server end the session while this process still lives:
// then it sends the rest of the output, and the streams' ends.
func endSession() {
	const shutWR = 1
	raw(wire.SYS_SHUTDOWN, uintptr(control), shutWR, 0, 0, 0, 0)
}

// onDie is called when the process is about to end by a signal. That is not
// announced, and not held up by somebody who does not read.
func onDie() {
	if load(&outputs) != 0 {
		cas(&ending, 0, 1)
		endSession()
		drain(2*second, second)
	}
}
