package patches

import . "remotec.dev/internal/instrument"

// go127 returns the patches for Go 1.27: every anchor of 1.26 is there, in
// the same files.
func go127() *Set {
	return &Set{Patches: append(patches126(), newPatches127...), Files: files("1.26", "1.27")}
}

// newPatches127 are of functions that 1.26 does not have.
var newPatches127 = []Patch{
	{
		Name:    "poll-lock-closing",
		Reason:  "as poll-lock",
		Package: "internal/poll", File: "fd_mutex.go", Func: "(*FD).closing",
		Edit: ReplaceExpr{From: "fd.fdmu.state", To: "fd.fdmu.remotely().state"},
	},
}
