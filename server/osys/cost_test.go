package osys

import (
	"runtime"
	"syscall"
	"testing"

	"remotec.dev/runtimestub/wire"
)

// hot are the calls that must cost little more than the kernel takes.
func hot(t testing.TB, c *client) map[string]wire.Call {
	name := tempFile(t, string(make([]byte, 8192)))
	fd := c.open(name, syscall.O_RDWR)
	t.Cleanup(func() { c.close(fd) })
	return map[string]wire.Call{
		"pread":  {Nr: wire.SYS_PREAD64, Args: wire.Args{fd, 0, 4096}},
		"read":   {Nr: wire.SYS_READ, Args: wire.Args{fd, 0, 4096}},
		"pwrite": {Nr: wire.SYS_PWRITE64, Args: wire.Args{fd, 0, 4096}, Blobs: wire.Blobs{1: make([]byte, 4096)}},
		"stat":   {Nr: wire.SYS_NEWFSTATAT, Args: wire.Args{atFdcwd}, Blobs: wire.Blobs{1: []byte(name)}},
		"lseek":  {Nr: wire.SYS_LSEEK, Args: wire.Args{fd}},
		"getpid": {Nr: wire.SYS_GETPID},
	}
}

func TestHotCallsDoNotAllocate(t *testing.T) {
	c := testClient(t, Config{Hand: true, Reserved: func(int) bool { return false }})
	for name, call := range hot(t, c) {
		if n := testing.AllocsPerRun(1000, func() { c.th.Call(&call, c.dst) }); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// BenchmarkCall measures a call from decoded request to finished reply;
// BenchmarkKernel the same system call by package syscall.
func BenchmarkCall(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := testClient(b, Config{Hand: true, Reserved: func(int) bool { return false }})
	for name, call := range hot(b, c) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				c.th.Call(&call, c.dst)
			}
		})
	}
}

func BenchmarkKernel(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	name := tempFile(b, string(make([]byte, 8192)))
	fd, err := syscall.Open(name, syscall.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer syscall.Close(fd)
	buf := make([]byte, 4096)
	var st syscall.Stat_t
	for what, f := range map[string]func(){
		"pread":  func() { syscall.Pread(fd, buf, 0) },
		"read":   func() { syscall.Read(fd, buf) },
		"pwrite": func() { syscall.Pwrite(fd, buf, 0) },
		"stat":   func() { syscall.Stat(name, &st) },
		"lseek":  func() { syscall.Seek(fd, 0, 0) },
		"getpid": func() { syscall.Getpid() },
	} {
		b.Run(what, func(b *testing.B) {
			for range b.N {
				f()
			}
		})
	}
}
