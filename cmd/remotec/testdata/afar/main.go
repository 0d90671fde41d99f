// Command afar is what the tests run with its server on another host.
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

func main() {
	arg := func(i int) string {
		if len(os.Args) > 2+i {
			return os.Args[2+i]
		}
		return ""
	}
	n, _ := strconv.Atoi(arg(0))
	switch os.Args[1] {
	case "write": // N bytes, to descriptor FD, then exit with STATUS
		fd, _ := strconv.Atoi(arg(1))
		status, _ := strconv.Atoi(arg(2))
		write(os.NewFile(uintptr(fd), ""), n)
		os.Exit(status)
	case "cat":
		_, err := io.Copy(os.Stdout, os.Stdin)
		check(err)
	case "sum":
		h := sha256.New()
		n, err := io.Copy(h, os.Stdin)
		check(err)
		fmt.Printf("%d %x\n", n, h.Sum(nil))
	case "panic":
		write(os.Stdout, n)
		panic("this is the end")
	case "fault":
		write(os.Stdout, n)
		var p *int
		*p = 1
	case "crash":
		write(os.Stdout, n)
		for range 4 {
			go func() {
				runtime.LockOSThread()
				time.Sleep(time.Hour)
			}()
		}
		time.Sleep(10 * time.Millisecond)
		panic("this is the end")
	case "deadlock":
		fmt.Println("waiting")
		select {}
	case "die": // of signal N
		write(os.Stdout, 1<<20)
		check(syscall.Kill(os.Getpid(), syscall.Signal(n)))
		time.Sleep(time.Hour)
	case "sh":
		cmd := exec.Command("/bin/sh", "-c", arg(0))
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		check(cmd.Run())
		fmt.Println("done")
	case "exec":
		check(syscall.Exec("/bin/sh", []string{"sh", "-c", arg(0)}, os.Environ()))
	case "endless":
		for i := 0; ; i++ {
			if _, err := fmt.Println("line", i); err != nil {
				fmt.Fprintln(os.Stderr, "write:", err)
				os.Exit(9)
			}
		}
	case "endless-ignoring": // an error instead of the signal
		signal.Ignore(syscall.SIGPIPE)
		for i := 0; ; i++ {
			if _, err := syscall.Write(1, []byte("line\n")); err != nil {
				fmt.Fprintln(os.Stderr, "write:", err)
				os.Exit(9)
			}
		}
	case "order":
		for i := range n {
			fmt.Fprintln(os.Stdout, "out", i)
			fmt.Fprintln(os.Stderr, "err", i)
		}
	case "wait":
		fmt.Println("ready", os.Getpid())
		time.Sleep(time.Hour)
	case "where":
		dir, err := os.Getwd()
		check(err)
		mask := syscall.Umask(0)
		fmt.Printf("%s %#o\n", dir, mask)
	case "quiet": // and without interest in its input
		fmt.Println("quiet")
	case "line": // answers a line at a time
		s := bufio.NewScanner(os.Stdin)
		for s.Scan() {
			fmt.Println("got", s.Text())
		}
		fmt.Println("end", s.Err())
	case "closed":
		check(os.Stdout.Close())
		time.Sleep(time.Hour)
	}
}

// write writes n bytes whose order can be checked.
func write(f *os.File, n int) {
	w := bufio.NewWriterSize(f, 100_000)
	for i := 0; i < n; i += 8 {
		fmt.Fprintf(w, "%07d\n", i)
	}
	check(w.Flush())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "afar:", err)
		os.Exit(3)
	}
}
