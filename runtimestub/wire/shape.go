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
	IovIn                // struct iovec array, count in another argument; the blob has what they point to
	IovOut               // likewise, contents out; on the wire the count argument is their total length in bytes
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
	Bytes         // count of elements, mostly bytes, stored in the Out or IovOut argument
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
		var ok bool
		if s.Args[2], s.Result, ok = fcntlArg(a[1]); !ok {
			s.Class = Unknown
		} else if a[1] != 3 && a[1] != 4 { // all but F_GETFL, F_SETFL
			s.Class = Forward
		}
	case SYS_IOCTL:
		var ok bool
		if s.Args[2], s.Result, ok = ioctlArg(a[1]); !ok {
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
	if nr == NrTold {
		return "told"
	}
	if nr > NrPseudo && nr-NrPseudo < uint32(len(pseudoNames)) {
		return pseudoNames[nr-NrPseudo]
	}
	if nr == NrSteered {
		return "steered"
	}
	return ""
}

var pseudoNames = [...]string{"", "spawn", "exit", "signal", "lease", "pollopen", "pollclose", "writeerr", "hand", "allthreads", "adopt", "post", "asleep", "collect", "tracebacks", "traced", "moving", "map", "remap", "mapfile", "mapped", "mapnext", "uncommon"}

// fcntlArg: locks carry a struct flock (32 bytes), F_GETOWN_EX and
// F_SETOWN_EX 8 bytes, the read and write hints 8 bytes; fcntl(2). ok is false
// for commands that are not known here: the next one may take an address.
func fcntlArg(cmd uint64) (a Arg, r Result, ok bool) {
	switch cmd {
	case 0, 1030: // F_DUPFD, F_DUPFD_CLOEXEC
		return Int, NewFD, true
	case 5, 36: // F_GETLK, F_OFD_GETLK
		return StructIO | 32<<sizeShift, Number, true
	case 6, 7, 37, 38: // F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW
		return StructIn | 32<<sizeShift, Number, true
	case 15, 1036, 1038: // F_SETOWN_EX, F_SET_RW_HINT, F_SET_FILE_RW_HINT
		return StructIn | 8<<sizeShift, Number, true
	case 16, 17, 1035, 1037: // F_GETOWN_EX, F_GETOWNER_UIDS, F_GET_RW_HINT, F_GET_FILE_RW_HINT
		return StructOut | 8<<sizeShift, Number, true
	case 1, 2, 3, 4, 8, 9, 10, 11, // F_GETFD to F_SETFL, F_SETOWN, F_GETOWN, F_SETSIG, F_GETSIG
		1024, 1025, 1026, 1027, 1028, 1029, // leases, F_NOTIFY, F_DUPFD_QUERY, F_CREATED_QUERY, F_CANCELLK
		1031, 1032, 1033, 1034: // pipe sizes, seals
		return Int, Number, true
	}
	return Int, Number, false
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

// What travels, by kind of argument. The stub follows these rules when it
// gathers a call and scatters a reply, the server when it carries it out.
//
//   - In, InOut, StructIn, StructIO: the blob has exactly BlobSize bytes.
//   - SockLen: 4 bytes in, the capacity; 4 bytes out, the length that the kernel
//     reports, which may exceed the capacity.
//   - AddrOut: the reply has the smaller of that length and the capacity.
//   - Out and IovOut with result Bytes: the reply has as many bytes as were
//     stored. With another result: all of the buffer, zero where the kernel
//     stored nothing.
//   - A buffer that is nil has its bit in Nulls and no blob; one that is empty
//     has an empty blob or none.
//   - A reply with an error number has no blobs.
//
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
