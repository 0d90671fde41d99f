package linker

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

func TestPatchedFilesApply(t *testing.T) {
	eachTree(t, func(t *testing.T, tr tree) {
		files, err := PatchedFiles(tr.root, tr.version)
		if err != nil {
			t.Fatal(err)
		}
		changed := map[string]bool{"data.go": true, "lib.go": true}
		for name, text := range files {
			f, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
			if err != nil {
				t.Error(err)
				continue
			}
			if f.Name.Name != "ld" || path.Dir(name) != ldDir {
				t.Errorf("%s is of package %s", name, f.Name.Name)
			}
			orig, err := os.ReadFile(filepath.Join(tr.root, "src", name))
			if base := path.Base(name); changed[base] != (err == nil) {
				t.Errorf("%s: in the tree: %v, want %v", name, err == nil, changed[base])
			}
			delete(changed, path.Base(name))
			// Nothing but lines that are added.
			lines := strings.SplitAfter(string(text), "\n")
			for line := range strings.SplitAfterSeq(string(orig), "\n") {
				for len(lines) > 0 && lines[0] != line {
					lines = lines[1:]
				}
				if len(lines) == 0 {
					t.Errorf("%s lost the line %q", name, line)
					break
				}
				lines = lines[1:]
			}
		}
		for name := range changed {
			t.Errorf("%s is not patched", name)
		}
	})
}

func TestPatchTwiceFails(t *testing.T) {
	tr := trees()[0]
	files, err := PatchedFiles(tr.root, tr.version)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"data.go", "lib.go"} {
		_, err := insert(name, tr.version, files[path.Join(ldDir, name)])
		if err == nil || !strings.Contains(err.Error(), "patched already") {
			t.Errorf("%s: got %v, want an error", name, err)
		}
	}
}

func TestMissingAnchorNamesItself(t *testing.T) {
	tr := trees()[0]
	for _, tt := range []struct{ file, old, new, anchor string }{
		{"data.go", "state.dodataSect(", "state.other(", "calls dodataSect"},
		{"data.go", ") address() []*sym.Segment", ") place() []*sym.Segment", "(*Link).address"},
		{"lib.go", `loadinternal(ctxt, "runtime")`, `loadinternal(ctxt, "rt")`, `loadinternal(ctxt, "runtime")`},
	} {
		src, err := os.ReadFile(filepath.Join(tr.root, "src", ldDir, tt.file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(src, []byte(tt.old)) {
			t.Fatalf("no %q in %s", tt.old, tt.file)
		}
		_, err = insert(tt.file, "go1.99.0", bytes.ReplaceAll(src, []byte(tt.old), []byte(tt.new)))
		for _, want := range []string{tt.anchor, tt.file, "go1.99.0"} {
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `\"`, `"`), want) {
				t.Errorf("without %q: got %v, want an error with %q", tt.old, err, want)
			}
		}
	}
}

func TestPatchedFilesWithoutSources(t *testing.T) {
	if _, err := PatchedFiles(t.TempDir(), "go1.26.0"); err == nil || !strings.Contains(err.Error(), "sources") {
		t.Errorf("got %v, want an error that asks for sources", err)
	}
}
