package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// The table of handed-over descriptors: for each of the session's numbers
// the number in this process plus one, or 0.
//
// An entry is set by the thread whose call made the descriptor, before the
// number reaches the program, and cleared by the thread that closes it,
// before the server does: so no thread finds the copy of a descriptor that
// had the number earlier. (A program that uses a number while it closes it
// on another thread races with itself, as it does without remotec.)

const maxTable = 1 << 20

var (
	fdTable  uintptr // [maxTable]uint32, mapped
	ownTable uintptr // [maxTable]byte, mapped: 1 for descriptors of this process that the stub made
)

func mapTables() {
	fdTable, ownTable = mapMemory(maxTable*4), mapMemory(maxTable)
	if fdTable == 0 || ownTable == 0 {
		fatal("no memory for the tables of descriptors")
	}
}

// own notes that a descriptor of this process is the stub's.
func own(local int32) {
	if local >= 0 && local < maxTable {
		*(*byte)(unsafe.Add(ptr(ownTable), uintptr(local))) = 1
	}
}

// closeOwn closes one of them.
func closeOwn(local int32) {
	if local >= 0 && local < maxTable {
		*(*byte)(unsafe.Add(ptr(ownTable), uintptr(local))) = 0
	}
	closeFD(local)
}

// Descriptors that C code opens are this process's. Their numbers must not
// be those of the session's, which its Go code uses: in a program with C code
// the numbers below cFloor are taken, so that C gets higher ones, and a number
// from there on that the session does not know is looked for here.
const cFloor = 512

// takeLowNumbers fills the free descriptor numbers below cFloor.
func takeLowNumbers() {
	null, errno := openFile("/dev/null")
	if errno != 0 {
		return
	}
	const getFD = 1
	// From above, so that the kernel enlarges its table once: in a threaded
	// process that takes milliseconds.
	for fd := uintptr(cFloor - 1); fd > 2; fd-- {
		if _, _, errno := raw(wire.SYS_FCNTL, fd, getFD, 0, 0, 0, 0); errno == eBADF {
			raw(wire.SYS_DUP3, uintptr(null), fd, oCLOEXEC, 0, 0, 0)
		}
	}
}

// adoptFromC makes descriptor fd the session's if C code opened it here.
func adoptFromC(fd uint64) bool {
	fd &= 0xffffffff
	if !hasC || fd < cFloor || fd >= maxTable || load(fdEntry(fd)) != 0 ||
		*(*byte)(unsafe.Add(ptr(ownTable), uintptr(fd))) != 0 {
		return false
	}
	const getFD = 1
	if _, _, errno := raw(wire.SYS_FCNTL, uintptr(fd), getFD, 0, 0, 0, 0); errno != 0 {
		return false
	}
	if r := pseudo(wire.NrAdopt, fd, 0); r.Errno != 0 {
		return false
	}
	xchg(fdEntry(fd), uint32(fd)+1)
	return true
}

var hasC bool // there is C code; written once, by attach

func fdEntry(fd uint64) *uint32 {
	if fd >= maxTable {
		return nil
	}
	return (*uint32)(unsafe.Add(ptr(fdTable), uintptr(fd)*4))
}

// handed returns this process's copy of descriptor fd.
func handed(fd uint64) (local int32, ok bool) {
	e := fdEntry(fd & 0xffffffff)
	if e == nil {
		return 0, false
	}
	v := load(e)
	return int32(v) - 1, v != 0
}

// setHanded makes local the copy of fd; -1 takes the entry out. What was
// there is closed.
func setHanded(fd uint64, local int32) {
	e := fdEntry(fd & 0xffffffff)
	if e == nil {
		if local >= 0 {
			closeFD(local)
		}
		return
	}
	own(local)
	if local < 0 && load(e) == 0 {
		return
	}
	if old := xchg(e, uint32(local+1)); old != 0 {
		closeOwn(int32(old) - 1)
	}
}
