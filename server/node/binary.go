package node

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"remotec.dev/server/fds"
)

// keptBinaries is how many executables a cache keeps: those that were used last.
const keptBinaries = 20

// openBinary opens the executable at path, to be sent, and names it. Where there is a
// space the file is out of the program's way.
func openBinary(space *fds.Space, path string) (*os.File, binaryID, error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err == nil && space != nil {
		fd, err = space.Adopt(fd)
	}
	if err != nil {
		return nil, binaryID{}, fmt.Errorf("reading the program for other hosts: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	f := os.NewFile(uintptr(fd), path)
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		f.Close()
		return nil, binaryID{}, fmt.Errorf("reading the program for other hosts: %w", err)
	}
	return f, binaryID{Hash: hex.EncodeToString(h.Sum(nil)), Size: n}, nil
}

// cache keeps executables by their hashes. Several nodes may use one.
type cache struct{ dir string }

// get returns the path of the executable with the given id. Where the cache has not
// got it, or has it wrongly, fetch is asked for its contents.
func (c cache) get(id binaryID, fetch func() (io.ReadCloser, error)) (string, error) {
	if b, err := hex.DecodeString(id.Hash); err != nil || len(b) != sha256.Size {
		return "", fmt.Errorf("%.80q is no hash", id.Hash)
	}
	path := filepath.Join(c.dir, id.Hash)
	if c.has(path, id) == nil {
		now := time.Now()
		os.Chtimes(path, now, now)
		return path, nil
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return "", fmt.Errorf("making the cache of programs: %w", err)
	}
	from, err := fetch()
	if err != nil {
		return "", fmt.Errorf("asking for the program: %w", err)
	}
	defer from.Close()
	to, err := os.CreateTemp(c.dir, "new-*")
	if err != nil {
		return "", fmt.Errorf("caching the program: %w", err)
	}
	defer os.Remove(to.Name()) // of no effect after the rename
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, h), io.LimitReader(from, id.Size+1))
	err = errors.Join(err, to.Chmod(0o700), to.Close())
	if err != nil {
		return "", fmt.Errorf("receiving the program: %w", err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); n != id.Size || got != id.Hash {
		return "", fmt.Errorf("the program that arrived is not the one that was announced: %d bytes with hash %s, want %d with %s; "+
			"was it changed while the session started?", n, got, id.Size, id.Hash)
	}
	if err := os.Rename(to.Name(), path); err != nil {
		return "", fmt.Errorf("caching the program: %w", err)
	}
	c.prune()
	return path, nil
}

// has returns nil where the file at path is what id says.
func (c cache) has(path string, id binaryID) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	if n != id.Size || hex.EncodeToString(h.Sum(nil)) != id.Hash {
		return errors.New("it is another file")
	}
	return nil
}

// prune removes what has not been used for longest. What fails is left for the next time.
func (c cache) prune() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return cmp.Compare(b.ModTime().UnixNano(), a.ModTime().UnixNano()) })
	for _, f := range files[min(len(files), keptBinaries):] {
		os.Remove(filepath.Join(c.dir, f.Name()))
	}
}
