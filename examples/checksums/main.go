// Command checksums serves a directory tree over HTTP, fetches every file of
// it back with several goroutines at once, and compares what arrived with what
// is on disk. It prints the largest files with their SHA-256 sums and the
// totals.
//
// It is an ordinary Go program: files, sockets, goroutines and channels, and
// nothing about remotec. Both of these print the same:
//
//	go run ./examples/checksums
//	go run ./cmd/remotec run ./examples/checksums
package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// sum is what is known of one file.
type sum struct {
	name string
	size int64
	hash [sha256.Size]byte
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("checksums: ")
	workers := flag.Int("workers", 8, "files fetched at the same time")
	top := flag.Int("top", 5, "files printed")
	flag.Parse()
	dir := "."
	if flag.NArg() > 0 {
		dir = flag.Arg(0)
	}
	sums, err := run(dir, max(*workers, 1))
	if err != nil {
		log.Fatal(err)
	}
	report(os.Stdout, sums, *top)
}

// run serves dir and returns the sums of its files, the largest first.
func run(dir string, workers int) ([]sum, error) {
	names, err := list(dir)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	srv := &http.Server{Handler: http.FileServer(http.Dir(dir))}
	go srv.Serve(l)
	defer srv.Shutdown(context.Background())

	todo := make(chan string)
	go func() {
		defer close(todo)
		for _, name := range names {
			todo <- name
		}
	}()
	type result struct {
		sum
		err error
	}
	done := make(chan result)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for name := range todo {
				s, err := check(dir, name, "http://"+l.Addr().String()+"/")
				done <- result{s, err}
			}
		})
	}
	go func() {
		wg.Wait()
		close(done)
	}()

	var sums []sum
	for r := range done {
		if r.err != nil {
			err = cmp.Or(err, r.err)
			continue
		}
		sums = append(sums, r.sum)
	}
	slices.SortFunc(sums, func(a, b sum) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.name, b.name))
	})
	return sums, err
}

// list returns the regular files below dir, without hidden directories. The
// file server answers for an index.html with a redirect, so these are left out.
func list(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.Type().IsRegular() || d.Name() == "index.html":
			return nil
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	return names, err
}

// check fetches a file from the server at base and compares its sum with that
// of the file on disk.
func check(dir, name, base string) (sum, error) {
	fetched, err := fetch(base + (&url.URL{Path: name}).EscapedPath())
	if err != nil {
		return sum{}, err
	}
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return sum{}, err
	}
	defer f.Close()
	onDisk, err := read(f)
	if err != nil {
		return sum{}, err
	}
	if fetched != onDisk {
		return sum{}, fmt.Errorf("%s: fetched %d bytes with sum %x, on disk are %d with %x", name, fetched.size, fetched.hash, onDisk.size, onDisk.hash)
	}
	fetched.name = name
	return fetched, nil
}

func fetch(url string) (sum, error) {
	resp, err := http.Get(url)
	if err != nil {
		return sum{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return sum{}, fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return read(resp.Body)
}

func read(r io.Reader) (s sum, err error) {
	h := sha256.New()
	s.size, err = io.Copy(h, r)
	h.Sum(s.hash[:0])
	return s, err
}

func report(w io.Writer, sums []sum, top int) {
	var total int64
	for _, s := range sums {
		total += s.size
	}
	for _, s := range sums[:min(top, len(sums))] {
		fmt.Fprintf(w, "%x %9d %s\n", s.hash[:8], s.size, s.name)
	}
	fmt.Fprintf(w, "%d files, %d bytes: all arrived as they are on disk\n", len(sums), total)
}
