// Package linkname is the table of runtime entry points that remotec swaps
// or hooks, and of the names by which the stub reaches into the runtime.
//
// Vocabulary: an *entry point* is a function of package runtime through which
// user code uses what a runtime server may provide (goroutines, channels,
// memory, semaphores, timers, polling). Its *hook* is what the patched
// function does first. A *bit* is an entry point's number in Attached.hooks:
// the server sets it to have the uses counted.
//
// Invariant: with no bit set, a countable entry point costs one load and one
// branch more than in an unpatched runtime.
package linkname

import "fmt"

// EntryPoint is a function of package runtime that remotec patches.
type EntryPoint struct {
	Name   string // as the schema and the tools name it
	File   string // in GOROOT/src/runtime
	Func   string
	Bit    int    // bit in Attached.hooks, -1 where the hook is not a count
	Hook   string // function of the added runtime files that the hook calls
	Reason string
}

// EntryPoints lists the entry points in the order of their bits.
var EntryPoints = []EntryPoint{
	{"chansend", "chan.go", "chansend", 0, "remoteCount", "counts sends, the traffic between goroutines"},
	{"chanrecv", "chan.go", "chanrecv", 1, "remoteCount", "counts receives"},
	{"closechan", "chan.go", "closechan", 2, "remoteCount", "counts closed channels"},
	{"selectgo", "select.go", "selectgo", 3, "remoteCount", "counts select statements of two and more cases"},
	{"mallocgc", "malloc.go", "mallocgc", 4, "remoteCount", "counts allocations that do not go to a size-specialised allocator"},
	{"semacquire", "sema.go", "semacquire1", 5, "remoteCount", "counts contended locks and waits"},
	{"semrelease", "sema.go", "semrelease1", 6, "remoteCount", "counts wake-ups of semaphores"},
	{"notifywait", "sema.go", "notifyListWait", 7, "remoteCount", "counts waits on conditions"},
	{"newtimer", "time.go", "newTimer", 8, "remoteCount", "counts timers made"},
	{"stoptimer", "time.go", "stopTimer", 9, "remoteCount", "counts timers stopped"},
	{"resettimer", "time.go", "resetTimer", 10, "remoteCount", "counts timers reset"},
	{"sleep", "time.go", "timeSleep", 11, "remoteCount", "counts sleeps"},
	{"netpollblock", "netpoll.go", "netpollblock", 12, "remoteCount", "counts waits for descriptors"},

	{"newproc", "proc.go", "newproc", -1, "remoteRenew", "goroutines are created under a lease of the server"},
	{"newproc1", "proc.go", "newproc1", -1, "remoteCreated", "creations are counted"},
	{"gdestroy", "proc.go", "gdestroy", -1, "remoteEnded", "ends are counted by creation site"},
	{"netpollopen", "netpoll_epoll.go", "netpollopen", -1, "remotePollOpen", "descriptors are the server's"},
	{"netpollclose", "netpoll_epoll.go", "netpollclose", -1, "remotePollClose", "descriptors are the server's"},
	{"write", "time_nofake.go", "write", -1, "remoteWrite", "output of the runtime itself goes to the session's descriptor"},
	{"exit", "runtime.go", "syscall_Exit", -1, "remoteExit", "the server learns of the end"},
	{"signal_enable", "sigqueue.go", "signal_enable", -1, "remoteSignal", "signals are the session's"},
	{"main", "proc.go", "main", -1, "remoteAttach", "the program attaches before its first init function"},
}

// CountCode returns the statement that counts a use of e.
func (e EntryPoint) CountCode() string {
	return fmt.Sprintf("if remoteHookMask&(1<<%d) != 0 { remoteCount(%d) }", e.Bit, e.Bit)
}

// Pulled lists the functions of package runtime that the stub pulls in with
// linkname directives; each is marked for that in the added runtime files.
var Pulled = []string{
	"remoteRaw", "remoteBlocking", "remoteSystemstack", "remoteLink", "remoteInstall", "remoteStartStdio", "remoteStart", "remoteEdit", "remoteCgo", "remoteGlobals",
	"remoteSetSession",
	"remoteVersion", "remoteCPU", "remoteDie", "remoteRaise", "remoteReady", "remoteTotals",
	"remoteEachSite", "remoteEachG", "remoteSymbol", "remoteCas", "remoteLoad", "remoteXchg", "remoteYield", "remotePause", "remoteNanotime",
	"remoteShare", "remoteNumber", "remoteSetSpread", "remoteArrive", "remoteArrived", "remoteCollectSoon", "remoteAsleep", "remoteDeadlock",
}

// Pushed lists the functions of package runtime whose bodies are in the stub.
var Pushed = []string{"remoteAttach", "remoteEvents", "remoteStdio", "remotePlainM", "remoteWatchM"}
