// Package wire is the framed binding of the remotec API: it writes and reads
// the messages of capnp/remotec.capnp byte by byte, without a library.
//
// It is linked into every remote binary and runs there on scheduler stacks
// without a P: it imports nothing, allocates nothing on the paths that carry
// system calls, and has no package initialisation. The server imports the
// same package, so the two sides cannot drift apart; a test compares its
// output with that of the Cap'n Proto library.
//
// A frame is a standard Cap'n Proto stream message of exactly one segment:
//
//	uint32 0          number of segments minus one
//	uint32 n          length of the segment in 8-byte words
//	n words           root pointer, Message, and what it refers to
//
// Vocabulary: a *shape* says for each argument of a system call whether it
// is a number, a descriptor, a string or a buffer and how long that is; a
// *blob* is the content of one buffer argument, carried as Data.
//
// Invariants, all checked by the readers because a peer is not trusted:
// every pointer lies inside its segment; a blob never exceeds the frame; a
// frame never exceeds MaxFrame.
package wire

// APIVersion is the version of the API that this package speaks. Client and
// server must agree on it exactly.
const APIVersion = 6

// Preambles are the first 8 bytes on a new connection. They tell framed
// peers, RPC clients and strangers apart before anything is parsed.
const (
	PreambleFramed = "REMOTEC1" // framed messages of this package follow
	PreambleRPC    = "REMOTECR" // a Cap'n Proto RPC connection follows
)

// Sizes in bytes.
const (
	// MaxFrame bounds a frame, its 8-byte header included.
	MaxFrame = 4 << 20
	// MaxData bounds the sum of the blobs of one message.
	MaxData = MaxFrame - 4096
	// MaxAttach bounds the frames that are read before a peer is known.
	MaxAttach = 256 << 10
)

// Error is a malformed frame or message.
type Error string

func (e Error) Error() string { return "wire: " + string(e) }
