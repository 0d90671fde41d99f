package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"remotec.dev/internal/instrument"
	"remotec.dev/internal/linker"
)

var diffCommand = &command{
	name:  "diff",
	args:  "[PACKAGE]",
	short: "show what a remote build rewrites",
	long: `
Prints, for a package such as runtime, syscall or golang.org/x/sys/unix, the
difference between its source and what is compiled into remote binaries. Without
a package it prints the list of all edits with their reasons. Packages that are
not in the list are compiled as they are. cmd/link is the linker that remote
binaries are linked with.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		goVersion := fs.String("goversion", "", "show the edits for the Go `version`, such as go1.27.1 (default: that of the go command)")
		return func(args []string, std streams) error {
			if len(args) > 1 {
				return usagef("more than one package")
			}
			return showDiff(*goVersion, args, std)
		}
	},
}

// showDiff prints the edits of one package, or the list of all edits.
func showDiff(goVersion string, pkgs []string, std streams) error {
	env := os.Environ()
	if goVersion != "" {
		goVersion = "go" + strings.TrimPrefix(goVersion, "go")
		env = append(env, "GOTOOLCHAIN="+goVersion)
		// Without a package no toolchain is needed.
		if len(pkgs) == 0 {
			set, err := instrument.SetFor(goVersion)
			if err != nil {
				return err
			}
			return instrument.WriteList(std.out, set)
		}
	}
	out, err := goCommand(env, "env", "GOVERSION")
	if err != nil {
		return err
	}
	set, err := instrument.SetFor(strings.TrimSpace(string(out)))
	if err != nil {
		return err
	}
	if len(pkgs) == 0 {
		return instrument.WriteList(std.out, set)
	}
	pkg := pkgs[0]
	if pkg == "cmd/link" {
		return diffLinker(env, set, std.out)
	}
	if !set.Touches(pkg) {
		return fmt.Errorf("%s is compiled as it is; `remotec diff` lists what is rewritten", pkg)
	}
	files, err := packageFiles(env, pkg)
	if err != nil {
		return err
	}
	return instrument.WriteDiff(std.out, set, pkg, files)
}

// diffLinker prints what differs in the linker, which is built from patched
// sources once, apart from the builds that use it.
func diffLinker(env []string, set *instrument.Set, w io.Writer) error {
	out, err := goCommand(env, "env", "GOROOT")
	if err != nil {
		return err
	}
	goroot := strings.TrimSpace(string(out))
	patched, err := linker.PatchedFiles(goroot, "go"+set.Release)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(patched)) {
		// A file that is not there is one that is added.
		old, err := os.ReadFile(filepath.Join(goroot, "src", filepath.FromSlash(name)))
		from := "go/" + name
		if err != nil {
			from = "/dev/null"
		}
		if _, err := w.Write(diff.Diff(from, old, "remotec/"+name, patched[name])); err != nil {
			return err
		}
	}
	return nil
}

// packageFiles reads the files of a package as the go command selects them.
func packageFiles(env []string, pkg string) (map[string][]byte, error) {
	out, err := goCommand(env, "list", "-json=Dir,GoFiles,SFiles", "--", pkg)
	if err != nil {
		return nil, err
	}
	var p struct {
		Dir             string
		GoFiles, SFiles []string
	}
	if err := json.Unmarshal(out, &p); err != nil {
		return nil, fmt.Errorf("reading the answer of go list %s: %w", pkg, err)
	}
	files := map[string][]byte{}
	for _, name := range append(p.GoFiles, p.SFiles...) {
		if files[name], err = os.ReadFile(filepath.Join(p.Dir, name)); err != nil {
			return nil, fmt.Errorf("reading %s: %w", pkg, err)
		}
	}
	return files, nil
}

// goCommand runs the go command and returns what it prints.
func goCommand(env []string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Env = append(env, "GOOS=linux", "GOARCH=amd64")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
