package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// Exit statuses of remotec itself. A command that runs a program ends with the
// program's own status instead, see exitStatus.
const (
	statusOK      = 0
	statusFailure = 1
	statusUsage   = 2
)

// streams are the standard streams of a command.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// command is one word after remotec.
type command struct {
	name  string
	args  string // what follows the flags, "PACKAGE"
	short string // one line for the list of commands
	long  string // more for help on the command; may be empty

	// setup declares the flags and returns what carries out the command with
	// the arguments that follow them.
	setup func(*flag.FlagSet) func(args []string, std streams) error
}

// commands is the table of all commands, in the order of the help text. It is
// filled in by init because help refers to it.
var commands []*command

func init() {
	commands = []*command{
		runCommand,
		serveCommand,
		joinCommand,
		psCommand,
		topCommand,
		stackCommand,
		statsCommand,
		profileCommand,
		migrateCommand,
		sharingCommand,
		drainCommand,
		pauseCommand,
		resumeCommand,
		movesCommand,
		whyCommand,
		labelCommand,
		diffCommand,
		envCommand,
		versionCommand,
		cleanCommand,
		helpCommand,
	}
}

// errUsage marks errors in how a command was called.
var errUsage = errors.New("usage")

// usagef returns an error that ends remotec with status 2.
func usagef(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, args...))
}

// exitStatus is the error of a command that has nothing to say but ends with
// the status of the program it ran.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run carries out a command line, without the program's name, and returns the
// exit status.
func run(args []string, std streams) int {
	if len(args) == 0 {
		printUsage(std.err)
		return statusUsage
	}
	name := args[0]
	if name == "-h" || name == "-help" || name == "--help" {
		printUsage(std.out)
		return statusOK
	}
	cmd := lookup(name)
	if cmd == nil {
		fmt.Fprintf(std.err, "remotec: unknown command %q\n", name)
		printUsage(std.err)
		return statusUsage
	}
	err := cmd.run(args[1:], std)
	var exit exitStatus
	switch {
	case err == nil:
		return statusOK
	case errors.As(err, &exit):
		return int(exit)
	case errors.Is(err, errUsage):
		msg := strings.TrimPrefix(err.Error(), errUsage.Error()+": ")
		fmt.Fprintf(std.err, "remotec: %s: %s\nusage: %s\nrun 'remotec help %s' for more\n", name, msg, cmd.usage(), name)
		return statusUsage
	}
	fmt.Fprintf(std.err, "remotec: %v\n", err)
	return statusFailure
}

func lookup(name string) *command {
	for _, cmd := range commands {
		if cmd.name == name {
			return cmd
		}
	}
	return nil
}

func (c *command) run(args []string, std streams) error {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	do := c.setup(fs)
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		c.help(std.out)
		return nil
	} else if err != nil {
		return usagef("%v", err)
	}
	return do(fs.Args(), std)
}

// flags returns the command's flags, for help texts.
func (c *command) flags() *flag.FlagSet {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.setup(fs)
	return fs
}

func (c *command) usage() string {
	usage := "remotec " + c.name
	hasFlags := false
	c.flags().VisitAll(func(*flag.Flag) { hasFlags = true })
	if hasFlags {
		usage += " [flags]"
	}
	if c.args != "" {
		usage += " " + c.args
	}
	return usage
}

func (c *command) help(w io.Writer) {
	fmt.Fprintf(w, "usage: %s\n\n%s\n", c.usage(), capital(c.short)+".")
	if c.long != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(c.long))
	}
	fs := c.flags()
	var b strings.Builder
	fs.SetOutput(&b)
	fs.PrintDefaults()
	if b.Len() > 0 {
		fmt.Fprintf(w, "\nflags:\n%s", b.String())
	}
}

// printJSON prints v as the flag -json asks for it.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "\t")
	return enc.Encode(v)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// printUsage prints what remotec is and its commands.
func printUsage(w io.Writer) {
	fmt.Fprint(w, `remotec turns a Go program into a remote binary: one whose goroutines, memory
and system calls are managed by a runtime server.

To build one:

	go build -toolexec=remotec [any flags of go build] [packages]

and likewise go run, go test, go install and go vet.

usage: remotec COMMAND [flags] [arguments]

commands:
`)
	for _, cmd := range commands {
		fmt.Fprintf(w, "\t%-9s %s\n", cmd.name, cmd.short)
	}
	fmt.Fprint(w, "\nRun 'remotec help COMMAND' for more about a command.\n")
}

var helpCommand = &command{
	name:  "help",
	args:  "[COMMAND]",
	short: "describe remotec or one of its commands",
	setup: func(*flag.FlagSet) func([]string, streams) error {
		return func(args []string, std streams) error {
			if len(args) == 0 {
				printUsage(std.out)
				return nil
			}
			cmd := lookup(args[0])
			if cmd == nil || len(args) > 1 {
				return usagef("no help on %q", strings.Join(args, " "))
			}
			cmd.help(std.out)
			return nil
		}
	},
}
