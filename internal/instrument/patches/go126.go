package patches

import (
	"slices"

	. "remotec.dev/internal/instrument"
)

// go126 returns the patches for Go 1.26.
func go126() *Set {
	return &Set{
		Patches: slices.Concat(runtimePatches, syscallPatches),
		Files:   files("1.26"),
	}
}

var runtimePatches = []Patch{
	{
		Name:    "attach",
		Reason:  "the program attaches to the runtime server before its first init function",
		Package: "runtime", File: "proc.go", Func: "main",
		Edit: InsertAfter{Anchor: "defaultGOMAXPROCSUpdateEnable()", Code: "remoteAttach()"},
	},
}

var syscallPatches = []Patch{
	{
		Name:    "forward",
		Reason:  "system calls of user goroutines are carried out by the runtime server",
		Package: "syscall", File: "syscall_linux.go", Func: "RawSyscall6",
		Edit: ReplaceCall{From: "linux.Syscall6", To: "remoteSyscall6"},
	},
}
