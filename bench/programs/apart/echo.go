package main

import (
	"io"
	"net"

	"remotec.dev/bench/programs/measure"
)

// echo measures 64 bytes there and back over a connection whose other end is used by the other
// process, though this one has opened both.
func echo() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	measure.Must(err)
	here, err := net.Dial("tcp", l.Addr().String())
	measure.Must(err)
	there, err := l.Accept()
	measure.Must(err)
	l.Close()
	elsewhere(func() {
		for b := make([]byte, 64); ; {
			if _, err := io.ReadFull(there, b); err != nil {
				return
			}
			if _, err := there.Write(b); err != nil {
				return
			}
		}
	})
	const n = 100
	b := make([]byte, 64)
	measure.Time("apart/echo", n, func() {
		for range n {
			_, err := here.Write(b)
			measure.Must(err)
			_, err = io.ReadFull(here, b)
			measure.Must(err)
		}
	})
	here.Close()
}
