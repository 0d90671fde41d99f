package pager

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"remotec.dev/server/coherence"
)

// The processes of the tests are copies of the test binary, which serve the methods of
// Child by RPC on descriptor 3.

const childEnv = "PAGER_TEST_CHILD"

func TestMain(m *testing.M) {
	if env := os.Getenv(childEnv); env != "" {
		if err := child(env); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func testLayout(processes int) coherence.Layout {
	// Clear of the Go heap, and of what the race detector maps.
	return coherence.Layout{
		Base:     0x400000000000,
		SlotSize: 1 << 30,
		Slots:    processes,
		Globals: []coherence.Range{
			{Start: 0x3f0000005000, End: 0x3f0000008000}, // a part of a granule
			{Start: 0x3f00003ff000, End: 0x3f0000601000}, // and one across two borders
		},
	}
}

func child(env string) error {
	var id, n int
	if _, err := fmt.Sscanf(env, "%d/%d", &id, &n); err != nil {
		return err
	}
	layout := testLayout(n)
	conn, err := net.FileConn(os.NewFile(3, "control"))
	if err != nil {
		return err
	}
	memfd, uffd, err := join(layout, id)
	if err != nil {
		return err
	}
	if _, _, err := conn.(*net.UnixConn).WriteMsgUnix([]byte{0}, unix.UnixRights(memfd, uffd), nil); err != nil {
		return err
	}
	// The pager has the only userfaultfd now, as in a program process.
	unix.Close(memfd)
	unix.Close(uffd)
	server := rpc.NewServer()
	if err := server.Register(&Child{id: id, layout: layout}); err != nil {
		return err
	}
	server.ServeConn(conn)
	return nil
}

// join makes the shared memory of process id.
func join(layout coherence.Layout, id int) (memfd, uffd int, err error) {
	if memfd, err = unix.MemfdCreate("slots", unix.MFD_CLOEXEC); err != nil {
		return
	}
	if err = unix.Ftruncate(memfd, layout.FileSize()); err != nil {
		return
	}
	if uffd, err = open(); err != nil {
		return
	}
	if err = Handshake(uffd); err != nil {
		return
	}
	ranges := append([]coherence.Range(nil), layout.Globals...)
	for slot := range layout.Slots {
		ranges = append(ranges, layout.Slot(slot))
	}
	for _, r := range ranges {
		offset, _ := layout.Offset(r.Start)
		_, _, errno := syscall.Syscall6(syscall.SYS_MMAP, r.Start, r.End-r.Start, unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_SHARED|unix.MAP_FIXED_NOREPLACE|unix.MAP_NORESERVE, uintptr(memfd), uintptr(offset))
		if errno != 0 {
			return 0, 0, fmt.Errorf("mmap %#x: %w", r.Start, errno)
		}
		if home, _ := layout.Home(r.Start); home != id {
			if err = Register(uffd, r.Start, r.End-r.Start); err != nil {
				return
			}
		}
	}
	return
}

// Child is what the parent can have a process do.
type Child struct {
	id     int
	layout coherence.Layout
}

// Args are the arguments of all methods; each uses some.
type Args struct {
	Addr, Other uintptr
	Value       uint64
	For         time.Duration
	Seed        uint64
	N           int
}

// at makes a pointer of an address outside of the Go heap.
func at(addr uintptr) *uint64 { return *(**uint64)(unsafe.Pointer(&addr)) }

// Load reads a word.
func (c *Child) Load(a Args, value *uint64) error {
	*value = atomic.LoadUint64(at(a.Addr))
	return nil
}

// Store writes a word.
func (c *Child) Store(a Args, _ *uint64) error {
	atomic.StoreUint64(at(a.Addr), a.Value)
	return nil
}

// Pair reads the word at Other after the one at Addr was written.
func (c *Child) Pair(a Args, value *uint64) error {
	atomic.StoreUint64(at(a.Addr), a.Value)
	*value = atomic.LoadUint64(at(a.Other))
	return nil
}

// Add adds 1 for some time, in N goroutines, and returns how often.
func (c *Child) Add(a Args, total *uint64) error {
	end := time.Now().Add(a.For)
	done := make(chan struct{})
	for range max(a.N, 1) {
		go func() {
			var n uint64
			for time.Now().Before(end) {
				for range 100 {
					atomic.AddUint64(at(a.Addr), 1)
					n++
				}
			}
			atomic.AddUint64(total, n)
			done <- struct{}{}
		}()
	}
	for range max(a.N, 1) {
		<-done
	}
	return nil
}

// Produce writes N messages: the contents at Addr, then their number at Other.
func (c *Child) Produce(a Args, _ *uint64) error {
	data := unsafe.Slice(at(a.Addr), 64)
	for i := uint64(1); i <= uint64(a.N); i++ {
		for atomic.LoadUint64(at(a.Other)) != 0 {
			runtime.Gosched()
		}
		for j := range data {
			data[j] = i + uint64(j)
		}
		atomic.StoreUint64(at(a.Other), i)
	}
	return nil
}

// Consume takes the messages of Produce.
func (c *Child) Consume(a Args, _ *uint64) error {
	data := unsafe.Slice(at(a.Addr), 64)
	for i := uint64(1); i <= uint64(a.N); i++ {
		for atomic.LoadUint64(at(a.Other)) != i {
			runtime.Gosched()
		}
		for j := range data {
			if data[j] != i+uint64(j) {
				return fmt.Errorf("message %d: word %d is %d", i, j, data[j])
			}
		}
		atomic.StoreUint64(at(a.Other), 0)
	}
	return nil
}

// Scatter adds 1 to N words at random among the first Value ones from Addr on, some
// read by the way.
func (c *Child) Scatter(a Args, sum *uint64) error {
	r := rand.New(rand.NewPCG(a.Seed, uint64(c.id)))
	for range a.N {
		addr := a.Addr + uintptr(r.Uint64N(a.Value))*1000*8
		if r.IntN(3) == 0 {
			*sum += atomic.LoadUint64(at(addr))
		}
		atomic.AddUint64(at(addr), 1)
	}
	return nil
}

// Release gives a page back.
func (c *Child) Release(a Args, _ *uint64) error {
	_, _, errno := syscall.Syscall(syscall.SYS_MADVISE, a.Addr, coherence.PageSize, unix.MADV_REMOVE)
	if errno != 0 {
		return errno
	}
	return nil
}

// Unmap takes the mapping of a granule away.
func (c *Child) Unmap(a Args, _ *uint64) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_MUNMAP, a.Addr, coherence.Granule, 0); errno != 0 {
		return errno
	}
	return nil
}

// Poisoned returns whether a read raises a signal.
func (c *Child) Poisoned(a Args, yes *uint64) error {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			*yes = 1
		}
	}()
	_ = *at(a.Addr)
	return nil
}

// Syscall has the kernel read and write shared memory: a word goes through a pipe.
func (c *Child) Syscall(a Args, _ *uint64) error {
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		return err
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	if _, err := unix.Write(p[1], unsafe.Slice((*byte)(unsafe.Pointer(at(a.Addr))), 8)); err != nil {
		return err
	}
	_, err := unix.Read(p[0], unsafe.Slice((*byte)(unsafe.Pointer(at(a.Other))), 8))
	return err
}

// Touch reads (N == 0) or writes a word in each of Value pages from Addr on, and
// returns the nanoseconds that each took at the median.
func (c *Child) Touch(a Args, median *uint64) error {
	took := make([]uint64, a.Value)
	for i := range took {
		addr := a.Addr + uintptr(i)*coherence.PageSize
		start := time.Now()
		if a.N == 0 {
			_ = atomic.LoadUint64(at(addr))
		} else {
			atomic.AddUint64(at(addr), 1)
		}
		took[i] = uint64(time.Since(start))
	}
	*median = quantile(took, 0.5)
	return nil
}

// proc is a process as the parent sees it.
type proc struct {
	cmd    *exec.Cmd
	client *rpc.Client
}

func (p *proc) call(t testing.TB, method string, a Args) uint64 {
	t.Helper()
	var result uint64
	if err := p.client.Call("Child."+method, a, &result); err != nil {
		t.Fatalf("%s(%+v): %v", method, a, err)
	}
	return result
}

func (p *proc) load(t testing.TB, addr uintptr) uint64 {
	t.Helper()
	return p.call(t, "Load", Args{Addr: addr})
}

func (p *proc) store(t testing.TB, addr uintptr, value uint64) {
	t.Helper()
	p.call(t, "Store", Args{Addr: addr, Value: value})
}

// kill ends the process and waits for that.
func (p *proc) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// start returns a pager with n processes.
func start(t testing.TB, n int, change func(*Config)) (*Pager, []*proc) {
	t.Helper()
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	config := Config{Layout: testLayout(n), Failed: func(process int, err error) { t.Errorf("process %d: %v", process, err) }}
	if change != nil {
		change(&config)
	}
	pager, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pager.Close(); err != nil {
			t.Error(err)
		}
	})
	procs := make([]*proc, n)
	for i := range procs {
		procs[i] = spawn(t, pager, i, n)
		t.Cleanup(procs[i].kill)
	}
	return pager, procs
}

func spawn(t testing.TB, pager *Pager, id, n int) *proc {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "control")
	ours := os.NewFile(uintptr(pair[0]), "control")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childEnv+"="+strconv.Itoa(id)+"/"+strconv.Itoa(n))
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	theirs.Close() // so that the end of the child is the end of the connection
	if err != nil {
		t.Fatal(err)
	}
	fds, err := receive(conn.(*net.UnixConn))
	if err == nil {
		err = pager.Attach(id, fds[0], fds[1])
	}
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		t.Fatal(err)
	}
	return &proc{cmd, rpc.NewClient(conn)}
}

func receive(conn *net.UnixConn) ([]int, error) {
	var b [1]byte
	oob := make([]byte, 64)
	_, n, _, _, err := conn.ReadMsgUnix(b[:], oob)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return nil, errors.Join(errors.New("no descriptors came"), err)
	}
	return unix.ParseUnixRights(&messages[0])
}
