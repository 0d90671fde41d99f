package toolexec

import (
	"context"
	"os"

	"remotec.dev/internal/cachedir"
	"remotec.dev/internal/linker"
)

// ensureLinker returns the path of the patched linker of the build's GOROOT.
// The first link with a toolchain builds it.
func (inv *invocation) ensureLinker(goVersion string) (string, error) {
	cache, err := cachedir.Dir()
	if err != nil {
		return "", err
	}
	cfg := linker.Config{GOROOT: inv.goroot(), GoVersion: goVersion, CacheDir: cache}
	if name := os.Getenv("REMOTEC_LOG"); name != "" {
		if f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666); err == nil {
			defer f.Close()
			cfg.Log = f
		}
	}
	return linker.Ensure(context.Background(), cfg)
}
