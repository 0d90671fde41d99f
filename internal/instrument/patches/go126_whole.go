package patches

import . "remotec.dev/internal/instrument"

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
		Edit: InsertBefore{Anchor: "if inUserArenaChunk(usptr) {", Code: "if remoteForeign(usptr) { if remoteGoneAt(usptr) { return Cleanup{} }; var c Cleanup; p := ptr; remoteAt(remoteHome(usptr), func() { c = AddCleanup(p, cleanup, arg); p = nil }); return c }"},
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
		Edit: InsertAfter{Anchor: "handle := (*atomic.Uintptr)(u)", Code: "if remoteMany && (remoteForeign(uintptr(u)) || remoteGoneAt(handle.Load())) { if p, ok := remoteStrong(u); ok { return p } }"},
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
		Edit: InsertAtEntry{Code: "if !remotePlain && remoteElsewhere(uintptr(unsafe.Pointer(pd))) { return remotePoll(remotePollsReset, pd, mode, 0) }"},
	},
	{
		Name:    "poll-wait",
		Reason:  "as poll-reset",
		Package: "runtime", File: "netpoll.go", Func: "poll_runtime_pollWait",
		Edit: InsertAtEntry{Code: "if remoteElsewhere(uintptr(unsafe.Pointer(pd))) { return remotePollWait(pd, mode) }"},
	},
	{
		Name:    "poll-wait-canceled",
		Reason:  "as poll-reset",
		Package: "runtime", File: "netpoll.go", Func: "poll_runtime_pollWaitCanceled",
		Edit: InsertAtEntry{Code: "if remoteElsewhere(uintptr(unsafe.Pointer(pd))) { remotePoll(remotePollsWaitCanceled, pd, mode, 0); return }"},
	},
	{
		Name:    "poll-deadline",
		Reason:  "as poll-reset",
		Package: "runtime", File: "netpoll.go", Func: "poll_runtime_pollSetDeadline",
		Edit: InsertAtEntry{Code: "if remoteElsewhere(uintptr(unsafe.Pointer(pd))) { remotePoll(remotePollsDeadline, pd, mode, d); return }"},
	},
	{
		Name:    "poll-unblock",
		Reason:  "as poll-reset",
		Package: "runtime", File: "netpoll.go", Func: "poll_runtime_pollUnblock",
		Edit: InsertAtEntry{Code: "if remoteElsewhere(uintptr(unsafe.Pointer(pd))) { remotePoll(remotePollsUnblock, pd, 0, 0); return }"},
	},
	{
		Name:    "poll-end",
		Reason:  "as poll-reset",
		Package: "runtime", File: "netpoll.go", Func: "poll_runtime_pollClose",
		Edit: InsertAtEntry{Code: "if remoteElsewhere(uintptr(unsafe.Pointer(pd))) { remotePoll(remotePollsClose, pd, 0, 0); return }"},
	},
	{
		Name:    "poll-lock",
		Reason:  "each use of a descriptor changes its lock: that is in memory that processes have in common",
		Package: "internal/poll", File: "fd_mutex.go",
		Edit: AddStructField{Type: "fdMutex", Field: "remoteCommon atomic.Pointer[remoteMutex]"},
	},
	{
		Name:    "poll-lock-incref",
		Reason:  "as poll-lock",
		Package: "internal/poll", File: "fd_mutex.go", Func: "(*fdMutex).incref",
		Edit: InsertAtEntry{Code: "mu = mu.remotely()"},
	},
	{
		Name:    "poll-lock-close",
		Reason:  "as poll-lock",
		Package: "internal/poll", File: "fd_mutex.go", Func: "(*fdMutex).increfAndClose",
		Edit: InsertAtEntry{Code: "mu = mu.remotely()"},
	},
	{
		Name:    "poll-lock-decref",
		Reason:  "as poll-lock",
		Package: "internal/poll", File: "fd_mutex.go", Func: "(*fdMutex).decref",
		Edit: InsertAtEntry{Code: "mu = mu.remotely()"},
	},
	{
		Name:    "poll-lock-rwlock",
		Reason:  "as poll-lock",
		Package: "internal/poll", File: "fd_mutex.go", Func: "(*fdMutex).rwlock",
		Edit: InsertAtEntry{Code: "mu = mu.remotely()"},
	},
	{
		Name:    "poll-lock-rwunlock",
		Reason:  "as poll-lock",
		Package: "internal/poll", File: "fd_mutex.go", Func: "(*fdMutex).rwunlock",
		Edit: InsertAtEntry{Code: "mu = mu.remotely()"},
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
