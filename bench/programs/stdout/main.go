// Stdout measures unbuffered lines on standard output, a pipe that bench
// drains.
package main

import (
	"fmt"
	"strings"

	"remotec.dev/bench/programs/measure"
)

func main() {
	line := strings.Repeat("x", 63)
	const n = 1000
	measure.Time("stdout", n, func() {
		for range n {
			fmt.Println(line)
		}
	})
}
