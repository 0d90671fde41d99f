package toolexec

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// What cannot be a remote binary is refused twice: by the go command's own
// command line when it asks for the first tool's identity, so that there is
// one message and it comes at once; and by the flags of compile and link,
// whatever started them.

// reasons says for each refused flag or build mode why, and what to do.
var reasons = map[string]string{
	"-race":     "the race detector's shadow memory covers one process, a remote binary's memory is shared by several; look for races in the plain program: leave out -toolexec",
	"-msan":     "the memory sanitizer's shadow memory covers one process, a remote binary's memory is shared by several; use it on the plain program: leave out -toolexec",
	"-asan":     "the address sanitizer's shadow memory covers one process, a remote binary's memory is shared by several; use it on the plain program: leave out -toolexec",
	"pie":       "code and data of a remote binary must have the same addresses in every process; leave out -buildmode or use -buildmode=exe",
	"plugin":    "code that is loaded later has no fixed address, and a remote binary's must be the same in every process; link the code in, or leave out -toolexec",
	"shared":    "a remote binary holds all its code at fixed addresses; leave out -buildmode or use -buildmode=exe",
	"c-shared":  "a remote binary owns its process from the start, a library does not; build a program, or leave out -toolexec",
	"c-archive": "a remote binary owns its process from the start, a library does not; build a program, or leave out -toolexec",
}

// refuseFlag returns the error for "-race" and the like.
func refuseFlag(flag string) error {
	return fmt.Errorf("%s is not supported: %s", flag, reasons[flag])
}

// refuseMode returns an error when there are no remote binaries in a build
// mode.
func refuseMode(mode string) error {
	switch mode {
	case "", "exe", "default", "archive":
		return nil
	}
	why, ok := reasons[mode]
	if !ok {
		why = "use -buildmode=exe"
	}
	return fmt.Errorf("-buildmode=%s is not supported: %s", mode, why)
}

// refuseTarget returns an error for a target without remote binaries.
func refuseTarget(goos, goarch string) error {
	if (goos == "" || goos == "linux") && (goarch == "" || goarch == "amd64") {
		return nil
	}
	return fmt.Errorf("%s/%s is not supported: the runtime is patched for linux/amd64 only; set GOOS=linux GOARCH=amd64, or leave out -toolexec", goos, goarch)
}

// refuseTool returns an error when the flags of compile or link ask for what
// cannot be a remote binary.
func refuseTool(tool string, flags []string) error {
	for _, flag := range []string{"-race", "-msan", "-asan"} {
		if isSet(flags, flag) {
			return refuseFlag(flag)
		}
	}
	if tool == "link" {
		if isSet(flags, "-linkshared") {
			return refuseMode("shared")
		}
		return refuseMode(value(flags, "-buildmode"))
	}
	// Position-independent code is what the modes have in common here.
	if isSet(flags, "-dynlink") || isSet(flags, "-linkshared") {
		return refuseMode("shared")
	}
	if isSet(flags, "-shared") {
		return refuseMode("pie")
	}
	return nil
}

// refuseBuild returns an error when a go command cannot lead to remote
// binaries. args are its arguments, without the program. The go command sets
// all variables that `go env` lists for the tools it starts, so that what
// `go env -w` has stored counts too.
func refuseBuild(args []string, getenv func(string) string) error {
	if err := refuseTarget(getenv("GOOS"), getenv("GOARCH")); err != nil {
		return err
	}
	flags := append(strings.Fields(getenv("GOFLAGS")), commandFlags(args)...)
	set := map[string]string{}
	for i := 0; i < len(flags); i++ {
		name, v, ok := strings.Cut("-"+strings.TrimLeft(flags[i], "-"), "=")
		if !ok {
			if v = "true"; valueFlags[name] && i+1 < len(flags) {
				i++
				v = flags[i]
			}
		}
		set[name] = strings.Trim(v, `'"`)
	}
	for _, flag := range []string{"-race", "-msan", "-asan"} {
		if v := set[flag]; v == "true" || v == "1" {
			return refuseFlag(flag)
		}
	}
	if c := set["-compiler"]; c != "" && c != "gc" {
		return fmt.Errorf("-compiler=%s is not supported: the patches are for the runtime of gc; leave out -compiler", c)
	}
	if set["-linkshared"] == "true" {
		return refuseMode("shared")
	}
	return refuseMode(set["-buildmode"])
}

// valueFlags are the go command's flags whose value may be the next argument.
// A missing one only ends the search early: the tools' own flags are checked
// again later.
var valueFlags = map[string]bool{
	"-C": true, "-o": true, "-p": true, "-asmflags": true, "-buildmode": true, "-compiler": true, "-covermode": true,
	"-coverpkg": true, "-exec": true, "-f": true, "-gccgoflags": true, "-gcflags": true, "-installsuffix": true,
	"-ldflags": true, "-mod": true, "-modfile": true, "-overlay": true, "-pgo": true, "-pkgdir": true, "-tags": true,
	"-toolexec": true, "-vettool": true, "-bench": true, "-benchtime": true, "-blockprofile": true, "-blockprofilerate": true,
	"-count": true, "-coverprofile": true, "-cpu": true, "-cpuprofile": true, "-fuzz": true, "-fuzztime": true, "-list": true,
	"-memprofile": true, "-mutexprofile": true, "-outputdir": true, "-parallel": true, "-run": true, "-shuffle": true,
	"-skip": true, "-timeout": true, "-trace": true,
}

// commandFlags returns the flags of a go command line: those between the name
// of the command and the first package. What follows may be for the program.
func commandFlags(args []string) []string {
	if len(args) < 2 {
		return nil
	}
	args = args[1:]
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") || args[i] == "--" || args[i] == "-args" {
			return args[:i]
		}
		if valueFlags["-"+strings.TrimLeft(args[i], "-")] {
			i++
		}
	}
	return args
}

// parentCommand returns the arguments of the go command that started this
// process, nil when it was not a go command that did.
func parentCommand() []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", os.Getppid()))
	if err != nil {
		return nil
	}
	fields := bytes.Split(bytes.TrimSuffix(data, []byte{0}), []byte{0})
	if !strings.HasPrefix(filepath.Base(string(fields[0])), "go") {
		return nil
	}
	var args []string
	for _, f := range fields[1:] {
		args = append(args, string(f))
	}
	return args
}
