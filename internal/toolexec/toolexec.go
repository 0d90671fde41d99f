// Package toolexec carries out one tool invocation of the go command, which
// `go build -toolexec=remotec` starts as
//
//	remotec /goroot/pkg/tool/linux_amd64/compile args...
//
// What happens by tool:
//
//	any -V=full     the tool's identity, with ours appended: cache entries of
//	                remote and plain builds never mix
//	compile, asm    packages that are patched get rewritten sources; all others
//	                go straight to the real tool
//	link            the stub is compiled and added, and remotec's linker runs
//	go              runs without remotec: what it builds is for the build itself
//	anything else   goes straight to the real tool
//
// Invariants:
//
//   - A step that succeeds writes nothing of its own to stderr: the go command
//     stores a tool's output in the build cache and replays it later, even in
//     a build without remotec. REMOTEC_LOG names a file for a log instead.
//   - "Straight to the real tool" is execve, without a second process: a cold
//     build makes hundreds of such steps. For the same reason this package
//     imports nothing heavy.
//   - Output depends on the arguments, the inputs, and what the identity covers
//     (identity.go); never on the place of the work directory.
package toolexec

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"remotec.dev/internal/goosremote"
	_ "remotec.dev/internal/instrument/patches" // registers the patches
)

// Invoked reports whether a command line, os.Args, is a tool invocation. The
// go command names tools by absolute paths, and no command of remotec starts
// with a slash.
func Invoked(argv []string) bool { return len(argv) > 1 && filepath.IsAbs(argv[1]) }

// Main carries out the tool invocation of a command line and returns the exit
// status; where the real tool takes the place of this process it does not
// return.
func Main(argv []string) int {
	inv := &invocation{tool: argv[1], name: filepath.Base(argv[1]), args: argv[2:]}
	inv.logf("%q", argv[1:])
	err := inv.run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		// The tool has said what is wrong.
		return max(exit.ExitCode(), 1)
	}
	inv.logf("failed: %v", err)
	// Errors of the linker package carry the prefix already.
	fmt.Fprintf(os.Stderr, "remotec: %s\n", strings.TrimPrefix(err.Error(), "remotec: "))
	return 1
}

// invocation is one run of one tool.
type invocation struct {
	tool string   // absolute path of the real tool
	name string   // "compile"
	args []string // without the tool
}

func (inv *invocation) run() error {
	if len(inv.args) == 1 && inv.args[0] == "-V=full" {
		if err := goosremote.Check(); err != nil {
			return err
		}
		return inv.version()
	}
	switch inv.name {
	case "compile":
		return inv.compile()
	case "asm":
		return inv.asm()
	case "link":
		return inv.link()
	case "go":
		return inv.goCommand()
	}
	return inv.exec(inv.args)
}

// exec makes the process the real tool. It returns only an error.
func (inv *invocation) exec(args []string) error {
	err := syscall.Exec(inv.tool, append([]string{inv.tool}, args...), os.Environ())
	return fmt.Errorf("starting %s: %w", inv.tool, err)
}

// goCommand makes the process a go command without remotec. A go command runs
// another for tools that are not part of the distribution, such as
// `go tool covdata`, builds them there and starts them: as remote binaries
// they would ask for a server.
func (inv *invocation) goCommand() error {
	// The last -toolexec counts, and an empty GOFLAGS would be looked up in
	// what `go env -w` has stored.
	if err := os.Setenv("GOFLAGS", strings.TrimSpace(os.Getenv("GOFLAGS")+" -toolexec=")); err != nil {
		return fmt.Errorf("starting %s: %w", inv.tool, err)
	}
	return inv.exec(inv.args)
}

// goroot returns the tree the tool belongs to. The environment does not tell:
// with -trimpath the go command clears GOROOT for the tools.
func (inv *invocation) goroot() string {
	// GOROOT/pkg/tool/GOOS_GOARCH/link
	return filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(inv.tool))))
}

// logf appends a line to the file REMOTEC_LOG names. A log that cannot be
// written is no reason to fail a build.
func (inv *invocation) logf(format string, args ...any) {
	name := os.Getenv("REMOTEC_LOG")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return
	}
	defer f.Close()
	// One write per line: steps run in parallel.
	fmt.Fprintf(f, "%s %s[%d]: %s\n", os.Getenv("TOOLEXEC_IMPORTPATH"), inv.name, os.Getpid(), fmt.Sprintf(format, args...))
}
