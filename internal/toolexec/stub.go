package toolexec

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/lockedfile"

	"remotec.dev"
	"remotec.dev/internal/cachedir"
)

// The stub's packages import nothing but unsafe and each other, so they are
// compiled by the compiler of the build at hand, without a go command: no
// module, vendor directory or proxy of the user is involved, and the archives
// differ only by what archiveKey hashes. Sources are recorded under their
// import paths, as with -trimpath.

// stubPackages are the packages in the order in which they are compiled:
// directory in remotec.Stub and import path.
var stubPackages = []struct{ dir, path string }{
	{"runtimestub/wire", "remotec.dev/runtimestub/wire"},
	{"runtimestub", "remotec.dev/runtimestub"},
}

// stubArchives returns the importcfg lines of the compiled stub, compiling it
// when the cache does not have it.
func (inv *invocation) stubArchives(goVersion string) (string, error) {
	cache, err := cachedir.Dir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "stub", inv.archiveKey(goVersion))
	if cfg, ok := archivesIn(dir); ok {
		return cfg, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return "", fmt.Errorf("caching the stub: %w; set REMOTEC_CACHE to a directory that can be written", err)
	}
	unlock, err := lockedfile.MutexAt(dir + ".lock").Lock()
	if err != nil {
		return "", fmt.Errorf("caching the stub: %w", err)
	}
	defer unlock()
	if cfg, ok := archivesIn(dir); ok {
		return cfg, nil
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return "", fmt.Errorf("caching the stub: %w", err)
	}
	defer os.RemoveAll(tmp)
	var importcfg strings.Builder
	for _, p := range stubPackages {
		archive, err := inv.compileStub(tmp, p.dir, p.path, goVersion, importcfg.String())
		if err != nil {
			return "", fmt.Errorf("compiling %s: %w", p.path, err)
		}
		fmt.Fprintf(&importcfg, "packagefile %s=%s\n", p.path, archive)
	}
	// A directory that lacks an archive is left over from an unfinished clean.
	os.RemoveAll(dir)
	if err := os.Rename(tmp, dir); err != nil {
		return "", fmt.Errorf("caching the stub: %w", err)
	}
	inv.logf("compiled the stub into %s", dir)
	cfg, _ := archivesIn(dir)
	return cfg, nil
}

// archiveKey names the cache entry for the stub of this build.
func (inv *invocation) archiveKey(goVersion string) string {
	h := sha256.New()
	hashTree(h, remotec.Stub)
	fmt.Fprintf(h, "builder %s\n", identity())
	fmt.Fprintf(h, "%s %s\n", goVersion, inv.goroot())
	for _, name := range []string{"GOEXPERIMENT", "GOAMD64", "GOFIPS140"} {
		fmt.Fprintf(h, "%s=%s\n", name, os.Getenv(name))
	}
	return encode([sha256.Size]byte(h.Sum(nil)))
}

// archivesIn returns the importcfg lines for the archives of a cache entry,
// and false when it is not complete.
func archivesIn(dir string) (string, bool) {
	var b strings.Builder
	for _, p := range stubPackages {
		archive := filepath.Join(dir, archiveName(p.path))
		if _, err := os.Stat(archive); err != nil {
			return "", false
		}
		fmt.Fprintf(&b, "packagefile %s=%s\n", p.path, archive)
	}
	return b.String(), true
}

func archiveName(importPath string) string { return path.Base(importPath) + ".a" }

// compileStub compiles one package of the stub into dir and returns the
// archive's name.
func (inv *invocation) compileStub(dir, srcDir, importPath, goVersion, importcfg string) (string, error) {
	src := filepath.Join(dir, path.Base(srcDir)+".src")
	if err := os.Mkdir(src, 0o777); err != nil {
		return "", err
	}
	entries, err := fs.ReadDir(remotec.Stub, srcDir)
	if err != nil {
		return "", err
	}
	var files []string
	for _, e := range entries {
		if e.IsDir() || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		data, err := fs.ReadFile(remotec.Stub, path.Join(srcDir, e.Name()))
		if err != nil {
			return "", err
		}
		name := filepath.Join(src, e.Name())
		if err := os.WriteFile(name, data, 0o666); err != nil {
			return "", err
		}
		files = append(files, name)
	}
	cfg := filepath.Join(src, "importcfg")
	if err := os.WriteFile(cfg, []byte(importcfg), 0o666); err != nil {
		return "", err
	}
	archive := filepath.Join(dir, archiveName(importPath))
	args := []string{"-o", archive, "-trimpath", src + "=>" + importPath, "-p", importPath,
		"-lang=" + languageOf(goVersion), "-importcfg", cfg, "-pack", "-nolocalimports",
		"-wb=false"} // it runs without a P, see runtimestub/doc.go
	if strings.HasPrefix(goVersion, "go1") && !strings.Contains(goVersion, "devel") {
		args = append(args, "-goversion", goVersion)
	}
	cmd := exec.Command(filepath.Join(filepath.Dir(inv.tool), "compile"), append(args, files...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		// Not %w: who is given an ExitError takes it that the tool has said what is wrong.
		return "", fmt.Errorf("compiling %s: %v\n%s", importPath, err, bytes.TrimSpace(out.Bytes()))
	}
	return archive, nil
}
