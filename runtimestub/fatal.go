package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// The ends that the stub itself makes: a panic message on the process's own
// standard error and exit status 2, as the runtime does for a panic.

var ending uint32 // 1 once one thread writes a message or the program exits

// fatal ends the process. The parts are not joined: it may run without a P.
func fatal(parts ...string) {
	if cas(&ending, 0, 1) {
		if load(&outputs) != 0 { // first what the program said
			endSession()
			drain(2*second, 5*second)
		}
		say("panic: ")
		for _, p := range parts {
			say(p)
		}
		say("\n")
		die(2)
	}
	for { // another thread is at it
		raw(wire.SYS_PAUSE, 0, 0, 0, 0, 0, 0)
	}
}

func say(s string) {
	raw(wire.SYS_WRITE, 2, uintptr(unsafe.Pointer(unsafe.StringData(s))), uintptr(len(s)), 0, 0, 0)
}

// lost ends the process because the server is gone. After a successful exec
// of the session process that is the proper end: nothing of this program is
// left there.
func lost() {
	if load(&execing) != 0 {
		drain(noLimit, noLimit) // the standard streams are another program's now
		die(0)
	}
	dieWithParent()
	fatal("connection to runtime server lost")
}

// dieWithParent waits a moment for the signal that ends this process with the
// session process, where it is to get one: the kernel closes the connections
// of a process before it sends that, and a program that was killed says
// nothing.
func dieWithParent() {
	const ms = 1_000_000
	if deathSignal != 0 {
		moment := [2]int64{0, 200 * ms}
		raw(wire.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&moment)), 0, 0, 0, 0, 0)
	}
}

// deathSignal ends this process with the session process, if it is not 0. Set by
// attach: the kernel tells the first thread only.
var deathSignal int32

func askDeathSignal() {
	const get = 2 // PR_GET_PDEATHSIG
	raw(wire.SYS_PRCTL, get, uintptr(unsafe.Pointer(&deathSignal)), 0, 0, 0, 0)
}

// broken ends the process because the server did not keep to the protocol.
func broken(what string) { fatal("runtime server: protocol error: ", what) }

// execing is 1 while a thread is in execve: then the end of a connection
// means that it succeeded.
var execing uint32

// decimal writes n into buf and returns it as a string that aliases buf.
func decimal(buf *[20]byte, n uint64) string {
	i := len(buf)
	for {
		i--
		buf[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return unsafe.String(&buf[i], len(buf)-i)
		}
	}
}

// hexadecimal is decimal with another base.
func hexadecimal(buf *[20]byte, n uint64) string {
	i := len(buf)
	for {
		i--
		buf[i] = "0123456789abcdef"[n%16]
		if n /= 16; n == 0 {
			return unsafe.String(&buf[i], len(buf)-i)
		}
	}
}
