package program

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Program is what a session runs.
type Program struct {
	Path string   // of the remote binary
	Args []string // its argument vector, name included
	temp string   // directory to remove, or ""
}

// Remove removes what Find built.
func (p *Program) Remove() {
	if p.temp != "" {
		os.RemoveAll(p.temp)
	}
}

// Builder builds packages with the interposer.
type Builder struct {
	Tool   string // path of the remotec command, for -toolexec
	Output io.Writer
}

// ErrBuild is a failed build, whose messages have been printed.
var ErrBuild = errors.New("build failed")

// Find resolves the words after remotec run: a remote binary, found as a
// shell would find it or named by its path; or a package directory, .go
// files or an import path, which it builds. The result has been checked.
func (b *Builder) Find(words []string) (*Program, error) {
	name := words[0]
	st, err := os.Stat(name)
	switch {
	case strings.HasSuffix(name, ".go") && (err != nil || !st.IsDir()):
		n := 1
		for n < len(words) && strings.HasSuffix(words[n], ".go") {
			n++
		}
		return b.build(words[:n], words[n:])
	case err == nil && st.IsDir():
		if !filepath.IsAbs(name) && !isLocal(name) {
			name = "./" + name
		}
		return b.build([]string{name}, words[1:])
	case err == nil:
		path := name
		if !strings.Contains(path, "/") {
			path = "./" + path
		}
		return check(&Program{Path: path, Args: words})
	case filepath.IsAbs(name) || isLocal(name):
		return nil, openError(name, err)
	}
	if path, err := exec.LookPath(name); err == nil {
		return check(&Program{Path: path, Args: words})
	}
	if !strings.ContainsAny(name, "/.") && !inModule() {
		return nil, fmt.Errorf("%s: no such file, and no program of that name in PATH; name a remote binary, a package directory, an import path or .go files", name)
	}
	return b.build([]string{name}, words[1:])
}

func isLocal(name string) bool {
	return name == "." || name == ".." || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../")
}

// inModule reports whether a word without slash and dot can be an import
// path, that of the module here. Only the go command knows for sure, but what
// it says about a misspelt program name misleads.
func inModule() bool {
	_, err := os.Stat("go.mod")
	return err == nil
}

func check(p *Program) (*Program, error) {
	if err := Check(p.Path); err != nil {
		return nil, err
	}
	return p, nil
}

// build builds packages into a temporary directory.
func (b *Builder) build(packages, args []string) (*Program, error) {
	temp, err := os.MkdirTemp("", "remotec-run-")
	if err != nil {
		return nil, err
	}
	p := &Program{Path: filepath.Join(temp, binaryName(packages[0])), temp: temp}
	p.Args = append([]string{p.Path}, args...)
	cmd := exec.Command("go", append([]string{"build", "-toolexec=" + b.Tool, "-o", p.Path, "--"}, packages...)...)
	cmd.Stdout, cmd.Stderr = b.Output, b.Output
	if err := cmd.Run(); err != nil {
		p.Remove()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, fmt.Errorf("%w: go build %s", ErrBuild, strings.Join(packages, " "))
		}
		return nil, fmt.Errorf("running go build: %w: is Go installed and in PATH?", err)
	}
	if !isELF(p.Path) {
		p.Remove()
		return nil, fmt.Errorf("%s is not a main package: there is nothing to run", strings.Join(packages, " "))
	}
	if _, err := check(p); err != nil {
		p.Remove()
		return nil, err
	}
	return p, nil
}

// isELF is false for the archive that go build leaves of a library.
func isELF(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, len(elf.ELFMAG))
	_, err = io.ReadFull(f, magic)
	return err == nil && string(magic) == elf.ELFMAG
}

// binaryName is what go build would call the binary.
func binaryName(pkg string) string {
	if abs, err := filepath.Abs(pkg); err == nil {
		pkg = abs
	}
	return strings.TrimSuffix(filepath.Base(pkg), ".go")
}
