// Package docs_test checks that the documentation is in step with the code.
package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"remotec.dev/runtimestub/wire"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section returns what is between <!-- name --> and <!-- /name -->.
func section(t *testing.T, file, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(read(t, file), "<!-- "+name+" -->\n")
	text, _, ok2 := strings.Cut(rest, "<!-- /"+name+" -->")
	if !ok || !ok2 {
		t.Fatalf("%s has no section %q", file, name)
	}
	return text
}

// callsOf lists the system calls of a class. What fcntl, ioctl and prctl are
// depends on their arguments; they are told about apart.
func callsOf(class wire.Class) string {
	var names []string
	for nr := range uint32(wire.NrPseudo) {
		name := wire.Name(nr)
		if name == "" || name == "fcntl" || name == "ioctl" || name == "prctl" {
			continue
		}
		if s := wire.Lookup(uint64(nr), &wire.Args{}); s.Class == class {
			names = append(names, "`"+name+"`")
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return strings.Compare(strings.Trim(a, "`"), strings.Trim(b, "`"))
	})
	return strings.Join(names, ", ")
}

// TestCalls: the lists of system calls are those of the table in package wire.
// A failure prints the list as it should be.
func TestCalls(t *testing.T) {
	for name, class := range map[string]wire.Class{"calls not carried": wire.Unknown, "calls in place": wire.Local} {
		want := callsOf(class)
		if got := strings.Join(strings.Fields(section(t, "compatibility.md", name)), " "); got != want {
			t.Errorf("compatibility.md: section %q should be\n%s", name, want)
		}
	}
}

// TestPseudoCalls: docs/api.md has a row for each pseudo call, with its number.
func TestPseudoCalls(t *testing.T) {
	api := read(t, "api.md")
	for nr := uint32(wire.NrPseudo + 1); nr <= wire.LastPseudo; nr++ {
		if wire.Name(nr) == "" {
			continue // not a call: numbers are given out in groups
		}
		if row := fmt.Sprintf("\n| %#x | `%s` |", nr, wire.Name(nr)); !strings.Contains(api, row) {
			t.Errorf("api.md has no row %q", row)
		}
	}
}

// TestSchemaFields: docs/api.md names each field of each struct of the schema
// that is sent in frames.
func TestSchemaFields(t *testing.T) {
	api := read(t, "api.md")
	schema := read(t, "../capnp/remotec.capnp")
	structs := regexp.MustCompile(`(?s)struct (\w+) \{(.*?)\n\}`).FindAllStringSubmatch(schema, -1)
	if len(structs) < 10 {
		t.Fatalf("%d structs found in the schema", len(structs))
	}
	for _, s := range structs {
		_, part, ok := strings.Cut(api, "\n### "+s[1]+"\n")
		if s[1] == "Count" || s[1] == "Message" {
			continue // one number; a union, told about as a whole
		}
		if !ok {
			t.Errorf("api.md has no section for struct %s", s[1])
			continue
		}
		part, _, _ = strings.Cut(part, "\n#")
		for _, f := range regexp.MustCompile(`(?m)^\s+(\w+) @\d+ `).FindAllStringSubmatch(s[2], -1) {
			name := regexp.MustCompile(`^(arg|blob)[0-5]$`).ReplaceAllString(f[1], "${1}0")
			if !strings.Contains(part, "`"+name+"`") {
				t.Errorf("api.md, section %s: no word about field %s", s[1], f[1])
			}
		}
	}
}

// TestQuickStart: the first code block of the section holds two commands, one
// that runs a program and one that runs the tests; .ci/run takes the second.
func TestQuickStart(t *testing.T) {
	_, rest, ok := strings.Cut(read(t, "../README.md"), "\n## Quick start\n")
	if !ok {
		t.Fatal("no section Quick start")
	}
	_, rest, _ = strings.Cut(rest, "\n```")
	_, rest, _ = strings.Cut(rest, "\n") // the word after the fence
	block, _, _ := strings.Cut(rest, "\n```")
	lines := strings.Split(block, "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "go run ./cmd/remotec run ./examples/") || !strings.HasPrefix(lines[1], "go test ") {
		t.Errorf("the first code block is\n%s", block)
	}
}

// TestLinks: files and headings that are linked to exist.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md", "../CONTRIBUTING.md", "../CHANGELOG.md") {
		for _, m := range regexp.MustCompile(`\]\(([^)#: ]*)(#[^) ]*)?\)`).FindAllStringSubmatch(read(t, page), -1) {
			name := page
			if m[1] != "" {
				name = filepath.Join(filepath.Dir(page), m[1])
			}
			if _, err := os.Stat(name); err != nil {
				t.Errorf("%s: link to %s: %v", page, m[1], err)
				continue
			}
			if m[2] != "" && !slices.Contains(anchors(read(t, name)), m[2]) {
				t.Errorf("%s: link to %s%s: no such heading", page, m[1], m[2])
			}
		}
	}
}

// anchors returns the anchors of a page's headings.
func anchors(page string) (list []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		id := strings.ToLower(m[1])
		id = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(id, "")
		list = append(list, "#"+strings.ReplaceAll(id, " ", "-"))
	}
	return list
}
