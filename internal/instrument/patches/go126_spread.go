package patches

import . "remotec.dev/internal/instrument"

// Several processes in one session. The added files remotec_memory.go,
// remotec_collect.go and remotec_spread.go say how it works; here is where the
// runtime calls them. With one process each costs a load and a branch.

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
		Name:    "backlog-old",
		Reason:  "a goroutine of the backlog that waits while another process is idle is found, though nobody wakes the mail thread",
		Package: "runtime", File: "proc.go", Func: "sysmon",
		Edit: InsertBefore{Anchor: "if retake(now) != 0 {", Code: "if remoteBalance { remoteOldBacklog(now) }"},
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
		Edit: InsertAtEntry{Code: "if remoteMany && remoteReadyAway(gp) { return }"},
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
		Reason:  "a process whose goroutines all wait may be woken by another; and one that is paused by the user",
		Package: "runtime", File: "proc.go", Func: "checkdead",
		Edit: InsertAtEntry{Code: "if remoteMany || remoteStill() { return }"},
	},
	{
		Name:    "semaphore-acquire",
		Reason:  "waiters of several processes meet in one table",
		Package: "runtime", File: "sema.go", Func: "semacquire1",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteQueuesAt(unsafe.Pointer(addr)) { if waited := remoteSemacquire(addr, lifo, profile, skipframes, reason); waited > 0 { blockevent(waited, 3+skipframes) }; return }"},
	},
	{
		Name:    "semaphore-release",
		Reason:  "as semaphore-acquire",
		Package: "runtime", File: "sema.go", Func: "semrelease1",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteQueuesAt(unsafe.Pointer(addr)) { if waited := remoteSemrelease(addr, handoff, skipframes); waited > 0 { mutexevent(waited, 3+skipframes) }; return }"},
	},
	{
		Name:    "cond-wait",
		Reason:  "as semaphore-acquire, for sync.Cond",
		Package: "runtime", File: "sema.go", Func: "notifyListWait",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteQueuesAt(unsafe.Pointer(l)) { if waited := remoteNotifyWait(l, t); waited > 0 { blockevent(waited, 2) }; return }"},
	},
	{
		Name:    "cond-all",
		Reason:  "as cond-wait",
		Package: "runtime", File: "sema.go", Func: "notifyListNotifyAll",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteQueuesAt(unsafe.Pointer(l)) { remoteNotifyAll(l); return }"},
	},
	{
		Name:    "cond-one",
		Reason:  "as cond-wait",
		Package: "runtime", File: "sema.go", Func: "notifyListNotifyOne",
		Edit: InsertAtEntry{Code: "if remoteMany && remoteQueuesAt(unsafe.Pointer(l)) { remoteNotifyOne(l); return }"},
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
		Edit: InsertAtEntry{Code: "if remoteMany { if done, ok := remoteChanSend(c, ep, block); done { return ok } }"},
	},
	{
		Name:    "chan-receive",
		Reason:  "as chan-send",
		Package: "runtime", File: "chan.go", Func: "chanrecv",
		Edit: InsertAtEntry{Code: "if remoteMany { if done, selected, ok := remoteChanReceive(c, ep, block); done { return selected, ok } }"},
	},
	{
		Name:    "chan-select",
		Reason:  "as chan-send",
		Package: "runtime", File: "select.go", Func: "selectgo",
		Edit: InsertAtEntry{Code: "if remoteMany && block { if chosen, ok, sent := remoteSelect(cas0, order0, nsends, nrecvs); sent { return chosen, ok } }"},
	},
	{
		Name:    "chan-claim",
		Reason:  "a select over channels of several processes is completed by one of them",
		Package: "runtime", File: "chan.go", Func: "(*waitq).dequeue",
		Edit: ReplaceExpr{From: "!sgp.g.selectDone.CompareAndSwap(0, 1)", To: "!remoteWins(sgp.g)"},
	},
	{
		Name:    "chan-claim-inline",
		Reason:  "the call makes it too large to be inlined; who finds that nobody waits, as with most values of a buffered channel, does without it",
		Package: "runtime", File: "chan.go", Func: "(*waitq).dequeue",
		Edit: RenameFunc{To: "remoteDequeue"},
	},
	{
		Name:    "chan-settle-select",
		Reason:  "other processes leave it to the channel's home to serve who waits",
		Package: "runtime", File: "select.go", Func: "sellock",
		Edit: InsertAtEntry{Code: "if remoteMany { remoteSettleCases(scases, lockorder) }"},
	},
	{
		Name:    "chan-settle-close",
		Reason:  "as chan-settle-select: who could be served is, before it learns that the channel is closed",
		Package: "runtime", File: "chan.go", Func: "closechan",
		Edit: InsertAfter{Anchor: "var glist gList", Code: "if remoteMany { remoteServeAtClose(c, &glist) }"},
	},
	{
		Name:    "chan-settle-length",
		Reason:  "as chan-settle-select",
		Package: "runtime", File: "chan.go", Func: "chanlen",
		Edit: InsertAtEntry{Code: "if remoteMany { remoteSettled(c) }"},
	},
	{
		Name:    "chan-settle-send",
		Reason:  "as chan-settle-select: the oldest element comes first",
		Package: "runtime", File: "chan.go", Func: "send",
		Edit: InsertBefore{Anchor: "if sg.elem.get() != nil {", Code: "if remoteMany && remoteSendBehind(c, sg, ep) { remoteServed(c, sg, unlockf, skip); return }"},
	},
	{
		Name:    "chan-settle-receive",
		Reason:  "as chan-settle-send",
		Package: "runtime", File: "chan.go", Func: "recv",
		Edit: InsertBefore{Anchor: "if c.dataqsiz == 0 {", Code: "if remoteMany && remoteRecvBefore(c, sg, ep) { remoteServed(c, sg, unlockf, skip); return }"},
	},
	{
		Name:    "timer-wake",
		Reason:  "a timer is run by the process whose heap it is in",
		Package: "runtime", File: "time.go", Func: "(*timer).modify",
		Edit: InsertBefore{Anchor: "if wake {", Code: "if wake && remoteMany { remoteWakeTimers(t, when) }"},
	},
}
