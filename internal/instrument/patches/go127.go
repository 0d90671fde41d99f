package patches

import . "remotec.dev/internal/instrument"

// go127 returns the patches for Go 1.27: every anchor of 1.26 is there, in
// the same files.
func go127() *Set { return &Set{Patches: patches126(), Files: files("1.26", "1.27")} }
