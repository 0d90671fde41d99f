package docs_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"remotec.dev/runtimestub/wire"
)

var update = flag.Bool("update", false, "write calls.md")

// TestCallTable: docs/calls.md is the table of package wire.
func TestCallTable(t *testing.T) {
	const file = "calls.md"
	page := read(t, file)
	const begin, end = "<!-- table -->\n", "<!-- /table -->"
	head, rest, ok := strings.Cut(page, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %s", file, strings.TrimSpace(begin))
	}
	want := head + begin + callTable() + end + tail
	if page == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not in step with package wire: run go test ./docs -update", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o666); err != nil {
		t.Fatal(err)
	}
}

var classes = map[wire.Class]string{
	wire.Unknown: "-", wire.Forward: "forward", wire.Data: "data", wire.Local: "in place", wire.Special: "special",
}

var results = map[wire.Result]string{
	wire.Number: "number", wire.NewFD: "new fd", wire.Bytes: "count", wire.Pair: "pair",
}

func callTable() string {
	var b strings.Builder
	b.WriteString("| number | name | class | arguments | result |\n|--:|---|---|---|---|\n")
	for nr := range uint32(wire.NrPseudo) {
		name := wire.Name(nr)
		if name == "" {
			continue
		}
		s := wire.Lookup(uint64(nr), &wire.Args{})
		class, args, result := classes[s.Class], formatArgs(&s), results[s.Result]
		switch {
		case name == "fcntl":
			class, args, result = "data", "fd, int, by command", "by command"
		case name == "ioctl":
			class, args, result = "forward", "fd, int, by request", "by request"
		case name == "prctl":
			class, args = "forward", "int, by option"
		case s.Class == wire.Unknown || s.Class == wire.Local:
			args, result = "", ""
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s | %s |\n", nr, name, class, args, result)
	}
	return b.String()
}

func formatArgs(s *wire.Shape) string {
	var list []string
	last := 0
	for i, a := range s.Args {
		if a != wire.Int {
			last = i + 1
		}
		list = append(list, formatArg(a))
	}
	return strings.Join(list[:last], ", ")
}

func formatArg(a wire.Arg) string {
	sized := func(word string) string {
		if a.Size() == 1 {
			return fmt.Sprintf("%s[a%d]", word, a.Ref())
		}
		return fmt.Sprintf("%s[a%d*%d]", word, a.Ref(), a.Size())
	}
	switch a.Kind() {
	case wire.Int:
		return "int"
	case wire.FD:
		return "fd"
	case wire.DirFD:
		return "dirfd"
	case wire.Str:
		return "str"
	case wire.StrVec:
		return "strv"
	case wire.In:
		return sized("in")
	case wire.Out:
		return sized("out")
	case wire.InOut:
		return sized("inout")
	case wire.StructIn:
		return fmt.Sprintf("in{%d}", a.Size())
	case wire.StructOut:
		return fmt.Sprintf("out{%d}", a.Size())
	case wire.StructIO:
		return fmt.Sprintf("inout{%d}", a.Size())
	case wire.SockLen:
		return fmt.Sprintf("len(a%d)", a.Ref())
	case wire.AddrOut:
		return fmt.Sprintf("addr(a%d)", a.Ref())
	case wire.IovIn:
		return fmt.Sprintf("iovin(a%d)", a.Ref())
	case wire.IovOut:
		return fmt.Sprintf("iovout(a%d)", a.Ref())
	case wire.Drop:
		return "drop"
	}
	return "?"
}
