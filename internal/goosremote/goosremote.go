// Package goosremote reads GOOSREMOTE, the operating system whose calls a
// remote binary makes. It may differ from GOOS one day: the calls are carried
// out by the runtime server. Only linux is understood so far.
package goosremote

import (
	"fmt"
	"os"
)

// Check returns an error when GOOSREMOTE asks for what there is not.
func Check() error {
	switch v := Value(); v {
	case "linux":
		return nil
	default:
		return fmt.Errorf("GOOSREMOTE=%s is not supported: remote binaries make the system calls of linux (unset it or use GOOSREMOTE=linux)", v)
	}
}

// Value returns GOOSREMOTE, or its default.
func Value() string {
	if v := os.Getenv("GOOSREMOTE"); v != "" {
		return v
	}
	return "linux"
}
