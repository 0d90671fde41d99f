package patches

import . "remotec.dev/internal/instrument"

// Goroutines that move from one process to another: remotec_migrate.go.
var migratePatches = []Patch{
	{
		Name:    "move",
		Reason:  "a g knows where its goroutine is to go",
		Package: "runtime", File: "runtime2.go",
		Edit: AddStructField{Type: "g", Field: "move remoteGMove"},
	},
	{
		Name:    "move-preempted",
		Reason:  "a goroutine goes to another process when it is stopped at a safe point",
		Package: "runtime", File: "proc.go", Func: "gopreempt_m",
		Edit: InsertAtEntry{Code: "if atomic.Load(&gp.move.to) != 0 && remoteLeave(gp) { schedule() }"},
	},
	{
		Name:    "move-ready",
		Reason:  "one that is ready, and perhaps has not begun, goes before it runs",
		Package: "runtime", File: "proc.go", Func: "schedule",
		Edit: InsertBefore{Anchor: "if gp.lockedm != 0 {", Code: "if remoteMany && atomic.Load(&gp.move.to) != 0 && remoteLeave(gp) { goto top }"},
	},
	{
		Name:    "move-urge",
		Reason:  "the server knows which goroutine a thread runs; one that is to move and could not yet does at its next safe point",
		Package: "runtime", File: "proc.go", Func: "execute",
		Edit: InsertAfter{Anchor: "gp.stackguard0 = gp.stack.lo + stackGuard", Code: "if remoteMany { remoteExecute(gp) }"},
	},
	{
		Name:    "move-register",
		Reason:  "the register that holds the g is saved with the others, but another process has another g for the goroutine",
		Package: "runtime", File: "preempt_amd64.s", Func: "asyncPreempt",
		Edit: AppendToLine{Anchor: "MOVQ 96(SP), R14", Code: "get_tls(R14); MOVQ g(R14), R14"},
	},
	{
		Name:    "stack-home",
		Reason:  "a stack is freed by the process in whose slot it is",
		Package: "runtime", File: "stack.go", Func: "stackfree",
		Edit: InsertAtEntry{Code: "if remoteForeign(stk.lo) { remoteStackHome(stk); return }"},
	},
	{
		Name:    "stack-kept",
		Reason:  "a free g keeps no stack of another process",
		Package: "runtime", File: "proc.go", Func: "gfput",
		Edit: ReplaceExpr{From: "stksize != uintptr(startingStackSize)", To: "stksize != uintptr(startingStackSize) || remoteForeign(gp.stack.lo)"},
	},
}
