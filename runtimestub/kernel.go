package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// System calls of this process itself, for the stub's own use.

const (
	eINTR      = 4
	eIO        = 5
	ePIPE      = 32
	eAGAIN     = 11
	ePERM      = 1
	eNOTSUP    = 95
	eBADF      = 9
	eNOMEM     = 12
	e2BIG      = 7
	eINPROG    = 115
	eTIMEDOUT  = 110
	oCLOEXEC   = 0x80000
	oRDWR      = 2
	oPATH      = 0x200000
	afUNIX     = 1
	afINET     = 2
	afINET6    = 10
	sockStream = 1
	solSocket  = 1
	scmRights  = 1
	msgCloexec = 0x40000000 // MSG_CMSG_CLOEXEC
	msgNoSig   = 0x4000     // MSG_NOSIGNAL
	atFDCWD    = -100
	fdCwd      = ^uintptr(99) // AT_FDCWD as an argument
)

type iovec struct{ base, len uintptr }

type msghdr struct {
	name       uintptr
	namelen    uint32
	_          uint32
	iov        uintptr
	iovlen     uintptr
	control    uintptr
	controllen uintptr
	flags      int32
	_          uint32
}

type cmsghdr struct {
	len   uintptr
	level int32
	typ   int32
}

// maxHanded is how many descriptors may travel with one message.
const maxHanded = 4

// rights is the control message buffer for maxHanded descriptors.
type rights struct {
	hdr cmsghdr
	fds [maxHanded]int32
}

func closeFD(fd int32) { raw(wire.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0, 0) }

// mapMemory returns n bytes of zeroed memory outside the Go heap, or 0.
func mapMemory(n uintptr) uintptr {
	const protRW, private, anon, noreserve = 3, 2, 0x20, 0x4000
	p, _, errno := raw(wire.SYS_MMAP, 0, n, protRW, private|anon|noreserve, ^uintptr(0), 0)
	if errno != 0 {
		return 0
	}
	return p
}

// writeAll writes b to a socket; it reports whether all of it went out.
func writeAll(fd int32, b []byte) bool {
	for len(b) > 0 {
		n, _, errno := raw(wire.SYS_SENDTO, uintptr(fd), addrOf(b), uintptr(len(b)), msgNoSig, 0, 0)
		switch {
		case errno == eINTR:
		case errno != 0 || n == 0:
			return false
		default:
			b = b[n:]
		}
	}
	return true
}

// sendFDs writes b, which must be short, with descriptors beside its first
// byte.
func sendFDs(fd int32, b []byte, fds []int32) bool {
	iov := iovec{addrOf(b), uintptr(len(b))}
	var r rights
	r.hdr = cmsghdr{unsafe.Sizeof(r.hdr) + 4*uintptr(len(fds)), solSocket, scmRights}
	copy(r.fds[:], fds)
	m := msghdr{iov: uintptr(unsafe.Pointer(&iov)), iovlen: 1,
		control: uintptr(unsafe.Pointer(&r)), controllen: (r.hdr.len + 7) &^ 7}
	for {
		n, _, errno := raw(wire.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&m)), msgNoSig, 0, 0, 0)
		if errno == eINTR {
			continue
		}
		return errno == 0 && writeAll(fd, b[n:])
	}
}

// receive reads what is there, at least a byte, into b and appends the
// descriptors that come along to fds. It returns 0 at the end and on errors;
// errno is 0 at the end.
func receive(fd int32, b []byte, fds *[maxHanded]int32, nfds *int) (n int, errno uintptr) {
	iov := iovec{addrOf(b), uintptr(len(b))}
	var r rights
	m := msghdr{iov: uintptr(unsafe.Pointer(&iov)), iovlen: 1,
		control: uintptr(unsafe.Pointer(&r)), controllen: unsafe.Sizeof(r)}
	for {
		got, _, errno := raw(wire.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&m)), msgCloexec, 0, 0, 0)
		if errno == eINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		if m.controllen >= unsafe.Sizeof(r.hdr) && r.hdr.level == solSocket && r.hdr.typ == scmRights {
			for i := uintptr(0); i < (r.hdr.len-unsafe.Sizeof(r.hdr))/4 && i < maxHanded; i++ {
				if *nfds < maxHanded {
					fds[*nfds] = r.fds[i]
					*nfds++
				} else {
					closeFD(r.fds[i])
				}
			}
		}
		return int(got), 0
	}
}

// readFrame reads one frame into b and returns it.
func readFrame(fd int32, b []byte, fds *[maxHanded]int32, nfds *int) []byte {
	have, want := 0, 8
	for have < want {
		n, _ := receive(fd, b[have:], fds, nfds)
		if n <= 0 {
			return nil
		}
		have += n
		if want == 8 && have >= 8 {
			size, err := wire.FrameSize(b, len(b))
			if err != nil {
				return nil
			}
			want = size
		}
	}
	if have > want {
		return nil // an answer has exactly one frame
	}
	return b[:want]
}
