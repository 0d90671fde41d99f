package stress

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"remotec.dev/internal/stress/history"
)

// queue is the state of a channel, of which a buffer of capacity 0 has room for
// the element that is about to be received. It is never changed in place.
type queue struct {
	elements []int64
	closed   bool
}

var channel = model(queue{}, func(s queue, o history.Op) (bool, queue) {
	room := len(s.elements) < max(o.Cap, 1)
	switch o.Kind {
	case "send", "try-send":
		switch {
		case o.OK:
			return room && !s.closed, queue{append(slices.Clone(s.elements), o.Value), false}
		case o.Value < 0:
			return !room && !s.closed, s
		}
		return s.closed, s
	case "receive", "try-receive":
		switch {
		case o.OK:
			return len(s.elements) > 0 && s.elements[0] == o.Value, queue{slices.Clone(s.elements[min(1, len(s.elements)):]), s.closed}
		case o.Value < 0:
			return len(s.elements) == 0 && !s.closed, s
		}
		return len(s.elements) == 0 && s.closed, s
	}
	return !s.closed, queue{s.elements, true} // close
}, func(a, b queue) bool { return a.closed == b.closed && slices.Equal(a.elements, b.elements) })

// lock is the state of a mutex: who holds it.
type lock struct{ writers, readers, holder int }

var mutex = model(lock{}, func(s lock, o history.Op) (bool, lock) {
	free := s.writers == 0
	switch o.Kind {
	case "lock", "try-lock":
		if !o.OK {
			return true, s // TryLock may fail for no reason
		}
		return free && s.readers == 0, lock{writers: 1, holder: o.Client}
	case "unlock":
		return !free && s.holder == o.Client, lock{}
	case "rlock":
		return free, lock{readers: s.readers + 1}
	}
	return s.readers > 0, lock{readers: s.readers - 1} // runlock
}, func(a, b lock) bool { return a == b })

var register = model(int64(0), func(v int64, o history.Op) (bool, int64) {
	switch o.Kind {
	case "load":
		return o.Value == v, v
	case "add":
		return o.Value == v+1_000_000, o.Value
	case "swap":
		return o.Old == v, o.Value
	}
	if o.OK { // cas
		return o.Old == v, o.Value
	}
	return o.Old != v, v
}, func(a, b int64) bool { return a == b })

func model[S any](init S, step func(S, history.Op) (bool, S), equal func(a, b S) bool) porcupine.Model {
	return porcupine.Model{
		Init:  func() any { return init },
		Step:  func(s, in, _ any) (bool, any) { ok, next := step(s.(S), in.(history.Op)); return ok, next },
		Equal: func(a, b any) bool { return equal(a.(S), b.(S)) },
	}
}

// TestHistories checks that what goroutines of several processes do to channels,
// locks and words can have happened one after the other, in an order that
// contradicts no clock (Herlihy and Wing, TOPLAS 1990).
func TestHistories(t *testing.T) {
	for _, what := range []struct {
		name  string
		model porcupine.Model
	}{{"chan", channel}, {"select", channel}, {"selects", channel}, {"mutex", mutex}, {"rwmutex", mutex}, {"register", register}} {
		for _, chaos := range []string{"", "delay=300us", "post=2ms", "mail=2ms", "migrate=1ms"} {
			t.Run(what.name+"/"+chaos, func(t *testing.T) {
				length := max(time.Second, *length/10)
				r := start(t, []string{"REMOTEC_CHAOS=" + chaos}, "-history", what.name, "-time", length.String())
				out := r.finish(t, length+time.Minute)
				byObject := map[int][]history.Op{}
				n := 0
				for d := json.NewDecoder(bytes.NewReader(out)); ; n++ {
					var o history.Op
					if err := d.Decode(&o); err == io.EOF {
						break
					} else if err != nil {
						t.Fatal(err)
					}
					byObject[o.Object] = append(byObject[o.Object], o)
				}
				if n == 0 {
					t.Fatal("no operations")
				}
				unknown := 0
				for object, ops := range byObject {
					if bad := rendezvous(ops); bad != nil {
						t.Errorf("object %d: a send without a buffer ended before its receive began: %+v", object, *bad)
					}
					switch check(what.model, ops) {
					case porcupine.Illegal:
						slices.SortFunc(ops, func(a, b history.Op) int { return int(a.Call - b.Call) })
						for _, o := range ops {
							t.Logf("%+v", o)
						}
						t.Errorf("object %d: no order explains these operations", object)
					case porcupine.Unknown:
						unknown++
					}
				}
				t.Logf("%d operations on %d objects, %d of them not decided", n, len(byObject), unknown)
				if unknown > len(byObject)/10 {
					t.Errorf("%d of %d objects are not decided", unknown, len(byObject))
				}
			})
		}
	}
}

func check(m porcupine.Model, ops []history.Op) porcupine.CheckResult {
	var list []porcupine.Operation
	for _, o := range ops {
		list = append(list, porcupine.Operation{ClientId: o.Client, Input: o, Call: o.Call, Return: o.Return})
	}
	return porcupine.CheckOperationsTimeout(m, list, 2*time.Second)
}

// rendezvous looks for a send on a channel without a buffer that was over before
// anybody received the element.
func rendezvous(ops []history.Op) *history.Op {
	received := map[int64]int64{}
	for _, o := range ops {
		if o.Kind == "receive" && o.OK {
			received[o.Value] = o.Call
		}
	}
	for _, o := range ops {
		if call, ok := received[o.Value]; o.Kind == "send" && o.Cap == 0 && o.OK && (!ok || o.Return < call) {
			return &o
		}
	}
	return nil
}

// TestModels has the models refuse what must not happen.
func TestModels(t *testing.T) {
	send := func(v, call, end int64) history.Op {
		return history.Op{Kind: "send", Value: v, OK: true, Cap: 1, Call: call, Return: end}
	}
	receive := func(v, call, end int64) history.Op {
		return history.Op{Client: 1, Kind: "receive", Value: v, OK: true, Cap: 1, Call: call, Return: end}
	}
	for name, c := range map[string]struct {
		model porcupine.Model
		ops   []history.Op
		want  porcupine.CheckResult
	}{
		"order kept":      {channel, []history.Op{send(1, 0, 1), send(2, 2, 5), receive(1, 3, 4), receive(2, 6, 7)}, porcupine.Ok},
		"order lost":      {channel, []history.Op{send(1, 0, 1), send(2, 2, 5), receive(2, 3, 4), receive(1, 6, 7)}, porcupine.Illegal},
		"twice":           {channel, []history.Op{send(1, 0, 1), receive(1, 3, 4), receive(1, 6, 7)}, porcupine.Illegal},
		"over the limit":  {channel, []history.Op{send(1, 0, 1), send(2, 2, 3), receive(1, 4, 5), receive(2, 6, 7)}, porcupine.Illegal},
		"from the future": {channel, []history.Op{receive(1, 0, 1), send(1, 2, 3)}, porcupine.Illegal},
		"two holders": {mutex, []history.Op{{Kind: "lock", OK: true, Call: 0, Return: 1}, {Client: 1, Kind: "lock", OK: true, Call: 2, Return: 3},
			{Kind: "unlock", Call: 4, Return: 5}, {Client: 1, Kind: "unlock", Call: 6, Return: 7}}, porcupine.Illegal},
		"lost update": {register, []history.Op{{Kind: "add", Value: 1_000_000, Call: 0, Return: 1}, {Client: 1, Kind: "add", Value: 1_000_000, Call: 2, Return: 3}}, porcupine.Illegal},
	} {
		if got := check(c.model, c.ops); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
