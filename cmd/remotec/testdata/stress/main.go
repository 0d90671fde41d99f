// Command stress sends many small messages through connections to itself.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	if os.Args[1] == "echo" {
		echo(l)
	} else {
		hello(l)
	}
	fmt.Println("done")
}

func echo(l net.Listener) {
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c, err := net.Dial("tcp", l.Addr().String())
			check(err)
			defer c.Close()
			for j := range 100 {
				msg := bytes.Repeat([]byte{byte(i), byte(j)}, 1+(i*j)%1000)
				c.SetReadDeadline(time.Now().Add(time.Minute))
				go c.Write(msg)
				got := make([]byte, len(msg))
				_, err = io.ReadFull(c, got)
				check(err)
				if !bytes.Equal(got, msg) {
					panic("mixed up")
				}
			}
		}()
	}
	wg.Wait()
	l.Close()
}

func hello(l net.Listener) {
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		check(err)
		w.Write(body)
	}))
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 0}}
			for j := range 20 {
				body := bytes.Repeat([]byte{byte(j)}, 1000*i)
				r, err := client.Post("http://"+l.Addr().String(), "", bytes.NewReader(body))
				check(err)
				got, err := io.ReadAll(r.Body)
				check(err)
				r.Body.Close()
				if !bytes.Equal(got, body) {
					panic("mixed up")
				}
			}
			client.CloseIdleConnections()
		}()
	}
	wg.Wait()
}
