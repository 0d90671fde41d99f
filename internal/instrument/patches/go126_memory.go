package patches

import . "remotec.dev/internal/instrument"

var memoryPatches = []Patch{
	{
		Name:    "slot",
		Reason:  "a process allocates in its own slot of the session's address space",
		Package: "runtime", File: "malloc.go", Func: "mallocinit",
		Edit: InsertBefore{Anchor: "gcController.memoryLimit.Store(math.MaxInt64)", Code: "remoteSlot()"},
	},
	{
		Name:    "slot-only",
		Reason:  "an object outside of the slot could not be shared",
		Package: "runtime", File: "malloc.go", Func: "(*mheap).sysAlloc",
		Edit: ReplaceCall{From: "sysReserveAligned", To: "remoteReserveAligned"},
	},
	{
		Name:    "slot-map",
		Reason:  "the pager, in another process, must reach the slot's pages",
		Package: "runtime", File: "mem_linux.go", Func: "sysMapOS",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteInSlot(uintptr(v)) { remoteMap(v, n); return }"},
	},
	{
		Name:    "slot-unused",
		Reason:  "pages of a shared mapping are given back by MADV_REMOVE",
		Package: "runtime", File: "mem_linux.go", Func: "sysUnusedOS",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteInSlot(uintptr(v)) { remoteUnused(v, n); return }"},
	},
	{
		Name:    "slot-fault",
		Reason:  "as slot-unused",
		Package: "runtime", File: "mem_linux.go", Func: "sysFaultOS",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteInSlot(uintptr(v)) { mprotect(v, n, _PROT_NONE); remoteUnused(v, n); return }"},
	},
	{
		Name:    "slot-zero",
		Reason:  "a page that was given back may be held by another process, with contents",
		Package: "runtime", File: "mem_linux.go", Func: "needZeroAfterSysUnusedOS",
		Edit: InsertAtEntry{Code: "if remoteMany { return true }"},
	},
	{
		Name:    "plain-alloc",
		Reason:  "memory without pointers is used by all processes of a host as the hardware has it",
		Package: "runtime", File: "mheap.go", Func: "(*mheap).alloc",
		Edit: InsertBefore{Anchor: "return s", Code: "if remotePlain && spanclass.noscan() && s != nil { remotePlainAlloc(s.base(), npages) }"},
	},
	{
		Name:    "plain-free",
		Reason:  "as plain-alloc: until it is used for something else",
		Package: "runtime", File: "mheap.go", Func: "(*mheap).freeSpan",
		Edit: InsertAtEntry{Code: "if remotePlain && remotePlainSpan(s) { remotePlainFree(s.base(), s.npages) }"},
	},
	{
		Name:    "plain-stack",
		Reason:  "as plain-alloc: goroutines move, and their stacks stay where they are",
		Package: "runtime", File: "mheap.go", Func: "(*mheap).allocManual",
		Edit: ReplaceExpr{From: "h.allocSpan(npages, typ, 0)", To: "remotePlainStack(h.allocSpan(npages, typ, 0), typ)"},
	},
	{
		Name:    "plain-stack-free",
		Reason:  "as plain-free",
		Package: "runtime", File: "mheap.go", Func: "(*mheap).freeManual",
		Edit: InsertAtEntry{Code: "if remotePlain && typ == spanAllocStack { remotePlainFree(s.base(), s.npages) }"},
	},
	{
		Name:    "thread-page",
		Reason:  "a page that a thread looks at on its system stack does not go away with other objects",
		Package: "runtime", File: "proc.go", Func: "allocm",
		Edit: ReplaceExpr{From: "&new(mPadded).m", To: "remoteNewM()"},
	},
	{
		Name:    "thread-page-g0",
		Reason:  "as thread-page",
		Package: "runtime", File: "proc.go", Func: "allocm",
		Edit: ReplaceExpr{From: "malg(16384 * sys.StackGuardMultiplier)", To: "remoteMalg(16384*sys.StackGuardMultiplier, mp, 0)"},
	},
	{
		Name:    "thread-page-cgo",
		Reason:  "as thread-page, of threads that C makes",
		Package: "runtime", File: "proc.go", Func: "allocm",
		Edit: ReplaceExpr{From: "malg(-1)", To: "remoteMalg(-1, mp, 0)"},
	},
	{
		Name:    "thread-page-gsignal",
		Reason:  "as thread-page",
		Package: "runtime", File: "os_linux.go", Func: "mpreinit",
		Edit: ReplaceExpr{From: "malg(32 * 1024)", To: "remoteMalg(32*1024, mp, 1)"},
	},
	{
		Name:    "receive-keep",
		Reason:  "what is read from the stack of a goroutine of another process comes from no page that moved",
		Package: "runtime", File: "chan.go", Func: "recv",
		Edit: InsertAtEntry{Code: "if remotePlain && remoteForeign(uintptr(unsafe.Pointer(sg.g))) { remoteKeepReceived(sg, c.elemtype) }"},
	},
	{
		Name:    "plain-large",
		Reason:  "as plain-alloc: large objects have parts without pointers",
		Package: "runtime", File: "mbitmap.go", Func: "heapSetTypeLarge",
		Edit: InsertAtEntry{Code: "if remotePlain { remotePlainLarge(x, dataSize, typ) }"},
	},
	{
		Name:    "hash-seed",
		Reason:  "a map is looked up in by all processes: the hash of a key is the same in each",
		Package: "runtime", File: "rand.go", Func: "bootstrapRand",
		Edit: InsertAtEntry{Code: "if remoteHashing { return remoteHashSeed() }"},
	},
	{
		Name:    "hash-seed-start",
		Reason:  "as hash-seed: the seeds are drawn between these two calls",
		Package: "runtime", File: "proc.go", Func: "schedinit",
		Edit: InsertAfter{Anchor: "cpuinit(godebug)", Code: "remoteHashing = remoteMany"},
	},
	{
		Name:    "hash-seed-end",
		Reason:  "as hash-seed-start",
		Package: "runtime", File: "proc.go", Func: "schedinit",
		Edit: InsertBefore{Anchor: "mcommoninit(gp.m, -1)", Code: "remoteHashing = false"},
	},
	{
		Name:    "itab",
		Reason:  "an itab made at run time is part of interface values that other processes use",
		Package: "runtime", File: "iface.go", Func: "getitab",
		Edit: ReplaceCall{From: "persistentalloc", To: "remotePermanentAlloc"},
	},
	{
		Name:    "poll-memory",
		Reason:  "the address of a pollDesc tells which process polls, and others look at its state",
		Package: "runtime", File: "netpoll.go", Func: "(*pollCache).alloc",
		Edit: ReplaceCall{From: "persistentalloc", To: "remotePollMemory"},
	},
	{
		Name:    "lock",
		Reason:  "waiters of several processes cannot be in one list of Ms",
		Package: "runtime", File: "lock_spinbit.go", Func: "lock2",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteCommon(uintptr(unsafe.Pointer(l))) { remoteLock(l); return }"},
	},
	{
		Name:    "unlock",
		Reason:  "as lock",
		Package: "runtime", File: "lock_spinbit.go", Func: "unlock2",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteCommon(uintptr(unsafe.Pointer(l))) { remoteUnlock(l); return }"},
	},
}

var collectPatches = []Patch{
	{
		Name:    "mark-begin",
		Reason:  "the pins of a mark phase are those at its start",
		Package: "runtime", File: "mgc.go", Func: "gcStart",
		Edit: ReplaceCall{From: "gcPrepareMarkRoots", To: "remotePrepareMarkRoots"},
	},
	{
		Name:    "mark-roots",
		Reason:  "what other processes may reach is live",
		Package: "runtime", File: "mgcmark.go", Func: "markroot",
		Edit: InsertAtEntry{Code: "if i == fixedRootFinalizers { remoteMarkRoots(gcw) }"},
	},
	{
		Name:    "mark-globals",
		Reason:  "shared globals are scanned by the first process; elsewhere that would fetch them all",
		Package: "runtime", File: "mgcmark.go", Func: "markroot",
		Edit: ReplaceCall{From: "markrootBlock", To: "remoteMarkrootBlock", Count: 2},
	},
	{
		Name:    "mark-since",
		Reason:  "an object that was handed out during the mark phase may be reachable from elsewhere alone",
		Package: "runtime", File: "mgc.go", Func: "gcMarkDone",
		Edit: InsertAfter{Anchor: "restart := false", Code: "remoteMarkSince()"},
	},
	{
		Name:    "mark-gather",
		Reason:  "a whole mark begins in all processes at a time",
		Package: "runtime", File: "mgc.go", Func: "gcStart",
		Edit: InsertAfter{Anchor: "gcBgMarkStartWorkers()", Code: "if remoteMany { remoteMarkGather() }"},
	},
	{
		Name:    "mark-wait",
		Reason:  "in a whole mark this process may get more to mark from another",
		Package: "runtime", File: "mgc.go", Func: "gcMarkDone",
		Edit: ReplaceCall{From: "gcIsMarkDone", To: "remoteIsMarkDone"},
	},
	{
		Name:    "mark-again",
		Reason:  "as mark-wait",
		Package: "runtime", File: "mgc.go", Func: "gcMarkDone",
		Edit: InsertBefore{Anchor: "for gcDebugMarkDone.spinAfterRaggedBarrier.Load() {", Code: "if remoteMany && remoteMarkAgain() { semrelease(&worldsema); goto top }"},
	},
	{
		Name:    "mark-vote",
		Reason:  "a whole mark ends in all processes at a time",
		Package: "runtime", File: "mgc.go", Func: "gcMarkDone",
		Edit: InsertBefore{Anchor: "if restart || (work.goroutineLeak.enabled && !work.goroutineLeak.done) {", Code: "if remoteMany && !restart { restart = remoteMarkVote() }"},
	},
	{
		Name:    "mark-end",
		Reason:  "what a mark phase did not meet this process does not hold any more",
		Package: "runtime", File: "mgc.go", Func: "gcMarkDone",
		Edit: InsertBefore{Anchor: "gcComputeStartingStackSize()", Code: "remoteMarkEnd()"},
	},
	{
		Name:    "mark-met",
		Reason:  "the addresses of other processes that a mark phase meets keep objects alive there",
		Package: "runtime", File: "mbitmap.go", Func: "findObject",
		Edit: InsertBefore{Anchor: "if s == nil {", Code: "if s == nil && remoteForeign(p) { remoteMet(p) }"},
	},
	{
		Name:    "mark-met-conservative",
		Reason:  "as mark-met",
		Package: "runtime", File: "mgcmark.go", Func: "scanConservative",
		Edit: ReplaceCall{From: "spanOfHeap", To: "remoteSpanOfHeap", Count: 2},
	},
	{
		Name:    "barrier",
		Reason:  "memory of another process is in no span here, and the stock barrier would leave it out",
		Package: "runtime", File: "mbitmap.go", Func: "bulkBarrierPreWrite",
		Edit: InsertBefore{Anchor: "if s == nil {", Code: "if s == nil && remoteForeign(dst) { remoteBulkBarrier(dst, src, size); return }"},
	},
	{
		Name:    "inline-marks",
		Reason:  "mark bits within a span would dirty pages that others hold",
		Package: "runtime", File: "mgcmark_greenteagc.go", Func: "gcUsesSpanInlineMarkBits",
		Edit: InsertAtEntry{Code: "if remoteMany { return false }"},
	},
}
