// Package program finds and checks the program that a session is to run: it
// tells a remote binary from every other file without running it, and builds
// one from Go packages.
//
// A *remote binary* is an ELF executable whose data holds wire.Marker: the
// stub that the linker adds to it contains that as a variable. A plain Go
// program that imports package wire does not match, because there the marker
// is a constant and lies among the read-only data.
package program

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"remotec.dev/runtimestub/wire"
)

// rebuild is what to do about most of what can be wrong with a binary.
const rebuild = "build it with go build -toolexec=remotec"

// Check returns an error that says what is wrong and what to do where the
// file at path is not a remote binary of this version of the API.
func Check(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return openError(path, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	switch {
	case st.IsDir():
		return fmt.Errorf("%s is a directory, not a program", path)
	case !st.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case st.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not executable: chmod +x it, or %s", path, rebuild)
	}
	api, err := version(f, st.Size())
	if err != nil {
		return fmt.Errorf("%s %w", path, err)
	}
	if api != wire.APIVersion {
		return fmt.Errorf("%s speaks version %d of the API and this remotec version %d: %s of the same version", path, api, wire.APIVersion, rebuild)
	}
	return nil
}

func openError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: no such file; name a remote binary, a package directory, an import path or .go files", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: permission denied; remotec reads a program before it runs it", path)
	}
	return err
}

// version returns the API version of the remote binary in r. Its errors
// continue a sentence that starts with the file's name.
func version(r io.ReaderAt, size int64) (int, error) {
	var magic [4]byte
	if _, err := r.ReadAt(magic[:], 0); err != nil && err != io.EOF {
		return 0, fmt.Errorf("cannot be read: %w", err)
	}
	if string(magic[:]) != elf.ELFMAG {
		return 0, fmt.Errorf("is not an executable for linux (it does not start with an ELF header): %s", rebuild)
	}
	file, err := elf.NewFile(r)
	if err != nil {
		return 0, fmt.Errorf("is truncated or damaged (%v): build it again", err)
	}
	if file.Machine != elf.EM_X86_64 || file.Class != elf.ELFCLASS64 {
		return 0, fmt.Errorf("is built for %v: remote binaries are for linux/amd64", file.Machine)
	}
	if file.Type != elf.ET_EXEC {
		return 0, fmt.Errorf("is not a remote binary (its type is %v): %s", file.Type, rebuild)
	}
	for _, s := range file.Sections {
		if s.Type != elf.SHT_NOBITS && s.Offset+s.FileSize > uint64(size) {
			return 0, fmt.Errorf("is truncated: section %s ends at byte %d, the file at %d: build it again", s.Name, s.Offset+s.FileSize, size)
		}
	}
	for _, name := range []string{".noptrdata", ".data"} {
		s := file.Section(name)
		if s == nil || s.Type == elf.SHT_NOBITS {
			continue
		}
		api, found, err := scan(s.Open())
		if err != nil {
			return 0, fmt.Errorf("cannot be read: section %s: %w", name, err)
		}
		if found {
			return api, nil
		}
	}
	return 0, fmt.Errorf("is not a remote binary: %s", rebuild)
}

// scan looks for the marker in r and returns the number after it.
func scan(r io.Reader) (api int, found bool, err error) {
	const longest = len(wire.Marker) + 12 // with version and NUL
	buf := make([]byte, 256<<10)
	kept := 0
	for {
		n, err := io.ReadFull(r, buf[kept:])
		text := buf[:kept+n]
		for at := 0; ; {
			i := bytes.Index(text[at:], []byte(wire.Marker))
			if i < 0 {
				break
			}
			at += i + len(wire.Marker)
			digits, _, ok := bytes.Cut(text[at:min(at+12, len(text))], []byte{0})
			if v, err := strconv.Atoi(string(digits)); ok && err == nil && v > 0 {
				return v, true, nil
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return 0, false, nil
		}
		if err != nil {
			return 0, false, err
		}
		kept = copy(buf, text[len(text)-longest:])
	}
}
