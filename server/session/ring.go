package session

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// ring is the server's side of a link's shared memory; wire/ring.go has the
// protocol. The client can write all of it at any time: a request is copied
// before it is looked at, and replies are made elsewhere.
type ring struct {
	mem []byte
}

// Seals of memory whose size its maker cannot change any more: an access to
// what a client had cut off would end the session process with SIGBUS.
const (
	fcntlGetSeals = 1034
	sealShrink    = 2
	sealGrow      = 4
)

// openRing maps the memory behind memfd, which stays the caller's.
func openRing(memfd int) (*ring, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(memfd, &st); err != nil {
		return nil, fmt.Errorf("shared memory of a link: %w", err)
	}
	seals, _, e := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(memfd), fcntlGetSeals, 0)
	if e != 0 || seals&(sealShrink|sealGrow) != sealShrink|sealGrow || st.Size != wire.RingSize {
		return nil, fmt.Errorf("shared memory of a link is not a sealed memfd of %d bytes", wire.RingSize)
	}
	mem, err := syscall.Mmap(memfd, 0, wire.RingSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping the shared memory of a link: %w", err)
	}
	return &ring{mem}, nil
}

func (r *ring) word(offset int) *uint32 { return (*uint32)(unsafe.Pointer(&r.mem[offset])) }

// next waits for a request and copies it into *buf; size is its length.
func (r *ring) next(buf *[]byte) (size int, err error) {
	state := r.word(wire.RingStateOffset)
	if atomic.LoadUint32(state) != wire.RingPosted {
		r.wait(state)
	}
	if atomic.LoadUint32(state) == wire.RingClosed {
		return 0, io.EOF
	}
	area := r.mem[wire.RingRequestStart:wire.RingAnswerStart]
	var header [8]byte
	copy(header[:], area)
	size, err = wire.FrameSize(header[:], wire.MaxFrame)
	if err != nil {
		return 0, err
	}
	if size > len(*buf) {
		*buf = make([]byte, max(size, 2*len(*buf)))
	}
	copy(*buf, header[:])
	copy((*buf)[len(header):size], area[len(header):size])
	return size, nil
}

// wait returns when a request is posted or the ring is closed.
func (r *ring) wait(state *uint32) {
	// A client that has just got its reply often posts the next request at
	// once.
	if atomic.LoadUint32(r.word(wire.RingClientCPU)) != atomic.LoadUint32(r.word(wire.RingServerCPU)) {
		for end := time.Now().Add(wire.RingSpin); ; {
			for range 32 {
				if s := atomic.LoadUint32(state); s == wire.RingPosted || s == wire.RingClosed {
					return
				}
			}
			if !time.Now().Before(end) {
				break
			}
		}
	}
	waits := r.word(wire.RingServerWaits)
	for {
		atomic.StoreUint32(waits, 1)
		s := atomic.LoadUint32(state)
		if s == wire.RingPosted || s == wire.RingClosed {
			break
		}
		futex(state, futexWait, s)
	}
	atomic.StoreUint32(waits, 0)
}

// reply posts the answer to the last request.
func (r *ring) reply(frame []byte) error {
	if len(frame) > wire.MaxFrame {
		return errors.New("reply exceeds a frame")
	}
	copy(r.mem[wire.RingAnswerStart:], frame)
	atomic.StoreUint32(r.word(wire.RingServerCPU), currentCPU())
	state := r.word(wire.RingStateOffset)
	if !atomic.CompareAndSwapUint32(state, wire.RingPosted, wire.RingReply) {
		return io.EOF
	}
	if atomic.LoadUint32(r.word(wire.RingClientWaits)) != 0 {
		futex(state, futexWake, 1)
	}
	return nil
}

// close makes next return io.EOF. It may be called from any thread.
func (r *ring) close() {
	state := r.word(wire.RingStateOffset)
	atomic.StoreUint32(state, wire.RingClosed)
	futex(state, futexWake, 2)
}

// unmap gives the memory back; nothing else may use r then.
func (r *ring) unmap() { syscall.Munmap(r.mem) }

// Futex operations on memory that processes share.
const (
	futexWait = 0
	futexWake = 1
)

func futex(p *uint32, op int, value uint32) {
	if op == futexWake {
		syscall.RawSyscall(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(p)), uintptr(op), uintptr(value))
	} else {
		syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(p)), uintptr(op), uintptr(value), 0, 0, 0)
	}
	runtime.KeepAlive(p)
}

func currentCPU() uint32 {
	const sysGetcpu = 309
	var cpu uint32
	syscall.RawSyscall(sysGetcpu, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	return cpu
}
