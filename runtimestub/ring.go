package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// The client's side of a ring; wire/ring.go has the protocol.

// makeRing gives l shared memory and returns its memfd; -1, and no memory,
// where that cannot be had.
func (l *link) makeRing() int32 {
	const allowSealing, cloexec = 2, 1
	name := [8]byte{'r', 'e', 'm', 'o', 't', 'e', 'c'}
	fd, _, errno := raw(wire.SYS_MEMFD_CREATE, uintptr(unsafe.Pointer(&name)), allowSealing|cloexec, 0, 0, 0, 0)
	if errno != 0 {
		return -1
	}
	const addSeals, sealSeal, sealShrink, sealGrow = 1033, 1, 2, 4
	_, _, errno = raw(wire.SYS_FTRUNCATE, fd, wire.RingSize, 0, 0, 0, 0)
	if errno == 0 {
		_, _, errno = raw(wire.SYS_FCNTL, fd, addSeals, sealSeal|sealShrink|sealGrow, 0, 0, 0)
	}
	if errno == 0 {
		const protRW, shared = 3, 1
		l.ring, _, errno = raw(wire.SYS_MMAP, 0, wire.RingSize, protRW, shared, fd, 0)
	}
	if errno != 0 {
		l.ring = 0
		closeFD(int32(fd))
		return -1
	}
	l.areas = l.ring + wire.RingRequestStart
	return int32(fd)
}

func (l *link) closeRing() {
	xchg(l.word(wire.RingStateOffset), wire.RingClosed)
	futexWake(l.word(wire.RingStateOffset))
	raw(wire.SYS_MUNMAP, l.ring, wire.RingSize, 0, 0, 0, 0)
}

func (l *link) word(offset uintptr) *uint32 { return (*uint32)(ptr(l.ring + offset)) }

// ringExchange posts the request that lies in the ring and waits for the
// reply, for at most limit seconds if that is not 0.
func (l *link) ringExchange(limit int64) []byte {
	state := l.word(wire.RingStateOffset)
	cpu := currentCPU()
	xchg(l.word(wire.RingClientCPU), cpu)
	xchg(state, wire.RingPosted)
	if load(l.word(wire.RingServerWaits)) != 0 {
		futexWake(state)
	}
	if load(l.word(wire.RingServerCPU)) != cpu {
		for end := nanotime() + wire.RingSpin; load(state) == wire.RingPosted && nanotime() < end; {
			pause()
		}
	}
	waits := l.word(wire.RingClientWaits)
	for load(state) == wire.RingPosted {
		xchg(waits, 1)
		if load(state) != wire.RingPosted {
			break
		}
		if futexWait(state, wire.RingPosted, limit) == eTIMEDOUT {
			return nil
		}
	}
	xchg(waits, 0)
	if load(state) != wire.RingReply {
		return nil
	}
	b := l.answer()
	size, err := wire.FrameSize(b, len(b))
	if err != nil {
		return nil
	}
	return b[:size]
}

func currentCPU() uint32 {
	var cpu uint32
	raw(wire.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0, 0, 0, 0)
	return cpu
}

const (
	futexOpWait = 0 // not private: the peer is another process
	futexOpWake = 1
)

func futexWake(p *uint32) {
	raw(wire.SYS_FUTEX, uintptr(unsafe.Pointer(p)), futexOpWake, 1, 0, 0, 0)
}

func futexWakeAll(p *uint32) {
	const all = 1<<31 - 1
	raw(wire.SYS_FUTEX, uintptr(unsafe.Pointer(p)), futexOpWake, all, 0, 0, 0)
}

func futexWait(p *uint32, value uint32, limit int64) (errno uintptr) {
	var timeout uintptr
	ts := [2]int64{limit, 0}
	if limit != 0 {
		timeout = uintptr(unsafe.Pointer(&ts))
	}
	_, _, errno = raw(wire.SYS_FUTEX, uintptr(unsafe.Pointer(p)), futexOpWait, uintptr(value), timeout, 0, 0)
	return errno
}
