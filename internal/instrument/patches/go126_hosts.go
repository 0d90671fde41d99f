package patches

import . "remotec.dev/internal/instrument"

// Processes on several hosts. The monotonic clock of each host starts at another
// moment, but a time that one process took is compared by all: each process adds
// how much the session's clock is ahead of its own. With one host that adds zero.
var hostPatches = []Patch{
	{
		Name:    "clock",
		Reason:  "times are compared by processes whose hosts' clocks differ",
		Package: "runtime", File: "time_nofake.go", Func: "nanotime",
		Edit: ReplaceExpr{From: "nanotime1()", To: "nanotime1() + remoteClock"},
	},
	{
		Name:    "clock-now",
		Reason:  "as clock: time.Now takes both clocks at once",
		Package: "runtime", File: "time_linux_amd64.s", Func: "now",
		Edit: AppendToLine{Anchor: "ADDQ DX, CX", Code: "ADDQ runtime·remoteClock(SB), CX"},
	},
}
