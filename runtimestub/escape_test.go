package runtimestub

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// mayAllocate are the files whose code runs only on goroutine stacks with a P.
var mayAllocate = regexp.MustCompile(`^(runtimestub|wire|\./wire|\.)?/?(wire/)?(attach|address|join|spawn|session|account)\.go:`)

// TestNoAllocation asserts what doc.go says of the code that runs for a
// system call: the compiler puts nothing of it on the heap.
func TestNoAllocation(t *testing.T) {
	out, err := exec.Command("go", "build", "-gcflags=-m", "./wire", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go build -gcflags=-m: %v\n%s", err, out)
	}
	seen := false
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		seen = seen || strings.Contains(line, "does not escape")
		if !strings.Contains(line, "escapes to heap") && !strings.Contains(line, "moved to heap") {
			continue
		}
		switch {
		case mayAllocate.MatchString(line):
		case strings.Contains(line, `Error("`): // a constant: static data
		case strings.Contains(line, `"wire: " + `): // (Error).Error, on the server
		case strings.Contains(line, "wire/segment.go") && (strings.Contains(line, "string(([]byte)(s))") ||
			strings.Contains(line, "append escapes") || strings.Contains(line, "moved to heap: e")):
			// text, texts and structs: attach and the server use them
		case strings.Contains(line, "hooks.go") && (strings.Contains(line, "hookTable") || strings.Contains(line, "func literal")):
			// the table itself, made by attach
		default:
			t.Error(line)
		}
	}
	if !seen {
		t.Fatal("the compiler said nothing about escapes")
	}
}
