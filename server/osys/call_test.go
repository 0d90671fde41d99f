package osys

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"remotec.dev/runtimestub/wire"
)

func TestFiles(t *testing.T) {
	c := testClient(t, Config{})
	name := filepath.Join(t.TempDir(), "f")
	fd := c.open(name, syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC)
	if n := c.write(fd, "hello, world"); n != 12 {
		t.Errorf("write = %d", n)
	}
	c.must(wire.Call{Nr: wire.SYS_PREAD64, Args: wire.Args{fd, 0, 100, 7}})
	if got := string(c.reply.Blobs[1]); got != "world" {
		t.Errorf("pread = %q", got)
	}
	if n := c.must(wire.Call{Nr: wire.SYS_LSEEK, Args: wire.Args{fd, 0, 0}}); n != 0 {
		t.Errorf("lseek = %d", n)
	}
	c.must(wire.Call{Nr: wire.SYS_READV, Args: wire.Args{fd, 0, 5}})
	if got := string(c.reply.Blobs[1]); got != "hello" {
		t.Errorf("readv = %q", got)
	}
	c.must(wire.Call{Nr: wire.SYS_PWRITEV, Args: wire.Args{fd, 0, 3, 7}, Blobs: wire.Blobs{1: []byte("WORLD")}})
	if got, _ := os.ReadFile(name); string(got) != "hello, WORLD" {
		t.Errorf("file = %q", got)
	}
	c.must(wire.Call{Nr: wire.SYS_NEWFSTATAT, Args: wire.Args{atFdcwd}, Blobs: wire.Blobs{1: []byte(name)}})
	if size := le64(c.reply.Blobs[2][48:]); len(c.reply.Blobs[2]) != 144 || size != 12 {
		t.Errorf("stat: %d bytes, size %d", len(c.reply.Blobs[2]), size)
	}
	c.must(wire.Call{Nr: wire.SYS_READ, Args: wire.Args{fd, 0, 0}})
	c.close(fd)
	_, e := c.do(wire.Call{Nr: wire.SYS_READ, Args: wire.Args{fd, 0, 1}})
	wantErrno(t, "read of a closed descriptor", e, syscall.EBADF)
	if c.reply.R1 != ^uint64(0) || c.reply.Blobs[1] != nil {
		t.Error("a failed call has results")
	}
}

func TestMalformedCalls(t *testing.T) {
	c := testClient(t, Config{})
	fd := c.open(tempFile(t, "x"), syscall.O_RDWR)
	defer c.close(fd)
	for name, tt := range map[string]struct {
		call wire.Call
		want syscall.Errno
	}{
		"write without its blob":      {wire.Call{Nr: wire.SYS_WRITE, Args: wire.Args{fd, 0xdead0000, 4}}, syscall.EFAULT},
		"write with a short blob":     {wire.Call{Nr: wire.SYS_WRITE, Args: wire.Args{fd, 0, 4}, Blobs: wire.Blobs{1: []byte("abc")}}, syscall.EINVAL},
		"write of nil":                {wire.Call{Nr: wire.SYS_WRITE, Nulls: 2, Args: wire.Args{fd, 0, 4}}, syscall.EFAULT},
		"read too large":              {wire.Call{Nr: wire.SYS_READ, Args: wire.Args{fd, 0, 1 << 40}}, syscall.EINVAL},
		"readv too large":             {wire.Call{Nr: wire.SYS_READV, Args: wire.Args{fd, 0, ^uint64(0)}}, syscall.EINVAL},
		"path with a zero":            {openCall("/tmp\x00/x", 0), syscall.EINVAL},
		"path missing":                {wire.Call{Nr: wire.SYS_OPENAT, Args: wire.Args{atFdcwd, 0xdead0000}}, syscall.EFAULT},
		"path nil":                    {wire.Call{Nr: wire.SYS_OPENAT, Nulls: 2, Args: wire.Args{atFdcwd}}, syscall.EFAULT},
		"path too long":               {openCall(strings.Repeat("x/", 1<<16), 0), syscall.ENAMETOOLONG},
		"unknown call":                {wire.Call{Nr: 500}, syscall.ENOSYS},
		"unknown pseudo call":         {wire.Call{Nr: wire.LastPseudo + 1}, syscall.ENOSYS},
		"local call":                  {wire.Call{Nr: wire.SYS_MPROTECT, Args: wire.Args{0x400000, 4096}}, syscall.ENOSYS},
		"munmap":                      {wire.Call{Nr: wire.SYS_MUNMAP, Args: wire.Args{0x400000, 4096}}, syscall.ENOSYS},
		"exit":                        {wire.Call{Nr: wire.SYS_EXIT_GROUP}, syscall.ENOSYS},
		"clone":                       {wire.Call{Nr: syscall.SYS_CLONE}, syscall.ENOSYS},
		"getsockopt without length":   {wire.Call{Nr: wire.SYS_GETSOCKOPT, Args: wire.Args{fd, 1, 3}}, syscall.EFAULT},
		"accept with negative length": {wire.Call{Nr: wire.SYS_ACCEPT4, Args: wire.Args{fd}, Blobs: wire.Blobs{2: {0, 0, 0, 0x80}}}, syscall.EINVAL},
		"select beyond its sets":      {wire.Call{Nr: wire.SYS_SELECT, Nulls: 0x1e, Args: wire.Args{1025}}, syscall.EINVAL},
		"filter with an address":      {wire.Call{Nr: wire.SYS_SETSOCKOPT, Args: wire.Args{fd, 1, 26, 0, 16}, Blobs: wire.Blobs{3: make([]byte, 16)}}, syscall.EOPNOTSUPP},
		"ioctl with unknown request":  {wire.Call{Nr: wire.SYS_IOCTL, Args: wire.Args{fd, 0xc0ffee}}, syscall.ENOSYS},
		"ioctl with a short struct":   {wire.Call{Nr: wire.SYS_IOCTL, Args: wire.Args{fd, 0x5414}, Blobs: wire.Blobs{2: make([]byte, 4)}}, syscall.EINVAL},
		"spawn without anything":      {wire.Call{Nr: wire.NrSpawn}, syscall.EFAULT},
		"spawn with bad attributes":   {wire.Call{Nr: wire.NrSpawn, Blobs: wire.Blobs{0: []byte("/bin/true"), 5: []byte("bad")}}, syscall.EINVAL},
		"gettid on all threads":       {wire.Call{Nr: wire.NrAllThreads, Args: wire.Args{syscall.SYS_GETTID}}, syscall.ENOSYS},
	} {
		t.Run(name, func(t *testing.T) {
			_, e := c.do(tt.call)
			wantErrno(t, name, e, tt.want)
		})
	}
}

func TestRecvmsgSendmsgPassDescriptors(t *testing.T) {
	c := testClient(t, Config{})
	c.must(wire.Call{Nr: wire.SYS_SOCKETPAIR, Args: wire.Args{syscall.AF_UNIX, syscall.SOCK_DGRAM}})
	a, b := uint64(le32(c.reply.Blobs[3])), uint64(le32(c.reply.Blobs[3][4:]))
	defer c.close(a)
	defer c.close(b)
	file := c.open(tempFile(t, "passed on"), syscall.O_RDONLY)
	send := wire.Call{Nr: wire.SYS_SENDMSG, Args: wire.Args{a}, Blobs: wire.Blobs{1: []byte("data"), 4: syscall.UnixRights(int(file))}}
	if n := c.must(send); n != 4 {
		t.Errorf("sendmsg = %d", n)
	}
	c.close(file)
	c.dst = make([]byte, wire.ReplyHeader) // the reply must find room by itself
	n := c.must(wire.Call{Nr: wire.SYS_RECVMSG, Args: wire.Args{b, 0, 0, 1 << 16, 112, 4096}})
	if n != 4 || string(c.reply.Blobs[1]) != "data" {
		t.Errorf("recvmsg = %d %q", n, c.reply.Blobs[1])
	}
	msgs, err := syscall.ParseSocketControlMessage(c.reply.Blobs[4])
	if err != nil || len(msgs) != 1 {
		t.Fatalf("control data: %d messages, %v", len(msgs), err)
	}
	fds, err := syscall.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("rights: %v, %v", fds, err)
	}
	if got := string(c.read(uint64(fds[0]), 100)); got != "passed on" {
		t.Errorf("read %q", got)
	}
	c.close(uint64(fds[0]))
}

func TestSocketAddresses(t *testing.T) {
	c := testClient(t, Config{})
	loopback := []byte{syscall.AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	udp := func() uint64 {
		fd := c.must(wire.Call{Nr: wire.SYS_SOCKET, Args: wire.Args{syscall.AF_INET, syscall.SOCK_DGRAM}})
		c.must(wire.Call{Nr: wire.SYS_BIND, Args: wire.Args{fd, 0, 16}, Blobs: wire.Blobs{1: loopback}})
		return fd
	}
	name := func(fd uint64, room byte) []byte {
		c.must(wire.Call{Nr: wire.SYS_GETSOCKNAME, Args: wire.Args{fd}, Blobs: wire.Blobs{2: {room, 0, 0, 0}}})
		return bytes.Clone(c.reply.Blobs[1])
	}
	a, b := udp(), udp()
	defer c.close(a)
	defer c.close(b)
	from, to := name(a, 28), name(b, 28)
	if len(to) != 16 || le32(c.reply.Blobs[2]) != 16 {
		t.Errorf("getsockname: %d bytes, length %d", len(to), le32(c.reply.Blobs[2]))
	}
	if short := name(b, 4); len(short) != 4 || le32(c.reply.Blobs[2]) != 16 {
		t.Errorf("getsockname with room for 4: %d bytes, length %d", len(short), le32(c.reply.Blobs[2]))
	}
	c.must(wire.Call{Nr: wire.SYS_SENDTO, Args: wire.Args{a, 0, 5, 0, 0, 16}, Blobs: wire.Blobs{1: []byte("datum"), 4: to}})
	n := c.must(wire.Call{Nr: wire.SYS_RECVFROM, Args: wire.Args{b, 0, 1000}, Blobs: wire.Blobs{5: {112, 0, 0, 0}}})
	if n != 5 || string(c.reply.Blobs[1]) != "datum" || !bytes.Equal(c.reply.Blobs[4], from) || le32(c.reply.Blobs[5]) != 16 {
		t.Errorf("recvfrom = %d %q from %x", n, c.reply.Blobs[1], c.reply.Blobs[4])
	}
	c.must(wire.Call{Nr: wire.SYS_GETSOCKOPT, Args: wire.Args{a, syscall.SOL_SOCKET, syscall.SO_TYPE}, Blobs: wire.Blobs{4: {4, 0, 0, 0}}})
	if got := c.reply.Blobs[3]; len(got) != 4 || le32(got) != syscall.SOCK_DGRAM {
		t.Errorf("getsockopt = %x", got)
	}
}

func TestReservedDescriptors(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	mine := uint64(w.Fd())
	c := testClient(t, Config{Reserved: func(fd int) bool { return fd == int(mine) || fd == int(r.Fd()) }})
	fd := c.open(tempFile(t, "x"), syscall.O_RDWR)
	for name, call := range map[string]wire.Call{
		"write":                {Nr: wire.SYS_WRITE, Args: wire.Args{mine, 0, 1}, Blobs: wire.Blobs{1: {'x'}}},
		"close":                {Nr: wire.SYS_CLOSE, Args: wire.Args{mine}},
		"close with high bits": {Nr: wire.SYS_CLOSE, Args: wire.Args{mine | 1<<40}},
		"dup":                  {Nr: wire.SYS_DUP, Args: wire.Args{mine}},
		"dup3 to":              {Nr: wire.SYS_DUP3, Args: wire.Args{fd, mine, 0}},
		"dup2 to":              {Nr: wire.SYS_DUP2, Args: wire.Args{fd, mine}},
		"hand":                 {Nr: wire.NrHand, Args: wire.Args{mine}},
		"pollopen":             {Nr: wire.NrPollOpen, Args: wire.Args{mine}},
		"sendmsg":              {Nr: wire.SYS_SENDMSG, Args: wire.Args{fd}, Blobs: wire.Blobs{4: syscall.UnixRights(int(mine))}},
		"spawn":                {Nr: wire.NrSpawn, Blobs: wire.Blobs{0: []byte("/bin/true"), 4: {byte(mine), 0, 0, 0}}},
	} {
		_, e := c.do(call)
		wantErrno(t, name, e, syscall.EBADF)
	}
	if _, err := w.Write([]byte("x")); err != nil {
		t.Error(err)
	}
}

func init() {
	// In a process of its own: others' descriptors are closed.
	helpers["closerange"] = func(c *client) {
		p := new([2]int)
		if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC); err != nil {
			panic(err)
		}
		low := c.open("/dev/null", 0)
		c.os.(*passthrough).cfg.Reserved = func(fd int) bool {
			return fd == p[0] || fd == p[1] || fd < int(low)
		}
		high := c.open("/dev/null", 0)
		c.must(wire.Call{Nr: sysCloseRange, Args: wire.Args{uint64(p[0]), 1<<32 - 1}})
		for _, fd := range []uint64{low, high} {
			if _, e := c.do(wire.Call{Nr: wire.SYS_FSTAT, Args: wire.Args{fd}}); e != syscall.EBADF {
				panic("still open")
			}
		}
		if _, err := syscall.Write(p[1], []byte("x")); err != nil {
			panic(err)
		}
	}
}

func TestCloseRangeSkipsReserved(t *testing.T) { runHelper(t, "closerange") }

func TestHandOver(t *testing.T) {
	dir := t.TempDir()
	file := tempFile(t, "x")
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	const cloexec = syscall.O_CLOEXEC
	for name, tt := range map[string]struct {
		call wire.Call
		want int
	}{
		"regular file":  {openCall(file, syscall.O_RDWR|cloexec), 1},
		"directory":     {openCall(dir, cloexec), 0},
		"fifo":          {openCall(fifo, syscall.O_RDWR|cloexec), 1},
		"O_PATH":        {openCall(file, oPath|cloexec), 0},
		"device":        {openCall("/dev/null", cloexec), 0},
		"proc":          {openCall("/proc/self/status", cloexec), 0},
		"tcp":           {wire.Call{Nr: wire.SYS_SOCKET, Args: wire.Args{syscall.AF_INET, syscall.SOCK_STREAM | cloexec}}, 1},
		"unix":          {wire.Call{Nr: wire.SYS_SOCKET, Args: wire.Args{syscall.AF_UNIX, syscall.SOCK_STREAM | cloexec}}, 1},
		"unix datagram": {wire.Call{Nr: wire.SYS_SOCKET, Args: wire.Args{syscall.AF_UNIX, syscall.SOCK_DGRAM | cloexec}}, 0},
		"netlink":       {wire.Call{Nr: wire.SYS_SOCKET, Args: wire.Args{syscall.AF_NETLINK, syscall.SOCK_RAW | cloexec}}, 0},
		"pipe":          {wire.Call{Nr: wire.SYS_PIPE2, Args: wire.Args{1: cloexec}}, 2},
		"epoll":         {wire.Call{Nr: wire.SYS_EPOLL_CREATE1, Args: wire.Args{cloexec}}, 0},
		"eventfd":       {wire.Call{Nr: wire.SYS_EVENTFD2, Args: wire.Args{1: cloexec}}, 0},
		"memfd":         {wire.Call{Nr: wire.SYS_MEMFD_CREATE, Args: wire.Args{1: 1}, Blobs: wire.Blobs{0: []byte("m")}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, permit := range []bool{true, false} {
				c := testClient(t, Config{Hand: permit})
				call := tt.call
				r1 := c.must(call)
				want := tt.want
				if !permit {
					want = 0
				}
				if len(c.hand) != want || int(c.reply.Handed) != want {
					t.Errorf("permit %v: handed %v, reply says %d, want %d", permit, c.hand, c.reply.Handed, want)
				}
				if b := c.reply.Blobs[0]; name == "pipe" {
					c.close(uint64(le32(b)))
					c.close(uint64(le32(b[4:])))
				} else {
					c.close(r1)
				}
			}
		})
	}
	c := testClient(t, Config{Hand: true})
	fd := c.open(file, oPath|cloexec)
	dup := c.must(wire.Call{Nr: wire.SYS_FCNTL, Args: wire.Args{fd, syscall.F_DUPFD_CLOEXEC}})
	if len(c.hand) != 0 {
		t.Error("a duplicate of an O_PATH descriptor is handed over")
	}
	_, e := c.do(wire.Call{Nr: wire.NrHand, Args: wire.Args{fd}})
	wantErrno(t, "hand of an O_PATH descriptor", e, syscall.EPERM)
	c.close(fd)
	c.close(dup)
}

func TestStatsCount(t *testing.T) {
	c := testClient(t, Config{})
	fd := c.open(tempFile(t, "x"), 0)
	c.read(fd, 1)
	s := c.os.(Counting).Stats()
	if s.Calls != 2 || s.ByNumber[wire.SYS_READ] != 1 || s.Descriptors < 4 {
		t.Errorf("%+v", s)
	}
	c.close(fd)
	c.th.Close()
	if s := c.os.(Counting).Stats(); s.Calls != 3 {
		t.Errorf("calls of a thread that is gone: %+v", s)
	}
}

func TestPanicAnswersEFAULT(t *testing.T) {
	c := testClient(t, Config{Lease: func(uint64) uint64 { panic("boom") }})
	_, e := c.do(wire.Call{Nr: wire.NrLease})
	wantErrno(t, "a call that panics", e, syscall.EFAULT)
	c.must(wire.Call{Nr: wire.SYS_GETPID})
}

func TestFormat(t *testing.T) {
	for want, tt := range map[string]struct {
		call  wire.Call
		reply wire.Reply
	}{
		`openat(AT_FDCWD, "/etc/hosts", 0x80000, 0) = 3`: {
			wire.Call{Nr: wire.SYS_OPENAT, Args: wire.Args{atFdcwd, 0, 0x80000}, Blobs: wire.Blobs{1: []byte("/etc/hosts")}}, wire.Reply{R1: 3}},
		`read(3, "abc", 512) = 3`: {
			wire.Call{Nr: wire.SYS_READ, Args: wire.Args{3, 0, 512}}, wire.Reply{R1: 3, Blobs: wire.Blobs{1: []byte("abc")}}},
		`close(9) = -1 EBADF (bad file descriptor)`: {
			wire.Call{Nr: wire.SYS_CLOSE, Args: wire.Args{9}}, wire.Reply{Errno: 9, R1: ^uint64(0)}},
		`connect(4, 127.0.0.1:80, 16) = -1 EINPROGRESS (operation now in progress)`: {
			wire.Call{Nr: wire.SYS_CONNECT, Args: wire.Args{4, 0, 16}, Blobs: wire.Blobs{1: {2, 0, 0, 80, 127, 0, 0, 1}}}, wire.Reply{Errno: 115}},
		`pipe2([3, 4], 0x80000) = 0`: {
			wire.Call{Nr: wire.SYS_PIPE2, Args: wire.Args{1: 0x80000}}, wire.Reply{Blobs: wire.Blobs{0: {3, 0, 0, 0, 4, 0, 0, 0}}}},
		`execve("/bin/true", ["true" "-x"], []) = 0`: {
			wire.Call{Nr: wire.SYS_EXECVE, Blobs: wire.Blobs{[]byte("/bin/true"), []byte("true\x00-x\x00"), {}}}, wire.Reply{}},
		`exit(1) = 0`:    {wire.Call{Nr: wire.NrExit, Args: wire.Args{1}}, wire.Reply{}},
		`getpid() = 100`: {wire.Call{Nr: wire.SYS_GETPID}, wire.Reply{R1: 100}},
	} {
		if got := Format(&tt.call, &tt.reply); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
