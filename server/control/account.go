package control

import (
	"context"
	"errors"
	"time"

	"remotec.dev/capnp"
	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/session"
)

// The accounts and what else is known of a session, on an RPC connection.

func (b *binding) Stacks(ctx context.Context, call capnp.Server_stacks) error {
	call.Go() // the program may take its time
	text, err := b.src.Stacks(ctx, call.Args().Session())
	if err != nil {
		return err
	}
	r, err := call.AllocResults()
	if err != nil {
		return err
	}
	return r.SetText(text)
}

func (b *binding) Profile(ctx context.Context, call capnp.Server_profile) error {
	call.Go()
	kind, err := call.Args().Kind()
	if err != nil {
		return err
	}
	p, err := b.src.Profile(ctx, call.Args().Session(), kind, time.Duration(call.Args().Ns()))
	if err != nil {
		return err
	}
	r, err := call.AllocResults()
	if err != nil {
		return err
	}
	return r.SetProfile(p)
}

func (b *binding) Stats(ctx context.Context, call capnp.Server_stats) error {
	call.Go()
	st, err := b.src.Stats(ctx, call.Args().Session())
	if err != nil {
		return err
	}
	r, err := call.AllocResults()
	if err != nil {
		return err
	}
	to, err := r.NewStats()
	if err != nil {
		return err
	}
	return putStats(to, st)
}

func (b *binding) Account(ctx context.Context, call capnp.Server_account) error {
	call.Go()
	since, err := b.src.Account(ctx, call.Args().Session())
	if err != nil {
		return err
	}
	r, err := call.AllocResults()
	if err != nil {
		return err
	}
	r.SetSince(unixNano(since))
	return nil
}

// unixNano is t in ns, 0 for the zero time; unixTime is its inverse.
func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func unixTime(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// about fills in the parameters of a method that has none but a session.
func about[P interface{ SetSession(uint64) }](id uint64) func(P) error {
	return func(p P) error {
		p.SetSession(id)
		return nil
	}
}

// Account has a session account for what its goroutines use, from now on, and returns
// since when it does.
func (c *Client) Account(ctx context.Context, id uint64) (time.Time, error) {
	f, release := c.server.Account(ctx, about[capnp.Server_account_Params](id))
	defer release()
	r, err := f.Struct()
	if err != nil {
		return time.Time{}, err
	}
	return unixTime(r.Since()), nil
}

// Stacks returns the goroutines of all processes of a session as runtime.Stack writes them.
func (c *Client) Stacks(ctx context.Context, id uint64) ([]byte, error) {
	f, release := c.server.Stacks(ctx, about[capnp.Server_stacks_Params](id))
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, err
	}
	text, err := r.Text()
	return append([]byte(nil), text...), err
}

// Profile returns a profile of a session in the format of pprof. One of the processor
// takes the time d.
func (c *Client) Profile(ctx context.Context, id uint64, kind string, d time.Duration) ([]byte, error) {
	f, release := c.server.Profile(ctx, func(p capnp.Server_profile_Params) error {
		p.SetSession(id)
		p.SetNs(int64(d))
		return p.SetKind(kind)
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, err
	}
	p, err := r.Profile()
	return append([]byte(nil), p...), err
}

// Stats returns the counts of a session.
func (c *Client) Stats(ctx context.Context, id uint64) (*session.Stats, error) {
	f, release := c.server.Stats(ctx, about[capnp.Server_stats_Params](id))
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, err
	}
	from, err := r.Stats()
	if err != nil {
		return nil, err
	}
	return getStats(from)
}

func putUse(to capnp.Use, u *wire.Use) {
	to.SetCpu(u.CPU)
	to.SetBytes(u.Bytes)
	to.SetObjects(u.Objects)
	to.SetChans(u.Chans)
	to.SetCalls(u.Calls)
	for i, set := range [wire.WaitKinds]func(uint64){to.SetWaitRun, to.SetWaitChan, to.SetWaitSelect, to.SetWaitLock,
		to.SetWaitSleep, to.SetWaitIO, to.SetWaitCall, to.SetWaitOther} {
		set(u.Waited[i])
	}
}

func getUse(from capnp.Use) wire.Use {
	return wire.Use{
		CPU: from.Cpu(), Bytes: from.Bytes(), Objects: from.Objects(), Chans: from.Chans(), Calls: from.Calls(),
		Waited: [wire.WaitKinds]uint64{from.WaitRun(), from.WaitChan(), from.WaitSelect(), from.WaitLock(),
			from.WaitSleep(), from.WaitIO(), from.WaitCall(), from.WaitOther()},
	}
}

func putGoroutines(to capnp.Goroutines, g *wire.Goroutines) error {
	to.SetCreated(g.Created)
	to.SetEnded(g.Ended)
	to.SetLive(g.Live)
	to.SetCollections(g.Collections)
	to.SetPause(g.Pause)
	to.SetHeap(g.Heap)
	hooks, err := to.NewHooks(int32(len(g.Hooks)))
	if err != nil {
		return err
	}
	for i, n := range g.Hooks {
		hooks.At(i).SetN(n)
	}
	sites, err := to.NewSites(int32(len(g.Sites)))
	if err != nil {
		return err
	}
	for i := range g.Sites {
		s, e := &g.Sites[i], sites.At(i)
		e.SetPc(s.PC)
		e.SetCreated(s.Created)
		e.SetEnded(s.Ended)
		e.SetLive(s.Live)
		e.SetLine(s.Line)
		use, err := e.NewUse()
		if err = errors.Join(err, e.SetFunc(s.Func), e.SetFile(s.File)); err != nil {
			return err
		}
		putUse(use, &s.Use)
	}
	list, err := to.NewList(int32(len(g.List)))
	if err != nil {
		return err
	}
	for i := range g.List {
		r, e := &g.List[i], list.At(i)
		e.SetId(r.ID)
		e.SetPc(r.PC)
		e.SetStatus(r.Status)
		e.SetProcess(r.Process)
		e.SetStack(r.Stack)
		use, err := e.NewUse()
		if err = errors.Join(err, e.SetWait(r.Wait)); err != nil {
			return err
		}
		putUse(use, &r.Use)
	}
	return nil
}

func getGoroutines(from capnp.Goroutines) (*wire.Goroutines, error) {
	from.Message().ResetReadLimit(1 << 30) // many goroutines are read from a server that is trusted with worse
	g := &wire.Goroutines{Created: from.Created(), Ended: from.Ended(), Live: from.Live(),
		Collections: from.Collections(), Pause: from.Pause(), Heap: from.Heap()}
	hooks, err := from.Hooks()
	if err != nil {
		return nil, err
	}
	for i := range hooks.Len() {
		g.Hooks = append(g.Hooks, hooks.At(i).N())
	}
	sites, err := from.Sites()
	if err != nil {
		return nil, err
	}
	for i := range sites.Len() {
		e := sites.At(i)
		s := wire.Site{PC: e.Pc(), Created: e.Created(), Ended: e.Ended(), Live: e.Live(), Line: e.Line()}
		use, err := e.Use()
		var errs [2]error
		s.Func, errs[0] = e.Func()
		s.File, errs[1] = e.File()
		if err = errors.Join(err, errs[0], errs[1]); err != nil {
			return nil, err
		}
		s.Use = getUse(use)
		g.Sites = append(g.Sites, s)
	}
	list, err := from.List()
	if err != nil {
		return nil, err
	}
	for i := range list.Len() {
		e := list.At(i)
		r := wire.Goroutine{ID: e.Id(), PC: e.Pc(), Status: e.Status(), Process: e.Process(), Stack: e.Stack()}
		use, err := e.Use()
		if err != nil {
			return nil, err
		}
		if r.Wait, err = e.Wait(); err != nil {
			return nil, err
		}
		r.Use = getUse(use)
		g.List = append(g.List, r)
	}
	return g, nil
}

func putStats(to capnp.Stats, st *session.Stats) error {
	to.SetLinks(uint32(st.Links))
	to.SetDescriptors(uint32(st.Descriptors))
	to.SetStarted(st.Started.UnixNano())
	to.SetAccounted(unixNano(st.Accounted))
	calls, err := to.NewCalls(int32(len(st.Calls)))
	if err != nil {
		return err
	}
	memory, err := to.NewMemory(int32(len(st.Memory)))
	if err != nil {
		return err
	}
	for _, l := range []struct {
		to   capnp.Named_List
		from []session.Named
	}{{calls, st.Calls}, {memory, st.Memory}} {
		for i, n := range l.from {
			l.to.At(i).SetN(n.N)
			if err := l.to.At(i).SetName(n.Name); err != nil {
				return err
			}
		}
	}
	procs, err := to.NewProcesses(int32(len(st.Processes)))
	if err != nil {
		return err
	}
	for i := range st.Processes {
		p, e := &st.Processes[i], procs.At(i)
		e.SetNumber(uint32(p.Number))
		e.SetLive(p.Live)
		e.SetCreated(p.Created)
		e.SetCollections(p.Collections)
		e.SetPause(uint64(p.Pause))
		e.SetHeap(p.Heap)
		use, err := e.NewUse()
		if err != nil {
			return err
		}
		putUse(use, &p.Use)
	}
	return nil
}

func getStats(from capnp.Stats) (*session.Stats, error) {
	st := &session.Stats{Started: time.Unix(0, from.Started()), Accounted: unixTime(from.Accounted()), Links: int(from.Links()), Descriptors: int(from.Descriptors())}
	calls, err := from.Calls()
	if err != nil {
		return nil, err
	}
	memory, err := from.Memory()
	if err != nil {
		return nil, err
	}
	for _, l := range []struct {
		to   *[]session.Named
		from capnp.Named_List
	}{{&st.Calls, calls}, {&st.Memory, memory}} {
		for i := range l.from.Len() {
			name, err := l.from.At(i).Name()
			if err != nil {
				return nil, err
			}
			*l.to = append(*l.to, session.Named{Name: name, N: l.from.At(i).N()})
		}
	}
	procs, err := from.Processes()
	if err != nil {
		return nil, err
	}
	for i := range procs.Len() {
		e := procs.At(i)
		use, err := e.Use()
		if err != nil {
			return nil, err
		}
		st.Processes = append(st.Processes, session.ProcessStats{Number: int(e.Number()), Live: e.Live(), Created: e.Created(),
			Use: getUse(use), Collections: e.Collections(), Pause: time.Duration(e.Pause()), Heap: e.Heap()})
	}
	return st, nil
}
