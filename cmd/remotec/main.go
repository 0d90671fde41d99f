// Command remotec turns Go programs into remote binaries and runs them.
package main

import (
	"os"

	"remotec.dev/internal/toolexec"
)

func main() {
	if toolexec.Invoked(os.Args) {
		os.Exit(toolexec.Main(os.Args))
	}
	os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
}
