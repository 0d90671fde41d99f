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
		Edit: InsertBefore{Anchor: "if gp.lockedm != 0 {", Code: "if remoteSteers && atomic.Load(&gp.move.to) != 0 && remoteLeave(gp) { goto top }"},
	},
	{
		Name:    "move-urge",
		Reason:  "the server knows which goroutine a thread runs; one that is to move and could not yet does at its next safe point",
		Package: "runtime", File: "proc.go", Func: "execute",
		Edit: InsertAfter{Anchor: "gp.stackguard0 = gp.stack.lo + stackGuard", Code: "if remoteMany { remoteExecute(gp) } else if remoteSteers && atomic.Load(&gp.move.to) != 0 { remoteUrge(gp) }"},
	},
	{
		Name:    "move-register",
		Reason:  "the register that holds the g is saved with the others, but another process has another g for the goroutine",
		Package: "runtime", File: "preempt_amd64.s", Func: "asyncPreempt",
		Edit: AppendToLine{Anchor: "MOVQ 96(SP), R14", Code: "get_tls(R14); MOVQ g(R14), R14"},
	},
	{
		Name:    "wait-poller",
		Reason:  "a goroutine that moves while it waits is known to the poller by its g",
		Package: "runtime", File: "netpoll.go", Func: "netpollblock",
		Edit: InsertBefore{Anchor: "if waitio || netpollcheckerr(pd, mode) == pollNoError {", Code: "if remoteMany { getg().move.wait = uintptr(unsafe.Pointer(gpp)) }"},
	},
	{
		Name:    "ready-poller",
		Reason:  "what the poller makes ready may have moved while it waited",
		Package: "runtime", File: "netpoll.go", Func: "netpollready",
		Edit: InsertBefore{Anchor: "if rg != nil {", Code: "if remoteMany { rg, wg = remoteReadyOwn(rg), remoteReadyOwn(wg) }"},
	},
	{
		Name:    "sudog-home",
		Reason:  "an entry of a queue that came along with a goroutine would be used by this process for ever, in a page of another one",
		Package: "runtime", File: "proc.go", Func: "releaseSudog",
		Edit: InsertBefore{Anchor: "mp := acquirem()", Code: "if remoteForeign(uintptr(unsafe.Pointer(s))) { return }"},
	},
	{
		Name:    "send-keep",
		Reason:  "what is written to the stack of a goroutine that is elsewhere, or on its way here, is seen by no collector until it is there",
		Package: "runtime", File: "chan.go", Func: "sendDirect",
		Edit: InsertAfter{Anchor: "memmove(dst, src, t.Size_)", Code: "if t.Pointers() && remoteAway(sg.g) { remoteKeepSent(sg.g, dst, t) }"},
	},
	{
		Name:    "stack-home",
		Reason:  "a stack is freed by the process in whose slot it is",
		Package: "runtime", File: "stack.go", Func: "stackfree",
		Edit: InsertAtEntry{Code: "if remoteForeign(stk.lo) { remoteStackHome(stk); return }"},
	},
	{
		Name:    "free-count",
		Reason:  "spare and reserved g are no goroutines",
		Package: "runtime", File: "proc.go", Func: "gcount",
		Edit: InsertBefore{Anchor: "if !includeSys {", Code: "n -= remoteMoves.spare.size + int32(remoteMoves.reserved.Load())"},
	},
	{
		Name:    "stack-kept",
		Reason:  "a free g keeps no stack of another process",
		Package: "runtime", File: "proc.go", Func: "gfput",
		Edit: ReplaceExpr{From: "stksize != uintptr(startingStackSize)", To: "stksize != uintptr(startingStackSize) || remoteForeign(gp.stack.lo)"},
	},
	{
		Name:    "stack-first",
		Reason:  "stacks of goroutines that move between hosts share no page",
		Package: "runtime", File: "proc.go", Func: "newproc1",
		Edit: ReplaceExpr{From: "malg(stackMin)", To: "malg(remoteStackMin)"},
	},
	{
		Name:    "stack-shrunk",
		Reason:  "the same, when they get smaller",
		Package: "runtime", File: "stack.go", Func: "shrinkstack",
		Edit: ReplaceExpr{From: "newsize < fixedStack", To: "newsize < uintptr(remoteStackMin)"},
	},
	{
		Name:    "stack-average",
		Reason:  "the same, where a collection decides with how much new ones begin",
		Package: "runtime", File: "stack.go", Func: "gcComputeStartingStackSize",
		Edit: InsertAfter{Anchor: "startingStackSize = uint32(round2(int32(avg)))", Code: "remoteStackStart()"},
	},
	{
		Name:    "stack-unknown",
		Reason:  "the same, where it saw no stack",
		Package: "runtime", File: "stack.go", Func: "gcComputeStartingStackSize",
		Edit: InsertAfter{Anchor: "startingStackSize = fixedStack", Code: "remoteStackStart()"},
	},
}
