package session

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"remotec.dev/server/coherence"
	"remotec.dev/server/fds"
	"remotec.dev/server/mail"
	"remotec.dev/server/placement"
)

// Where the fields of a ledger are: remotec_ledger.go.
const (
	testBox     = 0x41000
	testLedger  = 0xb000
	testProcs   = 8
	testListed  = 16
	testStamp   = 24
	testCame    = 32
	testReady   = 0x300
	testArrived = 0x500
	testThreads = 0xd00
	testTraffic = 0x4d00
	testLabels  = 0x8d00
	testRunning = 128 + 3*4
)

// testMail is the mail of two processes, whose memory the test writes in their place.
type testMail struct {
	*mail.Mail
	t *testing.T
}

func newTestMail(t *testing.T) testMail {
	m, err := mail.New(0, 2, 0, &fds.Space{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return testMail{m, t}
}

func (m testMail) write(at int64, b []byte) {
	m.t.Helper()
	if _, err := unix.Pwrite(m.Files()[0], b, at); err != nil {
		m.t.Fatal(err)
	}
}

// set writes a word of size 4 or 8 into the ledger of a process.
func (m testMail) set(process, at, size int, v uint64) {
	m.t.Helper()
	b := binary.LittleEndian.AppendUint64(nil, v)
	m.write(2*testBox+int64(process*testLedger+at), b[:size])
}

func (m testMail) running(process, n int) {
	m.write(int64(process*testBox+testRunning), []byte{byte(n), 0, 0, 0})
}

func TestMeasures(t *testing.T) {
	m := newTestMail(t)
	w := NewMeasures(2, m.Mail, 4)
	w.faulted.Store(true)
	for k := range 2 {
		m.set(k, testProcs, 4, 1)
	}
	m.running(0, 1)
	m.set(0, testListed, 4, 1)
	m.set(0, testStamp, 8, 9)
	m.set(0, testReady, 8, 77)
	// Thread 500 of process 1 runs goroutine 34, which waits for pages of process 0, and has done
	// 3 operations there.
	m.set(1, testThreads+16*2, 8, 500)
	m.set(1, testThreads+16*2+8, 8, 34)
	m.set(1, testTraffic+16*5, 8, 34<<8|1)
	m.set(1, testTraffic+16*5+8, 4, 3)
	fault := func(thread uint32, wanders bool, took time.Duration) {
		w.Answered(coherence.Fault{Process: 1, Thread: int(thread)}, coherence.Origin{Process: 0, Wanders: wanders}, took)
	}
	fault(500, true, 20*time.Microsecond)
	fault(500, true, 30*time.Microsecond)
	fault(500, false, time.Microsecond)
	fault(501, true, time.Second) // a thread that is not known
	s := w.take(func(uint64, int) { t.Error("a goroutine came") })
	if p := s.Processes[0]; !p.Here || p.Procs != 1 || p.Running != 1 || len(p.Ready) != 1 || p.Ready[0] != 77 || p.Stamp != 9 {
		t.Errorf("process 0: %+v", p)
	}
	if len(s.Goroutines) != 1 {
		t.Fatalf("goroutines: %+v", s.Goroutines)
	}
	want := placement.Traffic{With: 0, Operations: 3, Faults: 3, Bounced: 50 * time.Microsecond, Fetched: time.Microsecond}
	if g := s.Goroutines[0]; g.ID != 34 || g.At != 1 || len(g.Traffic) != 1 || g.Traffic[0] != want {
		t.Errorf("goroutine: %+v", g)
	}
	// Counts are of the time between two looks. What a goroutine did before it moved is not
	// what it does where it is.
	m.set(1, testTraffic+16*5+8, 4, 5)
	if s = w.take(nil); len(s.Goroutines) != 1 || s.Goroutines[0].Traffic[0].Operations != 2 {
		t.Errorf("then: %+v", s.Goroutines)
	}
	m.set(1, testTraffic+16*5+8, 4, 50)
	m.set(0, testArrived, 8, 34)
	m.set(0, testCame, 8, 1)
	came := 0
	s = w.take(func(g uint64, process int) {
		if came++; g != 34 || process != 0 {
			t.Errorf("goroutine %d came to process %d", g, process)
		}
	})
	if came != 1 || len(s.Goroutines) != 1 || s.Goroutines[0].At != 0 || s.Goroutines[0].Traffic != nil {
		t.Errorf("after its move: %d came, %+v", came, s.Goroutines)
	}
}

// TestMeasuresOfNodes: what nodes tell of their processes is in the snapshots, as long as they tell it, and only of
// processes that they have.
func TestMeasuresOfNodes(t *testing.T) {
	m := newTestMail(t)
	w := NewMeasures(4, m.Mail, 4)
	var asked [][]uint64
	w.Join([]MeasuredHost{{CPUs: 8, Watch: func(labels []uint64) { asked = append(asked, labels) }}}, func(k int) int { return k / 2 })
	w.faulted.Store(true)
	tell := func(process int, a mail.Account) { w.Told(process, time.Millisecond, a) }
	load := mail.Load{Procs: 2, Running: 2, Waiting: 1, Stamp: 5, Ready: []uint64{77}}
	tell(2, mail.Account{Load: load, Came: []uint64{7}, Operations: []mail.Operation{{Goroutine: 8, With: 0, Count: 3}}})
	tell(2, mail.Account{Load: load, Came: []uint64{9}, Operations: []mail.Operation{{Goroutine: 8, With: 0, Count: 2}}})
	tell(3, mail.Account{Load: mail.Load{Procs: -1, Running: 1 << 40}})
	tell(1, mail.Account{Load: load}) // of the session's host
	tell(-1, mail.Account{})
	tell(4, mail.Account{})
	w.Answered(coherence.Fault{Process: 2, Goroutine: 8}, coherence.Origin{Process: 1}, 10*time.Microsecond)
	var came []uint64
	s := w.take(func(g uint64, process int) {
		if came = append(came, g); process != 2 {
			t.Errorf("goroutine %d came to process %d", g, process)
		}
	})
	if len(asked) != 1 || len(came) != 2 || came[0] != 7 || came[1] != 9 || len(s.CPUs) != 2 || s.CPUs[1] != 8 {
		t.Errorf("asked %v, came %v, CPUs %v", asked, came, s.CPUs)
	}
	if p := s.Processes[2]; !p.Here || p.Host != 1 || p.RoundTrip != time.Millisecond || p.Procs != 2 || p.Waiting != 1 || len(p.Ready) != 1 {
		t.Errorf("process 2: %+v", p)
	}
	if p := s.Processes[3]; p.Here || p.Procs != 0 || p.Running > 1<<16 {
		t.Errorf("process 3: %+v", p)
	}
	if s.Processes[1].Here || s.Processes[1].Procs != 0 {
		t.Errorf("process 1, which is of this host: %+v", s.Processes[1])
	}
	if len(s.Goroutines) != 1 || s.Goroutines[0].ID != 8 || s.Goroutines[0].At != 2 || len(s.Goroutines[0].Traffic) != 2 {
		t.Fatalf("goroutines: %+v", s.Goroutines)
	}
	for _, traffic := range s.Goroutines[0].Traffic {
		if traffic.With == 0 && traffic.Operations != 5 || traffic.With == 1 && traffic.Fetched != 1010*time.Microsecond {
			t.Errorf("%+v", traffic)
		}
	}
	if s = w.take(nil); len(s.Goroutines) != 0 || !s.Processes[2].Here {
		t.Errorf("later: %+v", s)
	}
	w.started = w.started.Add(-farStale - time.Millisecond)
	if s = w.take(nil); s.Processes[2].Here {
		t.Errorf("a process of which nothing was heard: %+v", s.Processes[2])
	}
	w.ask([]uint64{5})
	if len(asked) != 2 || len(asked[1]) != 1 {
		t.Errorf("asked %v", asked)
	}
}

// TestDecisions: what becomes of a move is noted with it.
func TestDecisions(t *testing.T) {
	m := newTestMail(t)
	s := &Session{cfg: Config{Measures: NewMeasures(2, m.Mail, 2)}, procs: make([]*process, 2)}
	w := &s.places
	at := func(ms int) *placement.Snapshot {
		return &placement.Snapshot{Now: time.Duration(ms) * time.Millisecond, Elapsed: 10 * time.Millisecond}
	}
	w.begin(0, placement.Move{Goroutine: 5, From: 1, To: 0, Kind: placement.Affine, Reason: "x"}, 0.9)
	w.begin(0, placement.Move{Goroutine: 6, From: 1, To: 0, Kind: placement.Affine, Reason: "x"}, 0.9)
	w.arrived(2*time.Millisecond, 5, 1) // not there
	w.arrived(3*time.Millisecond, 5, 0)
	var again []placement.Move
	var late []*pending
	for ms := 10; ms <= 200; ms += 10 {
		l, a := w.follow(at(ms), map[uint64]float64{5: 0.1})
		late, again = append(late, l...), append(again, a...)
	}
	if len(late) != 1 || late[0].Goroutine != 6 || len(again) < 3 {
		t.Errorf("late %v, asked again for %v", late, again)
	}
	list := s.Decisions(0)
	if len(list) != 2 || len(s.Decisions(6)) != 1 {
		t.Fatalf("decisions %+v", list)
	}
	if d := list[0]; d.State != "moved" || d.Took != 3*time.Millisecond || !d.Known || d.Before != 0.9 || d.After < 0.09 || d.After > 0.11 {
		t.Errorf("%+v", d)
	}
	if d := list[1]; d.State != "not moved" {
		t.Errorf("%+v", d)
	}
	// Only the last ones are kept.
	for range 2 * placeKept {
		w.note(placement.Move{Goroutine: 7}, "asked", 0)
	}
	if n := len(s.Decisions(0)); n != placeKept {
		t.Errorf("%d decisions are kept", n)
	}
}

// TestLeaveOut: policies see processes that are drained or gone as ones to which nothing moves.
func TestLeaveOut(t *testing.T) {
	s := &Session{procs: make([]*process, 4)}
	s.drained.set(1, true)
	s.drained.set(2, true)
	s.drained.set(3, true)
	s.retiring.gone.Store(1 << 2)
	s.drained.set(3, false)
	snapshot := &placement.Snapshot{Processes: make([]placement.Process, 4)}
	for k := range snapshot.Processes {
		snapshot.Processes[k] = placement.Process{Here: true, Procs: 1, Running: 1, Waiting: 1, Ready: []uint64{5}}
	}
	s.leaveOut(snapshot)
	for k, here := range []bool{true, false, false, true} {
		if p := snapshot.Processes[k]; p.Here != here || (p.Running == 0) != (k == 2) {
			t.Errorf("process %d: %+v", k, p)
		}
	}
}

func TestWeights(t *testing.T) {
	m := newTestMail(t)
	s := &Session{cfg: Config{Measures: NewMeasures(2, m.Mail, 2)}, procs: make([]*process, 2)}
	weigh := func(key, value string, process int, weight float64) {
		t.Helper()
		if err := s.Weigh(Weight{key, value, process, weight}); err != nil {
			t.Fatal(err)
		}
	}
	weigh("a", "b", 1, 2)
	weigh("c", "d", 0, 1)
	weigh("c", "d", 1, -1)
	m.set(0, testLabels, 8, 34)
	m.set(0, testLabels+8, 8, 0b11)
	m.set(0, 20, 4, 1)
	m.set(0, testProcs, 4, 1)
	weights := func() []float64 {
		snapshot := s.cfg.Measures.take(nil)
		s.places.weigh(snapshot)
		if len(snapshot.Goroutines) != 1 {
			t.Fatalf("%+v", snapshot)
		}
		return snapshot.Goroutines[0].Weights
	}
	if w := weights(); w[0] != 1 || w[1] != 1 {
		t.Errorf("weights %v", w)
	}
	weigh("c", "d", 1, 0)
	if w := weights(); w[1] != 2 {
		t.Errorf("weights %v after one was removed", w)
	}
	if err := s.Weigh(Weight{"a", "b", 2, 1}); err == nil {
		t.Error("a process that there is not")
	}
	for i := range mail.LabelsMost + 1 {
		err := s.Weigh(Weight{"n", string(rune('a' + i)), 0, 1})
		if want := i >= mail.LabelsMost-2; (err != nil) != want {
			t.Errorf("label %d: %v", i+2, err)
		}
	}
}
