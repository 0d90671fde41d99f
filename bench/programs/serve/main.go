// Serve is the server side of the network measures, HTTP and TCP echo. It
// prints its two addresses and serves until its standard input ends.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"remotec.dev/bench/programs/measure"
)

func main() {
	web, err := net.Listen("tcp", "127.0.0.1:0")
	measure.Must(err)
	go http.Serve(web, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
	}))
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	measure.Must(err)
	go func() {
		for {
			c, err := echo.Accept()
			measure.Must(err)
			go func() {
				defer c.Close()
				// Not io.Copy, which leaves the loop to splice(2).
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					if err == nil {
						_, err = c.Write(buf[:n])
					}
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	fmt.Println(web.Addr(), echo.Addr())
	io.Copy(io.Discard, os.Stdin)
}
