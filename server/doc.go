// Package server is a runtime server for remote binaries, as a library: the
// passthrough server by default, another one with other parts.
//
// Vocabulary: a *session* is one run of a program. Its *session process*
// carries out the program's system calls; the *program process* is the
// remote binary itself. Run is both master and session process of the one
// program it starts. Serve is a *master*: it accepts connections and starts
// a session process for each program that attaches, by executing its own
// binary again; it carries out no call itself. In *child mode* a remote
// binary that a program of a session started has replaced itself by a session
// process of the same binary, which runs it.
//
// Re-execution: a session process is recognised by its name, argument 0
// being "remotec-session", and Main takes it over. So every server program
// calls Main first thing in main, with the Config it serves with:
//
//	func main() {
//		cfg := server.Config{...}
//		server.Main(cfg)
//		...
//		server.Run(cfg, server.Program{...})
//	}
//
// Invariants: the master never blocks on a client; a session process ends
// when its program process does, and the other way round; nothing that a
// client sends harms another session.
//
// Lock order: master.mu and hosted.mu are never held together; neither is
// held while a client or a session process is waited for, except hosted.mu
// for the channel to that one session process.
package server
