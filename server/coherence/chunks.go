package coherence

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// chunk is how many pages of a long run one goroutine deals with at a time. To read, pin and install these
// takes some 0.1 ms, to start a goroutine on another thread a tenth of that.
const chunk = 32

// chunkHelpers is how many goroutines help with a run, at most.
const chunkHelpers = 3

// chunks is a run of pages, all of them locked, of which a process on this host gets read-only copies from another one.
// Their contents are copied twice and looked through, which takes longer than all else, so several goroutines do it. Each
// page is dealt with by one of them, in the order of the package comment; no page but the first
// has to be done for another one.
type chunks struct {
	d              *Directory
	pages          []*page // at addr and after it
	addr           uintptr
	process, owner int
	source, target Runs
	buf            *runBuffer

	next atomic.Int64 // chunk that nobody deals with
	wg   sync.WaitGroup
	mu   sync.Mutex // guards what follows
	done int        // pages before the first one that got no copy, as it is a hole
	err  error
}

// share makes the copies. It returns how many pages, from the first on, have been copied; those after a hole may
// have been, too.
func (c *chunks) share() (n int, err error) {
	c.done = len(c.pages)
	count := (len(c.pages) + chunk - 1) / chunk
	for range min(count-1, chunkHelpers, runtime.GOMAXPROCS(0)-1) {
		c.wg.Go(c.work)
	}
	c.work()
	c.wg.Wait()
	return c.done, c.err
}

// work deals with chunks as long as there are some.
func (c *chunks) work() {
	for {
		from := int(c.next.Add(1)-1) * chunk
		if from >= len(c.pages) {
			return
		}
		to := min(from+chunk, len(c.pages))
		n, err := c.copy(from, to)
		if n == to-from && err == nil {
			continue
		}
		c.mu.Lock()
		c.done = min(c.done, from+n)
		if c.err == nil {
			c.err = err
		}
		c.mu.Unlock()
	}
}

// copy copies pages from up to to, and returns how many come before the first hole.
func (c *chunks) copy(from, to int) (n int, err error) {
	d, addr := c.d, c.addr+uintptr(from)*PageSize
	data := c.buf.data[from:to]
	if n, err = c.source.ProtectRun(addr, data); n == 0 || err != nil {
		return 0, err
	}
	data = data[:n]
	for i, q := range c.pages[from : from+n] {
		at := addr + uintptr(i)*PageSize
		q.migration.shared(q, c.process)
		q.exclusive = false
		q.holders.Add(c.process)
		d.pin(q, at, pageWords(&data[i])[:], SetOf(c.process, int(q.home), c.owner))
		if c.owner != int(q.home) {
			d.release(c.owner, at)
		}
	}
	return n, c.target.InstallRun(addr, data, false)
}

func isFar(m Memory) bool {
	_, far := m.(Far)
	return far
}
