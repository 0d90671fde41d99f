package osys

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// procfs translates paths below /proc/self. The session process and the
// program's own process are two; each file belongs to the one whose state it
// shows: what is in memory (arguments, environment, mappings, the executable)
// to the program's, what calls act on (descriptors, directory, limits,
// credentials, threads as gettid counts them) to the session's.
//
// Only absolute paths spelled the usual way are seen: not ones relative to a
// descriptor of /proc/self, nor ones that reach it through other links.
type procfs struct {
	exe     string // Config.Exe
	self    string // number of the session process, which the program takes for its own
	program string // "/proc/N/" of the program's own process, "" when it is elsewhere
	same    bool   // program's exe link names exe
	growth  int    // bytes by which translate may lengthen a path
}

func newProcfs(exe string, pid, self int) procfs {
	p := procfs{exe: exe, self: strconv.Itoa(self)}
	if pid > 0 && pid != self {
		p.program = "/proc/" + strconv.Itoa(pid) + "/"
		link, err := os.Readlink(p.program + "exe")
		p.same = err == nil && (exe == "" || strings.TrimSuffix(link, deleted) == exe)
	}
	p.growth = len(exe) + len(p.program) + 16
	return p
}

const deleted = " (deleted)"

// isProc is the quick test that most paths fail.
func isProc(path []byte) bool {
	return len(path) > 6 && path[1] == 'p' && string(path[:6]) == "/proc/"
}

// own splits the path of a file of the program's own directory in /proc: name
// is its first element, rest includes name. A path below task/N counts as that
// of the same name without it where the file is the whole process's.
func (p *procfs) own(path []byte) (name, rest []byte) {
	if !isProc(path) {
		return nil, nil
	}
	who, rest, _ := bytes.Cut(path[6:], slash)
	if s := string(who); s != "self" && s != "thread-self" && s != p.self {
		return nil, nil
	}
	name, tail, _ := bytes.Cut(rest, slash)
	if string(name) == "task" {
		_, rest, _ = bytes.Cut(tail, slash)
		name, _, _ = bytes.Cut(rest, slash)
	}
	return name, rest
}

var slash = []byte{'/'}

// isExe reports whether path names the program's executable.
func (p *procfs) isExe(path []byte) bool {
	name, rest := p.own(path)
	return string(name) == "exe" && len(rest) == len(name) && (p.exe != "" || p.program != "")
}

// translate rewrites the path buf[at:] if it is one of the program's process.
func (p *procfs) translate(buf []byte, at int) []byte {
	name, rest := p.own(buf[at:])
	switch string(name) {
	case "exe":
		if !p.isExe(buf[at:]) {
			return buf
		}
		return append(buf[:at], p.executable()...)
	case "cmdline", "environ", "maps", "smaps", "smaps_rollup", "numa_maps", "map_files", "comm",
		"auxv", "stat", "statm", "mem", "pagemap", "stack", "wchan", "syscall":
		if p.program == "" {
			return buf
		}
		// rest overlaps what is written.
		n := copy(buf[at+len(p.program):cap(buf)], rest)
		copy(buf[at:], p.program)
		return buf[:at+len(p.program)+n]
	}
	return buf
}

// executable is a path that opens the program's file, even a deleted one where
// the program runs on this host.
func (p *procfs) executable() string {
	if p.same {
		return p.program + "exe"
	}
	return p.exe
}

// runnable is a path to execute the program's file by: its own name as long as
// that still means it, since the link of another process may not be followed
// from a new user namespace.
func (p *procfs) runnable() string {
	if p.same && p.exe != "" {
		a, errA := os.Stat(p.exe)
		b, errB := os.Stat(p.program + "exe")
		if errA == nil && errB == nil && os.SameFile(a, b) {
			return p.exe
		}
	}
	return p.executable()
}

// link is what readlink of /proc/self/exe says.
func (p *procfs) link() string {
	if p.same {
		if s, err := os.Readlink(p.program + "exe"); err == nil {
			return s
		}
	}
	if _, err := os.Stat(p.exe); errors.Is(err, fs.ErrNotExist) {
		return p.exe + deleted
	}
	return p.exe
}
