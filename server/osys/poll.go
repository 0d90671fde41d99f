package osys

import (
	"sync"
	"sync/atomic"
	"syscall"

	"remotec.dev/runtimestub/wire"
)

// poller watches descriptors for the network poller of one process of the
// program: an epoll instance of the session, edge-triggered, whose events are sent to the
// program with the cookie that it chose.
type poller struct {
	sending     sync.Mutex   // held while an event is sent; guards process
	process     int          // that gets the events: see passthrough.Redirect
	epoll, wake atomic.Int32 // descriptors plus one; 0 when there are none

	mu      sync.Mutex
	watched map[int]struct{} // guarded by mu
	closed  bool             // guarded by mu
	done    chan struct{}    // closed when the loop has ended
}

// wakeCookie is the one cookie that clients cannot use.
const wakeCookie = ^uint64(0)

// watchEvents is what package runtime's netpoll asks for.
const watchEvents = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | syscall.EPOLLET&0xffffffff

// owns reports whether fd is one of the poller's.
func (p *poller) owns(fd int) bool {
	return fd >= 0 && (int(p.epoll.Load()) == fd+1 || int(p.wake.Load()) == fd+1)
}

// watches reports whether fd is watched.
func (p *poller) watches(fd int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.watched[fd]
	return ok
}

// open starts watching fd. Descriptors that are always ready are refused with
// EPERM, as epoll does.
func (p *poller) open(os *passthrough, fd int, cookie uint64) syscall.Errno {
	if cookie == wakeCookie {
		return syscall.EINVAL
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return syscall.EBADF
	}
	if p.epoll.Load() == 0 {
		if err := p.start(os); err != nil {
			return errno(err)
		}
	}
	if err := p.watch(fd, watchEvents, cookie); err != nil {
		return errno(err)
	}
	p.watched[fd] = struct{}{}
	return 0
}

func (p *poller) watch(fd int, events uint32, cookie uint64) error {
	ev := syscall.EpollEvent{Events: events, Fd: int32(cookie), Pad: int32(cookie >> 32)}
	return syscall.EpollCtl(int(p.epoll.Load()-1), syscall.EPOLL_CTL_ADD, fd, &ev)
}

func (p *poller) start(os *passthrough) error {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	epoll = raise(epoll)
	wake, _, e := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if e != 0 {
		syscall.Close(epoll)
		return e
	}
	high := raise(int(wake))
	p.epoll.Store(int32(epoll) + 1)
	p.wake.Store(int32(high) + 1)
	p.watched = make(map[int]struct{})
	p.done = make(chan struct{})
	if err := p.watch(high, syscall.EPOLLIN, wakeCookie); err != nil {
		return err
	}
	go p.loop(os, epoll)
	return nil
}

func (p *poller) loop(os *passthrough, epoll int) {
	defer close(p.done)
	events := make([]syscall.EpollEvent, 128)
	for {
		n, err := syscall.EpollWait(epoll, events, -1)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			os.cfg.Log.Error("waiting for descriptors to become ready", "err", err)
			return
		}
		for _, ev := range events[:n] {
			cookie := uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32
			if cookie == wakeCookie {
				return
			}
			p.sending.Lock()
			err := os.cfg.Events(p.process, &wire.Event{Kind: wire.EventReady, N: ev.Events, A: cookie})
			p.sending.Unlock()
			if err != nil {
				os.cfg.Log.Info("readiness was not sent to the program", "err", err)
				return
			}
		}
	}
}

// remove ends the watch of fd.
func (p *poller) remove(fd int) syscall.Errno {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.watched[fd]; !ok {
		return syscall.ENOENT
	}
	delete(p.watched, fd)
	return errno(syscall.EpollCtl(int(p.epoll.Load()-1), syscall.EPOLL_CTL_DEL, fd, &syscall.EpollEvent{}))
}

// closing is told that fd is about to be closed. The kernel would end the
// watch by itself only with the last copy of the open file, and the program
// may hold one.
func (p *poller) closing(fd int) {
	if p.epoll.Load() != 0 {
		p.remove(fd)
	}
}

func (p *poller) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.epoll.Load() == 0 {
		return
	}
	wake, epoll := int(p.wake.Load()-1), int(p.epoll.Load()-1)
	syscall.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	<-p.done
	p.epoll.Store(0)
	p.wake.Store(0)
	syscall.Close(epoll)
	syscall.Close(wake)
}

// raise moves a descriptor of the poller out of the way of the numbers that
// the program's own descriptors get, where the limit permits.
func raise(fd int) int {
	const floor = 960 // below the usual soft limit
	high, _, e := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, floor)
	if e != 0 {
		return fd
	}
	syscall.Close(fd)
	return int(high)
}
