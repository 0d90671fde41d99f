package server

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"remotec.dev/server/program"
	"remotec.dev/server/servertest"
)

// The test binary plays all parts: the tests; a server program, after the
// word "as-server"; and with the marker in its data a remote binary whose
// stub is servertest's, after "as-program".
func TestMain(m *testing.M) {
	Main(Config{})
	if len(servertest.Marker) > 0 && len(os.Args) > 2 {
		switch os.Args[1] {
		case "as-server":
			asServer(os.Args[2], os.Args[3:])
		case "as-program":
			programs[os.Args[2]](os.Args[3:])
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// asServer runs a program, or serves and tells on standard output what
// happens.
func asServer(word string, args []string) {
	var err error
	switch word {
	case "run":
		var exit Exit
		exit, err = Run(Config{}, Program{Program: program.Program{Path: args[0], Args: args}})
		if err == nil {
			os.Exit(exit.Code())
		}
	case "run-at":
		var exit Exit
		exit, err = RunAt(args[0], args[1], Program{Program: program.Program{Path: args[2], Args: args[2:]}})
		if err == nil {
			os.Exit(exit.Code())
		}
	case "serve":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		cfg := Config{Events: func(e Event) {
			switch e.Kind {
			case SessionStarted:
				fmt.Println("started", e.Session)
			case SessionEnded:
				fmt.Println("ended", e.Session, e.Exit)
			case AttachRefused:
				fmt.Println("refused", strings.ReplaceAll(e.Err.Error(), "\n", " "))
			}
		}}
		err = Serve(ctx, cfg, Options{Listen: args[0], Token: args[1], Ready: func(addr string) { fmt.Println("ready", addr) }})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "remotec:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
