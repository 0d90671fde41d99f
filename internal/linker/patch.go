package linker

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// ldDir is the patched package, as a path below GOROOT/src.
const ldDir = "cmd/link/internal/ld"

// An insertion is one line of code that the patch adds to a file of package ld.
// Its place is found in the syntax tree, so that it survives what a minor
// release changes around it, and fails when the anchor itself is gone.
type insertion struct {
	file   string // in ldDir
	anchor string // describes the place in error messages
	code   string
	find   func(*ast.File) []token.Pos // where code goes; must be one place
}

// insertions is the whole patch, apart from the files that it adds.
var insertions = []insertion{
	{
		// Symbols are known by kind and sorted, and have no section yet.
		file:   "data.go",
		anchor: "wg.Wait() after the loop that calls dodataSect, in (*Link).dodata",
		code:   "state.remoteLayout(ctxt)",
		find:   afterSort,
	},
	{
		// All addresses are assigned, and nothing is written yet.
		file:   "data.go",
		anchor: "the final return of (*Link).address",
		code:   "ctxt.remoteVerify()",
		find:   beforeLastReturn("address"),
	},
	{
		// The loop that follows loads what this adds, with its dependencies.
		file:   "lib.go",
		anchor: `loadinternal(ctxt, "runtime") in (*Link).loadlib`,
		code:   "remoteLoadStub(ctxt)",
		find:   afterLoadRuntime,
	},
}

// PatchedFiles returns the files in which the patched linker differs from the
// one in goroot, by path below GOROOT/src, changed and added ones. goversion is
// the version of goroot and appears in errors.
func PatchedFiles(goroot, goversion string) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, in := range insertions {
		name := path.Join(ldDir, in.file)
		if files[name] != nil {
			continue
		}
		src, err := os.ReadFile(filepath.Join(goroot, "src", filepath.FromSlash(name)))
		if err != nil {
			return nil, fmt.Errorf("reading the source of the linker: %w (install a Go tree with its sources)", err)
		}
		if files[name], err = insert(in.file, goversion, src); err != nil {
			return nil, err
		}
	}
	for _, name := range addedNames() {
		text, err := added.ReadFile(name)
		if err != nil {
			return nil, err
		}
		base := path.Base(name)
		if text, err = rename(base, text); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(base, "remote_") {
			base = "remote_" + base
		}
		files[path.Join(ldDir, base)] = text
	}
	roots, err := stdRoots(goroot)
	if err != nil {
		return nil, err
	}
	files[path.Join(ldDir, "remote_std.go")] = roots
	return files, nil
}

// insert applies the insertions of one file to its text. They are spliced into
// the text, not printed from the tree, so that a diff shows nothing else.
func insert(file, goversion string, src []byte) ([]byte, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parsing %s/%s of %s: %w", ldDir, file, goversion, err)
	}
	type splice struct {
		at   int
		code string
	}
	var splices []splice
	for _, in := range insertions {
		if in.file != file {
			continue
		}
		if bytes.Contains(src, []byte(in.code)) {
			return nil, fmt.Errorf("patching %s/%s of %s: it is patched already: it calls %s; use an unmodified GOROOT", ldDir, file, goversion, in.code)
		}
		found := in.find(f)
		if len(found) != 1 {
			return nil, fmt.Errorf("patching %s/%s: anchor %q found %d times, want once: %s has another linker than this remotec supports (1.26, 1.27)", ldDir, file, in.anchor, len(found), goversion)
		}
		splices = append(splices, splice{fset.Position(found[0]).Offset, in.code})
	}
	slices.SortFunc(splices, func(a, b splice) int { return a.at - b.at })

	var out bytes.Buffer
	at := 0
	for _, s := range splices {
		out.Write(src[at:s.at])
		// A statement of its own, whatever stands on either side.
		fmt.Fprintf(&out, "\n\t%s\n", s.code)
		at = s.at
	}
	out.Write(src[at:])
	text, err := format.Source(out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("patching %s/%s of %s: %w", ldDir, file, goversion, err)
	}
	return text, nil
}

// afterSort finds the end of the statement that waits for the goroutines which
// sort the symbols.
func afterSort(f *ast.File) (found []token.Pos) {
	for _, fn := range linkMethods(f, "dodata") {
		for i, stmt := range fn.Body.List {
			loop, ok := stmt.(*ast.RangeStmt)
			if !ok || !calls(loop, "dodataSect") || i+1 == len(fn.Body.List) {
				continue
			}
			if next := fn.Body.List[i+1]; calls(next, "Wait") {
				found = append(found, next.End())
			}
		}
	}
	return found
}

// beforeLastReturn finds the return statement that ends a method of *Link.
func beforeLastReturn(method string) func(*ast.File) []token.Pos {
	return func(f *ast.File) (found []token.Pos) {
		for _, fn := range linkMethods(f, method) {
			if n := len(fn.Body.List); n > 0 {
				if ret, ok := fn.Body.List[n-1].(*ast.ReturnStmt); ok {
					found = append(found, ret.Pos())
				}
			}
		}
		return found
	}
}

// afterLoadRuntime finds the end of the statement that loads package runtime.
func afterLoadRuntime(f *ast.File) (found []token.Pos) {
	for _, fn := range linkMethods(f, "loadlib") {
		for _, stmt := range fn.Body.List {
			expr, ok := stmt.(*ast.ExprStmt)
			if !ok || !calls(expr, "loadinternal") {
				continue
			}
			args := expr.X.(*ast.CallExpr).Args
			if lit, ok := args[len(args)-1].(*ast.BasicLit); ok && lit.Value == `"runtime"` {
				found = append(found, stmt.End())
			}
		}
	}
	return found
}

// linkMethods returns the methods of *Link with the given name: one, in a file
// that declares it.
func linkMethods(f *ast.File, name string) (fns []*ast.FuncDecl) {
	for _, decl := range f.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Name.Name != name || fn.Recv == nil || fn.Body == nil {
			continue
		}
		if star, ok := fn.Recv.List[0].Type.(*ast.StarExpr); ok {
			if id, ok := star.X.(*ast.Ident); ok && id.Name == "Link" {
				fns = append(fns, fn)
			}
		}
	}
	return fns
}

// calls reports whether a function or method of the given name is called in n.
func calls(n ast.Node, name string) (yes bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			switch fun := call.Fun.(type) {
			case *ast.Ident:
				yes = yes || fun.Name == name
			case *ast.SelectorExpr:
				yes = yes || fun.Sel.Name == name
			}
		}
		return !yes
	})
	return yes
}

// rename makes a file of this package, or of _ld, one of package ld.
func rename(name string, src []byte) ([]byte, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, parser.PackageClauseOnly)
	if err != nil {
		return nil, fmt.Errorf("adding %s to the linker: %w", name, err)
	}
	from, to := fset.Position(f.Name.Pos()).Offset, fset.Position(f.Name.End()).Offset
	return slices.Concat([]byte("// Code generated by remotec. DO NOT EDIT.\n\n"), src[:from], []byte("ld"), src[to:]), nil
}

// stdRoots generates the table by which the linker tells the standard library
// from the program: the first elements of its import paths. A dot in the first
// element says too little, since a user's module may be called "app".
func stdRoots(goroot string) ([]byte, error) {
	dirs, err := os.ReadDir(filepath.Join(goroot, "src"))
	if err != nil {
		return nil, fmt.Errorf("listing the standard library: %w", err)
	}
	var b bytes.Buffer
	b.WriteString("// Code generated by remotec. DO NOT EDIT.\n\npackage ld\n\n")
	b.WriteString("// remoteStdRoots holds the first elements of the import paths of std.\n")
	b.WriteString("var remoteStdRoots = map[string]bool{\n")
	for _, d := range dirs {
		if d.IsDir() && !strings.HasPrefix(d.Name(), ".") && d.Name() != "testdata" {
			fmt.Fprintf(&b, "%q: true,\n", d.Name())
		}
	}
	b.WriteString("}\n")
	return format.Source(b.Bytes())
}
