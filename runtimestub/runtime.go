package runtimestub

import "unsafe"

// The runtime's side of these declarations is
// internal/instrument/patches/go1.26/runtime/remotec_hooks.go.txt.

// sysCall is runtime.remoteCall: a system call of the program.
type sysCall struct {
	nr     uintptr
	args   [6]uintptr
	r1, r2 uintptr
	errno  uintptr
}

// hookTable is runtime.remoteHookTable.
type hookTable struct {
	syscall   func(c *sysCall)
	write     func(fd uintptr, p unsafe.Pointer, n int32) int32
	pollOpen  func(fd uintptr, cookie uint64) (local uintptr, errno uintptr, done bool)
	pollClose func(fd uintptr) (local uintptr, done bool)
	signal    func(op, sig uint32)
	lease     func(want uint64) uint64
	exit      func(code int32)
	die       func()
	mexit     func(link uintptr)
	spawn     func(req unsafe.Pointer) (pid, pidfd int, errno uintptr)
	post      func(target, kind uint32, a, b, c, d uint64, p unsafe.Pointer, n uintptr)
	collect   func(op uint32, buf *uintptr, n uintptr) uintptr
	traceback func(level uint32)
	uncommon  func(addr, length uintptr)
	inspected func(number uint64, p unsafe.Pointer, n uintptr)
	told      func(number, state uint64, p unsafe.Pointer, n uintptr)
}

//go:linkname raw runtime.remoteRaw
//go:nosplit
func raw(num, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2, errno uintptr)

//go:linkname blocking runtime.remoteBlocking
//go:noescape
func blocking(fn func())

//go:linkname systemstack runtime.remoteSystemstack
//go:noescape
func systemstack(fn func())

//go:linkname linkSlot runtime.remoteLink
func linkSlot() (slot *uintptr, id int64)

//go:linkname install runtime.remoteInstall
func install(t *hookTable, mask uint32, lease int64)

//go:linkname startStdio runtime.remoteStartStdio
func startStdio(threads int32)

//go:linkname setSession runtime.remoteSetSession
func setSession(server string, process, processes uint32)

//go:linkname start runtime.remoteStart
func start() (args, env []string)

//go:linkname edit runtime.remoteEdit
func edit(args, env []string)

//go:linkname globals runtime.remoteGlobals
func globals() (bounds [4]uintptr)

//go:linkname share runtime.remoteShare
func share() (memfd, uffd int32, what string, errno uintptr)

//go:linkname processNumber runtime.remoteNumber
func processNumber() (self, count uintptr)

//go:linkname setPlacement runtime.remoteSetPlacement
func setPlacement(spread, balance bool)

//go:linkname collectSoon runtime.remoteCollectSoon
func collectSoon()

//go:linkname arrived runtime.remoteArrived
func arrived()

//go:linkname allAsleep runtime.remoteAsleep
func allAsleep() (asleep bool, goroutines int32, sent, received uint64)

//go:linkname mailDescriptors runtime.remoteMailDescriptors
func mailDescriptors() (first, count uintptr)

//go:linkname mailStart runtime.remoteMailStart
func mailStart()

//go:linkname deadlock runtime.remoteDeadlock
func deadlock(goroutines int32)

//go:linkname traceback runtime.remoteTraceback
func traceback(level uint32)

//go:linkname moveAsk runtime.remoteMoveAsk
func moveAsk(goid uint64, target uintptr) (state uint32, why, within string)

//go:linkname moveAny runtime.remoteMoveAny
func moveAny()

//go:linkname inspect runtime.remoteInspect
func inspect(what uint32, number, a uint64)

//go:linkname sentTo runtime.remoteSentTo
func sentTo(process uintptr) uint64

//go:linkname drainProcess runtime.remoteDrain
func drainProcess(process uintptr, on bool) (passes, left, moved, goid uint64, why, within string)

//go:linkname retireProcess runtime.remoteRetire
func retireProcess(what uint32, process, heir, estate uintptr) (never bool, why, within string)

//go:linkname pauseG runtime.remotePauseG
func pauseG(goid uint64, on bool) (state uint32, why, within string)

//go:linkname pauseAll runtime.remotePauseAll
func pauseAll(on bool) (state uint32)

//go:linkname moveMany runtime.remoteMoveMany
func moveMany(target uintptr, p unsafe.Pointer, n uintptr)

//go:linkname findLabels runtime.remoteFindLabels
func findLabels()

//go:linkname arrive runtime.remoteArrive
func arrive(kind uint32, a, b, c, d uint64, more string)

//go:linkname cgo runtime.remoteCgo
func cgo() bool

//go:linkname goVersion runtime.remoteVersion
func goVersion() string

//go:linkname cpuFeatures runtime.remoteCPU
func cpuFeatures() uint64

//go:linkname die runtime.remoteDie
func die(code int32)

//go:linkname raise runtime.remoteRaise
func raise(sig uint32)

//go:linkname ready runtime.remoteReady
func ready(events uint32, cookie uint64)

//go:linkname totals runtime.remoteTotals
//go:noescape
func totals(hooks *[32]uint64) (created, ended, live uint64)

//go:linkname eachSite runtime.remoteEachSite
//go:noescape
func eachSite(f func(pc uintptr, ended uint64, use unsafe.Pointer))

//go:linkname eachG runtime.remoteEachG
//go:noescape
func eachG(f func(id uint64, pc uintptr, status uint32, wait string, stack uintptr, use unsafe.Pointer))

//go:linkname ask runtime.remoteAsk
func ask(number, what, arg uint64) (ok bool)

//go:linkname accountOn runtime.remoteAccountOn
func accountOn()

//go:linkname processUse runtime.remoteProcessUse
func processUse() (collections uint32, pause, heap uint64)

//go:linkname symbol runtime.remoteSymbol
func symbol(pc uintptr) (name, file string, line uint32)

//go:linkname cas runtime.remoteCas
//go:noescape
func cas(p *uint32, old, new uint32) bool

//go:linkname load runtime.remoteLoad
//go:noescape
func load(p *uint32) uint32

//go:linkname xchg runtime.remoteXchg
//go:noescape
func xchg(p *uint32, new uint32) uint32

//go:linkname pause runtime.remotePause
func pause()

//go:linkname nanotime runtime.remoteNanotime
func nanotime() int64

//go:linkname yield runtime.remoteYield
func yield()

// ptr turns an address into a pointer. The memory is either not the Go
// heap's or kept alive by the caller of the system call at hand.
func ptr(addr uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }

// bytesAt returns the n bytes at addr.
func bytesAt(addr uintptr, n int) []byte { return unsafe.Slice((*byte)(ptr(addr)), n) }

// addrOf returns the address of the first byte of b.
func addrOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
