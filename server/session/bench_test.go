package session

import (
	"runtime"
	"syscall"
	"testing"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
	"remotec.dev/server/osys"
)

// BenchmarkCall is a forwarded call over a link, with an OS that does
// nothing and with one that makes the system call.
func BenchmarkCall(b *testing.B) {
	for _, v := range []struct {
		name string
		os   func(osys.Config) osys.OS
	}{{"nothing", nil}, {"getpid", osys.Passthrough}} {
		b.Run(v.name, func(b *testing.B) {
			runtime.GOMAXPROCS(32)
			c, h := open(b, Config{}, v.os)
			l, err := c.Link(0)
			if err != nil {
				b.Fatal(err)
			}
			defer l.Conn.Close()
			frame, _ := wire.PutCall(make([]byte, 512), &wire.Call{Nr: syscall.SYS_GETPID})
			pingPong(b, l.Conn, frame)
			c.Conn.Shutdown()
			<-h.run
		})
	}
}

// BenchmarkSocket is what a call is measured against: as many bytes there
// and back between two threads that block.
func BenchmarkSocket(b *testing.B) {
	runtime.GOMAXPROCS(32)
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		b.Fatal(err)
	}
	ours, theirs := &fds.Conn{FD: pair[0]}, &fds.Conn{FD: pair[1]}
	defer ours.Close()
	go func() {
		runtime.LockOSThread()
		defer theirs.Close()
		buf := make([]byte, 512)
		for {
			n, err := theirs.Read(buf)
			if err != nil {
				return
			}
			theirs.Write(buf[:n])
		}
	}()
	frame, _ := wire.PutCall(make([]byte, 512), &wire.Call{Nr: syscall.SYS_GETPID})
	pingPong(b, ours, frame)
	ours.Shutdown()
}

func pingPong(b *testing.B, conn *fds.Conn, frame []byte) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	buf := make([]byte, 512)
	b.ReportAllocs()
	for b.Loop() {
		conn.Write(frame)
		if _, err := conn.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}
