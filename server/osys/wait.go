package osys

import (
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// children knows the program's child processes. The session process has
// others, the program's own process above all, which a wait for any child must
// neither report nor count; so such a wait asks for each known child in turn
// and sleeps until one of them changes state.
//
// Rejected: waitid(P_ALL) with WNOWAIT, which says which child is ready
// without reaping it. It blocks when only hidden children are left, where the
// program is to get ECHILD.
type children struct {
	cfg *Config

	mu      sync.Mutex
	known   []int         // in order of creation; some may have been reaped by now; guarded by mu
	changed chan struct{} // closed at the next change; guarded by mu
}

func (k *children) init(cfg *Config) {
	k.cfg = cfg
	k.changed = make(chan struct{})
}

func (k *children) hidden(pid int) bool {
	return pid > 0 && (pid == k.cfg.PID || k.cfg.Hidden != nil && k.cfg.Hidden(pid))
}

func (k *children) add(pid int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Contains(k.known, pid) {
		k.known = append(k.known, pid)
	}
}

func (k *children) drop(pid int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if i := slices.Index(k.known, pid); i >= 0 {
		k.known = slices.Delete(k.known, i, i+1)
	}
}

// notify wakes the waiters: a child changed state or was reaped.
func (k *children) notify() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.changed)
	k.changed = make(chan struct{})
}

// snapshot returns the known children in a process group, 0 for any, and the
// channel that is closed when this may have become stale.
func (k *children) snapshot(group int) ([]int, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	pids := slices.Clone(k.known)
	if group != 0 {
		pids = slices.DeleteFunc(pids, func(pid int) bool {
			g, err := syscall.Getpgid(pid)
			return err != nil || g != group
		})
	}
	return pids, k.changed
}

// adopt makes known a terminated child that came by another way than spawn:
// orphans that the session process reaps, children of the image before exec.
func (t *thread) adopt() {
	const wexited = 4
	t.info = [128]byte{}
	_, _, e := syscall.RawSyscall6(syscall.SYS_WAITID, 0, 0, uintptr(unsafe.Pointer(&t.info)),
		wexited|syscall.WNOHANG|syscall.WNOWAIT, 0, 0)
	if pid := t.infoPID(); e == 0 && pid > 0 && !t.os.children.hidden(pid) {
		t.os.children.add(pid)
	}
}

// infoPID is the field si_pid of t.info.
func (t *thread) infoPID() int { return int(int32(le32(t.info[16:]))) }

// any waits for whichever child of a group (0: any) try reports on first. try
// must not block; it returns the pid it reported, 0, or an error.
func (t *thread) any(group int, nohang bool, try func(pid int) (int, syscall.Errno)) (int, syscall.Errno) {
	k := &t.os.children
	for {
		t.adopt()
		pids, changed := k.snapshot(group)
		left := 0
		for _, pid := range pids {
			switch r, e := try(pid); {
			case e == syscall.ECHILD:
				k.drop(pid)
			case e != 0:
				return 0, e
			case r != 0:
				return r, 0
			default:
				left++
			}
		}
		switch {
		case left == 0:
			return 0, syscall.ECHILD
		case nohang:
			return 0, 0
		}
		var tick <-chan time.Time
		if signal.Ignored(syscall.SIGCHLD) {
			// The kernel reaps, and tells nobody.
			tick = time.After(10 * time.Millisecond)
		}
		select {
		case <-changed:
		case <-tick:
		}
	}
}

func (t *thread) wait4(c *wire.Call) (r1, r2 uint64, e syscall.Errno) {
	pid, options := int(int32(c.Args[0])), c.Args[2]
	if t.os.children.hidden(pid) {
		return 0, 0, syscall.ECHILD
	}
	s := wire.Lookup(uint64(c.Nr), &c.Args)
	if _, e := t.marshal(c, &s); e != 0 {
		return 0, 0, e
	}
	try := func(pid int, options uint64) (int, syscall.Errno) {
		t.a[0], t.a[2] = uintptr(pid), uintptr(options)
		r, e := syscall6(false, syscall.SYS_WAIT4, &t.a)
		if e == 0 && r != 0 {
			t.os.children.notify()
		}
		return int(r), e
	}
	if pid > 0 {
		r, e := try(pid, options)
		return uint64(r), 0, e
	}
	group := -pid
	switch pid {
	case -1:
		group = 0
	case 0:
		group = syscall.Getpgrp()
	}
	r, e := t.any(group, options&syscall.WNOHANG != 0, func(pid int) (int, syscall.Errno) {
		return try(pid, options|syscall.WNOHANG)
	})
	return uint64(r), 0, e
}

// Kinds of id that waitid takes, from <linux/wait.h>.
const (
	pAll   = 0
	pPid   = 1
	pPgid  = 2
	pPidfd = 3
)

func (t *thread) waitid(c *wire.Call) (r1, r2 uint64, e syscall.Errno) {
	kind, id, options := int32(c.Args[0]), int(int32(c.Args[1])), c.Args[3]
	if kind == pPid && t.os.children.hidden(id) {
		return 0, 0, syscall.ECHILD
	}
	if kind == pPidfd && t.os.reserved(c.Args[1]) {
		return 0, 0, syscall.EBADF
	}
	var info, usage []byte
	if c.Nulls&(1<<2) == 0 {
		if info = t.w.Blob(2, len(t.info)); info == nil {
			return 0, 0, noRoom
		}
	}
	if c.Nulls&(1<<4) == 0 {
		if usage = t.w.Blob(4, int(unsafe.Sizeof(syscall.Rusage{}))); usage == nil {
			return 0, 0, noRoom
		}
		clear(usage)
	}
	try := func(kind, id int, options uint64) (int, syscall.Errno) {
		t.info = [128]byte{}
		t.a = [6]uintptr{uintptr(kind), uintptr(id), uintptr(unsafe.Pointer(&t.info)), uintptr(options), 0}
		if usage != nil {
			t.a[4] = t.address(usage)
		}
		_, e := syscall6(false, syscall.SYS_WAITID, &t.a)
		if e != 0 {
			return 0, e
		}
		if t.infoPID() != 0 && options&syscall.WNOWAIT == 0 {
			t.os.children.notify()
		}
		return t.infoPID(), 0
	}
	switch kind {
	case pAll, pPgid:
		group := 0
		if kind == pPgid {
			if group = id; group == 0 {
				group = syscall.Getpgrp()
			}
		}
		_, e = t.any(group, options&syscall.WNOHANG != 0, func(pid int) (int, syscall.Errno) {
			return try(pPid, pid, options|syscall.WNOHANG)
		})
	default:
		_, e = try(int(kind), id, options)
	}
	copy(info, t.info[:])
	return 0, 0, e
}
