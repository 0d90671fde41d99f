package patches

import (
	"slices"

	. "remotec.dev/internal/instrument"
	"remotec.dev/internal/linkname"
)

// go126 returns the patches for Go 1.26.
func go126() *Set { return &Set{Patches: patches126(), Files: files("1.26")} }

func patches126() []Patch {
	return slices.Concat(attachPatches, outputPatches, pollPatches, signalPatches, goroutinePatches,
		countPatches(), accountPatches, syscallPatches, userIDPatches, libraryPatches,
		memoryPatches, collectPatches, spreadPatches, migratePatches, profilePatches, shipPatches, wholePatches, hostPatches, ledgerPatches)
}

var attachPatches = []Patch{
	{
		Name:    "attach",
		Reason:  "the program attaches to the runtime server before its first init function",
		Package: "runtime", File: "proc.go", Func: "main",
		Edit: InsertAfter{Anchor: "defaultGOMAXPROCSUpdateEnable()", Code: "remoteAttach()"},
	},
	{
		Name:    "descriptor-table",
		Reason:  "the stub's descriptors and copies need high numbers, which cost milliseconds once there are threads",
		Package: "runtime", File: "os_linux.go", Func: "osinit",
		Edit: InsertAtEntry{Code: "remoteGrow()"},
	},
	{
		Name:    "link",
		Reason:  "every thread has its own link to the server",
		Package: "runtime", File: "runtime2.go",
		Edit: AddStructField{Type: "m", Field: "remoteLink uintptr"},
	},
	{
		Name:    "link-close",
		Reason:  "a thread that ends closes its link, so that the server's thread with the same state ends too",
		Package: "runtime", File: "proc.go", Func: "mexit",
		Edit: InsertAfter{Anchor: "unminit()", Code: "if mp.remoteLink != 0 { remoteHooks.mexit(mp.remoteLink); mp.remoteLink = 0 }"},
	},
}

// A program's end is a fact that the server is told, so that it can tell an
// end from a loss. exit itself is assembly; these are its callers.
var outputPatches = []Patch{
	{
		Name:    "exit-main",
		Reason:  "the server learns that main returned",
		Package: "runtime", File: "proc.go", Func: "main",
		Edit: ReplaceCall{From: "exit", To: "remoteExit"},
	},
	{
		Name:    "exit-os",
		Reason:  "the server learns of os.Exit",
		Package: "runtime", File: "runtime.go", Func: "syscall_Exit",
		Edit: ReplaceCall{From: "exit", To: "remoteExit"},
	},
	{
		Name:    "exit-throw",
		Reason:  "the server learns of a fatal error",
		Package: "runtime", File: "panic.go", Func: "fatalthrow",
		Edit: ReplaceCall{From: "exit", To: "remoteExit", Count: 2},
	},
	{
		Name:    "exit-panic",
		Reason:  "the server learns of a panic that nobody recovered",
		Package: "runtime", File: "panic.go", Func: "fatalpanic",
		Edit: ReplaceCall{From: "exit", To: "remoteExit"},
	},
	{
		Name:    "exit-signal",
		Reason:  "the server learns of an end with a traceback by a signal",
		Package: "runtime", File: "signal_unix.go", Func: "sighandler",
		Edit: ReplaceCall{From: "exit", To: "remoteExit"},
	},
	{
		Name:    "die-signal",
		Reason:  "output that is on its way from the server arrives before the process ends by a signal",
		Package: "runtime", File: "signal_unix.go", Func: "dieFromSignal",
		Edit: InsertAtEntry{Code: "remoteDying()"},
	},
	{
		Name:    "crash-threads",
		Reason:  "the threads that copy the standard streams go on while the others print their stacks",
		Package: "runtime", File: "signal_unix.go", Func: "sighandler",
		Edit: ReplaceCall{From: "mcount", To: "remoteSignaled", Count: 2},
	},
}

var pollPatches = []Patch{
	{
		Name:    "poll-open",
		Reason:  "descriptors are the server's: it watches those that were not handed over",
		Package: "runtime", File: "netpoll_epoll.go", Func: "netpollopen",
		Edit: InsertAtEntry{Code: "if remoteOn { local, errno, done := remotePollOpen(fd, pd); if done { return errno }; fd = local }"},
	},
	{
		Name:    "poll-close",
		Reason:  "as poll-open",
		Package: "runtime", File: "netpoll_epoll.go", Func: "netpollclose",
		Edit: InsertAtEntry{Code: "if remoteOn { local, done := remotePollClose(fd); if done { return 0 }; fd = local }"},
	},
	{
		Name:    "poll-own",
		Reason:  "the poller's own descriptors are this process's; the program's numbers are the session's",
		Package: "runtime", File: "netpoll_epoll.go", Func: "netpollIsPollDescriptor",
		Edit: InsertAtEntry{Code: "if remoteOn { return false }"},
	},
	{
		Name:    "fcntl",
		Reason:  "os and internal/poll reach fcntl through the runtime",
		Package: "runtime", File: "os_linux.go", Func: "fcntl",
		Edit: ReplaceCall{From: "linux.Syscall6", To: "remoteSyscall6"},
	},
}

var signalPatches = []Patch{
	{
		Name:    "signal-enable",
		Reason:  "signals arrive at the session's process: it forwards those that the program wants",
		Package: "runtime", File: "sigqueue.go", Func: "signal_enable",
		Edit: InsertAfter{Anchor: "sigenable(s)", Code: "remoteSignal(1, s)"},
	},
	{
		Name:    "signal-disable",
		Reason:  "as signal-enable",
		Package: "runtime", File: "sigqueue.go", Func: "signal_disable",
		Edit: InsertAfter{Anchor: "sigdisable(s)", Code: "remoteSignal(0, s)"},
	},
	{
		Name:    "signal-ignore",
		Reason:  "children inherit what their parent, the session's process, ignores",
		Package: "runtime", File: "sigqueue.go", Func: "signal_ignore",
		Edit: InsertAfter{Anchor: "sigignore(s)", Code: "remoteSignal(2, s)"},
	},
}

var goroutinePatches = []Patch{
	{
		Name:    "goroutine-account",
		Reason:  "each P keeps its part of the lease and its counts",
		Package: "runtime", File: "runtime2.go",
		Edit: AddStructField{Type: "p", Field: "remote remotePState"},
	},
	{
		Name:    "goroutine-lease",
		Reason:  "a goroutine is created under a lease of the server",
		Package: "runtime", File: "proc.go", Func: "newproc",
		Edit: InsertAtEntry{Code: "if remoteLeaseEmpty != 0 { remoteRenew() }"},
	},
	{
		Name:    "goroutine-created",
		Reason:  "the server knows how many goroutines were created",
		Package: "runtime", File: "proc.go", Func: "newproc1",
		Edit: InsertAfter{Anchor: "pp.goroutinesCreated++", Code: "remoteCreated(pp)"},
	},
	{
		Name:    "goroutine-ended",
		Reason:  "the server knows which goroutines ended, by creation site",
		Package: "runtime", File: "proc.go", Func: "gdestroy",
		Edit: InsertAfter{Anchor: "dropg()", Code: "remoteEnded(gp, pp)"},
	},
}

// countPatches makes the entry points of internal/linkname countable: a load
// and a branch where the attached server did not ask for the count.
func countPatches() []Patch {
	var list []Patch
	for _, e := range linkname.EntryPoints {
		if e.Bit < 0 {
			continue
		}
		list = append(list, Patch{
			Name: "count-" + e.Name, Reason: e.Reason,
			Package: "runtime", File: e.File, Func: e.Func,
			Edit: InsertAtEntry{Code: e.CountCode()},
		})
	}
	return list
}

var syscallPatches = []Patch{
	{
		Name:    "forward",
		Reason:  "system calls of user goroutines are carried out by the runtime server",
		Package: "syscall", File: "syscall_linux.go", Func: "RawSyscall6",
		Edit: ReplaceCall{From: "linux.Syscall6", To: "remoteSyscall6"},
	},
	{
		Name:    "forward-noerror",
		Reason:  "getpid, umask and their like go past RawSyscall6 through assembly",
		Package: "syscall", File: "asm_linux_amd64.s", Func: "rawSyscallNoError",
		Edit: ReplaceText{Code: "TEXT ·rawSyscallNoError(SB),NOSPLIT,$0-48\n\tJMP\t·remoteSyscallNoError(SB)\n"},
	},
	{
		Name:    "forward-x-noerror",
		Reason:  "golang.org/x/sys/unix has assembly of its own for the same calls",
		Package: "golang.org/x/sys/unix", File: "asm_linux_amd64.s", Func: "SyscallNoError",
		Edit: ReplaceText{Code: "TEXT ·SyscallNoError(SB),NOSPLIT,$0-48\n\tJMP\tsyscall·remoteSyscallNoError(SB)\n"},
	},
	{
		Name:    "forward-x-rawnoerror",
		Reason:  "as forward-x-noerror",
		Package: "golang.org/x/sys/unix", File: "asm_linux_amd64.s", Func: "RawSyscallNoError",
		Edit: ReplaceText{Code: "TEXT ·RawSyscallNoError(SB),NOSPLIT,$0-48\n\tJMP\tsyscall·remoteSyscallNoError(SB)\n"},
	},
	{
		Name:    "spawn",
		Reason:  "children are children of the session's process",
		Package: "syscall", File: "exec_unix.go", Func: "forkExec",
		Edit: InsertAtEntry{Code: "if remoteInstalled() { return remoteForkExec(argv0, argv, attr) }"},
	},
	{
		Name:    "pidfd-check",
		Reason:  "the check clones this process; the server, which starts children, has Linux 5.4 or later",
		Package: "syscall", File: "exec_linux.go", Func: "os_checkClonePidfd",
		Edit: InsertAtEntry{Code: "if remoteInstalled() { return nil }"},
	},
	{
		Name:    "all-threads",
		Reason:  "the threads whose credentials count are the session's",
		Package: "syscall", File: "syscall_linux.go", Func: "AllThreadsSyscall",
		Edit: InsertAtEntry{Code: "if remoteInstalled() { return remoteAllThreads(trap, a1, a2, a3, 0, 0, 0) }"},
	},
	{
		Name:    "all-threads6",
		Reason:  "as all-threads",
		Package: "syscall", File: "syscall_linux.go", Func: "AllThreadsSyscall6",
		Edit: InsertAtEntry{Code: "if remoteInstalled() { return remoteAllThreads(trap, a1, a2, a3, a4, a5, a6) }"},
	},
}

// userIDPatches keeps the setuid family away from libc, which changes the
// threads of this process, in programs with cgo.
var userIDPatches = func() []Patch {
	var list []Patch
	for name, variable := range map[string]string{
		"Setegid": "cgo_libc_setegid", "Seteuid": "cgo_libc_seteuid", "Setgid": "cgo_libc_setgid",
		"Setregid": "cgo_libc_setregid", "Setresgid": "cgo_libc_setresgid", "Setresuid": "cgo_libc_setresuid",
		"Setreuid": "cgo_libc_setreuid", "Setuid": "cgo_libc_setuid", "Setgroups": "cgo_libc_setgroups",
	} {
		count := 1
		if name == "Setgroups" {
			count = 2
		}
		list = append(list, Patch{
			Name:    "libc-" + name,
			Reason:  "user and group ids are the session's, not those of this process",
			Package: "syscall", File: "syscall_linux.go", Func: name,
			Edit: ReplaceExpr{From: variable + " == nil", To: "true", Count: count},
		})
	}
	return list
}()

var libraryPatches = []Patch{
	{
		Name:    "resolver",
		Reason:  "libc would look names up from this process; Go's resolver asks the server",
		Package: "net", File: "conf.go", Func: "initConfVal",
		Edit: ReplaceExpr{From: `netGoBuildTag || dnsMode == "go"`, To: `remoteInstalled() || netGoBuildTag || dnsMode == "go"`},
	},
}
