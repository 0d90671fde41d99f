package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/control"
)

func TestControlOfAMaster(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, listen := range []string{"127.0.0.1:0", "unix:@" + fmt.Sprint("remotec-test-", time.Now().UnixNano())} {
		d := serve(t, listen, "secret")
		a, la := d.attach()
		b, _ := d.attach()
		works(t, a, la)
		tool, err := control.Dial(ctx, d.addr, "secret")
		if err != nil {
			t.Fatal(err)
		}
		defer tool.Close()
		if name, pid, err := tool.Name(ctx); err != nil || name != "remotec" || pid != d.cmd.Process.Pid {
			t.Errorf("got %q, %d, %v", name, pid, err)
		}
		list, err := tool.Sessions(ctx)
		if err != nil || len(list) != 2 {
			t.Fatalf("got %+v, %v", list, err)
		}
		for _, s := range list {
			if s.ID == a.Attached.Session && (s.Calls == 0 || s.Links != 1 || s.Descriptors != 3 || s.GoVersion != "go1.26.8") {
				t.Errorf("got %+v", s)
			}
		}
		answer := make(chan error, 1)
		go func() {
			e, err := b.Event()
			if err == nil && e.Kind == wire.EventReport {
				err = b.Report(&wire.Goroutines{Created: 5, Live: 3, Sites: []wire.Site{{Created: 5, Live: 3, Func: "main.f", File: "f.go", Line: 7}}})
			}
			answer <- err
		}()
		g, err := tool.Goroutines(ctx, b.Attached.Session, true)
		if err != nil || g.Created != 5 || len(g.Sites) != 1 || g.Sites[0].Func != "main.f" || g.Sites[0].Line != 7 {
			t.Errorf("got %+v, %v", g, err)
		}
		if err := <-answer; err != nil {
			t.Error(err)
		}
		if _, err := tool.Goroutines(ctx, 1, false); err == nil || !strings.Contains(err.Error(), "no session 1") {
			t.Errorf("got error %v", err)
		}
		if err := tool.Signal(ctx, a.Attached.Session, int(syscall.SIGUSR1)); err != nil {
			t.Error(err)
		}
		if e, err := a.Event(); err != nil || e.Kind != wire.EventSignal || e.N != 10 {
			t.Errorf("got %+v, %v", e, err)
		}
	}
}

// TestMigrate: who is asked to have a goroutine moved asks the program, until it is there.
func TestMigrate(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d := serve(t, "unix:@"+fmt.Sprint("remotec-test-", time.Now().UnixNano()), "")
	a, la := d.attach()
	tool, err := control.Dial(ctx, d.addr, "")
	if err != nil {
		t.Fatal(err)
	}
	defer tool.Close()
	migrate := func(goroutine uint64, process int) error {
		return tool.Migrate(ctx, a.Attached.Session, goroutine, process)
	}
	go func() {
		for asked := 0; ; asked++ {
			e, err := a.Event()
			if err != nil || e.Kind == wire.EventEnd {
				return
			}
			c := wire.Call{Nr: wire.NrMoving, Args: wire.Args{e.B}}
			switch {
			case e.Kind != wire.EventMove:
				t.Errorf("got %+v", e)
			case e.A == 5 && asked > 2:
				c.Args[1] = wire.MoveDone
			case e.A == 5 || e.A == 6:
				c.Args[1] = wire.MoveAsked
				c.Blobs[1], c.Blobs[2] = []byte("it is in "), []byte("runtime.f")
			}
			if _, _, err := la.Do(&c); err != nil {
				return
			}
		}
	}()
	if err := migrate(5, 0); err != nil {
		t.Error(err)
	}
	for _, test := range []struct {
		goroutine uint64
		process   int
		want      string
	}{
		{5, 1, "there is no process 1: the session has 1"},
		{6, 0, "goroutine 6 is still where it was: it is in runtime.f"},
		{7, 0, "there is no goroutine 7"},
	} {
		if err := migrate(test.goroutine, test.process); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("goroutine %d to process %d: got error %v, want %q", test.goroutine, test.process, err, test.want)
		}
	}
}

func TestControlOverTCPNeedsTheToken(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d := serve(t, "127.0.0.1:0", "secret")
	for _, token := range []string{"", "wrong", strings.Repeat("x", 10000)} {
		tool, err := control.Dial(ctx, d.addr, token)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tool.Sessions(ctx); err == nil {
			t.Errorf("%d bytes of a wrong token are accepted", len(token))
		}
		tool.Close()
	}
}

func TestControlOfARun(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p := start(t, append([]string{self, "as-server", "run"}, asProgram("wait")...)...)
	p.expect("ready ")
	pids, err := control.Local()
	if err != nil || !slices.Contains(pids, p.cmd.Process.Pid) {
		t.Fatalf("session processes %v, %v, without %d", pids, err, p.cmd.Process.Pid)
	}
	for range 3 { // each connection on its own
		tool, err := control.DialSession(ctx, p.cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if list, err := tool.Sessions(ctx); err != nil || len(list) != 1 || list[0].PID != p.cmd.Process.Pid || !slices.Contains(list[0].Args, "wait") {
			t.Errorf("got %+v, %v", list, err)
		}
		if g, err := tool.Goroutines(ctx, uint64(p.cmd.Process.Pid), false); err != nil || g.Live != 3 {
			t.Errorf("got %+v, %v", g, err)
		}
		tool.Close()
	}
}
