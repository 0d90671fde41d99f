package toolexec

import (
	"fmt"
	"os"
	"strings"

	"remotec.dev/internal/instrument"
)

// expand replaces @file arguments by the arguments in the file, one a line,
// as cmd/internal/objabi does: a backslash quotes itself and "n" for newline.
func expand(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		name, ok := strings.CutPrefix(arg, "@")
		if !ok {
			out = append(out, arg)
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading a response file: %w", err)
		}
		unquote := strings.NewReplacer(`\\`, `\`, `\n`, "\n")
		for line := range strings.Lines(string(data)) {
			out = append(out, unquote.Replace(strings.TrimSuffix(line, "\n")))
		}
	}
	return out, nil
}

// splitFiles cuts the source files off the end of a compile or asm command
// line.
func splitFiles(args []string, suffix string) (flags, files []string) {
	n := len(args)
	for n > 0 && strings.HasSuffix(args[n-1], suffix) && !strings.HasPrefix(args[n-1], "-") {
		n--
	}
	return args[:n:n], args[n:]
}

// value returns the value of a flag that takes one, "-o x" or "-o=x", or "".
// The last one counts, as in package flag.
func value(flags []string, name string) string {
	v := ""
	for i, arg := range flags {
		if arg == name && i+1 < len(flags) {
			v = flags[i+1]
		} else if rest, ok := strings.CutPrefix(arg, name+"="); ok {
			v = rest
		}
	}
	return v
}

// setValue returns flags with the value of every occurrence of a flag
// replaced.
func setValue(flags []string, name, v string) []string {
	out := append([]string(nil), flags...)
	found := false
	for i, arg := range out {
		if arg == name && i+1 < len(out) {
			out[i+1], found = v, true
		} else if strings.HasPrefix(arg, name+"=") {
			out[i], found = name+"="+v, true
		}
	}
	if !found {
		out = append(out, name, v)
	}
	return out
}

// isSet reports whether a boolean flag is given.
func isSet(flags []string, name string) bool {
	set := false
	for _, arg := range flags {
		switch arg {
		case name, "-" + name, name + "=true", name + "=1":
			set = true
		case name + "=false", name + "=0":
			set = false
		}
	}
	return set
}

// languageOf returns the -lang for a Go version, "go1.26" for "go1.26.8".
func languageOf(goVersion string) string {
	release, _ := instrument.Release(goVersion)
	return "go" + release
}
