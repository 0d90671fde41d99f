package instrument

import (
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"strings"

	"golang.org/x/tools/go/ast/astutil"
)

// Edit is what a patch does at its place. The kinds are the types of this
// file and of asm.go.
type Edit interface {
	// describe returns the edit in a few words, for a list of patches.
	describe() string
}

// goEdit is an edit of a Go file.
type goEdit interface {
	Edit
	splices(f *goFile, fn *ast.FuncDecl) ([]splice, error)
	// needsFunc tells whether Patch.Func must name a function.
	needsFunc() bool
}

// InsertAtEntry puts statements at the start of the function's body.
type InsertAtEntry struct{ Code string }

// ReplaceCall replaces the callee of every call whose callee reads From. The
// number of calls must be Count; zero means one.
type ReplaceCall struct {
	From, To string
	Count    int
}

// ReplaceExpr replaces every expression that reads From. The number of
// occurrences must be Count; zero means one.
type ReplaceExpr struct {
	From, To string
	Count    int
}

// InsertBefore puts statements before the one statement of the function whose
// formatted text starts with the line Anchor.
type InsertBefore struct{ Anchor, Code string }

// InsertAfter puts statements after the one statement of the function whose
// formatted text starts with the line Anchor.
type InsertAfter struct{ Anchor, Code string }

// RenameFunc changes the name in the function's declaration; its callers, and
// its calls of itself, then mean the function of an added file. Compiler
// directives stay with the renamed function.
type RenameFunc struct{ To string }

// ReplaceBody replaces what stands between the braces of the function.
type ReplaceBody struct{ Code string }

// AddStructField adds a field at the end of a struct type.
type AddStructField struct{ Type, Field string }

// ReplaceValue replaces the value of a package-level constant or variable.
type ReplaceValue struct{ Name, Code string }

// AddImport imports a package; Name may be empty. The importcfg of the
// compilation must have the package: import only what the package has already
// among its dependencies.
type AddImport struct{ Name, Path string }

func (InsertAtEntry) needsFunc() bool  { return true }
func (ReplaceCall) needsFunc() bool    { return true }
func (ReplaceExpr) needsFunc() bool    { return true }
func (InsertBefore) needsFunc() bool   { return true }
func (InsertAfter) needsFunc() bool    { return true }
func (RenameFunc) needsFunc() bool     { return true }
func (ReplaceBody) needsFunc() bool    { return true }
func (AddStructField) needsFunc() bool { return false }
func (ReplaceValue) needsFunc() bool   { return false }
func (AddImport) needsFunc() bool      { return false }

func (e InsertAtEntry) describe() string  { return "insert at entry: " + oneLine(e.Code) }
func (e ReplaceCall) describe() string    { return "calls of " + e.From + " become " + e.To }
func (e ReplaceExpr) describe() string    { return e.From + " becomes " + e.To }
func (e InsertBefore) describe() string   { return "insert before `" + e.Anchor + "`" }
func (e InsertAfter) describe() string    { return "insert after `" + e.Anchor + "`" }
func (e RenameFunc) describe() string     { return "rename to " + e.To }
func (e ReplaceBody) describe() string    { return "replace the body" }
func (e AddStructField) describe() string { return "type " + e.Type + ": add field " + e.Field }
func (e ReplaceValue) describe() string   { return e.Name + " becomes " + oneLine(e.Code) }
func (e AddImport) describe() string      { return "import " + e.Path }

func oneLine(code string) string {
	line, rest, more := strings.Cut(strings.TrimSpace(code), "\n")
	if more && rest != "" {
		line += " ..."
	}
	return line
}

func (e InsertAtEntry) splices(f *goFile, fn *ast.FuncDecl) ([]splice, error) {
	if fn.Body == nil {
		return nil, fmt.Errorf("%w %q has no body", errAnchor, funcAnchor(fn))
	}
	return []splice{f.insert(fn.Body.Lbrace+1, " "+e.Code+"; ")}, nil
}

func (e ReplaceCall) splices(f *goFile, fn *ast.FuncDecl) ([]splice, error) {
	var list []splice
	ast.Inspect(fn, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && f.text(call.Fun) == e.From {
			list = append(list, f.replace(call.Fun.Pos(), call.Fun.End(), e.To))
		}
		return true
	})
	return list, checkCount(len(list), e.Count, "call of "+e.From, fn)
}

func (e ReplaceExpr) splices(f *goFile, fn *ast.FuncDecl) ([]splice, error) {
	var list []splice
	ast.Inspect(fn, func(n ast.Node) bool {
		if x, ok := n.(ast.Expr); ok && f.text(x) == e.From {
			list = append(list, f.replace(x.Pos(), x.End(), e.To))
			return false
		}
		return true
	})
	return list, checkCount(len(list), e.Count, e.From, fn)
}

func checkCount(got, want int, what string, fn *ast.FuncDecl) error {
	if want == 0 {
		want = 1
	}
	if got != want {
		return fmt.Errorf("%w %q in %q is there %d times, not %d", errAnchor, what, funcAnchor(fn), got, want)
	}
	return nil
}

func (e InsertBefore) splices(f *goFile, fn *ast.FuncDecl) ([]splice, error) {
	stmt, err := f.statement(fn, e.Anchor)
	if err != nil {
		return nil, err
	}
	return []splice{f.insert(stmt.Pos(), e.Code+"; ")}, nil
}

func (e InsertAfter) splices(f *goFile, fn *ast.FuncDecl) ([]splice, error) {
	stmt, err := f.statement(fn, e.Anchor)
	if err != nil {
		return nil, err
	}
	return []splice{f.insert(stmt.End(), "; "+e.Code)}, nil
}

func (e RenameFunc) splices(f *goFile, fn *ast.FuncDecl) ([]splice, error) {
	return []splice{f.replace(fn.Name.Pos(), fn.Name.End(), e.To)}, nil
}

func (e ReplaceBody) splices(f *goFile, fn *ast.FuncDecl) ([]splice, error) {
	if fn.Body == nil {
		return nil, fmt.Errorf("%w %q has no body", errAnchor, funcAnchor(fn))
	}
	s := f.replace(fn.Body.Lbrace+1, fn.Body.Rbrace, " "+e.Code+" ")
	old := f.src[s.start:s.end]
	if missing := strings.Count(string(old), "\n") - strings.Count(e.Code, "\n"); missing >= 0 {
		// The lines after the function keep their numbers without a directive.
		s.text, s.exact = " "+e.Code+" "+strings.Repeat("\n", missing), true
	}
	return []splice{s}, nil
}

func (e AddStructField) splices(f *goFile, _ *ast.FuncDecl) ([]splice, error) {
	spec, ok := f.spec(token.TYPE, e.Type).(*ast.TypeSpec)
	if !ok {
		return nil, fmt.Errorf("%w %q not found", errAnchor, "type "+e.Type)
	}
	st, ok := spec.Type.(*ast.StructType)
	if !ok {
		return nil, fmt.Errorf("%w %q is not a struct", errAnchor, "type "+e.Type)
	}
	field := e.Field + "; " // another patch may add one, too
	if n := len(st.Fields.List); n > 0 && f.tok.Line(st.Fields.List[n-1].End()) == f.tok.Line(st.Fields.Closing) {
		field = "; " + field
	}
	return []splice{f.insert(st.Fields.Closing, field)}, nil
}

func (e ReplaceValue) splices(f *goFile, _ *ast.FuncDecl) ([]splice, error) {
	for _, tok := range []token.Token{token.VAR, token.CONST} {
		spec, ok := f.spec(tok, e.Name).(*ast.ValueSpec)
		if !ok {
			continue
		}
		for i, name := range spec.Names {
			if name.Name == e.Name && i < len(spec.Values) {
				return []splice{f.replace(spec.Values[i].Pos(), spec.Values[i].End(), e.Code)}, nil
			}
		}
		return nil, fmt.Errorf("%w %q has no value", errAnchor, tok.String()+" "+e.Name)
	}
	return nil, fmt.Errorf("%w %q not found", errAnchor, "var "+e.Name)
}

func (e AddImport) splices(f *goFile, _ *ast.FuncDecl) ([]splice, error) {
	for _, imp := range f.file.Imports {
		if imp.Path.Value == fmt.Sprintf("%q", e.Path) {
			return nil, fmt.Errorf("%w %q is there already", errAnchor, "import "+e.Path)
		}
	}
	decl := "; import "
	if e.Name != "" {
		decl += e.Name + " "
	}
	return []splice{f.insert(f.file.Name.End(), decl+fmt.Sprintf("%q", e.Path))}, nil
}

// statement finds the one statement of a block of fn whose formatted text
// starts with the line anchor. Statements in other places, as in the head of
// an if, and the clauses of a switch are no anchors: nothing can be put before
// or after them.
func (f *goFile) statement(fn *ast.FuncDecl, anchor string) (ast.Stmt, error) {
	var found []ast.Stmt
	astutil.Apply(fn, func(c *astutil.Cursor) bool {
		// Index is negative for a node that is not in a list.
		if stmt, ok := c.Node().(ast.Stmt); ok && c.Index() >= 0 && !isClause(stmt) {
			if line, _, _ := strings.Cut(f.text(stmt), "\n"); line == anchor {
				found = append(found, stmt)
			}
		}
		return true
	}, nil)
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w %q not found in %q", errAnchor, anchor, funcAnchor(fn))
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%w %q is there %d times in %q", errAnchor, anchor, len(found), funcAnchor(fn))
}

func isClause(stmt ast.Stmt) bool {
	switch stmt.(type) {
	case *ast.CaseClause, *ast.CommClause:
		return true
	}
	return false
}

// text returns a node as gofmt prints it.
func (f *goFile) text(n ast.Node) string {
	var b strings.Builder
	// Printing fails only when the writer does.
	printer.Fprint(&b, f.fset, n)
	return b.String()
}

// funcAnchor returns the name by which patches know a function.
func funcAnchor(fn *ast.FuncDecl) string { return "func " + funcName(fn) }

func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	typ, star := fn.Recv.List[0].Type, ""
	if p, ok := typ.(*ast.StarExpr); ok {
		typ, star = p.X, "*"
	}
	switch t := typ.(type) {
	case *ast.IndexExpr:
		typ = t.X
	case *ast.IndexListExpr:
		typ = t.X
	}
	id, ok := typ.(*ast.Ident)
	if !ok {
		return fn.Name.Name
	}
	if star != "" {
		return "(*" + id.Name + ")." + fn.Name.Name
	}
	return id.Name + "." + fn.Name.Name
}
