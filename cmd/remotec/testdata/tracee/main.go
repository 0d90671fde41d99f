// Command tracee makes all kinds of system calls, each in a way that package
// os, net, os/exec or syscall has.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	for range 200 {
		if os.Getpid() <= 0 || os.Getuid() < 0 || syscall.Gettid() <= 0 {
			panic("ids")
		}
	}
	files()
	sockets()
	children()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			check(os.WriteFile(fmt.Sprint("f", i), []byte("x"), 0o600))
			time.Sleep(5 * time.Millisecond)
			check(os.Remove(fmt.Sprint("f", i)))
		}()
	}
	wg.Wait()
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	check(syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	<-c
	fmt.Println("done")
}

func files() {
	check(os.WriteFile("file", []byte("user data"), 0o644))
	_, err := os.ReadFile("file")
	check(err)
	_, err = os.ReadFile("/etc/passwd")
	check(err)
	check(os.MkdirAll("a/b", 0o755))
	_, err = os.ReadDir(".")
	check(err)
	check(os.Rename("file", "a/file"))
	check(os.Symlink("file", "a/link"))
	_, err = os.Readlink("a/link")
	check(err)
	check(os.Chmod("a/file", 0o600))
	check(os.Truncate("a/file", 3))
	f, err := os.OpenFile("a/file", os.O_RDWR|os.O_APPEND, 0)
	check(err)
	_, err = f.WriteString("more")
	check(err)
	_, err = f.Stat()
	check(err)
	check(f.Sync())
	check(syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	check(f.Close())
	check(os.Chdir("a"))
	_, err = os.Getwd()
	check(err)
	_, err = os.Executable()
	check(err)
	_, err = os.Hostname()
	check(err)
	syscall.Umask(syscall.Umask(0))
	check(os.RemoveAll("b"))
	_, err = filepath.Abs(".")
	check(err)
	_, err = os.Stat("/proc/self/status")
	check(err)
}

func sockets() {
	for _, network := range []string{"tcp", "unix"} {
		addr := map[string]string{"tcp": "127.0.0.1:0", "unix": "socket"}[network]
		l, err := net.Listen(network, addr)
		check(err)
		go func() {
			c, err := l.Accept()
			check(err)
			io.Copy(c, c)
			c.Close()
		}()
		c, err := net.Dial(network, l.Addr().String())
		check(err)
		fmt.Fprint(c, "hello")
		_, err = io.ReadFull(c, make([]byte, 5))
		check(err)
		c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		c.Read(make([]byte, 1))
		c.Close()
		l.Close()
	}
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(err)
	_, err = p.WriteTo([]byte("x"), p.LocalAddr())
	check(err)
	_, _, err = p.ReadFrom(make([]byte, 1))
	check(err)
	p.Close()
	_, err = net.LookupHost("localhost")
	check(err)
}

func children() {
	out, err := exec.Command("sh", "-c", "echo child").Output()
	check(err)
	if strings.TrimSpace(string(out)) != "child" {
		panic(string(out))
	}
	cmd := exec.Command("sleep", "60")
	check(cmd.Start())
	check(cmd.Process.Kill())
	cmd.Wait()
	r, w, err := os.Pipe()
	check(err)
	go func() { w.WriteString("pipe"); w.Close() }()
	_, err = io.ReadAll(r)
	check(err)
}
