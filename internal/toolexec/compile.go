package toolexec

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"remotec.dev/internal/instrument"
)

// compile runs the compiler, on rewritten sources where the package is
// patched.
func (inv *invocation) compile() error {
	args, err := expand(inv.args)
	if err != nil {
		return err
	}
	flags, files := splitFiles(args, ".go")
	if err := refuseTool(inv.name, flags); err != nil {
		return err
	}
	pkg := value(flags, "-p")
	set, err := inv.set(flags)
	if err != nil {
		return err
	}
	if !set.Touches(pkg) || len(files) == 0 {
		return inv.exec(inv.args)
	}

	srcs, err := readAll(files)
	if err != nil {
		return fmt.Errorf("compiling %s: %w", pkg, err)
	}
	patched, added, err := instrument.Apply(set, pkg, srcs)
	if err != nil {
		return err
	}
	w := &rewriter{inv: inv, out: value(flags, "-o"), rewrites: value(flags, "-trimpath")}
	dir := w.packageDir(pkg, files)
	if files, err = w.replace(files, patched); err != nil {
		return fmt.Errorf("compiling %s: %w", pkg, err)
	}
	for _, f := range added {
		name, err := w.write(filepath.Join(dir, f.Name), f.Content)
		if err != nil {
			return fmt.Errorf("compiling %s: %w", pkg, err)
		}
		files = append(files, name)
	}
	return inv.exec(append(setValue(flags, "-trimpath", w.trimpath()), files...))
}

// asm runs the assembler, once with all files of the package for the symbols'
// ABIs (-gensymabis) and then once for each file.
func (inv *invocation) asm() error {
	args, err := expand(inv.args)
	if err != nil {
		return err
	}
	flags, files := splitFiles(args, ".s")
	if err := refuseTool(inv.name, flags); err != nil {
		return err
	}
	pkg := value(flags, "-p")
	set, err := inv.set(flags)
	if err != nil {
		return err
	}
	if !set.Touches(pkg) || len(files) == 0 {
		return inv.exec(inv.args)
	}
	srcs, err := readAll(files)
	if err != nil {
		return fmt.Errorf("assembling %s: %w", pkg, err)
	}
	var patched map[string][]byte
	if isSet(flags, "-gensymabis") {
		patched, _, err = instrument.Apply(set, pkg, srcs)
	} else {
		patched, err = instrument.ApplyFiles(set, pkg, srcs)
	}
	if err != nil {
		return err
	}
	if len(patched) == 0 {
		return inv.exec(inv.args)
	}
	w := &rewriter{inv: inv, out: value(flags, "-o"), rewrites: value(flags, "-trimpath")}
	if files, err = w.replace(files, patched); err != nil {
		return fmt.Errorf("assembling %s: %w", pkg, err)
	}
	return inv.exec(append(setValue(flags, "-trimpath", w.trimpath()), files...))
}

// set returns the patches for the tool's Go version.
func (inv *invocation) set(flags []string) (*instrument.Set, error) {
	v := value(flags, "-goversion")
	if v == "" {
		var err error
		if v, err = inv.goVersion(); err != nil {
			return nil, err
		}
	}
	return instrument.SetFor(v)
}

// goVersion returns the version of the tool's GOROOT, "go1.26.8".
func (inv *invocation) goVersion() (string, error) {
	data, err := os.ReadFile(filepath.Join(inv.goroot(), "VERSION"))
	if err != nil {
		return "", fmt.Errorf("finding the Go version of %s: %w", inv.tool, err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line), nil
}

// readAll reads files into a map by base name.
func readAll(files []string) (map[string][]byte, error) {
	srcs := make(map[string][]byte, len(files))
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		srcs[filepath.Base(name)] = data
	}
	return srcs, nil
}

// rewriter writes changed files into the step's own directory and sees to it
// that the tool records them under the names of the originals.
type rewriter struct {
	inv      *invocation
	out      string // the tool's -o, which lies in the step's directory
	rewrites string // the tool's -trimpath
	rules    []string
}

// packageDir returns the directory of the package's sources. Files that other
// tools generated lie beside the output.
func (w *rewriter) packageDir(pkg string, files []string) string {
	for _, name := range files {
		if dir := filepath.Dir(name); dir != filepath.Dir(w.out) {
			return dir
		}
	}
	return filepath.Join(w.inv.goroot(), "src", filepath.FromSlash(pkg))
}

// replace returns files with the patched ones in place of the originals.
func (w *rewriter) replace(files []string, patched map[string][]byte) ([]string, error) {
	out := append([]string(nil), files...)
	for i, name := range files {
		content, ok := patched[filepath.Base(name)]
		if !ok {
			continue
		}
		var err error
		if out[i], err = w.write(name, content); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// write stores content that stands for the file original, and returns its
// name.
func (w *rewriter) write(original string, content []byte) (string, error) {
	dir := filepath.Join(filepath.Dir(w.out), "remotec")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	name := filepath.Join(dir, filepath.Base(original))
	if err := os.WriteFile(name, content, 0o666); err != nil {
		return "", err
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	if original, err = filepath.Abs(original); err != nil {
		return "", err
	}
	w.rules = append(w.rules, abs+"=>"+w.recorded(original))
	w.inv.logf("%s is compiled from %s", original, name)
	return name, nil
}

// trimpath returns the tool's -trimpath with the rules for rewritten files
// first: the first rule that matches a path is used.
func (w *rewriter) trimpath() string {
	return strings.Join(append(w.rules, w.rewrites), ";")
}

// recorded returns the name under which the tool would record a file, see
// AbsFile in cmd/internal/objabi.
func (w *rewriter) recorded(name string) string {
	for rule := range strings.SplitSeq(w.rewrites, ";") {
		prefix, replace, _ := strings.Cut(rule, "=>")
		if rest, ok := strings.CutPrefix(name, prefix); prefix != "" && ok && (rest == "" || rest[0] == '/') {
			if replace == "" {
				return strings.TrimPrefix(rest, "/")
			}
			return replace + rest
		}
	}
	goroot := os.Getenv("GOROOT")
	if goroot == "" {
		goroot = w.inv.goroot()
	}
	if rest, ok := strings.CutPrefix(name, goroot+"/"); ok {
		// The linker puts the root in again.
		return "$GOROOT/" + rest
	}
	return name
}
