package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// What the runtime calls besides system calls; hookTable says where from.

func hooks() *hookTable {
	return &hookTable{
		syscall:   onSyscall,
		write:     onWrite,
		pollOpen:  onPollOpen,
		pollClose: onPollClose,
		signal:    func(op, sig uint32) { pseudo(wire.NrSignal, uint64(op), uint64(sig)) },
		lease:     func(want uint64) uint64 { return pseudo(wire.NrLease, want, 0).R1 },
		exit:      onExit,
		die:       onDie,
		mexit:     closeLink,
		spawn:     onSpawn,
		post:      onPost,
		collect:   onCollect,
		traceback: onTraceback,
		uncommon:  onUncommon,
		inspected: onInspected,
		told:      onTold,
	}
}

// onWrite carries what the runtime prints. It may run in a signal handler,
// over a call on this thread's own link, so that it uses the spare link; and
// when even that is in use by the interrupted code, the bytes go to this
// process's own descriptor, better there than lost.
func onWrite(fd uintptr, p unsafe.Pointer, n int32) int32 {
	if n <= 0 {
		return 0
	}
	if local, ok := handed(uint64(fd)); ok {
		r, _, errno := raw(wire.SYS_WRITE, uintptr(local), uintptr(p), uintptr(n), 0, 0, 0)
		if errno != 0 {
			return -int32(errno)
		}
		return int32(r)
	}
	if load(&ending) != 0 { // the server was told
		return ownWrite(fd, p, n)
	}
	const patience = 1 << 16
	for i := 0; !cas(&spareLock, 0, 1); i++ {
		if i == patience {
			return ownWrite(fd, p, n)
		}
		yield()
	}
	c := wire.Call{Nr: wire.NrWriteErr, Args: wire.Args{uint64(fd)}}
	c.Blobs[1] = unsafe.Slice((*byte)(p), int(n))
	var r wire.Reply
	spare.do(&c, &r)
	unlockSpin(&spareLock)
	if r.Errno != 0 {
		return -int32(r.Errno)
	}
	return n
}

// onTold sends a part of what the server asked for, or why it does not get that.
func onTold(number, state uint64, p unsafe.Pointer, n uintptr) {
	c := wire.Call{Nr: wire.NrTold, Args: wire.Args{number, state}}
	c.Blobs[1] = unsafe.Slice((*byte)(p), int(n))
	var r wire.Reply
	currentLink().do(&c, &r)
}

// onTraceback has the other processes print their goroutines. It may run in a
// signal handler, as onWrite; then, where the spare link is in use, they are left
// out.
func onTraceback(level uint32) {
	const patience = 1 << 16
	for i := 0; !cas(&spareLock, 0, 1); i++ {
		if i == patience {
			return
		}
		yield()
	}
	c := wire.Call{Nr: wire.NrTracebacks, Args: wire.Args{uint64(level)}}
	var r wire.Reply
	spare.do(&c, &r)
	unlockSpin(&spareLock)
}

func ownWrite(fd uintptr, p unsafe.Pointer, n int32) int32 {
	r, _, _ := raw(wire.SYS_WRITE, fd, uintptr(p), uintptr(n), 0, 0, 0)
	return int32(r)
}

func onPollOpen(fd uintptr, cookie uint64) (local, errno uintptr, done bool) {
	if l, ok := handed(uint64(fd)); ok {
		return uintptr(l), 0, false
	}
	if fd == 0 {
		wantStdin()
	}
	r := pseudo(wire.NrPollOpen, uint64(fd), cookie)
	if r.Errno == eBADF && adoptFromC(uint64(fd)) {
		return fd, 0, false
	}
	return 0, uintptr(r.Errno), true
}

func onPollClose(fd uintptr) (local uintptr, done bool) {
	if l, ok := handed(uint64(fd)); ok {
		return uintptr(l), false
	}
	pseudo(wire.NrPollClose, uint64(fd), 0)
	return 0, true
}

// onExit tells the server that the program ends by itself, and waits for what
// it still has to say. From here on the end of the connection is no loss; see
// fatal.
func onExit(code int32) {
	if cas(&ending, 0, 1) {
		announceExit(code)
		if load(&outputs) != 0 {
			endSession()
		}
	}
	drain(5*second, noLimit)
}

func announceExit(code int32) {
	if !cas(&spareLock, 0, 1) {
		return // this thread, or one that will not come back, holds it
	}
	blockPreemption() // for good
	c := wire.Call{Nr: wire.NrExit, Args: wire.Args{uint64(uint32(code))}}
	if frame, ok := wire.PutCall(spare.request(), &c); ok {
		spare.nfds = 0
		spare.exchange(frame, answerLimit)
	}
}
