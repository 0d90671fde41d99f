package linker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// build makes the patched linker and moves it to linkPath, under a lock that
// the processes of one build share: the go command links several binaries at
// once.
//
// It may run below a go command that waits for it. That is no deadlock: the go
// command holds no lock on its build cache while tools run.
func build(ctx context.Context, cfg Config, linkPath string) error {
	dir := filepath.Dir(linkPath)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(linkPath); err == nil {
		return nil // built while this process waited
	}

	start := time.Now()
	// In dir, so that the rename stays within one file system.
	work, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	overlay, err := writeOverlay(cfg, work)
	if err != nil {
		return err
	}
	out := filepath.Join(work, "link")
	if err := goBuild(ctx, cfg, work, overlay, out); err != nil {
		return err
	}
	if err := os.Rename(out, linkPath); err != nil {
		return err
	}
	if cfg.Log != nil {
		fmt.Fprintf(cfg.Log, "remotec: built the patched linker of %s in %v: %s\n", cfg.GoVersion, time.Since(start).Round(time.Millisecond), linkPath)
	}
	return nil
}

// lock takes a file lock, giving up when ctx is done.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	type result struct {
		unlock func()
		err    error
	}
	got := make(chan result, 1)
	go func() {
		unlock, err := lockedfile.MutexAt(path).Lock()
		got <- result{unlock, err}
	}()
	select {
	case r := <-got:
		return r.unlock, r.err
	case <-ctx.Done():
		go func() {
			if r := <-got; r.err == nil {
				r.unlock()
			}
		}()
		return nil, fmt.Errorf("waiting for another build of the linker (%s): %w", path, ctx.Err())
	}
}

// writeOverlay writes the patched files to work, with the description that
// -overlay reads, and returns the latter's path.
func writeOverlay(cfg Config, work string) (string, error) {
	files, err := PatchedFiles(cfg.GOROOT, cfg.GoVersion)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for name, text := range files {
		file := filepath.Join(work, filepath.Base(name))
		if err := os.WriteFile(file, text, 0o666); err != nil {
			return "", err
		}
		replace[filepath.Join(cfg.GOROOT, "src", filepath.FromSlash(name))] = file
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(work, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o666)
}

// goBuild runs the go command of cfg.GOROOT. Its output becomes part of the
// error, and is dropped when the build succeeds.
func goBuild(ctx context.Context, cfg Config, work, overlay, out string) error {
	goTool := filepath.Join(cfg.GOROOT, "bin", "go")
	if runtime.GOOS == "windows" {
		goTool += ".exe"
	}
	// Symbols and debug information of the linker itself help nobody here, and
	// cost a third of the time.
	cmd := exec.CommandContext(ctx, goTool, "build", "-overlay="+overlay, "-buildvcs=false", "-ldflags=-s -w", "-o", out, "cmd/link")
	cmd.Dir = filepath.Join(cfg.GOROOT, "src")
	cmd.Env = buildEnv(os.Environ(), cfg, cmd.Dir, filepath.Join(work, "nomodules"), goCache(ctx, goTool, cmd.Dir))
	cmd.WaitDelay = 5 * time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if cfg.Log != nil {
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&output, cfg.Log), io.MultiWriter(&output, cfg.Log)
		fmt.Fprintf(cfg.Log, "remotec: running %s\n", cmd)
	}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("%s: %w\n%s", cmd, err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}

// goCache asks the go command where the user's build cache is, since goBuild
// does not read the file that may say so (see buildEnv). Without an answer the
// default place will do.
func goCache(ctx context.Context, goTool, dir string) string {
	cmd := exec.CommandContext(ctx, goTool, "env", "GOCACHE")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PWD="+dir, "GOROOT=", "GOTOOLCHAIN=local", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// buildEnv returns the environment for building the linker. It is for the host
// and owes nothing to what the user is building, nor to the build that waits
// for it, so it starts from what names places and processes, not from what
// sets the go command's behaviour.
func buildEnv(environ []string, cfg Config, dir, modcache, gocache string) []string {
	var env []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		// GO* covers GOFLAGS, GOOS, GOEXPERIMENT, GODEBUG, GOGC, GOCOVERDIR ...
		if strings.HasPrefix(name, "GO") && name != "GOTMPDIR" || strings.HasPrefix(name, "CGO_") || name == "TOOLEXEC_IMPORTPATH" || name == "PWD" {
			continue
		}
		env = append(env, kv)
	}
	env = append(env,
		"PWD="+dir,
		"GOROOT="+cfg.GOROOT,
		"GOENV=off", // an empty variable is looked up there
		"GOTOOLCHAIN=local",
		"GOWORK=off",
		"GO111MODULE=on",
		"GOPROXY=off",
		"GOTELEMETRY=off",
		"CGO_ENABLED=0",
		// A downloaded Go tree lies in the module cache, where -overlay
		// replaces nothing. The linker needs no module.
		"GOMODCACHE="+modcache,
	)
	if gocache != "" {
		env = append(env, "GOCACHE="+gocache)
	}
	return env
}
