// Package runtimestub is what remotec links into every remote binary: the
// half of the runtime that speaks to the runtime server.
//
// Vocabulary: the *server* carries out the program's operations in the
// *session process*, whose descriptors, working directory, signals and
// children are the program's. A *link* is a connection that one thread (M)
// owns; a thread of the session process serves it. The *control connection*
// is the first one; *events* come over it. A descriptor is *handed over* when
// this process holds a copy of it: data calls then run on the copy.
//
// The package imports package wire and nothing else, and has no
// initialisation: package runtime calls attach before the first init function
// of the program. It reaches the runtime through the functions of runtime.go.
//
// Invariants:
//   - Code that runs for a system call (call.go, special.go, link.go) is on a
//     system stack and may have no P: it does not allocate, does not write
//     pointers to the heap or to globals, and does not wait for other threads
//     of this process except for the few instructions under a spin lock.
//   - Descriptor numbers are the session's. A number of this process never
//     reaches the program, and none of the program's reaches the kernel here
//     without going through the table of handed-over descriptors (fds.go).
//     It is compiled without write barriers for that reason; so nothing here
//     stores a pointer to an older heap object anywhere but on a stack.
//   - A link has at most one call under way.
//   - When the server is lost, the process ends: nothing is retried, nothing
//     is carried out here instead.
package runtimestub
