package osys

import (
	"encoding/binary"
	"syscall"
	"testing"
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// poison is what the fuzzed client uses as addresses: any argument that has
// its upper half reached the kernel unchecked if the shape says pointer.
const poison = 0xdeadbeef << 32

// fakeKernel stands for the kernel: it checks that pointers are the server's
// and writes all that the call is allowed to write.
type fakeKernel struct {
	t     *testing.T
	th    *thread
	call  *wire.Call
	dst   []byte
	reply uint64 // what calls return
}

// writable reports whether [p, p+n) lies in one of the areas that a call may
// point the kernel at.
func (k *fakeKernel) writable(p uintptr, n int) bool {
	in := func(base unsafe.Pointer, size uintptr) bool {
		return p >= uintptr(base) && p+uintptr(n) <= uintptr(base)+size
	}
	return in(unsafe.Pointer(k.th), unsafe.Sizeof(*k.th)) ||
		len(k.dst) > 0 && in(unsafe.Pointer(&k.dst[0]), uintptr(len(k.dst))) ||
		len(k.th.large) > 0 && in(unsafe.Pointer(&k.th.large[0]), uintptr(len(k.th.large)))
}

func (k *fakeKernel) readable(p uintptr, n int) bool {
	in := func(b []byte) bool {
		base := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
		return p >= base && p+uintptr(n) <= base+uintptr(len(b))
	}
	for _, b := range k.call.Blobs {
		if in(b) {
			return true
		}
	}
	return k.writable(p, n) || in(k.th.str)
}

func (k *fakeKernel) syscall6(quick bool, nr uintptr, a *[6]uintptr) (uintptr, syscall.Errno) {
	if uint32(nr) != k.call.Nr {
		k.t.Fatalf("call %d became %d", k.call.Nr, nr)
	}
	if nr == syscall.SYS_SENDMSG || nr == syscall.SYS_RECVMSG {
		if a[1] != uintptr(unsafe.Pointer(&k.th.msg)) {
			k.t.Fatal("a message header of the client's")
		}
		m := &k.th.msg
		m.Namelen, m.Controllen = uint32(k.reply), k.reply>>32
		return uintptr(k.reply), 0
	}
	s := wire.Lookup(uint64(nr), &k.call.Args)
	for i, arg := range s.Args {
		if k.call.Nulls>>i&1 != 0 {
			if kind := arg.Kind(); kind > wire.DirFD && a[i] != 0 {
				k.t.Fatalf("%s: argument %d is nil and became %#x", s.Name, i, a[i])
			}
			continue
		}
		n, _ := s.BlobSize(i, &k.call.Args)
		switch arg.Kind() {
		case wire.Int, wire.FD, wire.DirFD:
		case wire.Drop:
			if a[i] != 0 {
				k.t.Fatalf("%s: argument %d is dropped and became %#x", s.Name, i, a[i])
			}
		case wire.Str, wire.In, wire.StructIn:
			if n > 0 && !k.readable(a[i], n) {
				k.t.Fatalf("%s: argument %d: the kernel would read %d bytes at %#x", s.Name, i, n, a[i])
			}
		case wire.IovIn, wire.IovOut:
			if a[i] != uintptr(unsafe.Pointer(&k.th.iov)) || a[arg.Ref()] != 1 {
				k.t.Fatalf("%s: iovecs of the client's", s.Name)
			}
			n = int(k.th.iov.Len)
			if base := uintptr(unsafe.Pointer(k.th.iov.Base)); n > 0 && arg.Kind() == wire.IovOut && !k.writable(base, n) {
				k.t.Fatalf("%s: the kernel would write %d bytes at %#x", s.Name, n, base)
			}
		case wire.SockLen:
			if a[i] != uintptr(unsafe.Pointer(&k.th.socklen)) {
				k.t.Fatalf("%s: a length outside the thread", s.Name)
			}
		default:
			if arg.Kind() == wire.AddrOut {
				n = int(k.th.socklen)
			}
			if n > 0 && !k.writable(a[i], n) {
				k.t.Fatalf("%s: argument %d: the kernel would write %d bytes at %#x", s.Name, i, n, a[i])
			}
		}
	}
	for i, arg := range s.Args {
		if arg.Kind() == wire.SockLen && k.call.Nulls>>i&1 == 0 {
			k.th.socklen = uint32(k.reply >> 32)
		}
	}
	return uintptr(k.reply), 0
}

// FuzzCall feeds calls of all numbers, with arguments that look like
// addresses, to a thread on a fake kernel. Whatever arrives, the thread must
// answer with a frame, and the kernel must see no address of the client's.
func FuzzCall(f *testing.F) {
	for nr := range uint32(460) {
		f.Add(nr, uint32(0), uint64(3), uint64(0), uint64(16), uint64(16), uint64(16), uint64(16), make([]byte, 96), uint64(3))
	}
	f.Add(uint32(wire.SYS_RECVFROM), uint32(0), uint64(3), uint64(poison), uint64(100), uint64(0), uint64(poison), uint64(poison),
		[]byte{5: 4, 9: 0}, uint64(1<<40))
	f.Fuzz(func(t *testing.T, nr, nulls uint32, a0, a1, a2, a3, a4, a5 uint64, data []byte, result uint64) {
		if nr >= 512 {
			return // pseudo calls act on the process
		}
		c := wire.Call{Nr: nr, Nulls: nulls, Args: wire.Args{a0, a1, a2, a3, a4, a5}}
		for i := range c.Args {
			c.Args[i] |= poison & (result << i)
		}
		s := wire.Lookup(uint64(nr), &c.Args)
		switch nr {
		case syscall.SYS_EXECVE, sysExecveat, sysCloseRange, syscall.SYS_SETUID, syscall.SYS_SETGID, syscall.SYS_SETREUID,
			syscall.SYS_SETREGID, syscall.SYS_SETRESUID, syscall.SYS_SETRESGID, syscall.SYS_SETGROUPS,
			syscall.SYS_SETRLIMIT, syscall.SYS_PRLIMIT64, syscall.SYS_WAIT4, syscall.SYS_WAITID:
			return // go by package syscall or decide about real processes
		}
		for i, arg := range s.Args {
			n, ok := s.BlobSize(i, &c.Args)
			if arg.Kind() == wire.Str || arg.Kind() == wire.IovIn || !ok || result&(1<<20<<i) != 0 {
				n = int(result>>(4*i)) & 63
			}
			n = min(n, len(data))
			if arg.Kind() > wire.DirFD && n > 0 {
				c.Blobs[i] = data[:n:n]
			}
		}
		if nr == syscall.SYS_SENDMSG {
			c.Blobs[1], c.Blobs[3], c.Blobs[4] = data, data, data
		}
		p := &passthrough{threads: map[*thread]struct{}{}, counts: new(counters), proc: newProcfs("/prog", 0, 1)}
		p.cfg.Log = nil // a panic in a call shows as one here
		th := p.Thread(0).(*thread)
		k := &fakeKernel{t: t, th: th, call: &c, dst: make([]byte, 1024), reply: result}
		defer func(old func(bool, uintptr, *[6]uintptr) (uintptr, syscall.Errno)) { syscall6 = old }(syscall6)
		syscall6 = k.syscall6
		frame, _ := th.Call(&c, k.dst)
		var r wire.Reply
		if err := wire.GetReply(frame, &r); err != nil {
			t.Fatalf("%s: reply: %v", s.Name, err)
		}
		Format(&c, &r)
	})
}

// FuzzFrame feeds bytes as a frame, and what decodes as a call to Format and
// to the checks that precede the kernel.
func FuzzFrame(f *testing.F) {
	var seed [4096]byte
	frame, _ := wire.PutCall(seed[:], &wire.Call{Nr: wire.SYS_READ, Args: wire.Args{3, 0, 10}})
	f.Add(append([]byte(nil), frame...))
	c := openCall("/x", 0)
	frame, _ = wire.PutCall(seed[:], &c)
	f.Add(append([]byte(nil), frame...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 8 { // let the length be right for once
			binary.LittleEndian.PutUint32(b, 0)
			binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8)/8)
		}
		var c wire.Call
		if wire.GetCall(b[:len(b)&^7], &c) != nil {
			return
		}
		Format(&c, nil)
		ReplySize(&c)
		unsafeArgs(&c)
		wire.GetSpawnAttr(c.Blobs[5])
	})
}
