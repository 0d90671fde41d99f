package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// marker tells servers that this is a remote binary, see wire.Marker: an
// array, because a string would be merged with others and its zero with
// theirs. attach refers to it, so that the linker keeps it.
var marker = [...]byte{0xff, 'r', 'e', 'm', 'o', 't', 'e', 'c', ' ', 's', 't', 'u', 'b', 0,
	'a', 'p', 'i', '=', '0' + wire.APIVersion, 0}

const (
	serverFlag = "-go.remote="
	serverEnv  = "GORUNTIMESERVER="
	tokenEnv   = "REMOTEC_TOKEN="
	askEnv     = "REMOTEC_PROCESSES=" // N or N/PLACEMENT
)

// attach connects this process to its runtime server. It runs on the main
// goroutine before the first init function of the program, and returns when
// the process is attached; else the process ends.
//
//go:linkname attach runtime.remoteAttach
func attach() {
	askDeathSignal()
	signals := blockPreemption()
	args, env := start()
	args, flagAddr := takeFlag(args)
	env, addr := takeEnv(env, serverEnv)
	_, token := takeEnv(env, tokenEnv)
	env, _ = takeEnv(env, processEnv)
	env, asked := takeEnv(env, askEnv)
	if flagAddr != "" {
		addr = flagAddr
	}
	if addr == "" {
		joinAncestor(args, signals)
		fatal("remote binary requires runtime server\n\n",
			"This program was built with -toolexec=remotec. Start it with\n",
			"\tremotec run ", args[0], " ...\n",
			"or name a server: -go.remote=host:port, -go.remote=unix:/path or GORUNTIMESERVER.")
	}
	edit(args, env)
	if b := globals(); marker[0] == 0 || b[0] > b[1] || b[2] > b[3] {
		fatal("this remote binary was linked wrongly: its globals are not laid out; build it again")
	}
	mapTables()
	raiseLimit()

	msg := wire.Attach{
		APIVersion: wire.APIVersion,
		GoVersion:  goVersion(),
		CPU:        cpuFeatures(),
		Path:       readLink("/proc/self/exe"),
		Cwd:        workingDir(),
		Args:       args,
	}
	msg.BuildID = buildID(readFile("/proc/self/exe", 64<<10))
	pid, _, _ := raw(wire.SYS_GETPID, 0, 0, 0, 0, 0, 0)
	msg.PID = uint32(pid)
	umask, _, _ := raw(wire.SYS_UMASK, 0, 0, 0, 0, 0, 0)
	raw(wire.SYS_UMASK, umask, 0, 0, 0, 0, 0)
	msg.Umask = uint32(umask)
	msg.Processes, msg.Placement = parseAsked(asked)

	var fds []int32
	if n, ok := number(after(addr, "fd:"), 1<<20); ok {
		control = int32(n)
		msg.Flags = wire.AttachChild
		raw(wire.SYS_FCNTL, uintptr(control), 2, 1, 0, 0, 0) // F_SETFD, FD_CLOEXEC
	} else {
		if token == "" {
			token = tokenFile(addr)
		}
		msg.Token = token
		dial(addr)
		if !controlTCP {
			cwd, _, errno := raw(wire.SYS_OPENAT, fdCwd, addrOf([]byte(".\x00")), oPATH|oCLOEXEC, 0, 0, 0)
			if errno == 0 {
				msg.Flags = wire.AttachFDs
				fds = []int32{openOrNull(0), openOrNull(1), openOrNull(2), int32(cwd)}
			}
		} else {
			msg.Flags = wire.AttachStdio
			if sameFile() {
				msg.Flags |= wire.AttachJoined
			}
		}
	}
	reply, again := shakeHands(addr, &msg, fds)
	if again != "" {
		startAgain(again, args, signals)
	}
	if len(fds) == 4 {
		closeFD(fds[3])
	}
	session, sessionPID, policy = reply.Session, reply.PID, reply.Policy
	self, count := processNumber()
	if uint64(max(reply.Processes, 1)) != uint64(max(count, 1)) || uint64(reply.Process) != uint64(self) {
		broken("the number of the process is not the one that it was started with")
	}
	if len(reply.Key) == len(linkKey) {
		copy(linkKey[:], reply.Key)
	}
	if controlTCP && policy&wire.PolicyStdio != 0 {
		n := int32(3)
		if msg.Flags&wire.AttachJoined != 0 {
			n = 2
		}
		openStreams(n, make([]byte, 256))
	}
	settleStd(reply.Std)
	own(control)
	systemstack(func() { spare = newLink(0) })
	if hasC = cgo(); hasC {
		takeLowNumbers()
	}
	setSession(reply.Server, reply.Process, max(reply.Processes, 1))
	restoreSignals(signals)
	install(hooks(), uint32(reply.Hooks), int64(min(reply.Lease, 1<<40)))
	startStdio(streamsOn)
	if policy&wire.PolicyAccount != 0 {
		accountOn()
	}
	if count > 1 {
		setPlacement(policy&wire.PolicySpread != 0, policy&wire.PolicyBalance != 0)
		joinMemory()
	}
}

// raiseLimit lets this process have as many descriptors as it may: copies of
// the session's, one per thread for its link. The program's own limit is the
// session's.
func raiseLimit() {
	const nofile = 7
	var lim [2]uint64
	p := uintptr(unsafe.Pointer(&lim))
	if _, _, errno := raw(wire.SYS_PRLIMIT64, 0, nofile, 0, p, 0, 0); errno == 0 && lim[0] < lim[1] {
		lim[0] = lim[1]
		raw(wire.SYS_PRLIMIT64, 0, nofile, p, 0, 0, 0)
	}
}

// takeFlag returns args without -go.remote=ADDR, and ADDR.
func takeFlag(args []string) (rest []string, addr string) {
	for i, a := range args {
		if a == "--" {
			break
		}
		if v := after(a, serverFlag); v != "" {
			return append(append(rest, args[:i]...), args[i+1:]...), v
		}
		if v := after(a, "-"+serverFlag); v != "" {
			return append(append(rest, args[:i]...), args[i+1:]...), v
		}
	}
	return args, ""
}

// takeEnv returns env without the variable, and its value.
func takeEnv(env []string, name string) (rest []string, value string) {
	for _, e := range env {
		if len(e) >= len(name) && e[:len(name)] == name {
			value = e[len(name):]
		} else {
			rest = append(rest, e)
		}
	}
	return rest, value
}

// after returns what follows prefix in s, "" when s has another start.
func after(s, prefix string) string {
	if len(s) > len(prefix) && s[:len(prefix)] == prefix {
		return s[len(prefix):]
	}
	return ""
}

// dial opens the control connection. A server on this host is reached by a
// unix socket even where its address is a TCP port, because descriptors
// travel over that one.
func dial(addr string) {
	t, problem := parseTarget(addr)
	if problem != "" {
		fatal("remote binary cannot connect to runtime server ", addr, ": ", problem)
	}
	var errno uintptr
	if t.tcp && t.loop {
		var buf [20]byte
		var near target
		near.unix("@remotec-serve-" + decimal(&buf, uint64(t.port)))
		if control, errno = near.connect(); errno == 0 {
			return
		}
	}
	if control, errno = t.connect(); errno != 0 {
		fatal("remote binary cannot connect to runtime server ", addr, ": ", reason(errno))
	}
	dialed, controlTCP = t, t.tcp
}

func reason(errno uintptr) string {
	switch errno {
	case 2:
		return "no such file or directory"
	case 13:
		return "permission denied"
	case 110:
		return "connection timed out"
	case 111:
		return "connection refused"
	case 101, 113:
		return "host or network is unreachable"
	}
	var buf [20]byte
	return "errno " + decimal(&buf, uint64(errno))
}

// parseAsked reads how many processes the program is to ask for, and which
// placement: N, /PLACEMENT or N/PLACEMENT.
func parseAsked(s string) (processes, placement uint32) {
	if i := index(s, '/'); i >= 0 {
		switch s[i+1:] {
		case "local":
			placement = wire.PlaceLocal
		case "spread":
			placement = wire.PlaceSpread
		case "balance":
			placement = wire.PlaceBalance
		case "affinity":
			placement = wire.PlaceAffinity
		}
		s = s[:i]
	}
	n, _ := number(s, 1<<20)
	return uint32(n), placement
}

// startAgain executes the program in place as the first process of several: its
// heap is to lie in another place than that of a process that is alone, and has
// been begun. The connection stays, and with it the session.
func startAgain(process string, args []string, signals uint64) {
	const setFD = 2 // F_SETFD
	raw(wire.SYS_FCNTL, uintptr(control), setFD, 0, 0, 0, 0)
	var buf [20]byte
	if process[len(process)-1] == '/' {
		process += hexadecimal(&buf, uint64(takeMail(process)))
	}
	_, env := start()
	env = append(append([]string(nil), env...), processEnv+process, serverEnv+"fd:"+decimal(&buf, uint64(control)))
	restoreSignals(signals)
	path := readLink("/proc/self/exe")
	execute(path, args, env)
	execute("/proc/self/exe", args, env) // another name space, or it was removed
	fatal("remote binary cannot start anew as the first of several processes: ", path, " cannot be executed")
}

// takeMail receives the descriptors for messages to processes of this host, whose
// number, less one, is the last field of process, and puts them at consecutive
// numbers, of which it returns the first.
func takeMail(process string) uintptr {
	count, digit := uintptr(0), uintptr(1)
	for i := len(process) - 2; i >= 0 && process[i] != '/'; i-- {
		count += digit * uintptr(max(hexDigit(process[i]), 0))
		digit *= 16
	}
	const getFD, most = 1, 256
	count = min(count, most)
	base := uintptr(64)
	for i := uintptr(0); i <= count; i++ {
		if _, _, errno := raw(wire.SYS_FCNTL, base+i, getFD, 0, 0, 0, 0); errno == 0 {
			base, i = base+i+1, ^uintptr(0) // it is in use: further up
		}
	}
	var one [1]byte
	var fds [maxHanded]int32
	for i := range count + 1 {
		n := 0
		if got, _ := receive(control, one[:], &fds, &n); got != 1 || n != 1 {
			fatal("runtime server: protocol error: descriptors that were announced did not arrive")
		}
		raw(wire.SYS_DUP3, uintptr(fds[0]), base+i, 0, 0, 0, 0)
		closeFD(fds[0])
	}
	return base
}

// shakeHands sends Attach and receives the answer, or what the process is to
// start again with.
func shakeHands(addr string, msg *wire.Attach, fds []int32) (reply *wire.Attached, again string) {
	buf := make([]byte, wire.MaxAttach)
	frame, ok := wire.PutAttach(buf, msg)
	if !ok {
		msg.Args = nil // too long to tell, and only for people
		frame, _ = wire.PutAttach(buf, msg)
	}
	limit := int64(answerLimit)
	if msg.Flags&wire.AttachChild != 0 {
		limit = startLimit
	}
	setTimeouts(control, limit)
	ok = writeString(control, wire.PreambleFramed)
	if ok && len(fds) > 0 {
		ok = sendFDs(control, frame[:1], fds) && writeAll(control, frame[1:])
	} else {
		ok = ok && writeAll(control, frame)
	}
	frame = readOneFrame(control, buf)
	if !ok || frame == nil {
		fatal("runtime server ", addr, " did not answer the attach: it is not a runtime server, or not this one's version")
	}
	setTimeouts(control, 0)
	tag, _ := wire.Kind(frame)
	if tag == wire.TagRefused {
		r, err := wire.GetRefused(frame)
		if err == nil && r.Code == wire.RefuseAgain && !controlTCP {
			return nil, r.Message
		}
		if err == nil {
			fatal("runtime server ", addr, " refused this binary: ", r.Message)
		}
	}
	reply, err := wire.GetAttached(frame)
	if err != nil {
		fatal("runtime server ", addr, ": protocol error: malformed answer to the attach")
	}
	return reply, ""
}

// readOneFrame reads a frame and nothing that follows it.
func readOneFrame(fd int32, b []byte) []byte {
	for have, want := 0, 8; ; {
		n, _, errno := raw(wire.SYS_READ, uintptr(fd), addrOf(b[have:]), uintptr(want-have), 0, 0, 0)
		if errno == eINTR {
			continue
		}
		if errno != 0 || n == 0 {
			return nil
		}
		if have += int(n); have < want {
			continue
		}
		if want == 8 {
			size, err := wire.FrameSize(b, len(b))
			if err != nil {
				return nil
			}
			if want = size; have < want {
				continue
			}
		}
		return b[:want]
	}
}

// openOrNull returns fd if it is open, else a descriptor of /dev/null.
func openOrNull(fd int32) int32 {
	if _, _, errno := raw(wire.SYS_FCNTL, uintptr(fd), 1, 0, 0, 0, 0); errno != 0 {
		if null, errno := openFile("/dev/null"); errno == 0 {
			return null
		}
	}
	return fd
}

// settleStd takes the standard streams that may be used directly out of the
// way, and closes this process's own: only the session process is to hold
// them, so that their ends are seen when the program closes them. Standard
// error stays for the stub's last words, and in a program with C code all
// stay for what that prints.
func settleStd(direct uint32) {
	for fd := uint64(0); fd < 3; fd++ {
		if direct&(1<<fd) != 0 {
			const dupCloexec, above = 1030, 10 // F_DUPFD_CLOEXEC
			if r, _, errno := raw(wire.SYS_FCNTL, uintptr(fd), dupCloexec, above, 0, 0, 0); errno == 0 {
				setHanded(fd, int32(r))
			}
		}
	}
	if cgo() {
		return
	}
	path := []byte("/dev/null\x00")
	null, _, errno := raw(wire.SYS_OPENAT, fdCwd, addrOf(path), oRDWR|oCLOEXEC, 0, 0, 0)
	if errno != 0 {
		return
	}
	raw(wire.SYS_DUP3, null, 0, 0, 0, 0, 0)
	raw(wire.SYS_DUP3, null, 1, 0, 0, 0, 0)
	if null > 2 {
		closeFD(int32(null))
	}
}

func readLink(name string) string {
	path := append([]byte(name), 0)
	buf := make([]byte, 4096)
	n, _, errno := raw(wire.SYS_READLINKAT, fdCwd, addrOf(path), addrOf(buf), uintptr(len(buf)), 0, 0)
	if errno != 0 {
		return ""
	}
	return string(buf[:n])
}

func workingDir() string {
	buf := make([]byte, 4096)
	n, _, errno := raw(wire.SYS_GETCWD, addrOf(buf), uintptr(len(buf)), 0, 0, 0, 0)
	if errno != 0 || n == 0 {
		return ""
	}
	return string(buf[:n-1])
}

// tokenFile returns the token that a server on this host left for its own
// user; see server for the place and the checks on its side.
func tokenFile(addr string) string {
	t, problem := parseTarget(addr)
	if problem != "" || !t.tcp || !t.loop {
		return ""
	}
	var b1, b2 [20]byte
	uid, _, _ := raw(wire.SYS_GETUID, 0, 0, 0, 0, 0, 0)
	return readFile("/tmp/remotec-"+decimal(&b1, uint64(uid))+"/tcp-"+decimal(&b2, uint64(t.port))+".token", 4096)
}

// buildID returns the Go build ID out of the first part of an ELF file: the
// note of type 4 with the name Go, cmd/internal/buildid.
func buildID(elf string) string {
	if len(elf) < 64 || elf[:4] != "\x7fELF" {
		return ""
	}
	u16 := func(at int) int { return int(elf[at]) | int(elf[at+1])<<8 }
	u32 := func(at int) int { return u16(at) | u16(at+2)<<16 }
	phoff, phnum := u32(32), u16(56)
	for i := range phnum {
		p := phoff + 56*i
		if p+56 > len(elf) || u32(p) != 4 { // PT_NOTE
			continue
		}
		at, end := u32(p+8), u32(p+8)+u32(p+32)
		for at+16 <= end && end <= len(elf) {
			name, desc, typ := u32(at), u32(at+4), u32(at+8)
			body := at + 12 + (name+3)&^3
			if name < 0 || desc < 0 || body+desc > end {
				break
			}
			if typ == 4 && name == 4 && elf[at+12:at+16] == "Go\x00\x00" {
				return elf[body : body+desc]
			}
			at = body + (desc+3)&^3
		}
	}
	return ""
}

// joinAncestor makes a remote binary that was started by a program of a
// session, directly or through other programs, run in a session of its own
// under the same server: it executes that server's program in place. It
// returns when no ancestor is a session process.
func joinAncestor(args []string, signals uint64) {
	r, _, _ := raw(wire.SYS_GETPPID, 0, 0, 0, 0, 0, 0)
	pid := uint64(r)
	for range 64 {
		if pid <= 1 {
			return
		}
		var buf [20]byte
		name := "@remotec-session-" + decimal(&buf, pid)
		var t target
		t.unix(name)
		if fd, errno := t.connect(); errno == 0 {
			hello := make([]byte, 8)
			setTimeouts(fd, 2)
			n, _, _ := raw(wire.SYS_READ, uintptr(fd), addrOf(hello), 8, 0, 0, 0)
			closeFD(fd)
			if n == 8 && string(hello) == "REMOTECS" {
				execSession(pid, args, signals)
			}
		}
		pid = parentOf(pid)
	}
}

// parentOf reads field 4 of /proc/PID/stat; the name in field 2 may hold
// anything, so the count starts at the last parenthesis.
func parentOf(pid uint64) uint64 {
	var buf [20]byte
	stat := readFile("/proc/"+decimal(&buf, pid)+"/stat", 4096)
	for i := len(stat) - 1; i >= 0; i-- {
		if stat[i] == ')' && i+4 < len(stat) {
			rest := stat[i+4:]
			if end := index(rest, ' '); end > 0 {
				n, _ := number(rest[:end], 1<<30)
				return uint64(n)
			}
			return 0
		}
	}
	return 0
}

// execSession replaces this process by a session process for its program,
// which inherits the mask of signals.
func execSession(pid uint64, args []string, signals uint64) {
	restoreSignals(signals)
	var buf [20]byte
	_, env := start()
	argv := append([]string{"remotec-session", "run", readLink("/proc/self/exe")}, args...)
	execute("/proc/"+decimal(&buf, pid)+"/exe", argv, env)
	// Still here: say so as if there were no ancestor.
}

// execute is execve. It returns where that failed.
func execute(path string, args, env []string) {
	file := append([]byte(path), 0)
	var keep [][]byte
	vector := func(list []string) []uintptr {
		var v []uintptr
		for _, s := range list {
			b := append([]byte(s), 0)
			keep = append(keep, b)
			v = append(v, addrOf(b))
		}
		return append(v, 0)
	}
	argv, envp := vector(args), vector(env)
	raw(wire.SYS_EXECVE, addrOf(file), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), 0, 0, 0)
	keepAlive = keep
}

// keepAlive holds what is referred to by address only.
//
//lint:ignore U1000 to be stored to is its use
var keepAlive [][]byte
