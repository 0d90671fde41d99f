package pager

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"remotec.dev/server/coherence"
)

// process is the shared memory of one process: the coherence.Memory of it.
type process struct {
	id     int
	layout coherence.Layout
	memfd  int
	uffd   int
	gone   atomic.Bool // its address space is
	pipes  *pipes

	mu         sync.RWMutex         // guards registered
	registered map[uintptr]struct{} // own granules, by start

	copied atomic.Uint64 // bytes installed
}

var (
	_ coherence.NearRuns = (*process)(nil)

	_ coherence.Taker = (*process)(nil)
)

// ProtectRun implements [coherence.Runs].
func (p *process) ProtectRun(addr uintptr, data [][coherence.PageSize]byte) (int, error) {
	// Not by SEEK_HOLE, which goes through all pages up to the next hole.
	for i := range data {
		present, err := p.Present(addr + uintptr(i)*coherence.PageSize)
		if err != nil {
			return 0, err
		}
		if !present {
			data = data[:i]
			break
		}
	}
	if len(data) == 0 {
		return 0, nil
	}
	if home, _ := p.layout.Home(addr); home == p.id {
		if err := p.register(p.layout.GranuleOf(addr)); err != nil {
			return 0, err
		}
	}
	all := unsafe.Slice(&data[0][0], len(data)*coherence.PageSize)
	err := p.check("write-protecting", addr, func() error { return writeProtectRange(p.uffd, addr, len(all), writeProtectModeWP) })
	if err != nil {
		return 0, err
	}
	offset, err := p.offset(addr)
	if err != nil {
		return 0, err
	}
	n, err := pread(p.memfd, all, offset)
	if err == nil && n < len(all) {
		err = errors.New("the file is too short")
	}
	if err != nil {
		return 0, fmt.Errorf("reading %#x-%#x of process %d from its memfd: %w", addr, addr+uintptr(len(all)), p.id, err)
	}
	return len(data), nil
}

// InstallRun implements [coherence.Runs].
func (p *process) InstallRun(addr uintptr, data [][coherence.PageSize]byte, writable bool) error {
	for i := 0; p.gone.Load() && i < len(data); i++ {
		if err := p.keep(addr+uintptr(i)*coherence.PageSize, &data[i]); err != nil {
			return err
		}
	}
	var mode uint64 = copyModeDontWake
	if !writable {
		mode |= copyModeWP
	}
	for len(data) > 0 {
		var done int
		err := p.check("installing", addr, func() (err error) {
			done, err = copyPages(p.uffd, addr, data, mode)
			if err == unix.EEXIST {
				err = nil
			}
			return err
		})
		if err != nil {
			return err
		}
		if p.gone.Load() {
			return nil
		}
		p.copied.Add(uint64(done) * coherence.PageSize)
		addr += uintptr(done) * coherence.PageSize
		if data = data[done:]; len(data) == 0 {
			break
		}
		// The next one is there already.
		if err := p.Install(addr, &data[0], writable); err != nil {
			return err
		}
		addr += coherence.PageSize
		data = data[1:]
	}
	return nil
}

// Protect implements [coherence.Memory].
func (p *process) Protect(addr uintptr) error {
	if home, _ := p.layout.Home(addr); home == p.id {
		if err := p.register(p.layout.GranuleOf(addr)); err != nil {
			return err
		}
	}
	// A hole gets a marker in the page table, and faults as missing in any case.
	return p.check("write-protecting", addr, func() error { return writeProtect(p.uffd, addr, writeProtectModeWP) })
}

// register makes the process's own memory in g fault. Before it returns, no thread
// is in the middle of a fault there that the kernel would answer on its own: the
// kernel registers with the process's memory map locked.
func (p *process) register(g coherence.Range) error {
	p.mu.RLock()
	_, ok := p.registered[g.Start]
	p.mu.RUnlock()
	if ok {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.registered[g.Start]; ok {
		return nil
	}
	err := p.check("registering", g.Start, func() error { return Register(p.uffd, g.Start, g.End-g.Start) })
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("%w: %w", coherence.ErrUnmapped, err)
	}
	if err == nil {
		p.registered[g.Start] = struct{}{}
	}
	return err
}

// Read implements [coherence.Memory].
func (p *process) Read(addr uintptr, buf *[coherence.PageSize]byte) error {
	offset, err := p.offset(addr)
	if err != nil {
		return err
	}
	n, err := pread(p.memfd, buf[:], offset)
	if err == nil && n < len(buf) {
		err = errors.New("the file is too short: size it by Layout.FileSize before Attach")
	}
	if err != nil {
		return fmt.Errorf("reading %#x of process %d from its memfd: %w", addr, p.id, err)
	}
	return nil
}

func pread(fd int, buf []byte, offset int64) (n int, err error) {
	for {
		if n, err = unix.Pread(fd, buf, offset); err != unix.EINTR {
			return n, err
		}
	}
}

// Present implements [coherence.Near].
func (p *process) Present(addr uintptr) (bool, error) {
	offset, err := p.offset(addr)
	if err != nil {
		return false, err
	}
	const seekData = 3 // lseek(2)
	data, err := unix.Seek(p.memfd, offset, seekData)
	if err == unix.ENXIO {
		return false, nil // no data from there on
	}
	if err != nil {
		return false, fmt.Errorf("looking for %#x in process %d's memfd: %w", addr, p.id, err)
	}
	return data == offset, nil
}

// Drop implements [coherence.Memory].
func (p *process) Drop(addr uintptr) error { return p.DropRun(addr, 1) }

// DropRun implements [coherence.Runs].
func (p *process) DropRun(addr uintptr, n int) error {
	offset, err := p.offset(addr)
	if err != nil {
		return err
	}
	for {
		err = unix.Fallocate(p.memfd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, int64(n)*coherence.PageSize)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("punching %#x out of process %d's memfd: %w", addr, p.id, err)
	}
	return nil
}

// Install implements [coherence.Memory].
func (p *process) Install(addr uintptr, data *[coherence.PageSize]byte, writable bool) error {
	var mode, protect uint64 = copyModeDontWake, 0
	if !writable {
		mode, protect = mode|copyModeWP, writeProtectModeWP
	}
	p.copied.Add(coherence.PageSize)
	if p.gone.Load() {
		return p.keep(addr, data)
	}
	return p.check("installing", addr, func() error {
		err := copyPage(p.uffd, addr, data, mode)
		if err != unix.EEXIST {
			return err
		}
		// Another fault on the page was answered since this one was read.
		return writeProtect(p.uffd, addr, protect)
	})
}

// keep puts data into the file, as a page of a process that has retired.
func (p *process) keep(addr uintptr, data *[coherence.PageSize]byte) error {
	offset, err := p.offset(addr)
	if err == nil {
		_, err = unix.Pwrite(p.memfd, data[:], offset)
	}
	if err != nil {
		return fmt.Errorf("writing %#x of process %d, which has retired, to its memfd: %w", addr, p.id, err)
	}
	return nil
}

// ZeroRun implements [coherence.Runs].
func (p *process) ZeroRun(addr uintptr, n int) error {
	return p.check("zeroing", addr, func() error {
		done, err := zeroPages(p.uffd, addr, n)
		switch {
		case err != unix.EEXIST:
			return err
		case done == 0:
			return p.InstallZero(addr)
		}
		return nil // who waits for the pages before it is awake
	})
}

// InstallZero implements [coherence.Memory].
func (p *process) InstallZero(addr uintptr) error {
	return p.check("zeroing", addr, func() error {
		err := zeroPage(p.uffd, addr)
		if err != unix.EEXIST {
			return err
		}
		return writeProtect(p.uffd, addr, 0)
	})
}

// Unprotect implements [coherence.Memory]. The ioctl wakes who waits.
func (p *process) Unprotect(addr uintptr) error { return p.UnprotectRun(addr, 1) }

// UnprotectRun implements [coherence.NearRuns].
func (p *process) UnprotectRun(addr uintptr, n int) error {
	return p.check("unprotecting", addr, func() error { return writeProtectRange(p.uffd, addr, n*coherence.PageSize, 0) })
}

// Wake implements [coherence.Memory].
func (p *process) Wake(addr uintptr) error {
	return p.check("waking", addr, func() error { return wake(p.uffd, addr) })
}

// Poison makes accesses to a hole raise SIGBUS.
func (p *process) Poison(addr uintptr) error {
	return p.check("poisoning", addr, func() error {
		if err := poison(p.uffd, addr); err != nil {
			return err
		}
		return wake(p.uffd, addr)
	})
}

func (p *process) offset(addr uintptr) (int64, error) {
	offset, ok := p.layout.Offset(addr)
	if !ok {
		return 0, fmt.Errorf("%#x is in no slot and no range of globals", addr)
	}
	return offset, nil
}

// check makes an operation on the process's address space. One that is gone, or about
// to be, is no error: its memfd stays what it was.
//
// The kernel says ESRCH where the address space is gone, but ENOMEM to who registers memory there. While it is
// being taken down, ranges cannot be found: ENOENT or ENOMEM, which also stand for a range that
// is not mapped or a lack of memory. So these are tried again for a while.
func (p *process) check(doing string, addr uintptr, operation func() error) error {
	if p.gone.Load() {
		return nil
	}
	for wait := 100 * time.Microsecond; ; wait *= 2 {
		err := operation()
		if err == nil {
			return nil
		}
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOMEM) && spaceGone(p.uffd) {
			p.gone.Store(true)
			return nil
		}
		missing := errors.Is(err, unix.ENOENT)
		if !missing && !errors.Is(err, unix.ENOMEM) || wait > 50*time.Millisecond {
			if missing {
				err = fmt.Errorf("%w: %w", coherence.ErrUnmapped, err)
			}
			return fmt.Errorf("%s %#x of process %d: %w", doing, addr, p.id, err)
		}
		time.Sleep(wait)
	}
}
