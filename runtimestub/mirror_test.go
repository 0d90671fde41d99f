package runtimestub

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// Two packages that cannot import each other pass structs by address: their
// declarations must agree. These tests compare them.

// TestSysProcAttr compares sysProcAttr with the standard library's.
func TestSysProcAttr(t *testing.T) {
	sameLayout(t, "SysProcAttr", reflect.TypeFor[sysProcAttr](), reflect.TypeFor[syscall.SysProcAttr]())
}

func sameLayout(t *testing.T, at string, ours, theirs reflect.Type) {
	t.Helper()
	if ours.Kind() != theirs.Kind() || ours.Size() != theirs.Size() {
		t.Errorf("%s: %v of %d bytes, in package syscall %v of %d bytes", at, ours, ours.Size(), theirs, theirs.Size())
		return
	}
	switch ours.Kind() {
	case reflect.Pointer, reflect.Slice:
		sameLayout(t, at+".elem", ours.Elem(), theirs.Elem())
	case reflect.Struct:
		if ours.NumField() != theirs.NumField() {
			t.Errorf("%s: %d fields, in package syscall %d", at, ours.NumField(), theirs.NumField())
			return
		}
		for i := range ours.NumField() {
			a, b := ours.Field(i), theirs.Field(i)
			if a.Name != b.Name || a.Offset != b.Offset {
				t.Errorf("%s: field %d is %s at %d, in package syscall %s at %d", at, i, a.Name, a.Offset, b.Name, b.Offset)
			}
			sameLayout(t, at+"."+a.Name, a.Type, b.Type)
		}
	}
}

// TestDeclarationsInTheRuntime compares what the patches add to packages
// runtime and syscall with what the stub believes of it.
func TestDeclarationsInTheRuntime(t *testing.T) {
	const patches = "../internal/instrument/patches/go1.26/"
	for _, c := range []struct{ file, theirs, ourFile, ours string }{
		{patches + "runtime/remotec_hooks.go.txt", "remoteHookTable", "runtime.go", "hookTable"},
		{patches + "runtime/remotec_hooks.go.txt", "remoteCall", "runtime.go", "sysCall"},
		{patches + "syscall/remotec_syscall.go.txt", "remoteSpawnRequest", "spawn.go", "spawnRequest"},
	} {
		theirs, ours := fieldsOf(t, c.file, c.theirs), fieldsOf(t, c.ourFile, c.ours)
		// Types that have other names on the two sides.
		theirs = strings.NewReplacer("remoteCall", "sysCall", "SysProcAttr", "sysProcAttr").Replace(theirs)
		if ours != theirs {
			t.Errorf("%s of %s:\n%s%s of %s:\n%s", c.ours, c.ourFile, ours, c.theirs, c.file, theirs)
		}
	}
}

// TestFunctionsOfTheRuntime compares the signatures of the functions that the
// stub pulls in.
func TestFunctionsOfTheRuntime(t *testing.T) {
	theirs := map[string]string{}
	for _, name := range []string{"remotec_hooks.go.txt", "remotec_goroutines.go.txt", "remotec_memory.go.txt", "remotec_spread.go.txt", "remotec_ship.go.txt", "remotec_mail.go.txt", "remotec_whole.go.txt", "remotec_cycles.go.txt", "remotec_moves.go.txt", "remotec_inspect.go.txt", "remotec_gather.go.txt", "remotec_pause.go.txt", "remotec_ledger.go.txt", "remotec_labels.go.txt", "remotec_account.go.txt", "remotec_usage.go.txt", "remotec_ask.go.txt", "remotec_retire.go.txt"} {
		file := parse(t, "../internal/instrument/patches/go1.26/runtime/"+name)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				theirs[f.Name.Name] = strings.ReplaceAll(signature(f), "remoteHookTable", "hookTable")
			}
		}
	}
	n := 0
	for _, d := range parse(t, "runtime.go").Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Doc == nil {
			continue
		}
		for _, line := range f.Doc.List {
			words := strings.Fields(line.Text)
			if len(words) != 3 || words[0] != "//go:linkname" {
				continue
			}
			_, name, _ := strings.Cut(words[2], ".")
			if want, ok := theirs[name]; !ok || signature(f) != want {
				t.Errorf("%s%s is %s%s in the runtime", f.Name.Name, signature(f), name, want)
			}
			n++
		}
	}
	if n < 10 {
		t.Errorf("only %d functions are pulled in: the test reads the wrong file", n)
	}
}

func parse(t *testing.T, name string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// fieldsOf returns the fields of a struct type, one a line, names and types.
func fieldsOf(t *testing.T, name, typ string) string {
	t.Helper()
	var b strings.Builder
	ast.Inspect(parse(t, name), func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != typ {
			return true
		}
		for _, f := range spec.Type.(*ast.StructType).Fields.List {
			for _, name := range f.Names {
				fmt.Fprintf(&b, "\t%s %s\n", name, types(f.Type))
			}
		}
		return false
	})
	if b.Len() == 0 {
		t.Fatalf("%s has no struct type %s", name, typ)
	}
	return b.String()
}

// types writes a type without the names of parameters and results.
func types(e ast.Expr) string {
	if f, ok := e.(*ast.FuncType); ok {
		return "func" + list(f.Params) + " " + list(f.Results)
	}
	var b bytes.Buffer
	printer.Fprint(&b, token.NewFileSet(), e)
	return b.String()
}

func signature(f *ast.FuncDecl) string { return list(f.Type.Params) + " " + list(f.Type.Results) }

func list(l *ast.FieldList) string {
	if l == nil {
		return "()"
	}
	var all []string
	for _, f := range l.List {
		for range max(len(f.Names), 1) {
			all = append(all, types(f.Type))
		}
	}
	return "(" + strings.Join(all, ", ") + ")"
}
