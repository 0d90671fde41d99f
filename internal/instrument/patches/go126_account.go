package patches

import . "remotec.dev/internal/instrument"

// What goroutines use: remotec_account.go says how it is counted, if it is.
var accountPatches = []Patch{
	{
		Name:    "account",
		Reason:  "a goroutine may have an account of what it uses",
		Package: "runtime", File: "runtime2.go",
		Edit: AddStructField{Type: "g", Field: "remote remoteAccountRef"},
	},
	{
		Name:    "account-ticks",
		Reason:  "cputicks waits for all that is under way in the processor, which each switch would pay for",
		Package: "runtime", File: "asm_amd64.s",
		Edit: AppendText{Code: "// func remoteTicks() int64\nTEXT runtime·remoteTicks(SB),NOSPLIT,$0-8\n\tRDTSC\n\tSHLQ\t$32, DX\n\tORQ\tDX, AX\n\tMOVQ\tAX, ret+0(FP)\n\tRET\n"},
	},
	{
		Name:    "account-stop",
		Reason:  "what ran on the P up to now was this goroutine",
		Package: "runtime", File: "proc.go", Func: "dropg",
		Edit: InsertAtEntry{Code: "if remoteAccounting.on != 0 { if mp := getg().m; !remoteSkips(mp.curg, mp.p.ptr()) { remoteStops(mp.curg, mp.p.ptr()) } }"},
	},
	{
		Name:    "account-end",
		Reason:  "a goroutine that ends is accounted for where its end is counted",
		Package: "runtime", File: "proc.go", Func: "gdestroy",
		Edit: ReplaceCall{From: "dropg", To: "remoteDrops"},
	},
	{
		Name:    "account-run",
		Reason:  "up to now the goroutine waited",
		Package: "runtime", File: "proc.go", Func: "execute",
		Edit: InsertAfter{Anchor: "gp.preempt = false", Code: "if remoteAccounting.on != 0 && remoteWaited(gp, mp) { remoteRuns(gp, mp.p.ptr()) }"},
	},
	{
		Name:    "account-idle",
		Reason:  "the time of a P that did nothing is no goroutine's",
		Package: "runtime", File: "proc.go", Func: "acquirepNoTrace",
		Edit: InsertAfter{Anchor: "wirep(pp)", Code: "if remoteAccounting.on != 0 { pp.remote.clock.last = remoteTicks() }"},
	},
	{
		Name:    "account-spin",
		Reason:  "as account-idle, for a thread that looked for work",
		Package: "runtime", File: "proc.go", Func: "resetspinning",
		Edit: InsertAtEntry{Code: "if remoteAccounting.on != 0 { getg().m.p.ptr().remote.clock.last = remoteTicks() }"},
	},
	{
		Name:    "account-overdue",
		Reason:  "a P that times few runs, as they are short, hears that they no longer are",
		Package: "runtime", File: "proc.go", Func: "sysmon",
		Edit: InsertBefore{Anchor: "if retake(now) != 0 {", Code: "if remoteAccounting.on != 0 { remoteOverdue() }"},
	},
	{
		Name:    "account-lost",
		Reason:  "a goroutine whose P is taken from it during a system call is accounted for by who takes it",
		Package: "runtime", File: "proc.go", Func: "syscallingThread.releaseP",
		Edit: InsertAtEntry{Code: "if remoteAccounting.on != 0 { remoteLosesP(s.gp, s.pp) }"},
	},
	{
		Name:    "account-lost-stop",
		Reason:  "as account-lost, for one that gives its P away because the world stops",
		Package: "runtime", File: "proc.go", Func: "entersyscallHandleGCWait",
		Edit: InsertAfter{Anchor: "pp := gp.m.p.ptr()", Code: "if remoteAccounting.on != 0 { remoteLosesP(gp.m.curg, pp) }"},
	},
	{
		Name:    "account-lost-block",
		Reason:  "as account-lost, for one that knows that its call takes long",
		Package: "runtime", File: "proc.go", Func: "entersyscallblock",
		Edit: InsertBefore{Anchor: "addGSyscallNoP(gp.m)", Code: "if remoteAccounting.on != 0 { remoteLosesP(gp, gp.m.p.ptr()) }"},
	},
	{
		Name:    "account-memory",
		Reason:  "memory is charged when a span is used up",
		Package: "runtime", File: "mcache.go", Func: "(*mcache).refill",
		Edit: InsertAfter{Anchor: "gcController.totalAlloc.Add(bytesAllocated)", Code: "if remoteAccounting.on != 0 { remoteChargesMemory(bytesAllocated, slotsUsed) }"},
	},
	{
		Name:    "account-memory-large",
		Reason:  "as account-memory, for an object with a span of its own",
		Package: "runtime", File: "mcache.go", Func: "(*mcache).allocLarge",
		Edit: InsertBefore{Anchor: "gcController.totalAlloc.Add(int64(npages * pageSize))", Code: "if remoteAccounting.on != 0 { remoteChargesMemory(int64(npages*pageSize), 1) }"},
	},
}

// The program's profiles are those of all of its processes: remotec_profiles.go.
var profilePatches = []Patch{
	{
		Name:    "profile-memory",
		Reason:  "the program's profiles are those of all of its processes",
		Package: "runtime", File: "mprof.go", Func: "memProfileInternal",
		Edit: RenameFunc{To: "remoteMemProfileInternal"},
	},
	{
		Name:    "profile-block",
		Reason:  "as profile-memory",
		Package: "runtime", File: "mprof.go", Func: "blockProfileInternal",
		Edit: RenameFunc{To: "remoteBlockProfileInternal"},
	},
	{
		Name:    "profile-mutex",
		Reason:  "as profile-memory",
		Package: "runtime", File: "mprof.go", Func: "mutexProfileInternal",
		Edit: RenameFunc{To: "remoteMutexProfileInternal"},
	},
	{
		Name:    "profile-threads",
		Reason:  "as profile-memory",
		Package: "runtime", File: "mprof.go", Func: "threadCreateProfileInternal",
		Edit: RenameFunc{To: "remoteThreadCreateProfileInternal"},
	},
	{
		Name:    "profile-memory-rate",
		Reason:  "the rate is a variable of the program's, and each process has one",
		Package: "runtime", File: "malloc.go", Func: "profilealloc",
		Edit: InsertAtEntry{Code: "if remoteMany && MemProfileRate != remoteMemRate { remoteMemRateChanged() }"},
	},
	{
		Name:    "profile-block-rate",
		Reason:  "as profile-memory",
		Package: "runtime", File: "mprof.go", Func: "SetBlockProfileRate",
		Edit: RenameFunc{To: "remoteSetBlockProfileRate"},
	},
	{
		Name:    "profile-mutex-rate",
		Reason:  "as profile-memory",
		Package: "runtime", File: "mprof.go", Func: "SetMutexProfileFraction",
		Edit: RenameFunc{To: "remoteSetMutexProfileFraction"},
	},
	{
		Name:    "profile-processor",
		Reason:  "as profile-memory",
		Package: "runtime", File: "cpuprof.go", Func: "SetCPUProfileRate",
		Edit: RenameFunc{To: "remoteSetCPUProfileRate"},
	},
	{
		Name:    "profile-processor-read",
		Reason:  "the profile of the processor is the first process's",
		Package: "runtime", File: "cpuprof.go", Func: "runtime_pprof_readProfile",
		Edit: RenameFunc{To: "remoteReadProfile"},
	},
}
