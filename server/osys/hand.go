package osys

import (
	"syscall"

	"remotec.dev/runtimestub/wire"
)

// offer adds descriptor fd, which call c made or names, to those that travel
// with the reply when policy and kind permit. Only kinds whose data calls mean
// the same in another process qualify: regular files, pipes, and sockets of
// the internet and Unix families. Unix datagrams carry the number of the
// process that sends them, and receivers (service managers, loggers) have
// nothing else to know it by.
func (t *thread) offer(c *wire.Call, fd int) {
	if !t.os.cfg.Hand && !(t.os.cfg.Map && c.Nr == wire.NrHand) || t.handed == len(t.hand) || !t.eligible(c, fd) {
		return
	}
	t.hand[t.handed] = fd
	t.handed++
}

func (t *thread) eligible(c *wire.Call, fd int) bool {
	switch c.Nr {
	case syscall.SYS_PIPE, syscall.SYS_PIPE2:
		return true
	case syscall.SYS_SOCKET, syscall.SYS_SOCKETPAIR:
		return handedSocket(int(int32(c.Args[0])), int(c.Args[1])&0xf)
	case syscall.SYS_OPEN:
		if !openedForData(c.Blobs[0], c.Args[1]) {
			return false
		}
	case syscall.SYS_OPENAT:
		if !openedForData(c.Blobs[1], c.Args[2]) {
			return false
		}
	case syscall.SYS_CREAT, sysOpenat2, syscall.SYS_ACCEPT, syscall.SYS_ACCEPT4,
		syscall.SYS_DUP, syscall.SYS_DUP2, syscall.SYS_DUP3, syscall.SYS_FCNTL, wire.NrHand:
	default:
		return false // epoll, eventfd, memfd, pidfd ...
	}
	var st syscall.Stat_t
	if syscall.Fstat(fd, &st) != nil {
		return false
	}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG, syscall.S_IFIFO:
		return c.Nr == syscall.SYS_OPEN || c.Nr == syscall.SYS_OPENAT || !isPath(fd)
	case syscall.S_IFSOCK:
		family, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, soDomain)
		if err != nil {
			return false
		}
		typ, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
		return err == nil && handedSocket(family, typ)
	}
	return false
}

const (
	sysOpenat2 = 437
	soDomain   = 39
	oPath      = 0x200000
)

func handedSocket(family, typ int) bool {
	return family == syscall.AF_INET || family == syscall.AF_INET6 ||
		family == syscall.AF_UNIX && typ != syscall.SOCK_DGRAM
}

// openedForData spares the fstat of files that are not worth a hand-over:
// directories, O_PATH, and the small files of /proc, /sys and /dev.
func openedForData(path []byte, flags uint64) bool {
	if flags&(oPath|syscall.O_DIRECTORY) != 0 {
		return false
	}
	return len(path) < 5 || path[0] != '/' ||
		string(path[:5]) != "/proc" && string(path[:5]) != "/sys/" && string(path[:5]) != "/dev/"
}

// isPath reports whether fd was opened with O_PATH: a copy of it would be
// taken for one that can be read.
func isPath(fd int) bool {
	flags, _, e := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL, 0)
	return e != 0 || flags&oPath != 0
}
