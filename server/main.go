package server

import (
	"errors"
	"fmt"
	"os"

	"remotec.dev/server/program"
)

// sessionName is argument 0 of a process that Main takes over. The stub of a
// remote binary uses it too, with the word "run".
const sessionName = "remotec-session"

// Main makes this process a session process where it was started as one, and
// does not return then. Otherwise it prepares for Run or Serve. It is called
// before anything else, above all before anything opens a descriptor: what
// the Go runtime opens for itself must not get the low numbers that programs
// expect to be free.
func Main(cfg Config) {
	if err := hold(); err != nil {
		fatal(fmt.Errorf("preparing descriptors: %w", err))
	}
	if len(os.Args) < 2 || os.Args[0] != sessionName {
		return
	}
	switch word, args := os.Args[1], os.Args[2:]; {
	case word == "run" && len(args) >= 2:
		// remotec-session run PATH ARGV0 ARGS...: child mode. The binary has
		// been checked by the kernel and by its stub.
		exit, err := Run(cfg, Program{Program: program.Program{Path: args[0], Args: args[1:]}})
		if err != nil {
			fatal(err)
		}
		exit.Mirror()
	case word == "serve":
		fatal(serveSession(cfg.withDefaults(), args))
	}
	fatal(errors.New(sessionName + " is how remotec starts itself: use remotec run or remotec serve"))
}

func fatal(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintf(os.Stderr, "remotec: %v\n", err)
	os.Exit(1)
}
