// Command remotec turns Go programs into remote binaries and runs them.
//
// It is three programs in one. Started by the go command as
// -toolexec=remotec, it carries out one tool invocation (package toolexec);
// that is decided before anything else, because a build does it hundreds of
// times. Started under the name remotec-session, it is the process of one
// session (package server). Started by a user, it carries out the command of the table in
// command.go. This package holds flags and wiring only: a package whose
// initialisation is heavy costs every build step, even if only one command
// uses it.
package main

import (
	"os"

	"remotec.dev/internal/toolexec"
	"remotec.dev/server"
)

func main() {
	if toolexec.Invoked(os.Args) {
		os.Exit(toolexec.Main(os.Args))
	}
	server.Main(serverConfig())
	os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}
