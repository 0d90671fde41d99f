// Package osys carries out the operating system calls of a session.
//
// A program's system calls arrive as wire.Calls, one at a time for each of its
// threads. The passthrough OS performs them in the process it runs in: the
// *session process*, whose working directory, umask, limits, children and
// descriptors are thereby the program's. Descriptor numbers are the same on
// both sides, so nothing that contains one needs translation.
//
// Vocabulary: a *thread* carries out the calls of one thread of the program,
// on an OS thread of its own, so that what the kernel keeps per thread
// (namespaces, credentials of one thread, the parent-death signal) maps one to
// one. A call is executed *by shape* when the table of package wire says all
// there is to know about it, and is a *special* otherwise. A descriptor is
// *handed over* when a copy of it travels to the program beside the reply; the
// original stays here. A *reserved* descriptor belongs to the server and does
// not exist for the program.
//
// Invariants:
//   - The kernel never sees an address that came from the client. Arguments of
//     pointer kinds are replaced by addresses of blobs, of the reply under
//     construction or of fields of the thread.
//   - The frames may lie in memory that the client can write at any time.
//     Whatever decides how much the kernel reads or writes (lengths, iovecs,
//     message headers) or which descriptor is meant is therefore kept in the
//     thread, never in a frame.
//   - A failed call carries no blobs. A panic answers EFAULT and is logged.
//   - read, write, pread, pwrite and stat allocate nothing.
//
// Lock order: passthrough.mu, children.mu, signals.mu and poller.mu are leaves;
// none is held across a blocking system call or while another is taken.
package osys
