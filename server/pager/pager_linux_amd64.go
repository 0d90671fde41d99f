package pager

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"remotec.dev/server/coherence"
)

// Config says how a pager works.
type Config struct {
	Layout  coherence.Layout
	Options coherence.Options
	// Threads is how many threads answer the faults of each process; 0 is 1.
	Threads int
	// Logger gets what goes wrong; nil is none.
	Logger *slog.Logger
	// Own moves a descriptor of the pager's to where the program cannot see it, and
	// returns its new number; nil leaves it. (Method Adopt of a fds.Space.)
	Own func(fd int) (int, error)
	// Forward, where it is set, is told each fault and sees to it that it is
	// answered, by the methods of Memory: the directory is at another host. An
	// error is as one of the directory.
	Forward func(coherence.Fault) error
	// Failed is called, on a fault thread, when a fault cannot be answered though
	// its process lives. The page has been poisoned: the thread that waits gets
	// a SIGBUS. Where coherence.Unmapped(err), the program followed a bad pointer;
	// else the session should end. It is not called, and nothing is poisoned,
	// where the error is a coherence.ErrLost.
	Failed func(process int, err error)
	// Answered, where it is set, is told each fault that another process's page was the
	// answer to, and how long the answer took. It is called on fault threads.
	Answered func(f coherence.Fault, from coherence.Origin, took time.Duration)
}

// Pager answers the faults of a session's processes on this host.
type Pager struct {
	config    Config
	pins      *coherence.Pins
	directory *coherence.Directory

	mu       sync.Mutex // guards the rest
	closed   bool
	stop     int // eventfd, -1 before the first Attach; readable: threads end
	attached map[int]*attached
	far      map[int]*farProcess
	threads  sync.WaitGroup

	putOffs sync.WaitGroup // faults that are answered later; added to by threads and far faults

	pipes  *pipes
	mapper atomic.Pointer[Mapper]   // nil: no memory is common
	tables []atomic.Pointer[tables] // by process
}

// Memory is the shared memory of a process.
type Memory interface {
	coherence.Memory
	// Poison makes accesses to a hole raise SIGBUS.
	Poison(page uintptr) error
}

// farProcess is a process on another host.
type farProcess struct {
	memory   Memory
	counters counters
}

// attached is a process with its fault threads.
type attached struct {
	process
	counters counters
	tables   *tables
	all      []byte // the mapping that tables are parts of
}

// New returns a pager of a session without processes.
func New(config Config) (*Pager, error) {
	if err := config.Layout.Check(); err != nil {
		return nil, err
	}
	if config.Threads == 0 {
		config.Threads = 1
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Own == nil {
		config.Own = func(fd int) (int, error) { return fd, nil }
	}
	if config.Failed == nil {
		config.Failed = func(int, error) {}
	}
	config.Options.Now, config.Options.Sleep = sinceStart, sleep
	pins := coherence.NewPins(config.Layout)
	p := &Pager{
		config:   config,
		pipes:    newPipes(config.Own),
		pins:     pins,
		stop:     -1,
		attached: make(map[int]*attached),
		far:      make(map[int]*farProcess),
		tables:   make([]atomic.Pointer[tables], config.Layout.Slots),
	}
	config.Options.Plain = plain{p}
	p.directory = coherence.NewDirectory(config.Layout, pins, config.Options)
	return p, nil
}

var started = time.Now()

func sinceStart() time.Duration { return time.Since(started) }

// sleep is for times that are too short for the timers of package time.
func sleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	unix.Nanosleep(&ts, nil)
}

// Directory returns who has which page.
func (p *Pager) Directory() *coherence.Directory { return p.directory }

// Pins returns what processes know of each other's objects.
func (p *Pager) Pins() *coherence.Pins { return p.pins }

// Attach makes memfd and uffd the shared memory of process, from now on, and answers
// its faults. It takes over both descriptors, with an error, too.
//
// The memfd has the size that Layout.FileSize says, and the process has mapped it at
// the addresses of the layout. The handshake with the userfaultfd is done (see
// Features), and what the process is not home of is registered for missing and
// write-protect faults.
func (p *Pager) Attach(process int, memfd, uffd int) error {
	a := &attached{}
	a.id, a.layout, a.pipes = process, p.config.Layout, p.pipes
	a.memfd, a.uffd = memfd, uffd
	a.registered = make(map[uintptr]struct{})
	if err := p.attach(a); err != nil {
		a.close()
		return fmt.Errorf("pager: attaching process %d: %w", process, err)
	}
	return nil
}

func (p *Pager) attach(a *attached) error {
	if a.id < 0 || a.id >= p.config.Layout.Slots {
		return fmt.Errorf("the session has %d processes", p.config.Layout.Slots)
	}
	var st unix.Stat_t
	if err := unix.Fstat(a.memfd, &st); err != nil {
		return fmt.Errorf("memfd: %w", err)
	}
	if want := p.config.Layout.FileSize(); st.Size < want {
		return fmt.Errorf("memfd has %#x bytes; make it %#x by ftruncate", st.Size, want)
	}
	// A thread must find no event without being stuck: others read, too.
	if err := unix.SetNonblock(a.uffd, true); err != nil {
		return fmt.Errorf("userfaultfd: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return os.ErrClosed
	}
	if p.attached[a.id] != nil {
		return errors.New("it is attached already")
	}
	if p.stop < 0 {
		stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			return fmt.Errorf("eventfd: %w", err)
		}
		own, err := p.config.Own(stop)
		if err != nil {
			unix.Close(stop)
			return fmt.Errorf("eventfd: %w", err)
		}
		p.stop = own
	}
	if err := a.mapTables(st.Size); err != nil {
		return err
	}
	p.tables[a.id].Store(a.tables)
	p.attached[a.id] = a
	p.directory.SetMemory(a.id, &a.process)
	for range p.config.Threads {
		p.threads.Go(func() { p.serve(a) })
	}
	return nil
}

// AttachFar makes memory that of process, which is on another host. Its faults are
// told to Handle.
func (p *Pager) AttachFar(process int, memory Memory) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case process < 0 || process >= p.config.Layout.Slots:
		return fmt.Errorf("pager: attaching process %d: the session has %d processes", process, p.config.Layout.Slots)
	case p.attached[process] != nil || p.far[process] != nil:
		return fmt.Errorf("pager: attaching process %d: it is attached already", process)
	}
	p.far[process] = &farProcess{memory: memory}
	p.directory.SetMemory(process, memory)
	return nil
}

// Memory returns the memory of a process that is attached, and else nil.
func (p *Pager) Memory(process int) Memory {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.attached[process]; a != nil {
		return &a.process
	}
	return nil
}

func (a *attached) close() error {
	if a.all != nil {
		unix.Munmap(a.all)
	}
	return errors.Join(unix.Close(a.uffd), unix.Close(a.memfd))
}

// Close ends the fault threads and closes the descriptors. The processes should have
// ended: one that has not finds zeros in missing pages once the last copy of
// its userfaultfd is closed, and else waits for ever.
func (p *Pager) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	if p.stop < 0 {
		return nil
	}
	// Nobody reads it, so it stays readable for all threads.
	if _, err := unix.Write(p.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		return fmt.Errorf("pager: ending the fault threads: %w", err)
	}
	p.threads.Wait()
	p.putOffs.Wait()
	err := unix.Close(p.stop)
	p.pipes.close()
	for _, a := range p.attached {
		err = errors.Join(err, a.close())
	}
	if err != nil {
		return fmt.Errorf("pager: closing: %w", err)
	}
	return nil
}

// Stats returns what was done so far.
func (p *Pager) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	var s Stats
	for id := range p.config.Layout.Slots {
		if far := p.far[id]; far != nil {
			s.Processes = append(s.Processes, ProcessStats{Process: id, Faults: far.counters.stats()})
		}
		a := p.attached[id]
		if a == nil {
			continue
		}
		a.mu.RLock()
		granules := len(a.registered)
		a.mu.RUnlock()
		s.Processes = append(s.Processes, ProcessStats{
			Process:  id,
			Faults:   a.counters.stats(),
			Copied:   a.copied.Load(),
			Granules: granules,
			Gone:     a.gone.Load(),
		})
	}
	return s
}
