package osys

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"syscall"
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// Call carries out c. See Thread.
func (t *thread) Call(c *wire.Call, dst []byte) (reply []byte, hand []int) {
	defer func() {
		if v := recover(); v != nil {
			t.os.cfg.Log.Error("a call panicked", "call", wire.Name(c.Nr), "number", c.Nr,
				"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			reply, hand = t.failure(dst, syscall.EFAULT), nil
		}
	}()
	t.counts.count(c.Nr)
	t.handed = 0
	if len(t.large) > keepLarge {
		t.large = nil
	}
	t.w.Start(dst)
	r1, r2, e := t.dispatch(c)
	if e == noRoom {
		// Nothing was done yet. The reply comes in memory of the thread.
		if n := ReplySize(c); n > len(t.large) {
			t.large = make([]byte, n)
		}
		dst = t.large
		t.w.Start(dst)
		if r1, r2, e = t.dispatch(c); e == noRoom {
			e = syscall.EINVAL
		}
	}
	// The arguments were addresses to the kernel and numbers to the compiler.
	runtime.KeepAlive(c)
	runtime.KeepAlive(dst)
	if e != 0 {
		return t.failure(dst, e), nil
	}
	reply, ok := t.w.Finish(0, uint32(t.handed), r1, r2)
	if !ok {
		return t.failure(dst, syscall.EINVAL), nil
	}
	return reply, t.hand[:t.handed]
}

// noRoom is the error of a call that was not begun because its outputs did
// not fit the reply. It is no error of the kernel's.
const noRoom = syscall.Errno(1 << 16)

// keepLarge is how long a reply buffer a thread keeps, in bytes.
const keepLarge = 1 << 20

// ReplySize is a length in bytes that the answer to c does not exceed.
func ReplySize(c *wire.Call) int {
	n := wire.ReplyHeader
	blob := func(size uint64) { n += int(min(size, wire.MaxData)+7) &^ 7 }
	if c.Nr == syscall.SYS_RECVMSG {
		for _, room := range c.Args[3:] {
			blob(room)
		}
		return min(n, wire.MaxFrame)
	}
	s := wire.Lookup(uint64(c.Nr), &c.Args)
	for i, arg := range s.Args {
		switch arg.Kind() {
		case wire.Out, wire.InOut, wire.StructOut, wire.StructIO:
			if size, ok := s.BlobSize(i, &c.Args); ok {
				blob(uint64(size))
			}
		case wire.IovOut:
			blob(c.Args[arg.Ref()])
		case wire.SockLen:
			blob(4)
		case wire.AddrOut:
			if in := c.Blobs[arg.Ref()]; len(in) == 4 {
				blob(uint64(le32(in)))
			}
		}
	}
	return min(n, wire.MaxFrame)
}

// failure is the answer that carries an error: no blobs, r1 as the kernel's
// callers expect it.
func (t *thread) failure(dst []byte, e syscall.Errno) []byte {
	t.w.Start(dst)
	reply, _ := t.w.Finish(uint32(e), 0, ^uint64(0), 0)
	return reply
}

// syscall6 enters the kernel. Fuzzing replaces it.
var syscall6 = func(quick bool, nr uintptr, a *[6]uintptr) (uintptr, syscall.Errno) {
	if quick {
		r, _, e := syscall.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
		return r, e
	}
	r, _, e := syscall.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	return r, e
}

// shaped carries out a call that its shape describes in full.
func (t *thread) shaped(c *wire.Call, s *wire.Shape) (r1, r2 uint64, e syscall.Errno) {
	v, e := t.marshal(c, s)
	if e != 0 {
		return 0, 0, e
	}
	r, e := syscall6(quick(c), uintptr(c.Nr), &t.a)
	if e != 0 {
		return 0, 0, e
	}
	t.results(c, s, &v, uint64(r))
	return uint64(r), 0, 0
}

// variable is what marshal leaves for results to complete: outputs whose
// length the kernel decides, and those that it stores in the thread.
type variable struct {
	out      int // argument, -1 none
	iov      int // IovIn or IovOut argument, -1 none
	room     int // bytes
	elem     int // bytes counted by one unit of the result
	addr     int // AddrOut argument, -1 none
	addrRoom int
	len      int // SockLen argument, -1 none
	lenBlob  []byte
	pair     []byte // two descriptors
}

// marshal replaces each argument by what the kernel is to see, in t.a, and
// reserves the outputs in the reply, the one of variable length last so that
// it can be trimmed.
func (t *thread) marshal(c *wire.Call, s *wire.Shape) (v variable, e syscall.Errno) {
	v = variable{out: -1, iov: -1, addr: -1, len: -1}
	if e := t.strings(c, s); e != 0 {
		return v, e
	}
	for i, arg := range s.Args {
		kind := arg.Kind()
		switch kind {
		case wire.Int:
			t.a[i] = uintptr(c.Args[i])
			continue
		case wire.FD, wire.DirFD:
			if t.os.reserved(c.Args[i]) {
				return v, syscall.EBADF
			}
			t.a[i] = uintptr(c.Args[i])
			continue
		case wire.Drop:
			t.a[i] = 0
			continue
		case wire.Str:
			continue // done by strings
		}
		if c.Nulls>>i&1 != 0 {
			t.a[i] = 0
			continue
		}
		n, ok := s.BlobSize(i, &c.Args)
		if !ok {
			return v, syscall.EINVAL
		}
		in := c.Blobs[i]
		switch kind {
		case wire.In, wire.StructIn:
			if e := t.input(in, n); e != 0 {
				return v, e
			}
			t.a[i] = t.address(in)
		case wire.InOut, wire.StructIO:
			if e := t.input(in, n); e != 0 {
				return v, e
			}
			b := t.w.Blob(i, n)
			if b == nil {
				return v, noRoom
			}
			copy(b, in)
			t.a[i] = t.address(b)
		case wire.StructOut:
			b := t.w.Blob(i, n)
			if b == nil {
				return v, noRoom
			}
			if s.Result == wire.Pair {
				v.pair = b
				t.a[i] = uintptr(unsafe.Pointer(&t.pair))
				continue
			}
			clear(b) // the kernel may write less
			t.a[i] = t.address(b)
		case wire.Out:
			if s.Result == wire.Bytes {
				v.out, v.room, v.elem = i, n, arg.Size()
				continue
			}
			b := t.w.Blob(i, n)
			if b == nil {
				return v, noRoom
			}
			clear(b)
			t.a[i] = t.address(b)
		case wire.IovOut:
			n := c.Args[arg.Ref()]
			if n > wire.MaxData {
				return v, syscall.EINVAL
			}
			v.out, v.room, v.elem = i, int(n), 1
		case wire.IovIn:
			if in == nil {
				return v, syscall.EFAULT
			}
			v.iov = i
			t.iovec(i, in)
		case wire.SockLen:
			if len(in) != 4 {
				return v, syscall.EFAULT
			}
			t.socklen = le32(in)
			t.a[i] = uintptr(unsafe.Pointer(&t.socklen))
			v.len = i
			if v.lenBlob = t.w.Blob(i, 4); v.lenBlob == nil {
				return v, noRoom
			}
		case wire.AddrOut:
			v.addr = i
		default:
			return v, syscall.ENOSYS
		}
	}
	// The capacity of an address is known once its SockLen was seen, whichever
	// comes first among the arguments.
	if v.addr >= 0 {
		if v.len < 0 {
			return v, syscall.EFAULT
		}
		if int32(t.socklen) < 0 {
			return v, syscall.EINVAL
		}
		v.addrRoom = int(min(t.socklen, wire.MaxData))
		if v.out >= 0 {
			v.addrRoom = min(v.addrRoom, len(t.addr))
			t.a[v.addr] = uintptr(unsafe.Pointer(&t.addr))
		} else {
			b := t.w.Blob(v.addr, v.addrRoom)
			if b == nil {
				return v, noRoom
			}
			clear(b) // some socket options read it first
			t.a[v.addr] = t.address(b)
		}
		t.socklen = uint32(v.addrRoom)
	}
	if v.out >= 0 {
		b := t.w.Blob(v.out, v.room)
		if b == nil {
			return v, noRoom
		}
		if s.Args[v.out].Kind() == wire.IovOut {
			v.iov = v.out
			t.iovec(v.out, b)
		} else {
			t.a[v.out] = t.address(b)
		}
		if v.addr >= 0 {
			// The address follows the data once that has its final length.
			// Find out now whether it will fit: afterwards the data are gone.
			if t.w.Blob(v.addr, v.addrRoom) == nil {
				return v, noRoom
			}
			t.w.Trim(v.addr, v.addrRoom, 0)
		}
	}
	if v.iov >= 0 {
		t.a[s.Args[v.iov].Ref()] = 1 // whatever the client's count was
	}
	return v, 0
}

// results completes the reply of a successful call.
func (t *thread) results(c *wire.Call, s *wire.Shape, v *variable, r uint64) {
	if v.out >= 0 {
		n := v.room
		if r < uint64(v.room) { // more: the full length of what was truncated
			n = min(int(r)*v.elem, v.room)
		}
		t.w.Trim(v.out, v.room, n)
	}
	if v.addr >= 0 {
		n := min(int(t.socklen), v.addrRoom)
		if v.out < 0 {
			t.w.Trim(v.addr, v.addrRoom, n)
		} else {
			copy(t.w.Blob(v.addr, n), t.addr[:n])
		}
	}
	if v.len >= 0 {
		put32(v.lenBlob, t.socklen)
	}
	switch {
	case s.Result == wire.NewFD:
		t.offer(c, int(r))
	case v.pair != nil:
		put32(v.pair, uint32(t.pair[0]))
		put32(v.pair[4:], uint32(t.pair[1]))
		t.offer(c, int(t.pair[0]))
		t.offer(c, int(t.pair[1]))
	}
}

// strings copies the string arguments of c into t.str, each with its
// terminating zero, and translates paths.
func (t *thread) strings(c *wire.Call, s *wire.Shape) syscall.Errno {
	need := 0
	for i, arg := range s.Args {
		if arg.Kind() == wire.Str {
			need += len(c.Blobs[i]) + t.os.proc.growth + 1
		}
	}
	if need == 0 {
		return 0
	}
	if need > cap(t.str) {
		// Strings never move once their address was taken, so the room for
		// all of them comes first.
		t.str = make([]byte, 0, need)
	}
	t.str = t.str[:0]
	for i, arg := range s.Args {
		if arg.Kind() != wire.Str {
			continue
		}
		t.a[i] = 0
		if c.Nulls>>i&1 != 0 {
			continue
		}
		p, e := t.cstring(c.Blobs[i])
		if e != 0 {
			return e
		}
		t.a[i] = p
	}
	return 0
}

// cstring appends b to t.str, which must have room, and returns its address.
func (t *thread) cstring(b []byte) (uintptr, syscall.Errno) {
	if b == nil {
		return 0, syscall.EFAULT
	}
	at := len(t.str)
	t.str = append(t.str, b...)
	if bytes.IndexByte(t.str[at:], 0) >= 0 {
		return 0, syscall.EINVAL
	}
	if isProc(t.str[at:]) {
		t.str = t.os.proc.translate(t.str, at)
	}
	t.str = append(t.str, 0)
	return uintptr(unsafe.Pointer(&t.str[at])), 0
}

// input checks the contents of an argument that has n bytes.
func (t *thread) input(b []byte, n int) syscall.Errno {
	if b == nil && n != 0 {
		return syscall.EFAULT
	}
	if len(b) != n {
		return syscall.EINVAL
	}
	return 0
}

// address is where b lies; for an empty buffer a valid address all the same,
// since the kernel tells nil from empty.
func (t *thread) address(b []byte) uintptr {
	if len(b) == 0 {
		return uintptr(unsafe.Pointer(&t.empty))
	}
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))
}

// iovec makes argument i one struct iovec over b.
func (t *thread) iovec(i int, b []byte) {
	t.iov.Base = &t.empty[0]
	if len(b) > 0 {
		t.iov.Base = unsafe.SliceData(b)
	}
	t.iov.SetLen(len(b))
	t.a[i] = uintptr(unsafe.Pointer(&t.iov))
}

// quick reports whether a call returns at once whatever it is given, so that
// the scheduler need not be told. Anything that can wait for a device, a
// remote file system or a lock is not.
func quick(c *wire.Call) bool {
	switch c.Nr {
	case syscall.SYS_LSEEK, syscall.SYS_GETPID, syscall.SYS_GETPPID, syscall.SYS_GETUID,
		syscall.SYS_GETEUID, syscall.SYS_GETGID, syscall.SYS_GETEGID, syscall.SYS_GETTID,
		syscall.SYS_UMASK, syscall.SYS_UNAME, syscall.SYS_GETPGID, syscall.SYS_GETPGRP,
		syscall.SYS_GETSOCKNAME, syscall.SYS_GETPEERNAME, syscall.SYS_PRLIMIT64:
		return true
	case syscall.SYS_FCNTL:
		return c.Args[1] <= syscall.F_SETFL
	}
	return false
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func put32(b []byte, v uint32) {
	b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
}
