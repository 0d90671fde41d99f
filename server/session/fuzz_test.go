package session

import (
	"log/slog"
	"testing"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
	"remotec.dev/server/osys"
	"remotec.dev/server/servertest"
)

// seeds are frames of all kinds, which fuzzing bends.
func seeds(f *testing.F) {
	buf := make([]byte, 8192)
	add := func(b []byte, _ bool) { f.Add(append([]byte(nil), b...)) }
	add(wire.PutAttach(buf, servertest.Hello()))
	add(wire.PutLink(buf, &wire.Link{Key: make([]byte, 16)}))
	add(wire.PutCall(buf, &wire.Call{Nr: 1, Blobs: wire.Blobs{nil, []byte("text")}}))
	add(wire.PutGoroutines(buf, &wire.Goroutines{Created: 1, Hooks: []uint64{1},
		Sites: []wire.Site{{Func: "f"}}, List: []wire.Goroutine{{Wait: "w"}}}))
	f.Add([]byte(wire.PreambleFramed))
	f.Add([]byte{0, 0, 0, 0, 255, 255, 255, 255})
}

// send writes b and ends the connection; the channel is closed then.
func send(c *servertest.Client, b []byte) <-chan struct{} {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.Conn.Write(b)
		c.Conn.Shutdown()
	}()
	return sent
}

// FuzzGreet sends anything in place of preamble and attach.
func FuzzGreet(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, start := range []string{"", wire.PreambleFramed} {
			client, r := pair(t)
			sent := send(client, append([]byte(start), b...))
			Greet(r, &Terms{Token: "x"})
			r.Conn.Shutdown()
			<-sent
		}
	})
}

// FuzzControl sends anything on the control connection of a session.
func FuzzControl(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		client, r := pair(t)
		e := &echoOS{open: make(map[osys.ThreadID]int)}
		s, err := Open(Config{
			Space: new(fds.Space), Log: slog.New(slog.DiscardHandler),
			OS: func(osys.Config) osys.OS { return e },
		}, r, servertest.Hello())
		if err != nil {
			t.Fatal(err)
		}
		sent := send(client, b)
		s.Run()
		s.Close()
		s.Wait()
		<-sent
	})
}

// FuzzLink sends anything on a link.
func FuzzLink(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		client, r := pair(t)
		e := &echoOS{open: make(map[osys.ThreadID]int)}
		s := &Session{cfg: Config{Log: slog.New(slog.DiscardHandler)}, os: e, links: make(map[*link]struct{})}
		l := &link{s: s, p: &process{s: s}, conn: r.Conn}
		sent := send(client, b)
		l.loop(make([]byte, 64), 0)
		r.Conn.Shutdown()
		<-sent
		if e.open[0] != 0 {
			t.Error("the thread stays open")
		}
	})
}
