package session

import (
	"cmp"
	"debug/dwarf"
	"debug/elf"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"remotec.dev/server/fds"
)

// symbols is what the executable file of the program tells about addresses. A file
// without a symbol table or debugging information (-ldflags=-s) tells less.
type symbols struct {
	vars  []elf.Symbol // by address
	types *dwarf.Data
	names map[string]dwarf.Offset // of the types of global variables, by name
	named map[string]dwarf.Offset // structs, by their names as package reflect writes them; 0 where there are several

	mu     sync.Mutex
	places map[uintptr]string // what processes said of program counters; guarded by mu
}

// lazySymbols reads them when they are first asked for.
type lazySymbols struct {
	once sync.Once
	s    symbols
}

func (s *Session) symbols() *symbols {
	s.lazySymbols.once.Do(func() {
		s.lazySymbols.s.places = map[uintptr]string{}
		s.lazySymbols.s.read(s.cfg.Space, s.attach.Path)
	})
	return &s.lazySymbols.s
}

// ownFile reads a file by a descriptor that is out of the program's way.
type ownFile int

func (f ownFile) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := syscall.Pread(int(f), p[done:], off+int64(done))
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return done, err
		case n == 0:
			return done, io.EOF
		}
		done += max(n, 0)
	}
	return done, nil
}

// read reads what there is of it.
func (y *symbols) read(space *fds.Space, path string) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	if space != nil {
		if fd, err = space.Adopt(fd); err != nil {
			return
		}
		defer space.Close(fd)
	} else {
		defer syscall.Close(fd)
	}
	f, err := elf.NewFile(ownFile(fd))
	if err != nil {
		return
	}
	if all, err := f.Symbols(); err == nil {
		for _, sym := range all {
			if elf.ST_TYPE(sym.Info) == elf.STT_OBJECT && sym.Size > 0 {
				y.vars = append(y.vars, sym)
			}
		}
		slices.SortFunc(y.vars, func(a, b elf.Symbol) int { return cmp.Compare(a.Value, b.Value) })
	}
	if y.types, err = f.DWARF(); err == nil {
		y.readTypes()
	}
}

// readTypes finds the types of global variables. Their addresses the symbol table has.
func (y *symbols) readTypes() {
	y.names, y.named = map[string]dwarf.Offset{}, map[string]dwarf.Offset{}
	r := y.types.Reader()
	for {
		e, err := r.Next()
		if err != nil || e == nil {
			return
		}
		if e.Tag == dwarf.TagCompileUnit {
			continue
		}
		if e.Tag == dwarf.TagVariable {
			name, _ := e.Val(dwarf.AttrName).(string)
			typ, ok := e.Val(dwarf.AttrType).(dwarf.Offset)
			if ok {
				y.names[name] = typ
			}
		}
		if e.Tag == dwarf.TagStructType {
			name, _ := e.Val(dwarf.AttrName).(string)
			name = name[strings.LastIndexByte(name, '/')+1:]
			if _, ok := y.named[name]; ok {
				y.named[name] = 0
			} else {
				y.named[name] = e.Offset
			}
		}
		if e.Children {
			r.SkipChildren()
		}
	}
}

// variables returns the global variables in a range of addresses.
func (y *symbols) variables(from, to uint64) (list []SharedObject) {
	i, _ := slices.BinarySearchFunc(y.vars, from, func(s elf.Symbol, at uint64) int { return cmp.Compare(s.Value+s.Size, at+1) })
	for ; i < len(y.vars) && y.vars[i].Value < to; i++ {
		v := &y.vars[i]
		if v.Value+v.Size <= from {
			continue
		}
		o := SharedObject{Address: v.Value, Size: int(v.Size), Kind: "variable", Name: v.Name}
		if t := y.typeOf(v.Name); t != nil {
			o.Type = t.String()
			if c := t.Common(); c.Name != "" {
				o.Type = c.Name
			}
		}
		list = append(list, o)
	}
	return list
}

func (y *symbols) typeOf(variable string) dwarf.Type {
	off, ok := y.names[variable]
	if !ok {
		return nil
	}
	t, err := y.types.Type(off)
	if err != nil {
		return nil
	}
	return t
}

// field names the part of a variable or an object that is offset bytes into it, as .n[3], or returns "".
func (y *symbols) field(o *SharedObject, offset int) string {
	path, t := "", dwarf.Type(nil)
	at := int64(offset)
	if o.Kind == "variable" {
		t = y.typeOf(o.Name)
	} else if off := y.named[strings.TrimPrefix(o.Type, "[]")]; off != 0 {
		t, _ = y.types.Type(off) // nil with an error
		if size := int64(0); t != nil && strings.HasPrefix(o.Type, "[]") {
			if size = t.Size(); size > 0 {
				path = "[" + strconv.FormatInt(at/size, 10) + "]"
				at %= size
			}
		}
	}
	for t != nil {
		switch u := t.(type) {
		case *dwarf.TypedefType:
			t = u.Type
		case *dwarf.StructType:
			i := len(u.Field) - 1
			for i >= 0 && u.Field[i].ByteOffset > at {
				i--
			}
			if i < 0 {
				return path
			}
			path += "." + u.Field[i].Name
			at -= u.Field[i].ByteOffset
			t = u.Field[i].Type
		case *dwarf.ArrayType:
			size := u.Type.Size()
			if size <= 0 {
				return path
			}
			path += "[" + strconv.FormatInt(at/size, 10) + "]"
			at %= size
			t = u.Type
		default:
			return path
		}
	}
	return path
}
