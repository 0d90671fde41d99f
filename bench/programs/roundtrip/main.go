// Roundtrip measures what a forwarded system call is compared with: a message
// of 64 bytes to another process and one back, over a Unix socket pair. Once
// with system calls that block their threads, once with net.UnixConn, which
// parks goroutines. It is built without remotec only.
package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"

	"remotec.dev/bench/programs/measure"
)

const message = 64 // bytes

func main() {
	if len(os.Args) == 2 {
		echo(os.Args[1])
		return
	}
	for _, how := range []string{"blocking", "unixconn"} {
		pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		measure.Must(err)
		theirs := os.NewFile(uintptr(pair[1]), "pair")
		self, err := os.Executable()
		measure.Must(err)
		child := exec.Command(self, how)
		child.ExtraFiles = []*os.File{theirs}
		measure.Must(child.Start())
		measure.Must(theirs.Close())
		c := end(how, pair[0])
		buf := make([]byte, message)
		const n = 2000
		measure.Time("roundtrip/"+how, n, func() {
			for range n {
				_, err := c.Write(buf)
				measure.Must(err)
				_, err = io.ReadFull(c, buf)
				measure.Must(err)
			}
		})
		measure.Must(c.Close())
		measure.Must(child.Wait())
	}
}

// echo sends back what comes in on descriptor 3.
func echo(how string) {
	c := end(how, 3)
	buf := make([]byte, message)
	for {
		if _, err := io.ReadFull(c, buf); err == io.EOF {
			return
		} else {
			measure.Must(err)
		}
		_, err := c.Write(buf)
		measure.Must(err)
	}
}

func end(how string, fd int) io.ReadWriteCloser {
	if how == "blocking" {
		return blocking(fd)
	}
	f := os.NewFile(uintptr(fd), "pair")
	c, err := net.FileConn(f)
	measure.Must(err)
	measure.Must(f.Close())
	return c
}

// blocking is a socket without the poller.
type blocking int

func (fd blocking) Write(p []byte) (int, error) { return syscall.Write(int(fd), p) }
func (fd blocking) Close() error                { return syscall.Close(int(fd)) }

func (fd blocking) Read(p []byte) (int, error) {
	n, err := syscall.Read(int(fd), p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}
