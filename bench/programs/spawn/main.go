// Spawn measures starting a process and waiting for its end.
package main

import (
	"os/exec"

	"remotec.dev/bench/programs/measure"
)

func main() {
	path, err := exec.LookPath("true")
	measure.Must(err)
	const n = 10
	measure.Time("spawn", n, func() {
		for range n {
			measure.Must(exec.Command(path).Run())
		}
	})
}
