package main

import (
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"remotec": main, "remotec-session": main, "remotec-slow": slowProxy})
}

// tests are run with the default action of signals that they were started with ignored, as by nohup or in the
// background of a script: exec resets those that are caught, for the programs that tests start.
type tests struct{ *testing.M }

func (t tests) Run() int {
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	return t.M.Run()
}
