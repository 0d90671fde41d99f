package patches

import . "remotec.dev/internal/instrument"

// Several processes in one session. The added files remotec_memory.go,
// remotec_collect.go and remotec_spread.go say how it works; here is where the
// runtime calls them. With one process each costs a load and a branch.

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
		Reason:  "the address of a pollDesc tells which process polls",
		Package: "runtime", File: "netpoll.go", Func: "(*pollCache).alloc",
		Edit: ReplaceCall{From: "persistentalloc", To: "remotePermanentAlloc"},
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

var spreadPatches = []Patch{
	{
		Name:    "spawn-place",
		Reason:  "the placement decides in which process a goroutine starts",
		Package: "runtime", File: "proc.go", Func: "newproc",
		Edit: InsertAtEntry{Code: "if remoteMany && remotePlace(fn, sys.GetCallerPC()) { return }"},
	},
	{
		Name:    "backlog-due",
		Reason:  "goroutines that have not begun wait beside the run queues",
		Package: "runtime", File: "proc.go", Func: "findRunnable",
		Edit: InsertBefore{Anchor: "if pp.schedtick%61 == 0 && !sched.runq.empty() {", Code: "if remoteMany && remoteDue(pp) { if gp := remoteTakeBacklog(); gp != nil { return gp, false, false } }"},
	},
	{
		Name:    "backlog",
		Reason:  "as backlog-due, where there is nothing else to run",
		Package: "runtime", File: "proc.go", Func: "findRunnable",
		Edit: InsertBefore{Anchor: "if netpollinited() && netpollAnyWaiters() && sched.lastpoll.Load() != 0 && sched.pollingNet.Swap(1) == 0 {", Code: "if remoteMany && remoteBacklog.n.Load() != 0 { if gp := remoteTakeBacklog(); gp != nil { return gp, false, false } }"},
	},
	{
		Name:    "backlog-handoff",
		Reason:  "a P whose thread blocks has the backlog to run",
		Package: "runtime", File: "proc.go", Func: "handoffp",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteBacklog.n.Load() != 0 { startm(pp, false, false); return }"},
	},
	{
		Name:    "backlog-last-look",
		Reason:  "what was put into the backlog while a P went idle is not forgotten",
		Package: "runtime", File: "proc.go", Func: "checkRunqsNoP",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteBacklog.n.Load() != 0 { lock(&sched.lock); pp, _ := pidlegetSpinning(0); unlock(&sched.lock); return pp }"},
	},
	{
		Name:    "idle-put",
		Reason:  "other processes and the server look whether this one has something to do",
		Package: "runtime", File: "proc.go", Func: "pidleput",
		Edit: InsertAfter{Anchor: "sched.npidle.Add(1)", Code: "if remoteMany { remoteRunning() }"},
	},
	{
		Name:    "idle-get",
		Reason:  "as idle-put",
		Package: "runtime", File: "proc.go", Func: "pidleget",
		Edit: InsertAfter{Anchor: "sched.npidle.Add(-1)", Code: "if remoteMany { remoteBegins() }"},
	},
	{
		Name:    "ready",
		Reason:  "a g is run by the process in whose slot it is",
		Package: "runtime", File: "proc.go", Func: "goready",
		Edit: InsertAtEntry{Code: "if remoteForeign(uintptr(unsafe.Pointer(gp))) { remoteReadyG(gp); return }"},
	},
	{
		Name:    "main-once",
		Reason:  "main runs in the first process",
		Package: "runtime", File: "proc.go", Func: "main",
		Edit: InsertBefore{Anchor: "fn := main_main", Code: "remoteMain()"},
	},
	{
		Name:    "main-panic",
		Reason:  "main that returns lets a goroutine that panics finish, whatever its process",
		Package: "runtime", File: "proc.go", Func: "main",
		Edit: InsertBefore{Anchor: "if panicking.Load() != 0 {", Code: "if remoteMany { remoteAwaitPanics() }"},
	},
	{
		Name:    "panic-start",
		Reason:  "as main-panic",
		Package: "runtime", File: "panic.go", Func: "startpanic_m",
		Edit: InsertBefore{Anchor: "lock(&paniclk)", Code: "if remoteMany { remotePanics.Add(1) }"},
	},
	{
		Name:    "panic-end",
		Reason:  "the last process that panics ends the program, when all have said why",
		Package: "runtime", File: "panic.go", Func: "dopanic_m",
		Edit: InsertBefore{Anchor: "if panicking.Add(-1) != 0 {", Code: "if remoteMany { remoteLastWords() }"},
	},
	{
		Name:    "init-once",
		Reason:  "what the first process has initialised is seen by all",
		Package: "runtime", File: "proc.go", Func: "doInit1",
		Edit: InsertAtEntry{Code: "if remoteInitDone(t) { return }"},
	},
	{
		Name:    "deadlock",
		Reason:  "a process whose goroutines all wait may be woken by another",
		Package: "runtime", File: "proc.go", Func: "checkdead",
		Edit: InsertAtEntry{Code: "if remoteMany { return }"},
	},
	{
		Name:    "semaphore",
		Reason:  "waiters of several processes meet in one table",
		Package: "runtime", File: "sema.go", Func: "(*semTable).rootFor",
		Edit: InsertAtEntry{Code: "if remoteMany { return remoteRootFor(t, addr) }"},
	},
	{
		Name:    "mutex-fairness",
		Reason:  "a mutex that goes from process to process with every use takes the memory that it guards along",
		Package: "internal/sync", File: "mutex.go", Func: "(*Mutex).lockSlow",
		Edit: ReplaceExpr{From: "runtime_nanotime()-waitStartTime > starvationThresholdNs", To: "runtime_nanotime()-waitStartTime > remoteStarvation()"},
	},
	{
		Name:    "mutex-spin",
		Reason:  "as mutex-fairness",
		Package: "internal/sync", File: "mutex.go", Func: "(*Mutex).lockSlow",
		Edit: ReplaceCall{From: "runtime_canSpin", To: "remoteCanSpin"},
	},
	{
		Name:    "poll-mail",
		Reason:  "a thread that waits for work gets messages itself: no other one has to be woken first",
		Package: "runtime", File: "netpoll_epoll.go", Func: "netpoll",
		Edit: RenameFunc{To: "remoteNetpoll"},
	},
	{
		Name:    "ready-wake",
		Reason:  "the goroutine that takes messages stops after the last one: the thread goes on with what that made ready",
		Package: "runtime", File: "proc.go", Func: "ready",
		Edit: ReplaceCall{From: "wakep", To: "remoteWakep"},
	},
	{
		Name:    "schedule-mail",
		Reason:  "what a message makes ready does not wait behind goroutines that compute",
		Package: "runtime", File: "proc.go", Func: "findRunnable",
		Edit: InsertBefore{Anchor: "if pp.schedtick%61 == 0 && !sched.runq.empty() {", Code: "if remoteMany && pp.schedtick%4 != 0 { if gp := remoteMailNext(); gp != nil { return gp, false, false } }"},
	},
	{
		Name:    "chan-send",
		Reason:  "a channel of another process is operated on there, rather than by moving its memory to and fro",
		Package: "runtime", File: "chan.go", Func: "chansend",
		Edit: InsertAtEntry{Code: "if remoteForeign(uintptr(unsafe.Pointer(c))) { if block { if remoteSend(c, ep) { return true } } else if sent, ok := remoteTrySend(c, ep, callerpc); sent { return ok } }"},
	},
	{
		Name:    "chan-receive",
		Reason:  "as chan-send",
		Package: "runtime", File: "chan.go", Func: "chanrecv",
		Edit: InsertAtEntry{Code: "if remoteForeign(uintptr(unsafe.Pointer(c))) { if block { if sent, ok := remoteReceive(c, ep); sent { return true, ok } } else if sent, done, ok := remoteTryReceive(c, ep); sent { return done, ok } }"},
	},
	{
		Name:    "chan-select",
		Reason:  "as chan-send",
		Package: "runtime", File: "select.go", Func: "selectgo",
		Edit: InsertAtEntry{Code: "if remoteMany && block { if chosen, ok, sent := remoteSelect(cas0, order0, nsends, nrecvs); sent { return chosen, ok } }"},
	},
	{
		Name:    "timer-wake",
		Reason:  "a timer is run by the process whose heap it is in",
		Package: "runtime", File: "time.go", Func: "(*timer).modify",
		Edit: InsertBefore{Anchor: "if wake {", Code: "if wake && remoteMany { remoteWakeTimers(t, when) }"},
	},
}

// The goroutines and settings of the program are those of all of its processes:
// remotec_whole.go.
var wholePatches = []Patch{
	{
		Name:    "traceback-panic",
		Reason:  "the goroutines of a program that panics are those of all of its processes",
		Package: "runtime", File: "panic.go", Func: "dopanic_m",
		Edit: ReplaceCall{From: "tracebackothers", To: "remoteTracebackOthers"},
	},
	{
		Name:    "traceback-signal",
		Reason:  "as traceback-panic",
		Package: "runtime", File: "signal_unix.go", Func: "sighandler",
		Edit: ReplaceCall{From: "tracebackothers", To: "remoteTracebackOthers"},
	},
	{
		Name:    "traceback-level",
		Reason:  "how much a traceback shows is a setting of the program",
		Package: "runtime", File: "runtime1.go", Func: "setTraceback",
		Edit: RenameFunc{To: "remoteSetTraceback"},
	},
	{
		Name:    "main-further",
		Reason:  "the main goroutine of a further process is none of the program's",
		Package: "runtime", File: "traceback.go", Func: "isSystemGoroutine",
		Edit: InsertBefore{
			Anchor: "if f.funcID == abi.FuncID_runtime_main || f.funcID == abi.FuncID_corostart || f.funcID == abi.FuncID_handleAsyncEvent {",
			Code:   "if remoteSelf != 0 && f.funcID == abi.FuncID_runtime_main && gp.goid != 1 { return true }",
		},
	},
	{
		Name:    "goroutine-number",
		Reason:  "no two goroutines of a program have the same number",
		Package: "runtime", File: "proc.go", Func: "newproc1",
		Edit: InsertAfter{Anchor: "newg.goid = pp.goidcache", Code: "if remoteMany { newg.goid = remoteGoid(newg.goid) }"},
	},
	{
		Name:    "goroutine-number-c",
		Reason:  "as goroutine-number, for threads that C code made",
		Package: "runtime", File: "proc.go", Func: "oneNewExtraM",
		Edit: InsertAfter{Anchor: "gp.goid = sched.goidgen.Add(1)", Code: "if remoteMany { gp.goid = remoteGoid(gp.goid) }"},
	},
	{
		Name:    "stack-all",
		Reason:  "as traceback-panic",
		Package: "runtime", File: "mprof.go", Func: "Stack",
		Edit: InsertBefore{Anchor: "return n", Code: "if all && remoteMany && remoteOn { n += remoteStacks(buf[n:]) }"},
	},
	{
		Name:    "stack-backlog",
		Reason:  "as stack-all, for goroutines that have not begun",
		Package: "runtime", File: "mprof.go", Func: "Stack",
		Edit: InsertAtEntry{Code: "if all && remoteMany { remoteBegin() }"},
	},
	{
		Name:    "goroutine-profile",
		Reason:  "as traceback-panic",
		Package: "runtime", File: "mprof.go", Func: "goroutineProfileWithLabels",
		Edit: ReplaceCall{From: "goroutineProfileWithLabelsConcurrent", To: "remoteGoroutineProfile"},
	},
	{
		Name:    "memory-statistics",
		Reason:  "the program's memory is that of all of its processes",
		Package: "runtime", File: "mstats.go", Func: "ReadMemStats",
		Edit: RenameFunc{To: "remoteReadMemStats"},
	},
	{
		Name:    "set-gomaxprocs",
		Reason:  "settings of the runtime are the program's: each process gets them",
		Package: "runtime", File: "debug.go", Func: "GOMAXPROCS",
		Edit: RenameFunc{To: "remoteGOMAXPROCS"},
	},
	{
		Name:    "set-default-gomaxprocs",
		Reason:  "as set-gomaxprocs",
		Package: "runtime", File: "debug.go", Func: "SetDefaultGOMAXPROCS",
		Edit: RenameFunc{To: "remoteSetDefaultGOMAXPROCS"},
	},
	{
		Name:    "set-gc-percent",
		Reason:  "as set-gomaxprocs",
		Package: "runtime", File: "mgcpacer.go", Func: "setGCPercent",
		Edit: RenameFunc{To: "remoteSetGCPercent"},
	},
	{
		Name:    "set-memory-limit",
		Reason:  "as set-gomaxprocs",
		Package: "runtime", File: "mgcpacer.go", Func: "setMemoryLimit",
		Edit: RenameFunc{To: "remoteSetMemoryLimit"},
	},
	{
		Name:    "set-max-stack",
		Reason:  "as set-gomaxprocs",
		Package: "runtime", File: "rdebug.go", Func: "setMaxStack",
		Edit: RenameFunc{To: "remoteSetMaxStack"},
	},
	{
		Name:    "set-max-threads",
		Reason:  "as set-gomaxprocs",
		Package: "runtime", File: "proc.go", Func: "setMaxThreads",
		Edit: RenameFunc{To: "remoteSetMaxThreads"},
	},
	{
		Name:    "signal-ignored",
		Reason:  "the program's signals arrive at its first process, which knows what is ignored",
		Package: "runtime", File: "sigqueue.go", Func: "signal_ignored",
		Edit: RenameFunc{To: "remoteSignalIgnored"},
	},
	{
		Name:    "signal-ignored-own",
		Reason:  "a signal handler cannot ask another process",
		Package: "runtime", File: "signal_unix.go", Func: "sighandler",
		Edit: ReplaceCall{From: "signal_ignored", To: "remoteSignalIgnored"},
	},
	{
		Name:    "signal-ignored-pipe",
		Reason:  "as signal-ignored-own: it is asked on the system stack",
		Package: "runtime", File: "signal_unix.go", Func: "sigpipe",
		Edit: ReplaceCall{From: "signal_ignored", To: "remoteSignalIgnored"},
	},
	{
		Name:    "signal-pipe",
		Reason:  "as signal-ignored, for the signal of a broken standard stream",
		Package: "runtime", File: "signal_unix.go", Func: "os_sigpipe",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteOn && remoteSelf != 0 { remoteNewOp(remoteOpSignalPipe).at(0); return }"},
	},
	{
		Name:    "free-os-memory",
		Reason:  "as memory-statistics",
		Package: "runtime", File: "mheap.go", Func: "runtime_debug_freeOSMemory",
		Edit: RenameFunc{To: "remoteFreeOSMemory"},
	},
}

// Operations that are shipped to the process that can carry them out.
var shipPatches = []Patch{
	{
		Name:    "gc",
		Reason:  "a collection of the program is one of all of its processes",
		Package: "runtime", File: "mgc.go", Func: "GC",
		Edit: RenameFunc{To: "remoteGC"},
	},
	{
		Name:    "signal-at-first-enable",
		Reason:  "the program's signals arrive at its first process",
		Package: "runtime", File: "sigqueue.go", Func: "signal_enable",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteSelf != 0 { remoteSignalOp(remoteOpSignalEnable, s); return }"},
	},
	{
		Name:    "signal-at-first-disable",
		Reason:  "the program's signals arrive at its first process",
		Package: "runtime", File: "sigqueue.go", Func: "signal_disable",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteSelf != 0 { remoteSignalOp(remoteOpSignalDisable, s); return }"},
	},
	{
		Name:    "signal-at-first-ignore",
		Reason:  "the program's signals arrive at its first process",
		Package: "runtime", File: "sigqueue.go", Func: "signal_ignore",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteSelf != 0 { remoteSignalOp(remoteOpSignalIgnore, s); return }"},
	},
	{
		Name:    "signal-at-first-idle",
		Reason:  "the program's signals arrive at its first process",
		Package: "runtime", File: "sigqueue.go", Func: "signalWaitUntilIdle",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteSelf != 0 { remoteSignalOp(remoteOpSignalIdle, 0); return }"},
	},
	{
		Name:    "signal-at-first-receive",
		Reason:  "the program's signals arrive at its first process",
		Package: "runtime", File: "sigqueue.go", Func: "signal_recv",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteSelf != 0 { return uint32(remoteSignalOp(remoteOpSignalReceive, 0)) }"},
	},
	{
		Name:    "gc-pools",
		Reason:  "one call of runtime.GC collects twice, and a pool is to survive one",
		Package: "runtime", File: "mgc.go", Func: "clearpools",
		Edit: InsertAtEntry{Code: "if remoteGCs.Load() > 0 { return }"},
	},
	{
		Name:    "godebug",
		Reason:  "the settings in GODEBUG are the program's, not one process's",
		Package: "runtime", File: "runtime.go", Func: "syscall_runtimeSetenv",
		Edit: InsertAtEntry{Code: `if remoteMany && remoteOn && key == "GODEBUG" { remoteSetGodebug(value); return }`},
	},
	{
		Name:    "godebug-unset",
		Reason:  "as godebug",
		Package: "runtime", File: "runtime.go", Func: "syscall_runtimeUnsetenv",
		Edit: InsertAtEntry{Code: `if remoteMany && remoteOn && key == "GODEBUG" { remoteSetGodebug(""); return }`},
	},
	{
		Name:    "goroutines",
		Reason:  "the goroutines of the program are those of all of its processes",
		Package: "runtime", File: "debug.go", Func: "NumGoroutine",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteOn { return remoteGoroutines() }"},
	},
	{
		Name:    "finalizer",
		Reason:  "a finalizer is in the span of its object",
		Package: "runtime", File: "mfinal.go", Func: "SetFinalizer",
		Edit: InsertBefore{Anchor: "base, span, _ := findObject(uintptr(e.data), 0, 0)", Code: "if remoteForeign(uintptr(e.data)) { remoteFinalizer(e.data, obj, finalizer); return }"},
	},
	{
		Name:    "cleanup",
		Reason:  "a cleanup is in the span of its object",
		Package: "runtime", File: "mcleanup.go", Func: "AddCleanup",
		Edit: InsertBefore{Anchor: "if inUserArenaChunk(usptr) {", Code: "if remoteForeign(usptr) { var c Cleanup; p := ptr; remoteAt(remoteHome(usptr), func() { c = AddCleanup(p, cleanup, arg); p = nil }); return c }"},
	},
	{
		Name:    "cleanup-stop",
		Reason:  "as cleanup",
		Package: "runtime", File: "mcleanup.go", Func: "Cleanup.Stop",
		Edit: InsertAtEntry{Code: "if remoteForeign(c.ptr) { remoteStopCleanup(c); return }"},
	},
	{
		Name:    "weak",
		Reason:  "a weak handle is in the span of its object; what is in no span has one handle, too",
		Package: "runtime", File: "mheap.go", Func: "getOrAddWeakHandle",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteOn { if home := remoteWeakAt(p); home != remoteSelf { return remoteWeakHandle(p, home) } }"},
	},
	{
		Name:    "weak-immortal",
		Reason:  "all processes follow the weak handles of globals",
		Package: "runtime", File: "mheap.go", Func: "(*immortalWeakHandleMap).getOrAdd",
		Edit: ReplaceCall{From: "persistentalloc", To: "remotePermanentAlloc"},
	},
	{
		Name:    "weak-strong",
		Reason:  "only the process that sweeps an object knows whether it is alive",
		Package: "runtime", File: "mheap.go", Func: "internal_weak_runtime_makeStrongFromWeak",
		Edit: InsertAfter{Anchor: "handle := (*atomic.Uintptr)(u)", Code: "if remoteForeign(uintptr(u)) { if p, ok := remoteStrong(u); ok { return p } }"},
	},
	{
		Name:    "coroutine",
		Reason:  "a coroutine is switched to by the process in which it runs",
		Package: "runtime", File: "coro.go", Func: "coroswitch",
		Edit: InsertAtEntry{Code: "if remoteForeign(uintptr(unsafe.Pointer(c))) { remoteCoroutine(c); return }"},
	},
	{
		Name:    "poll-reset",
		Reason:  "a descriptor is polled by the process that opened it",
		Package: "runtime", File: "netpoll.go", Func: "poll_runtime_pollReset",
		Edit: InsertAtEntry{Code: "if remoteForeign(uintptr(unsafe.Pointer(pd))) { return remotePoll(remoteOpPollReset, pd, mode, 0) }"},
	},
	{
		Name:    "poll-wait",
		Reason:  "as poll-reset",
		Package: "runtime", File: "netpoll.go", Func: "poll_runtime_pollWait",
		Edit: InsertAtEntry{Code: "if remoteForeign(uintptr(unsafe.Pointer(pd))) { return remotePoll(remoteOpPollWait, pd, mode, 0) }"},
	},
	{
		Name:    "poll-wait-canceled",
		Reason:  "as poll-reset",
		Package: "runtime", File: "netpoll.go", Func: "poll_runtime_pollWaitCanceled",
		Edit: InsertAtEntry{Code: "if remoteForeign(uintptr(unsafe.Pointer(pd))) { remotePoll(remoteOpPollWaitCanceled, pd, mode, 0); return }"},
	},
	{
		Name:    "poll-deadline",
		Reason:  "as poll-reset",
		Package: "runtime", File: "netpoll.go", Func: "poll_runtime_pollSetDeadline",
		Edit: InsertAtEntry{Code: "if remoteForeign(uintptr(unsafe.Pointer(pd))) { remotePoll(remoteOpPollDeadline, pd, mode, d); return }"},
	},
	{
		Name:    "poll-unblock",
		Reason:  "as poll-reset",
		Package: "runtime", File: "netpoll.go", Func: "poll_runtime_pollUnblock",
		Edit: InsertAtEntry{Code: "if remoteForeign(uintptr(unsafe.Pointer(pd))) { remotePoll(remoteOpPollUnblock, pd, 0, 0); return }"},
	},
	{
		Name:    "poll-end",
		Reason:  "as poll-reset",
		Package: "runtime", File: "netpoll.go", Func: "poll_runtime_pollClose",
		Edit: InsertAtEntry{Code: "if remoteForeign(uintptr(unsafe.Pointer(pd))) { remotePoll(remoteOpPollClose, pd, 0, 0); return }"},
	},
	{
		Name:    "pool-get",
		Reason:  "the lists of a pool are indexed by the Ps of one process: each process has its own",
		Package: "sync", File: "pool.go", Func: "(*Pool).Get",
		Edit: ReplaceCall{From: "p.pin", To: "remotePool(p).pin"},
	},
	{
		Name:    "pool-steal",
		Reason:  "as pool-get",
		Package: "sync", File: "pool.go", Func: "(*Pool).Get",
		Edit: ReplaceCall{From: "p.getSlow", To: "remotePoolPinned(p).getSlow"},
	},
	{
		Name:    "pool-put",
		Reason:  "as pool-get",
		Package: "sync", File: "pool.go", Func: "(*Pool).Put",
		Edit: ReplaceCall{From: "p.pin", To: "remotePool(p).pin"},
	},
	{
		Name:    "pool-cleanup",
		Reason:  "what a process keeps of pools that are gone ends with their contents",
		Package: "sync", File: "pool.go", Func: "poolCleanup",
		Edit: InsertAtEntry{Code: "remotePoolCleanup()"},
	},
}
