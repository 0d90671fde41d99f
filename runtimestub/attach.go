// Package runtimestub is linked into every remote binary.
package runtimestub

import _ "unsafe" // for go:linkname

//go:linkname attach runtime.remoteAttach
func attach() {}
