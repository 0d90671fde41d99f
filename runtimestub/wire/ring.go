package wire

// The ring of a link: memory that the two sides share in place of the
// socket's stream, for one call at a time.
//
// A client that asks for it makes a memfd of RingSize bytes, seals its size,
// and sends it beside the Link frame. The socket stays: descriptors that
// travel with a reply come over it, beside one byte, before the reply is
// posted.
//
//	offset 0   state, RingIdle ...
//	       4   1 while the client waits in the kernel
//	       8   1 while the server does
//	      12   CPU that the client ran on when it posted
//	      16   CPU that the server ran on when it last posted
//	RingRequest       the request frame
//	RingAnswer        the reply frame
//
// Posting is: write the frame, exchange the state, and if the peer's flag is
// set, wake the state's futex. Waiting is: set the own flag, look
// at the state again, wait on the futex; and clear the flag afterwards. All of it is sequentially consistent,
// so that either the waiter sees the new state or the poster sees the flag.
// Nobody clears the peer's flag: a poster that is late to look at it may find the one that
// the peer, which has seen what was posted, has set to wait for the next post; and wake it before it waits.
// Before it waits, a side may spin for a few microseconds if the peer is on
// another CPU: on the same one it would only keep the peer from running.
//
// Neither side believes the memory: the server copies a request before it
// reads it, both check lengths once and use what they checked.
const (
	RingStateOffset  = 0
	RingClientWaits  = 4
	RingServerWaits  = 8
	RingClientCPU    = 12
	RingServerCPU    = 16
	RingRequestStart = 4096
	RingAnswerStart  = RingRequestStart + MaxFrame
	RingSize         = RingAnswerStart + MaxFrame
)

// States of a ring.
const (
	RingIdle   = iota // the client's turn; after a reply was taken
	RingPosted        // a request is there
	RingReply         // its reply is there
	RingClosed        // one side is gone
)

// RingSpin is how long a side spins at most, in nanoseconds: about what a
// futex's wake-up of an idle CPU costs.
const RingSpin = 4000
