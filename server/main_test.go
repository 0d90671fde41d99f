package server

import (
	"fmt"
	"os"
	"testing"

	"remotec.dev/server/program"
	"remotec.dev/server/servertest"
)

// The test binary plays all parts: the tests, a server program (the first
// word after "as-server"), and with the marker in its data a remote binary
// whose stub is servertest's.
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

func asServer(word string, args []string) {
	switch word {
	case "run":
		exit, err := Run(Config{}, Program{Program: program.Program{Path: args[0], Args: args}})
		if err != nil {
			fmt.Fprintln(os.Stderr, "remotec:", err)
			os.Exit(1)
		}
		os.Exit(exit.Code())
	}
	panic(word)
}
