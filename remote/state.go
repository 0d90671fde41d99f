package remote

// current returns the state of a program that is not attached. A remote build
// compiles another file in place of this one, which asks the runtime:
// internal/instrument/patches/go1.26/remotec.dev/remote/state.go.txt.
func current() state { return state{processes: 1} }

// start starts f on another process. There is none.
func start(process int, f func()) {}

// drained reports whether a process gets no new goroutines.
func drained(process int) bool { return false }

// migrate moves the calling goroutine to another process. There is none.
func migrate(process int) (pinned string) { return "" }
