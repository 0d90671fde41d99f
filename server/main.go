package server

import (
	"errors"
	"fmt"
	"os"
	"strconv"

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
	word, args := os.Args[1], os.Args[2:]
	if word == "exec" && len(args) >= 3 {
		// remotec-session exec PID PATH ARGV0 ARGS...: child mode again, after
		// the program that this process ran; see successor.
		if pid, err := strconv.Atoi(args[0]); err == nil && pid > 0 {
			(&child{pid: pid}).wait()
		}
		word, args = "run", args[1:]
	}
	switch {
	case word == "run" && len(args) >= 2:
		// remotec-session run PATH ARGV0 ARGS...: child mode. The binary has
		// been checked by the kernel and by its stub.
		exit, err := Run(cfg, Program{Program: program.Program{Path: args[0], Args: args[1:]}})
		if err != nil {
			fatal(err)
		}
		exit.Mirror()
	case word == "join" && len(args) == 0:
		fatal(joinSession())
	case word == "serve":
		fatal(serveSession(cfg.withDefaults(), args))
	}
	fatal(errors.New(sessionName + " is how remotec starts itself: use remotec run or remotec serve"))
}

// successor is what a session process executes when its program executes
// argv. Where that is a remote binary it becomes the session process of it,
// under the same id. The process of the old program, pid, has been killed by
// then, and is no child that the new one should meet.
func successor(pid int, path string, argv []string) (string, []string) {
	if len(argv) == 0 || program.Check(path) != nil {
		return path, argv
	}
	return "/proc/self/exe", append([]string{sessionName, "exec", strconv.Itoa(pid), path}, argv...)
}

func fatal(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintf(os.Stderr, "remotec: %v\n", err)
	os.Exit(1)
}
