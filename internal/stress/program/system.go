package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"
)

var systemLoads = []load{{"files", files}, {"pipes", pipes}, {"deadlines", deadlines}, {"sockets", sockets}}

// files writes and reads a file in several goroutines.
func files(r *round) {
	f, err := os.CreateTemp("", "stress")
	if err != nil {
		r.fail("%v", err)
		return
	}
	defer os.Remove(f.Name())
	defer f.Close()
	all(3, func(k int) {
		if _, err := f.WriteAt([]byte(fmt.Sprintf("part %d\n", k)), int64(7*k)); err != nil {
			r.fail("%v", err)
		}
	})
	all(2, func(int) {
		b, err := os.ReadFile(filepath.Clean(f.Name()))
		if err != nil || string(b) != "part 0\npart 1\npart 2\n" {
			r.fail("read %q, %v", b, err)
		}
	})
}

// pipes has one goroutine read what another writes, and deadlines.
func pipes(r *round) {
	read, write, err := os.Pipe()
	if err != nil {
		r.fail("%v", err)
		return
	}
	go func() {
		for i := range 10 {
			fmt.Fprintln(write, i)
		}
		write.Close()
	}()
	done := make(chan bool)
	go func() {
		s := bufio.NewScanner(read)
		n := 0
		for ; s.Scan(); n++ {
			if s.Text() != fmt.Sprint(n) {
				r.fail("line %d is %q", n, s.Text())
			}
		}
		if n != 10 || s.Err() != nil {
			r.fail("%d lines, %v", n, s.Err())
		}
		done <- true
	}()
	<-done
	read.Close()
}

// deadlines ends reads of a pipe that nobody writes to.
func deadlines(r *round) {
	read, write, err := os.Pipe()
	if err != nil {
		r.fail("%v", err)
		return
	}
	defer write.Close()
	defer read.Close()
	done := make(chan bool)
	go func() {
		read.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
		done <- true
	}()
	<-done
	go func() {
		if _, err := read.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			r.fail("reading after the deadline: %v", err)
		}
		done <- true
	}()
	<-done
}

// sockets has a server and clients.
func sockets(r *round) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.fail("%v", err)
		return
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	all(3, func(k int) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			r.fail("%v", err)
			return
		}
		defer c.Close()
		for i := range 3 {
			want := fmt.Sprintf("message %d of client %d", i, k)
			got := make([]byte, len(want))
			if _, err := c.Write([]byte(want)); err != nil {
				r.fail("%v", err)
				return
			}
			if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
				r.fail("read %q, %v, want %q", got, err, want)
				return
			}
		}
	})
	l.Close()
}
