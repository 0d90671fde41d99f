package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"remotec.dev/internal/cachedir"
	"remotec.dev/internal/goosremote"
	"remotec.dev/internal/instrument"
	"remotec.dev/internal/toolexec"
)

// noArgs refuses arguments for the commands that take none.
func noArgs(args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q", args[0])
	}
	return nil
}

var versionCommand = &command{
	name:  "version",
	short: "print the version and the Go releases that are supported",
	setup: func(*flag.FlagSet) func([]string, streams) error {
		return func(args []string, std streams) error {
			if err := noArgs(args); err != nil {
				return err
			}
			fmt.Fprintf(std.out, "remotec %s (built with %s)\n", version(), runtime.Version())
			fmt.Fprintf(std.out, "builds with Go %s for linux/amd64\n", strings.Join(instrument.Supported(), ", "))
			fmt.Fprintf(std.out, "identity in the build cache: %s\n", toolexec.Identity())
			return nil
		}
	},
}

// version returns the module's version, or for a build from a checkout the
// commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	v := "devel"
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}

// variable is an environment variable that remotec or a remote binary reads,
// or a fact that scripts want.
type variable struct {
	name, doc string
	value     func() (string, error) // nil: as it is in the environment
}

// variables lists all there are, in the order in which env prints them.
var variables = []variable{
	{name: "GORUNTIMESERVER", doc: "address of the runtime server a remote binary attaches to"},
	{name: "GOOSREMOTE", doc: "operating system whose calls a remote binary makes",
		value: func() (string, error) { return goosremote.Value(), nil }},
	{name: "REMOTEC_CACHE", doc: "directory of patched linkers, compiled stubs and programs of other hosts", value: cachedir.Dir},
	{name: "REMOTEC_LOG", doc: "file to which build steps append a log"},
	{name: processesVariable, doc: "processes that a program asks its server for, as N or N/PLACEMENT"},
	{name: "REMOTEC_PLACEMENT", doc: "where new goroutines go: local, spread, balance or affinity"},
	{name: "REMOTEC_ACCOUNT", doc: "true: account for what goroutines use from the start of a program"},
	{name: "REMOTEC_CHAOS", doc: "fault injection for tests"},
	{name: "REMOTEC_HAND", doc: "false: never hand open descriptors to a program"},
	{name: "REMOTEC_TOKEN", doc: "what a server asks of programs that reach it over TCP, or a session of remotec join"},
	{name: "REMOTEC_GO", doc: "Go releases that are supported (not read)",
		value: func() (string, error) { return strings.Join(instrument.Supported(), " "), nil }},
}

func (v variable) get() (string, error) {
	if v.value == nil {
		return os.Getenv(v.name), nil
	}
	return v.value()
}

var envCommand = &command{
	name:  "env",
	args:  "[NAME ...]",
	short: "print the environment variables that matter, with their values in force",
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		asJSON := fs.Bool("json", false, "print a JSON object")
		return func(args []string, std streams) error { return printEnv(args, *asJSON, std) }
	},
}

func init() {
	var b strings.Builder
	for _, v := range variables {
		fmt.Fprintf(&b, "\t%-18s %s\n", v.name, v.doc)
	}
	envCommand.long = "With names, only the values of those are printed, one a line. The variables:\n\n" + b.String()
}

// printEnv prints variables as shell assignments, as bare values where names
// are given, or as JSON.
func printEnv(names []string, asJSON bool, std streams) error {
	values := map[string]string{}
	for _, v := range variables {
		value, err := v.get()
		if err != nil {
			return err
		}
		values[v.name] = value
	}
	for _, name := range names {
		if _, ok := values[name]; !ok {
			return usagef("%s is none of the variables", name)
		}
	}
	switch {
	case asJSON:
		if len(names) > 0 {
			all := values
			values = map[string]string{}
			for _, name := range names {
				values[name] = all[name]
			}
		}
		data, err := json.MarshalIndent(values, "", "\t")
		if err != nil {
			return fmt.Errorf("printing the environment: %w", err)
		}
		fmt.Fprintf(std.out, "%s\n", data)
	case len(names) > 0:
		for _, name := range names {
			fmt.Fprintln(std.out, values[name])
		}
	default:
		for _, v := range variables {
			fmt.Fprintf(std.out, "%s='%s'\n", v.name, strings.ReplaceAll(values[v.name], "'", `'\''`))
		}
	}
	return nil
}

var cleanCommand = &command{
	name:  "clean",
	short: "remove the cached linkers and stubs",
	long:  "What the go command has cached, remote builds included, is removed by `go clean -cache`.",
	setup: func(*flag.FlagSet) func([]string, streams) error {
		return func(args []string, std streams) error {
			if err := noArgs(args); err != nil {
				return err
			}
			return cachedir.Clean()
		}
	},
}
