// Package control is the RPC binding of the API: what tools ask a server. It
// serves and calls the interface Server of capnp/remotec.capnp on connections
// that start with wire.PreambleRPC.
//
// A *source* answers for one or more sessions: a session process for its own,
// a master for all of its session processes, whose control sockets it asks in
// turn. Local finds all session processes of this user on this host.
//
// Invariant: nothing here runs before a connection asks for it; a program
// that nobody watches does not pay for RPC.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	capnplib "capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/rpc"

	"remotec.dev/capnp"
	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/session"
)

// Source is what a server answers from.
type Source interface {
	// Name is the server's name and version, PID its process.
	Name() (name string, pid int)
	Sessions(context.Context) ([]session.Info, error)
	// Goroutines returns a session's account of its goroutines, with the live
	// ones one by one where all is set.
	Goroutines(ctx context.Context, id uint64, all bool) (*wire.Goroutines, error)
	// Signal sends a signal to a session as kill would.
	Signal(ctx context.Context, id uint64, number int) error
	// Migrate has a goroutine go to a process, and waits for a while until it is
	// there.
	Migrate(ctx context.Context, id, goroutine uint64, process int) error
	// View returns what is to be shown of a session, as JSON: see Session.View.
	View(ctx context.Context, id uint64, what string, arguments url.Values) (json.RawMessage, error)
	// Drain has all goroutines of some processes go to others, and gives those no new ones; with on false
	// some again.
	// Then they end, unless keep is set.
	Drain(ctx context.Context, id uint64, processes []int, on, keep bool) (session.Drained, error)
	// Pause has a goroutine pause, or all of a process if goroutine is 0, or all of the session if
	// process is negative as well; with on false they go on.
	Pause(ctx context.Context, id, goroutine uint64, process int, on bool) error
	// Nodes lists the other hosts that have joined the server.
	Nodes() []NodeInfo
	// Stacks returns the goroutines of all processes as runtime.Stack writes them.
	Stacks(ctx context.Context, id uint64) ([]byte, error)
	// Profile returns a profile of all processes in the format of pprof; kind is one
	// of profile.Kinds. One of the processor takes the time d.
	Profile(ctx context.Context, id uint64, kind string, d time.Duration) ([]byte, error)
	// Stats returns the counts of a session.
	Stats(ctx context.Context, id uint64) (*session.Stats, error)
	// Account has a session account for what its goroutines use, from now on, and returns since
	// when it does.
	Account(ctx context.Context, id uint64) (time.Time, error)
	Placer
}

// NodeInfo is another host that has joined a server.
type NodeInfo struct {
	Name, Addr string
	CPUs       int
	Sessions   int // in which it takes part
	Joined     time.Time
}

// NoSession is the error about a session that a source does not have.
type NoSession uint64

func (id NoSession) Error() string {
	return fmt.Sprintf("no session %d; remotec ps lists those there are", uint64(id))
}

// Serve answers calls on conn, whose preamble has been read, until the peer
// closes it.
func Serve(conn io.ReadWriteCloser, src Source) {
	c := rpc.NewConn(rpc.NewStreamTransport(conn), &rpc.Options{
		BootstrapClient: capnplib.Client(capnp.Server_ServerToClient(&binding{src})),
	})
	<-c.Done()
	c.Close()
}

// binding makes a Source a Server capability.
type binding struct{ src Source }

func (b *binding) Info(_ context.Context, call capnp.Server_info) error {
	r, err := call.AllocResults()
	if err != nil {
		return err
	}
	name, pid := b.src.Name()
	r.SetApiVersion(wire.APIVersion)
	r.SetPid(uint32(pid))
	return r.SetServer(name)
}

func (b *binding) Sessions(ctx context.Context, call capnp.Server_sessions) error {
	infos, err := b.src.Sessions(ctx)
	if err != nil {
		return err
	}
	r, err := call.AllocResults()
	if err != nil {
		return err
	}
	list, err := r.NewList(int32(len(infos)))
	if err != nil {
		return err
	}
	for i := range infos {
		if err := putInfo(list.At(i), &infos[i]); err != nil {
			return err
		}
	}
	return nil
}

func (b *binding) Goroutines(ctx context.Context, call capnp.Server_goroutines) error {
	// The program may take its time: other calls on this connection go on.
	call.Go()
	g, err := b.src.Goroutines(ctx, call.Args().Session(), call.Args().All())
	if err != nil {
		return err
	}
	r, err := call.AllocResults()
	if err != nil {
		return err
	}
	to, err := r.NewGoroutines()
	if err != nil {
		return err
	}
	return putGoroutines(to, g)
}

func (b *binding) Signal(ctx context.Context, call capnp.Server_signal) error {
	return b.src.Signal(ctx, call.Args().Session(), int(call.Args().Number()))
}

func (b *binding) Migrate(ctx context.Context, call capnp.Server_migrate) error {
	call.Go() // it may take its time
	a := call.Args()
	return b.src.Migrate(ctx, a.Session(), a.Goroutine(), int(a.Process()))
}

func (b *binding) View(ctx context.Context, call capnp.Server_view) error {
	call.Go() // the program may take its time
	a := call.Args()
	what, err := a.What()
	if err != nil {
		return err
	}
	text, err := a.Arguments()
	if err != nil {
		return err
	}
	arguments, err := url.ParseQuery(text)
	if err != nil {
		return err
	}
	json, err := b.src.View(ctx, a.Session(), what, arguments)
	if err != nil {
		return err
	}
	r, err := call.AllocResults()
	if err != nil {
		return err
	}
	return r.SetJson(json)
}

func (b *binding) Nodes(_ context.Context, call capnp.Server_nodes) error {
	r, err := call.AllocResults()
	if err != nil {
		return err
	}
	infos := b.src.Nodes()
	list, err := r.NewList(int32(len(infos)))
	if err != nil {
		return err
	}
	for i, n := range infos {
		to := list.At(i)
		to.SetCpus(uint32(n.CPUs))
		to.SetSessions(uint32(n.Sessions))
		to.SetJoined(n.Joined.UnixNano())
		if err := errors.Join(to.SetName(n.Name), to.SetAddress(n.Addr)); err != nil {
			return err
		}
	}
	return nil
}

func (b *binding) Drain(ctx context.Context, call capnp.Server_drain) error {
	call.Go() // it may take its time
	a := call.Args()
	list, err := a.Processes()
	if err != nil {
		return err
	}
	var processes []int
	for i := range list.Len() {
		processes = append(processes, int(list.At(i)))
	}
	d, err := b.src.Drain(ctx, a.Session(), processes, !a.Undo(), a.Keep())
	if err != nil {
		return err
	}
	r, err := call.AllocResults()
	if err != nil {
		return err
	}
	r.SetMoved(d.Moved)
	r.SetTook(int64(d.Took))
	r.SetGone(int64(d.Gone))
	return r.SetStays(d.Stays)
}

func (b *binding) Pause(ctx context.Context, call capnp.Server_pause) error {
	call.Go() // it may take its time
	a := call.Args()
	return b.src.Pause(ctx, a.Session(), a.Goroutine(), int(a.Process()), !a.Resume())
}

func putInfo(to capnp.SessionInfo, i *session.Info) error {
	to.SetId(i.ID)
	to.SetPid(uint32(i.PID))
	to.SetProcessPid(uint32(i.ProcessPID))
	to.SetStarted(i.Started.UnixNano())
	to.SetAccounted(unixNano(i.Accounted))
	to.SetCalls(i.Calls)
	to.SetLinks(uint32(i.Links))
	to.SetDescriptors(uint32(i.Descriptors))
	to.SetGoroutines(i.Live)
	to.SetCreated(i.Created)
	procs, err := to.NewProcesses(int32(len(i.Processes)))
	if err != nil {
		return err
	}
	for k, p := range i.Processes {
		own := procs.At(k)
		own.SetNumber(uint32(p.Number))
		own.SetPid(uint32(p.PID))
		own.SetGoroutines(p.Live)
		own.SetCreated(p.Created)
		own.SetGone(p.Gone)
		if err := own.SetHost(p.Host); err != nil {
			return err
		}
	}
	args, err := capnplib.NewTextList(to.Segment(), int32(len(i.Args)))
	if err != nil {
		return err
	}
	for k, a := range i.Args {
		if err := args.Set(k, a); err != nil {
			return err
		}
	}
	return errors.Join(to.SetArgs(args), to.SetPath(i.Path), to.SetGoVersion(i.GoVersion),
		to.SetBuildId(i.BuildID), to.SetRemote(i.Remote))
}

func getInfo(from capnp.SessionInfo) (session.Info, error) {
	i := session.Info{
		ID: from.Id(), PID: int(from.Pid()), ProcessPID: int(from.ProcessPid()),
		Started: time.Unix(0, from.Started()), Calls: from.Calls(), Links: int(from.Links()),
		Descriptors: int(from.Descriptors()), Live: from.Goroutines(), Created: from.Created(), Accounted: unixTime(from.Accounted()),
	}
	var errs [5]error
	i.Path, errs[0] = from.Path()
	i.GoVersion, errs[1] = from.GoVersion()
	i.BuildID, errs[2] = from.BuildId()
	i.Remote, errs[3] = from.Remote()
	args, err := from.Args()
	errs[4] = err
	if err == nil {
		for k := range args.Len() {
			a, err := args.At(k)
			if err != nil {
				return i, err
			}
			i.Args = append(i.Args, a)
		}
	}
	procs, err := from.Processes()
	if err != nil {
		return i, err
	}
	for k := range procs.Len() {
		own := procs.At(k)
		host, err := own.Host()
		if err != nil {
			return i, err
		}
		i.Processes = append(i.Processes, session.ProcessInfo{
			Number: int(own.Number()), PID: int(own.Pid()), Host: host, Live: own.Goroutines(), Created: own.Created(), Gone: own.Gone(),
		})
	}
	return i, errors.Join(errs[:]...)
}
