package wire

// Arg is the shape of one argument of a system call: a kind in the low 8
// bits, an argument number in the next 8, a size in bytes in the high 16.
type Arg uint32

// Kinds of argument.
const (
	Int       Arg = iota // a number; also an argument that is not used
	FD                   // a descriptor
	DirFD                // a descriptor or AT_FDCWD
	Str                  // NUL-terminated string
	StrVec               // NULL-terminated vector of strings
	In                   // buffer in: size bytes for each of the count in another argument
	Out                  // buffer out, likewise
	InOut                // buffer in and out, likewise
	StructIn             // size bytes in
	StructOut            // size bytes out
	StructIO             // size bytes in and out
	SockLen              // uint32 in and out: length of the buffer in another argument
	AddrOut              // buffer out whose length is in the SockLen argument named
	IovIn                // struct iovec array, count in another argument; contents in
	IovOut               // likewise, contents out
	Drop                 // a pointer that is not carried: nil at the server
	kindMask  Arg = 0xff
	argShift      = 8
	sizeShift     = 16
)

// Kind returns the kind of the argument.
func (a Arg) Kind() Arg { return a & kindMask }

// Ref returns the number of the argument that a's length or count is in.
func (a Arg) Ref() int { return int(a >> argShift & 0xff) }

// Size returns the size in bytes of a's struct or of one element.
func (a Arg) Size() int { return int(a >> sizeShift) }

const (
	ref0 = 0 << argShift
	ref1 = 1 << argShift
	ref2 = 2 << argShift
	ref3 = 3 << argShift
	ref4 = 4 << argShift
	ref5 = 5 << argShift
)

// Result is what a system call's return value means.
type Result uint8

// Results.
const (
	Number Result = iota
	NewFD         // a new descriptor
	Bytes         // count of bytes stored in the Out or IovOut argument
	Pair          // two new descriptors in the StructOut argument
)

// Class is how a system call is carried out.
type Class uint8

// Classes. The zero class is a call that the API does not carry.
const (
	Unknown Class = iota
	Forward       // at the server
	Data          // at the server; on the descriptor itself where it was handed over
	Local         // about this process's own memory, threads or clocks: in place
	Special       // the stub takes it apart (mmap, sendmsg, close ...)
)

// Shape describes one system call.
type Shape struct {
	Name   string
	Class  Class
	Result Result
	Args   [6]Arg
}

// Errno values that marshalling itself returns.
const (
	EFAULT = 14
	EINVAL = 22
	ENOSYS = 38
)

// Lookup returns the shape of system call nr with the given arguments
// (fcntl, ioctl, prctl and the like depend on them). Class is Unknown when
// the API does not carry the call.
func Lookup(nr uint64, a *Args) Shape {
	if nr >= uint64(len(shapes)) {
		return Shape{}
	}
	s := shapes[nr]
	switch nr {
	case SYS_FCNTL:
		s.Args[2], s.Result = fcntlArg(a[1])
		if a[1] != 3 && a[1] != 4 { // all but F_GETFL, F_SETFL
			s.Class = Forward
		}
	case SYS_IOCTL:
		var ok bool
		if s.Args[2], ok = ioctlArg(a[1]); !ok {
			s.Class = Unknown
		}
	case SYS_PRCTL:
		var ok bool
		if s.Args[1], ok = prctlArg(a[0]); !ok {
			s.Class = Unknown
		}
	case SYS_GETRUSAGE:
		if int32(a[0]) == -1 { // RUSAGE_CHILDREN
			s.Class = Forward
		}

	}
	return s
}

// Name returns the name of a system call or pseudo call, or "".
func Name(nr uint32) string {
	if nr < uint32(len(shapes)) {
		return shapes[nr].Name
	}
	if nr > NrPseudo && nr <= LastPseudo {
		return pseudoNames[nr-NrPseudo]
	}
	return ""
}

var pseudoNames = [...]string{"", "spawn", "exit", "signal", "lease", "pollopen", "pollclose", "writeerr", "hand", "allthreads"}

// fcntlArg: locks carry a struct flock (32 bytes), F_GETOWN_EX and
// F_SETOWN_EX 8 bytes, the read and write hints 8 bytes; fcntl(2).
func fcntlArg(cmd uint64) (Arg, Result) {
	switch cmd {
	case 0, 1030: // F_DUPFD, F_DUPFD_CLOEXEC
		return Int, NewFD
	case 5, 36: // F_GETLK, F_OFD_GETLK
		return StructIO | 32<<sizeShift, Number
	case 6, 7, 37, 38: // F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW
		return StructIn | 32<<sizeShift, Number
	case 15, 1036, 1038: // F_SETOWN_EX, F_SET_RW_HINT, F_SET_FILE_RW_HINT
		return StructIn | 8<<sizeShift, Number
	case 16, 1035, 1037: // F_GETOWN_EX, F_GET_RW_HINT, F_GET_FILE_RW_HINT
		return StructOut | 8<<sizeShift, Number
	}
	return Int, Number
}

// ioctlArg: requests made by the _IOC macros carry direction and size;
// older ones (terminals, sockets) are listed; ioctl_list(2), ioctl_tty(2).
// ok is false for a request whose argument this table cannot describe, above
// all those with a pointer inside: the server must never hand the kernel an
// address that a client chose.
func ioctlArg(req uint64) (a Arg, ok bool) {
	switch req {
	case 0x5401, 0x5405: // TCGETS, TCGETA
		return StructOut | 64<<sizeShift, true
	case 0x5402, 0x5403, 0x5404, 0x5406, 0x5407, 0x5408: // TCSETS, TCSETSW, TCSETSF, TCSETA, TCSETAW, TCSETAF
		return StructIn | 64<<sizeShift, true
	case 0x5413: // TIOCGWINSZ
		return StructOut | 8<<sizeShift, true
	case 0x5414: // TIOCSWINSZ
		return StructIn | 8<<sizeShift, true
	case 0x540f, 0x541b, 0x5411, 0x5429, 0x5424, 0x5415: // TIOCGPGRP, FIONREAD, TIOCOUTQ, TIOCGSID, TIOCGETD, TIOCMGET
		return StructOut | 4<<sizeShift, true
	case 0x5410, 0x5421, 0x5423, 0x5452, 0x5418, 0x5416, 0x5417, 0x5420: // TIOCSPGRP, FIONBIO, TIOCSETD, FIOASYNC, TIOCMSET, TIOCMBIS, TIOCMBIC, TIOCPKT
		return StructIn | 4<<sizeShift, true
	case 0x5409, 0x540a, 0x540b, 0x540c, 0x540d, 0x540e, 0x5422, 0x5425, 0x5427, 0x5428, 0x5450, 0x5451: // TCSBRK, TCXONC, TCFLSH, TIOCEXCL, TIOCNXCL, TIOCSCTTY, TIOCNOTTY, TCSBRKP, TIOCSBRK, TIOCCBRK, FIONCLEX, FIOCLEX
		return Int, true
	case 0x40049409: // FICLONE takes a descriptor, not a pointer
		return FD, true
	case 0x8912, 0x8946: // SIOCGIFCONF, SIOCETHTOOL hold pointers
		return Int, false
	}
	if req>>8 == 0x89 && req < 0x89a0 { // SIOC*: struct ifreq
		return StructIO | 40<<sizeShift, true
	}
	size := Arg(req >> 16 & 0x3fff)
	switch dir := req >> 30 & 3; {
	case size == 0:
		return Int, false
	case dir == 1:
		return StructIn | size<<sizeShift, true
	case dir == 2:
		return StructOut | size<<sizeShift, true
	case dir == 3:
		return StructIO | size<<sizeShift, true
	}
	return Int, false
}

// prctlArg: names are 16 bytes; the PR_GET_ requests that store an int;
// options that take numbers only; prctl(2). ok is false for all others.
func prctlArg(option uint64) (a Arg, ok bool) {
	switch option {
	case 15: // PR_SET_NAME
		return StructIn | 16<<sizeShift, true
	case 16: // PR_GET_NAME
		return StructOut | 16<<sizeShift, true
	case 2, 37: // PR_GET_PDEATHSIG, PR_GET_CHILD_SUBREAPER
		return StructOut | 4<<sizeShift, true
	case 1, 3, 4, 7, 8, 21, 23, 24, 27, 28, 29, 30, 33, 34, 36, 38, 39, 41, 42, 47, 52, 53:
		return Int, true
	}
	return Int, false
}

// BlobSize returns the length in bytes of buffer argument i of a call,
// computed from the other arguments: for Out the room the caller has. ok is
// false when it exceeds MaxData. SockLen's referenced buffers and strings are
// not sized here: their length travels with the blob.
func (s *Shape) BlobSize(i int, a *Args) (n int, ok bool) {
	arg := s.Args[i]
	switch arg.Kind() {
	case In, Out, InOut:
		count := a[arg.Ref()]
		if count > MaxData {
			return 0, false
		}
		if total := count * uint64(arg.Size()); total <= MaxData {
			return int(total), true
		}
		return 0, false
	case StructIn, StructOut, StructIO:
		return arg.Size(), true
	case SockLen:
		return 4, true
	}
	return 0, true
}
