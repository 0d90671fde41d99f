// Package cachedir knows where remotec keeps what it has built, patched
// linkers and compiled stubs, and programs that it got from other hosts.
package cachedir

import (
	"fmt"
	"os"
	"path/filepath"
)

// Dir returns the cache directory: $REMOTEC_CACHE, else the directory remotec
// of the user's caches, else, without a home directory, one of the temporary
// directory that carries the user id. It need not exist yet.
func Dir() (string, error) {
	if dir := os.Getenv("REMOTEC_CACHE"); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("finding REMOTEC_CACHE=%s: %w; set it to an absolute path", dir, err)
		}
		return abs, nil
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "remotec"), nil
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("remotec-%d", os.Getuid())), nil
}

// Clean removes the content of the cache directory and keeps the directory.
func Clean() error {
	dir, err := Dir()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cleaning the cache: %w", err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("cleaning the cache: %w", err)
		}
	}
	return nil
}
