package instrument

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/rogpeppe/go-internal/diff"
)

// WriteDiff writes what the set changes in a package as unified diffs. files
// holds the package's Go and assembly files by base name.
func WriteDiff(w io.Writer, set *Set, importPath string, files map[string][]byte) error {
	patched, added, err := Apply(set, importPath, files)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(patched)) {
		file := importPath + "/" + name
		if _, err := w.Write(diff.Diff("go/"+file, files[name], "remotec/"+file, patched[name])); err != nil {
			return err
		}
	}
	for _, f := range added {
		file := importPath + "/" + f.Name
		if _, err := w.Write(diff.Diff("/dev/null", nil, "remotec/"+file, f.Content)); err != nil {
			return err
		}
	}
	return nil
}

// WriteList writes what the set changes as a list with reasons.
func WriteList(w io.Writer, set *Set) error {
	patches := slices.Clone(set.Patches)
	slices.SortStableFunc(patches, func(a, b Patch) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.File, b.File))
	})
	for _, pkg := range set.Packages() {
		if _, err := fmt.Fprintf(w, "%s\n", pkg); err != nil {
			return err
		}
		for _, p := range patches {
			if p.Package != pkg {
				continue
			}
			place := p.File
			if p.Func != "" {
				place += " " + p.Func
			}
			fmt.Fprintf(w, "\t%s: %s\n\t\t%s\n\t\t%s\n", p.Name, place, p.Reason, p.Edit.describe())
		}
		for _, f := range set.Files {
			if f.Package != pkg {
				continue
			}
			verb := "added"
			if f.Replace {
				verb = "replaced"
			}
			fmt.Fprintf(w, "\t%s: %s\n", f.Name, verb)
		}
	}
	return nil
}
