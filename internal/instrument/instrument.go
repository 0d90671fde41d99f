// Package instrument rewrites Go and assembly source files for one Go release:
// it is the patch engine of remotec. The patches themselves are data and live
// in package patches, one tree per release, mirroring GOROOT/src.
//
// Vocabulary:
//
//   - A [Patch] is one named edit of one function, type or text block of one
//     file of one package, with the reason for it.
//   - An [Edit] says what is done there; its anchor is found in the syntax
//     tree, never by line number or by regular expression.
//   - A [File] is a whole source file that is added to a package, or that
//     takes the place of one of its files.
//   - A [Set] is everything that is done for one release.
//
// Invariants:
//
//   - Lines keep their numbers. An edit is a splice of text at the offsets of
//     its anchor; the rest of the file stays byte for byte. A splice that holds
//     a newline ends with a line directive that restores the position.
//   - An anchor that is missing, or that is there more often than the patch
//     expects, is an error. A patch is never skipped silently: half a set of
//     patches gives a runtime that is wrong in ways no test shows.
//   - A rewritten file carries a marker and is refused when met again.
//   - A package that the set does not mention costs one map lookup.
//
// Rejected: printing the modified tree with go/printer (it moves comments and
// with them compiler directives and line numbers), and unified diffs (they
// stop applying when a neighbouring line changes).
package instrument

import (
	"fmt"
	"go/version"
	"slices"
	"strings"
)

// Patch is one named edit.
type Patch struct {
	Name    string // unique within a package of the set, "spawn"
	Reason  string // one sentence for `remotec diff`
	Package string // import path, "runtime"
	File    string // base name, "proc.go" or "asm_linux_amd64.s"
	Func    string // "newproc1" or "(*mheap).alloc"; for .s files the name in TEXT ·name; empty for edits that name their own anchor
	Edit    Edit
}

// File is a source file added to a package, or one that replaces a file of
// the same name.
type File struct {
	Package string // import path
	Name    string // base name, "remotec_attach.go"
	Content []byte
	Replace bool // there must be such a file, and its content is dropped
}

// Set is all that is done for one Go release. It is immutable once SetFor has
// returned it.
type Set struct {
	Release string // "1.26"
	Patches []Patch
	Files   []File

	goVersion string // what SetFor was asked for, "go1.26.8"
	touched   map[string]bool
	suffixes  []string // touched paths that also match below another path
}

// releases holds a constructor for each supported release, so that a tool
// invocation builds only the one set it needs.
var releases = map[string]func() *Set{}

// Register makes a release known, "1.26". It is called from package patches.
func Register(release string, build func() *Set) { releases[release] = build }

// Supported returns the releases there are patches for, oldest first.
func Supported() []string {
	var list []string
	for r := range releases {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b string) int { return version.Compare("go"+a, "go"+b) })
	return list
}

// Release returns the release a Go version belongs to, "1.26" for "go1.26.8",
// and false when remotec has no patches for it. Development versions
// ("go1.27-devel_0123abc", "devel go1.27-0123abc") and versions with a vendor's
// suffix ("go1.26.8-vendor") count as their release.
func Release(goVersion string) (string, bool) {
	v := strings.TrimPrefix(goVersion, "devel ")
	v, _, _ = strings.Cut(v, " ")
	v, _, _ = strings.Cut(v, "-")
	lang := strings.TrimPrefix(version.Lang(v), "go")
	_, ok := releases[lang]
	return lang, ok
}

// SetFor returns the patches for a Go version, "go1.26.8".
func SetFor(goVersion string) (*Set, error) {
	release, ok := Release(goVersion)
	if !ok {
		return nil, &UnsupportedError{GoVersion: goVersion}
	}
	set := releases[release]()
	set.Release, set.goVersion = release, goVersion
	set.index()
	return set, nil
}

func (s *Set) index() {
	s.touched = map[string]bool{}
	add := func(path string) {
		if s.touched[path] {
			return
		}
		s.touched[path] = true
		if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
			s.suffixes = append(s.suffixes, "/"+path)
		}
	}
	for i := range s.Patches {
		add(s.Patches[i].Package)
	}
	for i := range s.Files {
		add(s.Files[i].Package)
	}
}

// Touches reports whether the set changes the package.
func (s *Set) Touches(importPath string) bool { return s.resolve(importPath) != "" }

// Packages returns the import paths the set changes, sorted.
func (s *Set) Packages() []string {
	var list []string
	for path := range s.touched {
		list = append(list, path)
	}
	slices.Sort(list)
	return list
}

// resolve returns the import path by which the set knows a package, or "".
// Test variants ("syscall [os.test]") are the package itself; a package of a
// module is also recognised below a vendor directory, as in
// "vendor/golang.org/x/sys/unix".
func (s *Set) resolve(importPath string) string {
	path, _, _ := strings.Cut(importPath, " ")
	if s.touched[path] {
		return path
	}
	for _, suffix := range s.suffixes {
		if strings.HasSuffix(path, suffix) {
			return suffix[1:]
		}
	}
	return ""
}

// UnsupportedError says that there are no patches for a Go version.
type UnsupportedError struct{ GoVersion string }

func (e *UnsupportedError) Error() string {
	supported := Supported()
	hint := "install a supported Go"
	if len(supported) > 0 {
		hint = fmt.Sprintf("use one of them, for example with GOTOOLCHAIN=go%s.0", supported[len(supported)-1])
	}
	return fmt.Sprintf("%s is not supported: this remotec supports Go %s (%s)", e.GoVersion, strings.Join(supported, ", "), hint)
}

// newer returns the remark that explains a failed anchor: the Go version, and
// whether it is beyond what the patches were written for.
func (s *Set) newer() string {
	supported := strings.Join(Supported(), ", ")
	if _, ok := Release(s.goVersion); !ok {
		return fmt.Sprintf("%s is newer than this remotec supports: %s", s.goVersion, supported)
	}
	return fmt.Sprintf("%s; this remotec supports %s", s.goVersion, supported)
}
