package runtimestub

import "unsafe"

// The table of handed-over descriptors: for each of the session's numbers
// the number in this process plus one, or 0.
//
// An entry is set by the thread whose call made the descriptor, before the
// number reaches the program, and cleared by the thread that closes it,
// before the server does: so no thread finds the copy of a descriptor that
// had the number earlier. (A program that uses a number while it closes it
// on another thread races with itself, as it does without remotec.)

const maxTable = 1 << 20

var fdTable uintptr // [maxTable]uint32, mapped

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
	if local < 0 && load(e) == 0 {
		return
	}
	if old := xchg(e, uint32(local+1)); old != 0 {
		closeFD(int32(old) - 1)
	}
}
