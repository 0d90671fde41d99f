package toolexec

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"remotec.dev"
	"remotec.dev/internal/goosremote"
	"remotec.dev/internal/instrument"
	"remotec.dev/internal/linker"
)

// The go command asks each tool for its identity with -V=full and makes the
// answer part of the key of everything the tool produces. remotec appends its
// own identity to it: a hash of all that decides what a remote build produces,
// which is the sources of the patch engine, the patches, this package, the
// stub, and the linker's version.
//
// The hash of the executable would do as well, but then every change of the
// server or of a command would make the standard library compile again.

// version prints the tool's identity with ours appended.
func (inv *invocation) version() error {
	cmd := exec.Command(inv.tool, inv.args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	line := strings.TrimSpace(string(out))
	switch inv.name {
	case "compile", "asm", "link", "cgo":
	default:
		fmt.Println(line)
		return nil
	}
	if err := refuseBuild(parentCommand(), os.Getenv); err != nil {
		return err
	}
	goVersion, err := parseVersion(line)
	if err != nil {
		return err
	}
	if _, ok := instrument.Release(goVersion); !ok {
		return &instrument.UnsupportedError{GoVersion: goVersion}
	}
	fmt.Println(withIdentity(line, identity()))
	return nil
}

// parseVersion returns the Go version of a line such as
//
//	compile version go1.26.8 X:nodwarf5
//	compile version go1.28-devel_0123abc Thu ... buildID=a/b/c/d
func parseVersion(line string) (string, error) {
	_, rest, ok := strings.Cut(line, " version ")
	if !ok {
		return "", fmt.Errorf("reading the tool's version: unexpected answer %q", line)
	}
	fields := strings.Fields(rest)
	if len(fields) > 1 && fields[0] == "devel" {
		return fields[1], nil
	}
	if len(fields) == 0 {
		return "", fmt.Errorf("reading the tool's version: unexpected answer %q", line)
	}
	return fields[0], nil
}

// withIdentity appends an identity to a tool's answer. Of a development
// toolchain's answer the go command reads only what follows the last slash of
// the last field, and wants the form buildID=.
func withIdentity(line, id string) string {
	if i := strings.LastIndex(line, " buildID="); i >= 0 {
		content := line[strings.LastIndex(line, "/")+1:]
		sum := sha256.Sum256([]byte(content + id))
		return line + " remotec buildID=_/_/_/" + encode(sum)
	}
	return line + " remotec-" + id
}

// identity returns the hash of what decides about a build's result.
func identity() string {
	h := sha256.New()
	hashTree(h, remotec.Builder)
	hashTree(h, remotec.Stub)
	fmt.Fprintf(h, "linker %s\nGOOSREMOTE %s\n", linker.Version(), goosremote.Value())
	return encode([sha256.Size]byte(h.Sum(nil)))
}

// Identity returns what remotec appends to the identity of the tools.
func Identity() string { return identity() }

func encode(sum [sha256.Size]byte) string {
	return base64.RawURLEncoding.EncodeToString(sum[:15])
}

// hashTree hashes names and contents of an embedded tree, tests left out.
func hashTree(w io.Writer, tree embed.FS) {
	// The tree is part of the binary: reading it cannot fail.
	_ = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if filepath.Base(name) == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, "_test.go") {
			return nil
		}
		data, err := tree.ReadFile(name)
		fmt.Fprintf(w, "file %s %d\n", name, len(data))
		w.Write(data)
		return err
	})
}
