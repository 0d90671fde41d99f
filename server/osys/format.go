package osys

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"remotec.dev/runtimestub/wire"
)

// Format writes a call and its answer the way strace does:
//
//	openat(AT_FDCWD, "/etc/hosts", 0x80000, 0) = 3
//
// r may be nil for a call that is under way. What only the stub sees, such as
// the division of data among iovecs, is not shown.
func Format(c *wire.Call, r *wire.Reply) string {
	var b strings.Builder
	name := wire.Name(c.Nr)
	if name == "" {
		name = fmt.Sprintf("syscall_%#x", c.Nr)
	}
	b.WriteString(name)
	b.WriteByte('(')
	shape := wire.Lookup(uint64(c.Nr), &c.Args)
	if c.Nr >= wire.NrPseudo {
		shape = wire.Shape{}
	}
	for i := range arity(c, &shape) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(formatArg(c, r, &shape, i))
	}
	b.WriteByte(')')
	switch {
	case r == nil:
		b.WriteString(" = ?")
	case r.Errno != 0:
		fmt.Fprintf(&b, " = -1 %s (%v)", errnoName(r.Errno), syscall.Errno(r.Errno))
	default:
		b.WriteString(" = " + formatInt(r.R1))
	}
	return b.String()
}

// arities of calls whose last arguments are often zero; of others, trailing
// zeros are left out.
var arities = map[uint32]int{
	wire.SYS_OPENAT: 4, wire.SYS_OPEN: 3, wire.SYS_LSEEK: 3, wire.SYS_FCNTL: 3, wire.SYS_DUP3: 3,
	wire.SYS_PREAD64: 4, wire.SYS_PWRITE64: 4, wire.SYS_NEWFSTATAT: 4, wire.SYS_SOCKET: 3,
	wire.SYS_SENDTO: 6, wire.SYS_RECVFROM: 6, wire.SYS_ACCEPT4: 4, wire.SYS_PIPE2: 2, wire.SYS_MKDIRAT: 3,
	wire.SYS_UNLINKAT: 3, wire.SYS_KILL: 2, wire.SYS_WAIT4: 4, wire.SYS_WAITID: 5, wire.SYS_GETPID: 0,
	wire.SYS_FTRUNCATE: 2, wire.SYS_FACCESSAT: 3, wire.SYS_FCHMODAT: 3, wire.SYS_UMASK: 1,
	wire.SYS_EPOLL_CREATE1: 1, wire.SYS_LISTEN: 2, wire.SYS_SHUTDOWN: 2, wire.SYS_SENDMSG: 3,
	wire.NrExit: 1, wire.NrSignal: 2, wire.NrLease: 1, wire.NrPollOpen: 2, wire.NrPollClose: 1,
	wire.NrWriteErr: 2, wire.NrHand: 1, wire.NrAdopt: 1,
}

func arity(c *wire.Call, s *wire.Shape) int {
	if n, ok := arities[c.Nr]; ok {
		return n
	}
	n := len(c.Args)
	for n > 0 && s.Args[n-1].Kind() == wire.Int && c.Args[n-1] == 0 && c.Blobs[n-1] == nil {
		n--
	}
	return n
}

func formatArg(c *wire.Call, r *wire.Reply, s *wire.Shape, i int) string {
	kind := s.Args[i].Kind()
	if c.Nulls>>i&1 != 0 {
		return "NULL"
	}
	out := []byte(nil)
	if r != nil && r.Errno == 0 {
		out = r.Blobs[i]
	}
	switch kind {
	case wire.FD:
		return strconv.Itoa(int(int32(c.Args[i])))
	case wire.DirFD:
		if fd := int32(c.Args[i]); fd != -100 {
			return strconv.Itoa(int(fd))
		}
		return "AT_FDCWD"
	case wire.Int:
		if c.Blobs[i] != nil {
			return quote(c.Blobs[i])
		}
		return formatInt(c.Args[i])
	case wire.Str:
		return strconv.Quote(string(c.Blobs[i]))
	case wire.StrVec:
		list, _ := splitStrings(c.Blobs[i])
		return fmt.Sprintf("%q", list)
	case wire.In:
		if c.Nr == wire.SYS_BIND || c.Nr == wire.SYS_CONNECT || c.Nr == wire.SYS_SENDTO && i == 4 {
			return sockaddr(c.Blobs[i])
		}
		return quote(c.Blobs[i])
	case wire.IovIn:
		return "[" + quote(c.Blobs[i]) + "]"
	case wire.SockLen:
		if len(out) == 4 {
			return fmt.Sprintf("[%d]", le32(out))
		}
		return "[...]"
	case wire.AddrOut:
		if out != nil && c.Nr != wire.SYS_GETSOCKOPT {
			return sockaddr(out)
		}
	case wire.StructOut:
		if s.Result == wire.Pair && len(out) == 8 {
			return fmt.Sprintf("[%d, %d]", int32(le32(out)), int32(le32(out[4:])))
		}
		return "{...}"
	case wire.StructIn, wire.StructIO:
		return "{...}"
	}
	if out == nil {
		return "..."
	}
	return quote(out)
}

// formatInt shows what looks like flags or an offset in hexadecimal.
func formatInt(v uint64) string {
	if n := int64(v); n >= -4096 && n < 1<<16 {
		return strconv.FormatInt(n, 10)
	}
	if n := int32(v); v>>32 == 0 && n < 0 && n >= -4096 {
		return strconv.Itoa(int(n))
	}
	return fmt.Sprintf("%#x", v)
}

// quote shows the first bytes of a buffer.
func quote(b []byte) string {
	const most = 32
	if len(b) <= most {
		return strconv.Quote(string(b))
	}
	return strconv.Quote(string(b[:most])) + "..."
}

// sockaddr shows a socket address; see ip(7), ipv6(7), unix(7).
func sockaddr(b []byte) string {
	if len(b) < 2 {
		return quote(b)
	}
	port := func() uint16 { return uint16(b[2])<<8 | uint16(b[3]) }
	switch family := int(b[0]) | int(b[1])<<8; {
	case family == syscall.AF_INET && len(b) >= 8:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port()).String()
	case family == syscall.AF_INET6 && len(b) >= 24:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])), port()).String()
	case family == syscall.AF_UNIX:
		return "unix:" + strconv.Quote(strings.TrimRight(string(b[2:]), "\x00"))
	}
	return quote(b)
}

func errnoName(e uint32) string {
	if e < uint32(len(errnoNames)) && errnoNames[e] != "-" {
		return errnoNames[e]
	}
	return "errno " + strconv.Itoa(int(e))
}

// errnoNames are the names of error numbers, errno(3).
var errnoNames = strings.Fields(`
- EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK
EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE
EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP - ENOMSG EIDRM
ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT
- EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP
EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ
ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT
ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH
ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT
ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM
EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED
EOWNERDEAD ENOTRECOVERABLE ERFKILL -`)
