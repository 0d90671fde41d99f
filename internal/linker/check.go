package linker

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A Range is a range of addresses, in bytes: Lo is its first, Hi the first
// after it. Both are multiples of the page size.
type Range struct{ Lo, Hi uint64 }

// Bounds returns the two ranges of shared variables of a remote binary: data has
// content in the file, bss starts as zeros. Symbols are not needed: the
// bounds have a section of their own.
func Bounds(path string) (data, bss Range, err error) {
	f, err := elf.Open(path)
	if err != nil {
		return data, bss, fmt.Errorf("remotec: reading %s: %w", path, err)
	}
	defer f.Close()
	data, bss, err = bounds(f)
	if err != nil {
		return data, bss, fmt.Errorf("remotec: reading %s: %w", path, err)
	}
	return data, bss, nil
}

// Check reports whether the file at path, just linked, keeps what the patched
// linker laid out: fixed addresses, and no page of shared variables with
// anything else in it. The patched linker has compared each symbol already, so
// that Check reads section headers only and costs well below a millisecond. It
// matters most after external linking, where another linker has the last word.
func Check(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("remotec: checking the linked binary %s: %w", path, err)
	}
	defer f.Close()
	if err := check(f); err != nil {
		return fmt.Errorf("remotec: checking the linked binary %s: %w", path, err)
	}
	return nil
}

func check(f *elf.File) error {
	if f.Class != elf.ELFCLASS64 || f.Machine != elf.EM_X86_64 {
		return fmt.Errorf("it is for %v (%v), want %v: remote binaries are for linux/amd64", f.Machine, f.Class, elf.EM_X86_64)
	}
	if f.Type != elf.ET_EXEC {
		return fmt.Errorf("it is of type %v, want %v: a remote binary needs fixed addresses; drop -buildmode=pie, and -pie from -extldflags", f.Type, elf.ET_EXEC)
	}
	data, bss, err := bounds(f)
	if err != nil {
		return err
	}
	for _, r := range []struct {
		Range
		name    string
		kind    elf.SectionType
		content []string // sections that may lie in the range
	}{
		{data, "initialised", elf.SHT_PROGBITS, []string{".noptrdata", ".data", ".go.data"}},
		{bss, "zero", elf.SHT_NOBITS, []string{".bss", ".go.bss", ".noptrbss"}},
	} {
		if r.Lo%remotePage != 0 || r.Hi%remotePage != 0 || r.Lo > r.Hi {
			return fmt.Errorf("shared %s variables at %#x-%#x are not whole pages of %d bytes", r.name, r.Lo, r.Hi, remotePage)
		}
		if r.Lo == r.Hi {
			continue
		}
		if err := checkSections(f, r.Range, r.kind, r.content); err != nil {
			return fmt.Errorf("shared %s variables at %#x-%#x: %w", r.name, r.Lo, r.Hi, err)
		}
		if err := checkSegments(f, r.Range); err != nil {
			return fmt.Errorf("shared %s variables at %#x-%#x: %w", r.name, r.Lo, r.Hi, err)
		}
	}
	return nil
}

// checkSections reports whether only the named sections, of the given type, lie
// in r, and whether r begins and ends in them: local variables follow each
// range, in its last section, so that none of r belongs to what comes next.
func checkSections(f *elf.File, r Range, kind elf.SectionType, names []string) error {
	var lo, hi bool
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC == 0 || s.Flags&elf.SHF_TLS != 0 || s.Size == 0 {
			continue
		}
		end := s.Addr + s.Size
		if slices.Contains(names, s.Name) && s.Type == kind {
			lo = lo || s.Addr <= r.Lo && r.Lo < end
			hi = hi || s.Addr <= r.Hi && r.Hi < end
		} else if s.Addr < r.Hi && r.Lo < end {
			return fmt.Errorf("section %s at %#x-%#x (%v) reaches into them; with external linking, do not reorder sections by -extldflags", s.Name, s.Addr, end, s.Type)
		}
	}
	if !lo || !hi {
		return fmt.Errorf("they do not begin and end in the sections %q", names)
	}
	return nil
}

// checkSegments reports whether r is mapped for writing as a whole, and stays
// so: what a dynamic linker protects after relocation is not to lie in it.
func checkSegments(f *elf.File, r Range) error {
	mapped := false
	for _, p := range f.Progs {
		lo, hi := p.Vaddr, p.Vaddr+p.Memsz
		switch p.Type {
		case elf.PT_LOAD:
			mapped = mapped || p.Flags&elf.PF_W != 0 && lo <= r.Lo && r.Hi <= hi
		case elf.PT_GNU_RELRO:
			if lo < r.Hi && r.Lo < hi {
				return fmt.Errorf("the read-only part after relocation, %#x-%#x, reaches into them", lo, hi)
			}
		}
	}
	if !mapped {
		return errors.New("no writable segment holds them")
	}
	return nil
}

// bounds reads the four words that the patched linker wrote.
func bounds(f *elf.File) (data, bss Range, err error) {
	s := f.Section(remoteBoundsSection)
	if s == nil {
		return data, bss, fmt.Errorf("no section %s: it was not linked by remotec; run the build with -toolexec=remotec, keep the section headers when stripping it, and drop --gc-sections from -extldflags", remoteBoundsSection)
	}
	var words [4]uint64
	if s.Type != elf.SHT_PROGBITS || s.Size < uint64(binary.Size(words)) {
		return data, bss, fmt.Errorf("section %s (%v) has %d bytes, want the %d of four addresses", remoteBoundsSection, s.Type, s.Size, binary.Size(words))
	}
	if err := binary.Read(s.Open(), f.ByteOrder, &words); err != nil {
		return data, bss, fmt.Errorf("section %s: %w", remoteBoundsSection, err)
	}
	return Range{words[0], words[1]}, Range{words[2], words[3]}, nil
}
