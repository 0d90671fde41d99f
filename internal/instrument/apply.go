package instrument

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/ast/astutil"
)

// marker stands on the package clause line of a rewritten Go file, and at the
// end of a rewritten assembly file.
const marker = "/*remotec:patched*/"

// errAnchor starts the message of an anchor that does not fit.
var errAnchor = errors.New("anchor")

// Apply carries out the set's edits of one package. files maps base names to
// contents; the name of a file that cmd/cover has rewritten, "x.cover.go",
// counts as "x.go". It returns the files that changed under the names they
// came with, and the files to add to the package. A package that the set does
// not touch gives nothing.
//
// files may hold only the assembly files or only the Go files of the package,
// as the tools get them: patches and added files of the kind that is absent
// are left for the other tool.
func Apply(set *Set, importPath string, files map[string][]byte) (patched map[string][]byte, added []File, err error) {
	return apply(set, importPath, files, true)
}

// ApplyFiles is Apply for some of a package's files: edits of files that are
// not given are left out, and no files are added.
func ApplyFiles(set *Set, importPath string, files map[string][]byte) (patched map[string][]byte, err error) {
	patched, _, err = apply(set, importPath, files, false)
	return patched, err
}

func apply(set *Set, importPath string, files map[string][]byte, whole bool) (patched map[string][]byte, added []File, err error) {
	pkg := set.resolve(importPath)
	if pkg == "" {
		return nil, nil, nil
	}
	fail := func(err error) error {
		return fmt.Errorf("compiling %s: %w (%s)", importPath, err, set.newer())
	}

	names := map[string]string{} // plain name -> name in files
	kinds := map[string]bool{}
	for name := range files {
		names[plainName(name)] = name
		kinds[path.Ext(name)] = true
	}

	patched = map[string][]byte{}
	for _, f := range set.Files {
		if f.Package != pkg || !kinds[path.Ext(f.Name)] {
			continue
		}
		name, there := names[f.Name]
		switch {
		case !there && !whole:
		case f.Replace && !there:
			return nil, nil, fail(fmt.Errorf("file %s, which is to be replaced, not found", f.Name))
		case f.Replace:
			patched[name] = f.Content
		case there:
			return nil, nil, fail(fmt.Errorf("file %s, which is to be added, is there already", f.Name))
		default:
			added = append(added, f)
		}
	}

	byFile := map[string][]Patch{}
	var order []string
	for _, p := range set.Patches {
		if p.Package != pkg || !kinds[path.Ext(p.File)] {
			continue
		}
		if byFile[p.File] == nil {
			order = append(order, p.File)
		}
		byFile[p.File] = append(byFile[p.File], p)
	}
	for _, plain := range order {
		name, ok := names[plain]
		if !ok && !whole {
			continue
		}
		if !ok {
			return nil, nil, fail(fmt.Errorf("file %s not found", plain))
		}
		src := files[name]
		var out []byte
		if path.Ext(plain) == ".s" {
			out, err = applyAsm(plain, src, byFile[plain])
		} else {
			out, err = applyGo(plain, src, byFile[plain])
		}
		if err != nil {
			return nil, nil, fail(err)
		}
		patched[name] = out
	}
	return patched, added, nil
}

// plainName undoes the naming of cmd/cover.
func plainName(name string) string {
	if base, ok := strings.CutSuffix(name, ".cover.go"); ok {
		return base + ".go"
	}
	return name
}

// goFile is a parsed file and its text.
type goFile struct {
	name string
	src  []byte
	fset *token.FileSet
	tok  *token.File
	file *ast.File
}

// splice replaces src[start:end] by text.
type splice struct {
	start, end int
	text       string
	exact      bool // text keeps the lines itself
}

func (f *goFile) insert(pos token.Pos, text string) splice { return f.replace(pos, pos, text) }

func (f *goFile) replace(pos, end token.Pos, text string) splice {
	return splice{start: f.tok.Offset(pos), end: f.tok.Offset(end), text: text}
}

// applyGo returns the text of a Go file with the patches carried out.
func applyGo(name string, src []byte, patches []Patch) ([]byte, error) {
	if strings.Contains(string(src), marker) {
		return nil, fmt.Errorf("%s is already patched", name)
	}
	f := &goFile{name: name, src: src, fset: token.NewFileSet()}
	var err error
	f.file, err = parser.ParseFile(f.fset, name, src, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	f.tok = f.fset.File(f.file.FileStart)

	list := []splice{f.insert(f.file.Name.End(), " "+marker)}
	for _, p := range patches {
		edit, ok := p.Edit.(goEdit)
		if !ok {
			return nil, fmt.Errorf("patch %q: an edit of kind %T is not for Go files", p.Name, p.Edit)
		}
		var fn *ast.FuncDecl
		if edit.needsFunc() {
			if fn = f.function(p.Func); fn == nil {
				return nil, fmt.Errorf("%w %q not found in %s", errAnchor, "func "+p.Func, name)
			}
		}
		s, err := edit.splices(f, fn)
		if err != nil {
			return nil, fmt.Errorf("%w in %s (patch %q)", err, name, p.Name)
		}
		list = append(list, s...)
	}
	out, err := f.splice(list)
	if err != nil {
		return nil, err
	}
	unused, err := f.unusedImports(out)
	if err != nil || len(unused) == 0 {
		return out, err
	}
	return f.splice(append(list, unused...))
}

// unusedImports makes blank the imports that only replaced text used, which
// the compiler would report. It also finds edits that do not parse.
func (f *goFile) unusedImports(out []byte) ([]splice, error) {
	file, err := parser.ParseFile(token.NewFileSet(), f.name, out, 0)
	if err != nil {
		return nil, fmt.Errorf("%s does not parse when patched: %w", f.name, err)
	}
	var list []splice
	for _, imp := range f.file.Imports {
		importPath, err := strconv.Unquote(imp.Path.Value)
		if err != nil || !astutil.UsesImport(f.file, importPath) || astutil.UsesImport(file, importPath) {
			continue
		}
		if imp.Name != nil {
			list = append(list, f.replace(imp.Name.Pos(), imp.Name.End(), "_"))
		} else {
			list = append(list, f.insert(imp.Path.Pos(), "_ "))
		}
	}
	return list, nil
}

// function finds a function by the name patches use.
func (f *goFile) function(name string) *ast.FuncDecl {
	for _, decl := range f.file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && funcName(fn) == name {
			return fn
		}
	}
	return nil
}

// spec finds a package-level type, variable or constant.
func (f *goFile) spec(tok token.Token, name string) ast.Spec {
	for _, decl := range f.file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != tok {
			continue
		}
		for _, spec := range gen.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.Name == name {
					return s
				}
			case *ast.ValueSpec:
				if slices.ContainsFunc(s.Names, func(id *ast.Ident) bool { return id.Name == name }) {
					return s
				}
			}
		}
	}
	return nil
}

// splice returns the text with the splices carried out, several at one offset
// in the order of the list.
func (f *goFile) splice(list []splice) ([]byte, error) {
	slices.SortStableFunc(list, func(a, b splice) int { return a.start - b.start })
	var out []byte
	last := 0
	for _, s := range list {
		if s.start < last {
			return nil, fmt.Errorf("two patches overlap at %s", f.fset.Position(f.tok.Pos(s.start)))
		}
		out = append(out, f.src[last:s.start]...)
		out = append(out, s.text...)
		if !s.exact && strings.Contains(s.text, "\n") {
			// An empty file name in a line directive with a column keeps the
			// name in force.
			p := f.fset.Position(f.tok.Pos(s.end))
			out = fmt.Appendf(out, "/*line :%d:%d*/", p.Line, max(p.Column, 1))
		}
		last = s.end
	}
	return append(out, f.src[last:]...), nil
}
