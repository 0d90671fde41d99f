// Stream reads the file that it is given, which should lie in the page cache,
// from its beginning to its end.
package main

import (
	"io"
	"os"

	"remotec.dev/bench/programs/measure"
)

func main() {
	st, err := os.Stat(os.Args[1])
	measure.Must(err)
	size := int(st.Size())
	for _, chunk := range []struct {
		name string
		size int
	}{{"64K", 64 << 10}, {"1M", 1 << 20}} {
		buf := make([]byte, chunk.size)
		measure.Rate("stream/"+chunk.name, size, func() {
			f, err := os.Open(os.Args[1])
			measure.Must(err)
			got := 0
			for {
				n, err := f.Read(buf)
				got += n
				if err == io.EOF {
					break
				}
				measure.Must(err)
			}
			if got != size {
				measure.Must(io.ErrUnexpectedEOF)
			}
			measure.Must(f.Close())
		})
	}
}
