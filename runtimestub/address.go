package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// target is a server's address, ready for the kernel.
type target struct {
	sa    [112]byte // struct sockaddr_in, _in6 or _un
	salen uint32
	tcp   bool
	port  uint16
	loop  bool // a loopback address
}

// Errors of parseTarget, for people.
const (
	badAddress = "not an address: want host:port or unix:/path"
	badHost    = "the host is neither an IP address nor in /etc/hosts: give its IP address"
)

// parseTarget understands host:port and unix:/path (unix:@name for an
// abstract socket). Hosts are IP addresses and the names of /etc/hosts: the
// resolver is part of the program, which does not run yet.
func parseTarget(addr string) (t target, problem string) {
	if len(addr) > 5 && addr[:5] == "unix:" {
		path := addr[5:]
		if len(path) > 107 {
			return t, "the path of a unix socket has at most 107 bytes"
		}
		t.unix(path)
		return t, ""
	}
	colon := -1
	for i := range len(addr) {
		if addr[i] == ':' {
			colon = i
		}
	}
	if colon < 0 {
		return t, badAddress
	}
	host := addr[:colon]
	port, ok := number(addr[colon+1:], 65535)
	if !ok || port == 0 {
		return t, badAddress
	}
	t.tcp, t.port = true, uint16(port)
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	if !t.setIP(host) {
		ip := hostsFile(host)
		if ip == "" || !t.setIP(ip) {
			return t, badHost
		}
	}
	return t, ""
}

// unix makes t the socket at path; a leading @ means an abstract name.
func (t *target) unix(path string) {
	*t = target{salen: uint32(2 + len(path) + 1)}
	t.sa[0] = afUNIX
	copy(t.sa[2:], path)
	if path[0] == '@' {
		t.sa[2] = 0
		t.salen--
	}
}

func (t *target) setIP(host string) bool {
	t.sa[2], t.sa[3] = byte(t.port>>8), byte(t.port)
	if ip, ok := parseIPv4(host); ok {
		t.sa[0], t.salen = afINET, 16
		copy(t.sa[4:], ip[:])
		t.loop = ip[0] == 127
		return true
	}
	if ip, ok := parseIPv6(host); ok {
		t.sa[0], t.salen = afINET6, 28
		copy(t.sa[8:], ip[:])
		t.loop = ip == [16]byte{15: 1}
		return true
	}
	return false
}

func number(s string, max int) (n int, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if n = n*10 + int(s[i]-'0'); n > max {
			return 0, false
		}
	}
	return n, s != ""
}

func parseIPv4(s string) (ip [4]byte, ok bool) {
	for i := range 4 {
		end := 0
		for end < len(s) && s[end] != '.' {
			end++
		}
		n, ok := number(s[:end], 255)
		if !ok || (end == len(s)) != (i == 3) {
			return ip, false
		}
		ip[i] = byte(n)
		if i < 3 {
			s = s[end+1:]
		}
	}
	return ip, true
}

// parseIPv6 reads the forms of RFC 4291 section 2.2 without embedded IPv4.
func parseIPv6(s string) (ip [16]byte, ok bool) {
	at, gap := 0, -1
	if len(s) >= 2 && s[:2] == "::" {
		gap, s = 0, s[2:]
	}
	for s != "" {
		n, end := 0, 0
		for end < len(s) && s[end] != ':' {
			d := hexDigit(s[end])
			if n = n<<4 | d; d < 0 || n > 0xffff {
				return ip, false
			}
			end++
		}
		if end == 0 || at == 16 {
			return ip, false
		}
		ip[at], ip[at+1] = byte(n>>8), byte(n)
		at += 2
		if s = s[end:]; s == "" {
			break
		}
		s = s[1:]
		if s == "" {
			return ip, false
		}
		if s[0] == ':' {
			if gap >= 0 {
				return ip, false
			}
			gap, s = at, s[1:]
		}
	}
	if gap < 0 {
		return ip, at == 16
	}
	var full [16]byte
	copy(full[:], ip[:gap])
	copy(full[16-(at-gap):], ip[gap:at])
	return full, at < 16
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// hostsFile looks host up in /etc/hosts.
func hostsFile(host string) string {
	text := readFile("/etc/hosts", 64<<10)
	for text != "" {
		line := text
		if i := index(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = ""
		}
		if i := index(line, '#'); i >= 0 {
			line = line[:i]
		}
		ip := ""
		for line != "" {
			end := 0
			for end < len(line) && line[end] != ' ' && line[end] != '\t' {
				end++
			}
			switch word := line[:end]; {
			case word == "":
				end++
			case ip == "":
				ip = word
			case word == host:
				return ip
			}
			line = line[min(end, len(line)):]
		}
	}
	return ""
}

func index(s string, c byte) int {
	for i := range len(s) {
		if s[i] == c {
			return i
		}
	}
	return -1
}

// readFile returns up to max bytes of a file of this host, "" when it cannot
// be read.
func readFile(name string, max int) string {
	fd, errno := openFile(name)
	if errno != 0 {
		return ""
	}
	buf, have := make([]byte, max), 0
	for have < max {
		n, _, errno := raw(wire.SYS_READ, uintptr(fd), addrOf(buf[have:]), uintptr(max-have), 0, 0, 0)
		if errno == eINTR {
			continue
		}
		if errno != 0 || n == 0 {
			break
		}
		have += int(n)
	}
	closeFD(fd)
	return string(buf[:have])
}

func openFile(name string) (fd int32, errno uintptr) {
	path := append([]byte(name), 0)
	r, _, errno := raw(wire.SYS_OPENAT, fdCwd, addrOf(path), oCLOEXEC, 0, 0, 0)
	return int32(r), errno
}

// Time limits of attaching, seconds.
const (
	dialLimit   = 5
	answerLimit = 15
	startLimit  = 300 // for a process that its server has started, or told to start again: it may wait for other hosts
)

// connect opens a connection. It gives up after dialLimit.
func (t *target) connect() (fd int32, errno uintptr) {
	r, _, errno := raw(wire.SYS_SOCKET, uintptr(t.sa[0]), sockStream|oCLOEXEC, 0, 0, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	fd = int32(r)
	// SO_SNDTIMEO bounds connect too, socket(7).
	setTimeouts(fd, dialLimit)
	for {
		_, _, errno = raw(wire.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&t.sa)), uintptr(t.salen), 0, 0, 0)
		if errno != eINTR {
			break
		}
	}
	if errno != 0 {
		closeFD(fd)
		if errno == eINPROG || errno == eAGAIN {
			errno = 110 // ETIMEDOUT
		}
		return -1, errno
	}
	setTimeouts(fd, 0)
	if t.tcp {
		// The other host, or the way to it, may vanish without a word: the
		// kernel asks after 15 seconds of silence, and gives up after a minute.
		const protoTCP, noDelay, keepIdle, keepInterval, keepCount, keepAlive = 6, 1, 4, 5, 6, 9
		for _, opt := range [...][3]uint32{{protoTCP, noDelay, 1}, {solSocket, keepAlive, 1},
			{protoTCP, keepIdle, 15}, {protoTCP, keepInterval, 15}, {protoTCP, keepCount, 3}} {
			raw(wire.SYS_SETSOCKOPT, uintptr(fd), uintptr(opt[0]), uintptr(opt[1]), uintptr(unsafe.Pointer(&opt[2])), 4, 0)
		}
	}
	return fd, 0
}

// setTimeouts limits each receive and send on fd; 0 lifts the limit.
func setTimeouts(fd int32, seconds int64) {
	const rcvTimeo, sndTimeo = 20, 21
	tv := [2]int64{seconds, 0}
	for _, opt := range [...]uintptr{rcvTimeo, sndTimeo} {
		raw(wire.SYS_SETSOCKOPT, uintptr(fd), solSocket, opt, uintptr(unsafe.Pointer(&tv)), 16, 0)
	}
}

// blockPreemption keeps from this thread the signal with which the scheduler
// preempts a goroutine that runs for long: it would interrupt each wait, and
// so start each time limit anew. It returns the mask for restoreSignals.
func blockPreemption() (old uint64) {
	const block, urgent = 0, 1 << (23 - 1) // SIG_BLOCK, SIGURG
	set := uint64(urgent)
	raw(wire.SYS_RT_SIGPROCMASK, block, uintptr(unsafe.Pointer(&set)), uintptr(unsafe.Pointer(&old)), 8, 0, 0)
	return old
}

func restoreSignals(mask uint64) {
	const set = 2 // SIG_SETMASK
	raw(wire.SYS_RT_SIGPROCMASK, set, uintptr(unsafe.Pointer(&mask)), 0, 8, 0, 0)
}
