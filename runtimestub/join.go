package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// processEnv tells a process of several its number. The runtime has read it
// before its first allocation; see the added file remotec_memory.
const processEnv = "REMOTEC_PROCESS="

// memoryServed is 1 once the server serves the faults of this process.
var memoryServed uint32

// joinMemory makes the memory of the other processes visible here, and this
// one's to them.
func joinMemory() {
	memfd, uffd, what, errno := share()
	if errno != 0 {
		var buf [20]byte
		why := decimal(&buf, uint64(errno))
		if what != "userfaultfd" {
			fatal("remote binary cannot share its memory with the session's other processes: ", what, ": errno ", why)
		}
		fatal("remote binary cannot run in several processes here: the kernel refuses userfaultfd (errno ", why, ").\n\n",
			"Allow it: sysctl vm.unprivileged_userfaultfd=1, or give this user access to\n",
			"/dev/userfaultfd; in a container, a seccomp profile that permits userfaultfd.\n",
			"Or run the program in one process: -n 1.")
	}
	own(memfd)
	own(uffd)
	msg := wire.Link{Session: session, Flags: wire.LinkMemory, Key: linkKey[:]}
	frame, _ := wire.PutLink(make([]byte, 256), &msg)
	lockSpin(&controlLock)
	ok := sendFDs(control, frame, []int32{memfd, uffd})
	unlockSpin(&controlLock)
	if !ok {
		lost()
	}
	for load(&memoryServed) == 0 {
		moment := [2]int64{0, 100_000}
		raw(wire.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&moment)), 0, 0, 0, 0, 0)
	}
	first, count := mailDescriptors()
	for i := range count {
		own(int32(first + i))
	}
	mailStart()
}
