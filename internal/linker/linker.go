// Package linker provides the cmd/link that remote binaries are linked with:
// the linker of the user's own GOROOT, patched, built once and cached.
//
// A remote binary runs as several processes with one address space, so its
// global variables are of two kinds. A *shared* variable belongs to the program
// and is kept coherent between the processes, page by page; a *local* one
// belongs to a process (the scheduler, descriptors, CPU features), and each
// process has its own. The patched linker does what only a linker can do:
//
//   - it lays out both kinds in pages of their own, so that the shared ones are
//     two *ranges*, one with file content and one of zeros;
//   - it writes the *bounds* of the ranges into runtime.remoteShared, and into
//     the ELF section .go.remote for processes outside;
//   - it loads the *stub* ([StubPackage]), which no package imports.
//
// rules.go is the table of what is local. The directory _ld holds the files
// that are added to package cmd/link/internal/ld; its name keeps the go command
// away from them, for they compile only there. patch.go inserts the calls to
// them at *anchors*, places that are found in the syntax tree.
//
// Variables are not moved by rewriting source, because that fails on legal
// programs (initialisation cycles, go:embed, linkname, assembly, -ldflags=-X)
// and cannot reach what the compiler makes: static temporaries, init tasks.
//
// Invariants:
//
//   - No page holds variables of both kinds. The patched linker checks this for
//     each link, symbol by symbol; [Check] checks the final file.
//   - A symbol keeps its kind (.data, .bss, with or without pointers), so the
//     collector's pointer masks need no patch.
//   - A successful build prints nothing: the go command would store the output
//     in its cache and replay it.
//   - A cached linker is complete and never written again: it is built elsewhere
//     and renamed into place.
package linker

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// StubPackage is the import path of the package that the patched linker loads
// into every binary. The caller lists its archive, and those of its
// dependencies, as packagefile lines of the importcfg.
const StubPackage = remoteStub

// A Config says which linker [Ensure] has to provide.
type Config struct {
	// GOROOT is the Go tree at hand, whose linker is patched and whose go
	// command builds it.
	GOROOT string

	// GoVersion is the tree's version as runtime.Version reports it, such as
	// "go1.26.8".
	GoVersion string

	// CacheDir is the directory under which linkers are kept.
	CacheDir string

	// Log, unless nil, receives what is being built and how long it took.
	Log io.Writer
}

// Ensure returns the path of the patched linker for cfg, building it first when
// the cache does not hold it: some 10 s of processor time, once for each GOROOT
// and [Version]. Otherwise it costs a stat. Processes that need the same linker
// at once build it once.
func Ensure(ctx context.Context, cfg Config) (linkPath string, err error) {
	if cfg.GOROOT == "" || cfg.GoVersion == "" || cfg.CacheDir == "" {
		return "", fmt.Errorf("remotec: building the linker: GOROOT (%q), Go version (%q) and cache directory (%q) must all be known", cfg.GOROOT, cfg.GoVersion, cfg.CacheDir)
	}
	dir, err := filepath.Abs(filepath.Join(cfg.CacheDir, "linker", cacheKey(cfg)))
	if err != nil {
		return "", fmt.Errorf("remotec: building the linker: %w", err)
	}
	linkPath = filepath.Join(dir, "link")
	switch _, err := os.Stat(linkPath); {
	case err == nil:
		return linkPath, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("remotec: looking for the patched linker: %w", err)
	}
	if err := build(ctx, cfg, linkPath); err != nil {
		return "", fmt.Errorf("remotec: building the patched linker of %s (%s): %w", cfg.GoVersion, cfg.GOROOT, err)
	}
	return linkPath, nil
}

// cacheKey names cfg's linker: readable up to the hash.
func cacheKey(cfg Config) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", cfg.GOROOT, cfg.GoVersion, Version()))
	return filepath.Base(cfg.GoVersion) + "-" + hex.EncodeToString(sum[:8])
}

// added holds the files that become part of package ld.
//
//go:embed _ld/*.go rules.go
var added embed.FS

// anchors is the source of the code that inserts the calls: a change there
// changes the linker too.
//
//go:embed patch.go
var anchors []byte

// Version returns a short hash of the patch and its rules. It belongs into what
// the linker answers to -V=full, so that the go command links again when they
// change.
func Version() string { return version() }

var version = sync.OnceValue(func() string {
	h := sha256.New()
	h.Write(anchors)
	for _, name := range addedNames() {
		text, _ := added.ReadFile(name) // of a name just listed
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
})

// addedNames lists the files of added, in order.
func addedNames() []string {
	names, _ := fs.Glob(added, "_ld/*.go") // the pattern is well-formed
	return append(names, "rules.go")
}

// LocalRule says whether the patched linker makes a variable local, and by which
// reason. name is the name of the variable's symbol ("net.hosts"), pkg the
// import path of the package that defines it.
func LocalRule(pkg, name string) (why string, local bool) {
	why = remoteLocal(pkg, name)
	return why, why != ""
}
