package linker

import "strings"

// This file is compiled twice: into remotec, and, with its package clause
// changed to ld, into the patched cmd/link, which is the one that obeys it. So
// it imports nothing but strings, and every name in it starts with "remote" to
// stay clear of the names of package ld.

// Names on which remotec, the patched linker and the patched runtime agree.
const (
	// remoteStub is the import path of the package that is linked into every
	// remote binary beside package runtime.
	remoteStub = "remotec.dev/runtimestub"

	//lint:ignore U1000 the patched linker, which compiles this file too, uses it
	// remoteBoundsVar is the [4]uintptr through which the runtime learns the
	// bounds of the shared ranges.
	remoteBoundsVar = "runtime.remoteShared"

	//lint:ignore U1000 as above
	// remoteOwnVar is the uint32, 1, that the linker sets to 2 where the program uses one
	// of remoteOwnSymbols.
	remoteOwnVar = "runtime.remoteOwn"

	// remoteBoundsSym holds the same four words in a section of their own,
	// remoteBoundsSection, where a process outside finds them even in a
	// stripped file. The linker derives the section's name from the symbol's.
	remoteBoundsSym     = "go:remote"
	remoteBoundsSection = ".go.remote"

	// remotePage is the size of the pages, in bytes, in which memory is kept
	// coherent; both bounds of a shared range are multiples of it.
	remotePage = 4096
)

// A remoteRule makes variables local: each process of a session keeps its own.
// What no rule names is shared.
type remoteRule struct {
	match string // a package, a tree of packages ("net/..."), or "pkg.symbol"
	why   string
}

// remoteLocalPackages lists the packages all of whose variables are local. A
// match ending in "/..." takes the package and everything below it.
var remoteLocalPackages = []remoteRule{
	// The process, its threads and its view of the kernel.
	{"runtime/...", "scheduler, heap and signal state of one process"},
	{"internal/runtime/...", "atomics, maps, futexes and system calls below the runtime"},
	{"internal/abi", "constants of the calling convention, read before attaching"},
	{"internal/bytealg", "CPU features of this host"},
	{"internal/byteorder", "constants"},
	{"internal/chacha8rand", "random state, one per M"},
	{"internal/coverage/...", "counters are written to a file by each process"},
	{"internal/goarch", "constants"},
	{"internal/godebugs", "constants"},
	{"internal/goexperiment", "constants"},
	{"internal/goos", "constants"},
	{"internal/poll", "the poller and its descriptors belong to one process"},
	{"internal/profilerecord", "profiles are of one process"},
	{"internal/race", "shadow memory is of one process"},
	{"internal/msan", "shadow memory is of one process"},
	{"internal/asan", "shadow memory is of one process"},
	{"internal/reflectlite", "below the runtime's own use of types"},
	{"internal/stringslite", "constants"},
	{"internal/sync", "semaphores and hash seeds live in the runtime"},
	{"internal/synctest", "bubbles are groups of goroutines of one scheduler"},
	{"internal/syscall/...", "cached results of system calls"},
	{"plugin", "loaded modules are mappings of one process"},
	{"sync/...", "pools and their list are indexed by P"},
	{"syscall", "environment, limits and descriptors of one process"},

	// CPU features and entropy.
	{"crypto/internal/...", "CPU features, entropy pools and self-test results"},
	{"crypto/sha1", "CPU features of this host"},
	{"internal/cpu", "CPU features of this host"},
	{"math", "CPU features of this host, and constants"},
	{"golang.org/x/sys/cpu", "CPU features of this host"},
	{"vendor/golang.org/x/sys/cpu", "CPU features of this host"},
	{"vendor/golang.org/x/crypto/chacha20poly1305", "CPU features of this host"},

	// Tables that nobody writes: sharing them would only cost faults.
	{"unicode", "constant tables"},
	{"vendor/golang.org/x/net/idna", "constant tables"},
	{"vendor/golang.org/x/text/...", "constant tables"},

	// What remotec itself adds.
	{remoteStub + "/...", "the connection of one process to its session"},
}

// remoteSharedPackages lists packages that are shared though they are in a tree of local ones.
var remoteSharedPackages = []remoteRule{
	{"runtime/pprof", "the program has one list of profiles, and one profile of the processor is taken at a time"},
}

// remoteSharedSymbols lists single variables of packages that are otherwise
// local. What they point to initially, as the compiler lays it out, goes with them.
var remoteSharedSymbols = []remoteRule{
	{"runtime.itabTable", "an interface value's itab is the same in all processes"},
	{"runtime.itabTableInit", "as itabTable"},
	{"runtime.itabLock", "guards itabTable"},
	{"runtime.reflectOffs", "types that package reflect makes are the same in all processes"},
	{"runtime.paniclk", "one process at a time says why the program ends"},
	{"runtime.runningPanicDefers", "main does not return while a goroutine panics"},
	{"runtime.remotePanics", "as runningPanicDefers"},
	{"runtime.remoteInits", "the first process tells the others how far it is"},
	{"runtime.remoteQueueTable", "where who waits for semaphores is listed, of all processes"},
	{"internal/poll.Accept4Func", "tests of the standard library replace it, in all processes"},
	{"internal/poll.AcceptFunc", "as Accept4Func"},
	{"internal/poll.CloseFunc", "as Accept4Func"},
	{"internal/poll.TestHookDidSendFile", "as Accept4Func"},
	{"internal/poll.TestHookDidWritev", "as Accept4Func"},
	{"syscall.ForkLock", "children inherit the descriptors of all processes; who holds it may move"},
	{"syscall.env", "the program has one environment"},
	{"syscall.envs", "as env"},
	{"syscall.envLock", "guards env and envs"},
	{"syscall.copyenv", "guards the filling of env"},
	{"syscall.mapper", "what one process mapped another may unmap"},
	{"syscall..inittask", "fills envs, for all processes"},
}

// remoteLocalSymbols lists single variables of packages that are otherwise
// shared. A lock or a Once goes together with the data it guards: a variable
// that a package's init fills cannot be listed, since only the first process
// of a session runs the init of a shared package.
var remoteLocalSymbols = []remoteRule{
	{"encoding/json.encoderCache", "a cache, filled again at little cost"},
	{"encoding/json.fieldCache", "a cache, filled again at little cost"},
	{"math/big.cacheBase10", "a cache, with its lock"},
	{"math/big.threeOnce", "a cache, with its Once"},
	{"net.hasSOLMPTCP", "what the kernel of this host can do, guarded by mptcpOnce"},
	{"net.hosts", "this host's /etc/hosts"},
	{"net.ipStackCaps", "what the kernel of this host can do"},
	{"net.listenerBacklogCache", "a limit of this host's kernel"},
	{"net.mptcpAvailable", "what the kernel of this host can do, guarded by mptcpOnce"},
	{"net.mptcpOnce", "guards mptcpAvailable and hasSOLMPTCP"},
	{"net.resolvConf", "this host's /etc/resolv.conf"},
	{"os.getwdCache", "a working directory belongs to one process"},
}

// remoteLocalParts lists what makes a symbol local by a part of its name.
var remoteLocalParts = []remoteRule{
	{"..typeAssert.", "a cache of one call site, written by the runtime without locks"},
	{"..interfaceSwitch.", "a cache of one call site, written by the runtime without locks"},
}

// remoteOwnSymbols lists what packages of a program pull out of the runtime by
// linkname to work with the state of one process. Goroutines of a program that does
// stay in the process that creates them: the numbers of Ps are the same in each, so that
// what is made for each P and guarded by pinning to it would be used by several
// goroutines at once, and code that is loaded at run time is known to one runtime.
//
//lint:ignore U1000 the patched linker uses it
var remoteOwnSymbols = []string{
	"runtime.procPin",
	"sync.runtime_procPin",
	"sync/atomic.runtime_procPin",
	"runtime.lastmoduledatap",
	"runtime.moduledataverify1",
}

var remoteSharedIndex = func() map[string]bool {
	m := make(map[string]bool)
	for _, rules := range [][]remoteRule{remoteSharedPackages, remoteSharedSymbols} {
		for _, r := range rules {
			m[r.match] = true
		}
	}
	return m
}()

var remoteIndex = func() map[string]string {
	m := make(map[string]string)
	for _, r := range remoteLocalPackages {
		m[r.match] = r.why
	}
	for _, r := range remoteLocalSymbols {
		m[r.match] = r.why
	}
	return m
}()

// remoteLocal says why a variable is local, or "" when it is shared. The
// variable's symbol has the given name and was defined by package pkg ("" for
// what the linker or a C object made).
func remoteLocal(pkg, name string) string {
	if pkg == "" {
		return "made by the linker or by C"
	}
	if strings.HasPrefix(name, "go:") || strings.HasPrefix(name, "type:") {
		return "constant data of the linker"
	}
	if remoteSharedIndex[name] {
		return ""
	}
	if why := remoteLocalPackage(pkg); why != "" {
		return why
	}
	// A linkname makes pkg the package that pulls, not the one that is named.
	if owner := remoteOwner(name); owner != pkg {
		if why := remoteLocalPackage(owner); why != "" {
			return why
		}
	}
	if why := remoteIndex[name]; why != "" {
		return why
	}
	for _, r := range remoteLocalParts {
		if strings.Contains(name, r.match) {
			return r.why
		}
	}
	return ""
}

// remoteLocalPackage says why all variables of package path are local, or "".
func remoteLocalPackage(path string) string {
	if why := remoteIndex[path]; why != "" {
		return why
	}
	if remoteSharedIndex[path] {
		return ""
	}
	if strings.HasSuffix(path, "_test") {
		return "" // tests from outside of the package, which are a program
	}
	for tree := path; tree != ""; {
		if why := remoteIndex[tree+"/..."]; why != "" {
			return why
		}
		i := strings.LastIndexByte(tree, '/')
		if i < 0 {
			break
		}
		tree = tree[:i]
	}
	return ""
}

// remoteOwner returns the package that a symbol's name starts with, or "". A
// path's own dots are escaped after its last slash only, so the package ends at
// the first dot there; a type argument's path, in brackets, is no part of it.
func remoteOwner(name string) string {
	path := name
	if i := strings.IndexByte(path, '['); i >= 0 {
		path = path[:i]
	}
	slash := strings.LastIndexByte(path, '/') + 1
	dot := strings.IndexByte(path[slash:], '.')
	if dot < 0 {
		return ""
	}
	return strings.ReplaceAll(path[:slash+dot], "%2e", ".")
}
