package instrument

import (
	"bytes"
	"flag"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// cases names, for each file of testdata, the patches it is about. A file
// holds in.go or in.s, and what the patches make of it, or the error.
var cases = map[string][]Patch{
	"insert_at_entry":   {{Func: "f", Edit: InsertAtEntry{"hook()"}}, {Func: "(*T).m", Edit: InsertAtEntry{"hook()"}}, {Func: "(*G).m", Edit: InsertAtEntry{"hook()"}}, {Func: "T.v", Edit: InsertAtEntry{"hook()"}}},
	"insert_lines":      {{Func: "f", Edit: InsertAtEntry{"if on {\n\thook()\n}"}}},
	"insert_no_body":    {{Func: "f", Edit: InsertAtEntry{"hook()"}}},
	"replace_call":      {{Func: "f", Edit: ReplaceCall{From: "pkg.Call", To: "remoteCall", Count: 3}}},
	"replace_call_few":  {{Func: "f", Edit: ReplaceCall{From: "pkg.Call", To: "remoteCall", Count: 3}}},
	"replace_expr":      {{Func: "f", Edit: ReplaceExpr{From: "x == nil", To: "x == nil && !on"}}},
	"unused_import":     {{Func: "f", Edit: ReplaceCall{From: "pkg.Call", To: "remoteCall"}}},
	"insert_before":     {{Func: "f", Edit: InsertBefore{"if x {", "hook()"}}, {Func: "f", Edit: InsertBefore{"L:", "hook()"}}},
	"insert_after":      {{Func: "f", Edit: InsertAfter{"if x {", "hook()"}}, {Func: "f", Edit: InsertAfter{"case2()", "hook()"}}},
	"insert_ambiguous":  {{Func: "f", Edit: InsertAfter{"g()", "hook()"}}},
	"insert_missing":    {{Func: "f", Edit: InsertAfter{"h()", "hook()"}}},
	"rename_func":       {{Func: "f", Edit: RenameFunc{"f0"}}},
	"replace_body":      {{Func: "f", Edit: ReplaceBody{"return remoteF(x)"}}, {Func: "g", Edit: ReplaceBody{"\n\tif on {\n\t\treturn remoteG()\n\t}\n\treturn 0\n"}}},
	"add_struct_field":  {{Edit: AddStructField{"T", "remote uint64"}}, {Edit: AddStructField{"U", "remote uint64"}}, {Edit: AddStructField{"V", "remote uint64"}}},
	"add_field_missing": {{Edit: AddStructField{"T", "remote uint64"}}},
	"replace_value":     {{Edit: ReplaceValue{"a", "10"}}, {Edit: ReplaceValue{"c", "30"}}},
	"add_import":        {{Edit: AddImport{"", "internal/abi"}}, {Edit: AddImport{"x", "internal/y"}}},
	"missing_func":      {{Func: "newproc", Edit: InsertAtEntry{"hook()"}}},
	"overlap":           {{Func: "f", Edit: ReplaceBody{"return"}}, {Func: "f", Edit: ReplaceCall{From: "g", To: "h"}}},
	"bad_code":          {{Func: "f", Edit: InsertAtEntry{"hook("}}},
	"already_patched":   {{Func: "f", Edit: InsertAtEntry{"hook()"}}},
	"wrong_kind":        {{Func: "f", Edit: ReplaceText{"TEXT ·f(SB)"}}},
	"several":           {{Func: "f", Edit: RenameFunc{"f0"}}, {Func: "f", Edit: InsertAtEntry{"one()"}}, {Func: "f", Edit: InsertAtEntry{"two()"}}, {Edit: AddImport{"", "os"}}},
	"cover":             {{Func: "f", Edit: InsertAtEntry{"if on {\n\thook()\n}"}}, {Func: "f", Edit: InsertBefore{"if x {", "before()"}}},
	"asm_replace":       {{Func: "b", Edit: ReplaceText{"TEXT ·b(SB),NOSPLIT,$0\n\tJMP ·remote(SB)"}}},
	"asm_append":        {{Edit: AppendText{"TEXT ·c(SB),NOSPLIT,$0\n\tRET"}}},
	"asm_line":          {{Func: "b", Edit: AppendToLine{"ADDQ AX, BX", "NOP"}}},
	"asm_line_missing":  {{Func: "a", Edit: AppendToLine{"ADDQ AX, BX", "NOP"}}},
	"asm_missing":       {{Func: "c", Edit: ReplaceText{"TEXT ·c(SB),NOSPLIT,$0"}}},
	"asm_wrong_kind":    {{Func: "a", Edit: InsertAtEntry{"hook()"}}},
}

// TestEdits compares what each kind of edit does with testdata/NAME.txtar.
func TestEdits(t *testing.T) {
	for name, patches := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".txtar")
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in := ar.Files[0]
			set := &Set{Release: "1.26", goVersion: "go1.26.8"}
			for _, p := range patches {
				p.Name, p.Package, p.File = name, "p", plainName(in.Name)
				set.Patches = append(set.Patches, p)
			}
			set.index()
			out := txtar.File{Name: "out" + filepath.Ext(in.Name)}
			patched, _, err := Apply(set, "p", map[string][]byte{in.Name: in.Data})
			if err != nil {
				out = txtar.File{Name: "error", Data: []byte(err.Error() + "\n")}
			} else {
				out.Data = patched[in.Name]
			}
			got := txtar.Format(&txtar.Archive{Comment: ar.Comment, Files: []txtar.File{in, out}})
			if *update {
				if err := os.WriteFile(file, got, 0o666); err != nil {
					t.Fatal(err)
				}
			} else if want := txtar.Format(ar); !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s\nrun the test with -update if that is right", got, want)
			}
			if err == nil && out.Name == "out.go" {
				checkLines(t, in.Data, out.Data)
			}
		})
	}
}

// checkLines checks that all that was in a file before is at the position it
// had: each comment "// at N" is on line N.
func checkLines(t *testing.T, before, after []byte) {
	t.Helper()
	want := comments(t, before)
	got := comments(t, after)
	for text, line := range want {
		if got[text] != line {
			t.Errorf("%q moved from line %d to line %d", text, line, got[text])
		}
	}
}

func comments(t *testing.T, src []byte) map[string]int {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", src, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]int{}
	for _, group := range f.Comments {
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "// at") {
				lines[c.Text] = fset.Position(c.Pos()).Line
			}
		}
	}
	return lines
}

// TestGoldenFilesAreUsed finds files of testdata that no case names.
func TestGoldenFilesAreUsed(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, ok := cases[strings.TrimSuffix(filepath.Base(file), ".txtar")]; !ok {
			t.Errorf("%s belongs to no case", file)
		}
	}
}
