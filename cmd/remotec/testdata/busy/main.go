// Command busy keeps a CPU busy until it is killed, or for ten minutes.
package main

import "time"

func main() {
	for start := time.Now(); time.Since(start) < 10*time.Minute; {
	}
}
