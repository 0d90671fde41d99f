package patches

import . "remotec.dev/internal/instrument"

// What the session knows of goroutines without asking: remotec_ledger.go.
var ledgerPatches = []Patch{
	{
		Name:    "ledger-ready",
		Reason:  "the placement policies know how many goroutines wait for a P",
		Package: "runtime", File: "proc.go", Func: "sysmon",
		Edit: InsertBefore{Anchor: "if retake(now) != 0 {", Code: "if remoteMany { remotePublish(now) }"},
	},
	{
		Name:    "sysmon-sleep",
		Reason:  "what a message makes ready may compute: somebody has to preempt it",
		Package: "runtime", File: "proc.go", Func: "sysmon",
		Edit: ReplaceExpr{From: "forcegcperiod / 2", To: "remoteSysmonSleep()"},
	},
}
