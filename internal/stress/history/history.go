// Package history is the form in which program stress writes down the operations
// that its goroutines made on common objects, for a check whether they can have
// happened one after the other.
package history

// Op is an operation of one goroutine. Values that are sent or stored are
// different from each other.
type Op struct {
	Object int    // number of the channel, mutex or register
	Client int    // number of the goroutine
	Kind   string // send, try-send, receive, try-receive, close; lock, try-lock, unlock, rlock, runlock; add, swap, cas, load
	Value  int64  // sent, received, added, stored or found
	Old    int64  // of swap and cas
	OK     bool   // it took place; of receive: there was an element
	Cap    int    // of the channel
	Call   int64  // ns since the program's start, by the clock that all processes have
	Return int64
}
