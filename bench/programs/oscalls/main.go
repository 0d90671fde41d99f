// Oscalls measures single system calls as programs make them, through package
// os.
package main

import (
	"os"
	"path/filepath"

	"remotec.dev/bench/programs/measure"
)

func main() {
	dir, err := os.MkdirTemp("", "oscalls")
	measure.Must(err)
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "file")
	page := make([]byte, 4096)
	measure.Must(os.WriteFile(name, page, 0o666))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	measure.Must(err)
	defer f.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	measure.Must(err)
	defer log.Close()

	each := func(name string, n int, call func() error) {
		measure.Time(name, n, func() {
			for range n {
				measure.Must(call())
			}
		})
	}
	each("os/pread", 1000, func() error { _, err := f.ReadAt(page, 0); return err })
	each("os/write", 1000, func() error { _, err := log.Write(page[:64]); return err })
	each("os/stat", 1000, func() error { _, err := os.Stat(name); return err })
	each("os/open", 300, func() error {
		f, err := os.Open(name)
		if err == nil {
			err = f.Close()
		}
		return err
	})
	each("os/readfile", 200, func() error { _, err := os.ReadFile(name); return err })
}
