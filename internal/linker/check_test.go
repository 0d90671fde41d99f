package linker

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An image is a minimal ELF file, made section by section.
type image struct {
	typ      elf.Type
	machine  elf.Machine
	sections []elf.SectionHeader
	progs    []elf.ProgHeader
	bounds   []uint64 // content of .go.remote, without that section if nil
}

// good returns an image as the patched linker would make it.
func good() *image {
	const wa = elf.SHF_WRITE | elf.SHF_ALLOC
	return &image{
		typ:     elf.ET_EXEC,
		machine: elf.EM_X86_64,
		sections: []elf.SectionHeader{
			{Name: ".noptrdata", Type: elf.SHT_PROGBITS, Flags: wa, Addr: 0x10080, Size: 0x1f00},
			{Name: ".data", Type: elf.SHT_PROGBITS, Flags: wa, Addr: 0x12000, Size: 0x2100},
			{Name: ".bss", Type: elf.SHT_NOBITS, Flags: wa, Addr: 0x15000, Size: 0x1f00},
			{Name: ".noptrbss", Type: elf.SHT_NOBITS, Flags: wa, Addr: 0x17000, Size: 0x2100},
		},
		progs:  []elf.ProgHeader{{Type: elf.PT_LOAD, Flags: elf.PF_R | elf.PF_W, Vaddr: 0x10000, Filesz: 0x5000, Memsz: 0xa000}},
		bounds: []uint64{0x11000, 0x14000, 0x16000, 0x19000},
	}
}

// write makes the file: header, program headers, bounds, names, section headers.
func (im *image) write(t *testing.T) string {
	t.Helper()
	var body bytes.Buffer
	const ehsize, phentsize, shentsize = 64, 56, 64
	base := uint64(ehsize + phentsize*len(im.progs))
	sections := append([]elf.SectionHeader{{}}, im.sections...)
	if im.bounds != nil {
		binary.Write(&body, binary.LittleEndian, im.bounds)
		sections = append(sections, elf.SectionHeader{Name: remoteBoundsSection, Type: elf.SHT_PROGBITS, Flags: elf.SHF_ALLOC, Addr: 0x10000, Offset: base, Size: uint64(body.Len())})
	}
	names := elf.SectionHeader{Name: ".shstrtab", Type: elf.SHT_STRTAB, Offset: base + uint64(body.Len())}
	sections = append(sections, names)
	var headers bytes.Buffer
	start := body.Len()
	for i := range sections {
		s := &sections[i]
		name := uint32(body.Len() - start)
		body.WriteString(s.Name + "\x00")
		if i == len(sections)-1 {
			s.Size = uint64(body.Len() - start)
		}
		binary.Write(&headers, binary.LittleEndian, elf.Section64{Name: name, Type: uint32(s.Type), Flags: uint64(s.Flags), Addr: s.Addr, Off: s.Offset, Size: s.Size})
	}
	var file bytes.Buffer
	h := elf.Header64{
		Type: uint16(im.typ), Machine: uint16(im.machine), Version: 1,
		Phoff: ehsize, Shoff: base + uint64(body.Len()), Ehsize: ehsize,
		Phentsize: phentsize, Phnum: uint16(len(im.progs)),
		Shentsize: shentsize, Shnum: uint16(len(sections)), Shstrndx: uint16(len(sections) - 1),
	}
	copy(h.Ident[:], elf.ELFMAG+"\x02\x01\x01")
	binary.Write(&file, binary.LittleEndian, h)
	for _, p := range im.progs {
		binary.Write(&file, binary.LittleEndian, elf.Prog64{Type: uint32(p.Type), Flags: uint32(p.Flags), Vaddr: p.Vaddr, Filesz: p.Filesz, Memsz: p.Memsz})
	}
	file.Write(body.Bytes())
	file.Write(headers.Bytes())
	path := filepath.Join(t.TempDir(), "exe")
	if err := os.WriteFile(path, file.Bytes(), 0o777); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*image)
		want string // in the error; "" for none
	}{
		{"good", func(im *image) {}, ""},
		{"empty ranges", func(im *image) { im.bounds = []uint64{0x14000, 0x14000, 0x19000, 0x19000} }, ""},
		{"no shared variables in the second section", func(im *image) { im.bounds[1] = 0x12000 }, ""},
		{"no shared variables in the first section", func(im *image) { im.bounds[2] = 0x17000 }, ""},
		{"external", func(im *image) { im.sections[1].Name, im.sections[2].Name = ".go.data", ".go.bss" }, ""},
		{"PIE", func(im *image) { im.typ = elf.ET_DYN }, "fixed addresses"},
		{"other machine", func(im *image) { im.machine = elf.EM_AARCH64 }, "linux/amd64"},
		{"plain binary", func(im *image) { im.bounds = nil }, "not linked by remotec"},
		{"short bounds", func(im *image) { im.bounds = im.bounds[:3] }, "want the 32"},
		{"part of a page", func(im *image) { im.bounds[1] += 8 }, "whole pages"},
		{"reversed", func(im *image) { im.bounds[2] = 0x1a000 }, "whole pages"},
		{"relocations not applied", func(im *image) { im.bounds = []uint64{0, 0x3000, 0, 0x2000} }, "do not begin and end"},
		{"beyond the section", func(im *image) { im.bounds[3] = 0x1b000 }, "do not begin and end"},
		{"C variables between", func(im *image) {
			im.sections = append(im.sections, elf.SectionHeader{Name: ".cvars", Type: elf.SHT_PROGBITS, Flags: elf.SHF_ALLOC, Addr: 0x11f90, Size: 8})
		}, ".cvars at 0x11f90"},
		{"wrong section", func(im *image) { im.bounds = []uint64{0x11000, 0x17000, 0x17000, 0x19000} }, ".bss at 0x15000"},
		{"relro", func(im *image) {
			im.progs = append(im.progs, elf.ProgHeader{Type: elf.PT_GNU_RELRO, Vaddr: 0x10000, Memsz: 0x1008})
		}, "read-only part"},
		{"not mapped", func(im *image) { im.progs[0].Memsz = 0x6000 }, "no writable segment"},
		{"read-only", func(im *image) { im.progs[0].Flags = elf.PF_R }, "no writable segment"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			im := good()
			tt.edit(im)
			path := im.write(t)
			switch err := Check(path); {
			case err == nil && tt.want != "":
				t.Errorf("no error, want one with %q", tt.want)
			case err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path)):
				t.Errorf("got %v, want an error with %q and the path", err, tt.want)
			}
		})
	}
}

func TestCheckDamagedFiles(t *testing.T) {
	whole, err := os.ReadFile(good().write(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "exe")
	for n := 0; n < len(whole); n += 7 {
		if err := os.WriteFile(path, whole[:n], 0o777); err != nil {
			t.Fatal(err)
		}
		if Check(path) == nil {
			t.Errorf("no error for the first %d bytes of %d", n, len(whole))
		}
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	if Check(path) == nil {
		t.Error("no error for a script")
	}
	if Check(path+".none") == nil {
		t.Error("no error for a missing file")
	}
}

func TestBounds(t *testing.T) {
	data, bss, err := Bounds(good().write(t))
	if err != nil || data != (Range{0x11000, 0x14000}) || bss != (Range{0x16000, 0x19000}) {
		t.Errorf("got %#x, %#x, %v", data, bss, err)
	}
}

// BenchmarkCheck is what each link pays for it.
func BenchmarkCheck(b *testing.B) {
	tr := trees()[0]
	exe := filepath.Join(tr.root, "bin", "go") // a large binary; not a remote one
	for b.Loop() {
		if err := Check(exe); err == nil {
			b.Fatal("the go command was taken for a remote binary")
		}
	}
}
