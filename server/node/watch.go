package node

import (
	"sync/atomic"
	"time"

	"remotec.dev/server/mail"
)

// What the processes of a node do, as far as it matters for where goroutines run: the session, whose
// placement decides that, has it watch their ledgers, and is told what is new.

const (
	watchEvery = 10 * time.Millisecond
	// watchAlive is how often a process is told of that does nothing new.
	watchAlive = 500 * time.Millisecond
)

// watcher tells the session what processes do.
type watcher struct {
	mail    *mail.Mail
	auditor *mail.Auditor
	labels  atomic.Pointer[[]uint64] // those that are of interest
	told    map[int]told
}

// told is what was told of a process last, and what that was asked.
type told struct {
	load   [4]uint64
	at     time.Time
	labels *[]uint64
}

// watch carries out the order.
func (a *agent) watch(w *watch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mail == nil {
		return // its processes are to be of no interest
	}
	first := a.watcher == nil
	if first {
		a.watcher = &watcher{mail: a.mail, auditor: mail.NewAuditor(a.mail), told: make(map[int]told)}
		a.memory.threads.Store(mail.NewThreads(a.mail))
	}
	a.watcher.labels.Store(&w.Labels)
	if first {
		go a.watcher.run(a)
	}
}

// run looks again and again, until the session is over.
func (w *watcher) run(a *agent) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-a.memory.lost:
			return
		case now := <-tick.C:
			a.mu.Lock()
			processes := make([]int, 0, len(a.process))
			for process := range a.process {
				processes = append(processes, process)
			}
			a.mu.Unlock()
			for _, process := range processes {
				if account, ok := w.look(process, now); ok {
					a.tell(notice{Process: process, Account: &account, RoundTrip: time.Duration(a.memory.roundTrip.Load())})
				}
			}
		}
	}
}

// look returns what is new of a process; ok is false where the session need not be told.
func (w *watcher) look(process int, now time.Time) (account mail.Account, ok bool) {
	last, labels := w.told[process], w.labels.Load()
	if last.labels != labels {
		w.mail.Ask(process, *labels)
		last.labels = labels
	}
	account, ok = w.auditor.Take(process, len(*labels) > 0)
	if !ok {
		return account, false
	}
	load := [4]uint64{uint64(account.Procs), uint64(account.Running), uint64(account.Waiting), uint64(len(account.Labelled))}
	if account.Waiting > 0 {
		load[3] ^= account.Stamp // another list of those that wait
	}
	if load == last.load && now.Sub(last.at) < watchAlive && len(account.Came) == 0 && len(account.Operations) == 0 {
		w.told[process] = last
		return account, false
	}
	w.told[process] = told{load, now, labels}
	return account, true
}
