package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// httpProgram is what builds are measured with. Its one verb is a number that
// makes one edit different from the other.
const httpProgram = `package main

import (
	"fmt"
	"log"
	"net/http"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello", %d)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}
`

// Builds of a round that has one cold build of each variant.
const (
	edits = 3
	sames = 5
)

// builder builds httpProgram in one variant with a build cache of its own.
// Both variants have remotec's cache.
type builder struct {
	bench *bench
	v     variant
	dir   string
	env   []string
	edit  int
}

// builds measures go build in rounds. The patched linker is made once, by the
// build before the rounds.
func (b *bench) builds(rounds int) error {
	own := "REMOTEC_CACHE=" + filepath.Join(b.dir, "cache")
	builders := []*builder{{bench: b, v: plain}, {bench: b, v: remote}}
	for _, w := range builders {
		w.dir = filepath.Join(b.dir, "build", string(w.v))
		w.env = []string{own, "GOCACHE=" + w.cache(), "GOFLAGS=", "GOWORK=off"}
		if err := os.MkdirAll(w.dir, 0o777); err != nil {
			return err
		}
		mod := []byte("module buildbench\n\ngo 1.26\n")
		if err := os.WriteFile(filepath.Join(w.dir, "go.mod"), mod, 0o666); err != nil {
			return err
		}
		if err := w.build("build/first", true, true); err != nil {
			return err
		}
	}
	each := func(times int, measure string, cold, edit bool) error {
		for range times {
			for _, w := range builders {
				if err := w.build(measure, cold, edit); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "builds, round %d of %d\n", round+1, rounds)
		if err := each(1, "build/cold", true, true); err != nil {
			return err
		}
		if err := each(edits, "build/edit", false, true); err != nil {
			return err
		}
		if err := each(sames, "build/same", false, false); err != nil {
			return err
		}
	}
	return nil
}

func (w *builder) cache() string { return w.dir + ".cache" }

// build builds once: with an empty cache where cold, with a changed main.go
// where edit.
func (w *builder) build(measure string, cold, edit bool) error {
	if cold {
		if err := os.RemoveAll(w.cache()); err != nil {
			return err
		}
	}
	if edit {
		w.edit++
		source := fmt.Appendf(nil, httpProgram, w.edit)
		if err := os.WriteFile(filepath.Join(w.dir, "main.go"), source, 0o666); err != nil {
			return err
		}
	}
	args := []string{"build", "-o", "prog"}
	if w.v == remote {
		args = append(args, "-toolexec="+w.bench.tool)
	}
	start := time.Now()
	_, err := goCommand(w.dir, w.env, args...)
	w.bench.add(w.v, measure, float64(time.Since(start)), "ns")
	return err
}
