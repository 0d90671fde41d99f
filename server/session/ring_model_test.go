package session

import (
	"os"
	"strings"
	"testing"

	"remotec.dev/runtimestub/wire"
)

// ringModel is the protocol of wire/ring.go step by step: two sides that take turns to post, the client first, in all
// orders of their steps.
type ringModel struct {
	state byte // whose turn it is
	sides [2]struct {
		at     ringStep
		waits  bool // its flag
		asleep bool // in the futex
		posts  byte // left
	}
}

// ringStep is what a side does next.
type ringStep byte

const (
	ringPost    ringStep = iota // exchange the state
	ringFlag                    // look at the peer's flag
	ringWake                    // wake the futex
	ringSpin                    // look at the state
	ringSetFlag                 // set the own flag
	ringLook                    // look at the state again
	ringFutex                   // wait on the futex, if the state is still the peer's turn
	ringClear                   // clear the own flag
	ringDone
)

// step lets side i make its next step. clears is whether who finds the peer's flag set clears it.
func (m ringModel) step(i int, clears bool) ringModel {
	s, peer := &m.sides[i], &m.sides[1-i]
	next := func(yes bool, then, otherwise ringStep) {
		s.at = otherwise
		if yes {
			s.at = then
		}
	}
	mine := int(m.state) == i
	switch s.at {
	case ringPost:
		m.state, s.at = byte(1-i), ringFlag
		s.posts--
	case ringFlag:
		next(peer.waits, ringWake, ringSpin)
		peer.waits = peer.waits && !clears
	case ringWake:
		peer.asleep, s.at = false, ringSpin
	case ringSpin:
		next(mine, ringClear, ringSetFlag)
	case ringSetFlag:
		s.waits, s.at = true, ringLook
	case ringLook:
		next(mine, ringClear, ringFutex)
	case ringFutex:
		s.asleep, s.at = !mine, ringSpin
	case ringClear:
		s.waits = false
		next(s.posts > 0, ringPost, ringDone)
	}
	return m
}

// lost explores all that can follow m, and returns the number of states, and a state in which nobody
// can go on though the first side still waits for an answer.
func (m ringModel) lost(clears bool) (states int, stuck *ringModel) {
	seen, todo := map[ringModel]bool{m: true}, []ringModel{m}
	for len(todo) > 0 {
		m := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		moved := false
		for i, s := range m.sides {
			if s.asleep || s.at == ringDone {
				continue
			}
			moved = true
			if n := m.step(i, clears); !seen[n] {
				seen[n] = true
				todo = append(todo, n)
			}
		}
		if !moved && m.sides[0].at != ringDone {
			stuck = &m
		}
	}
	return len(seen), stuck
}

// TestRingModel looks at all orders of the steps of both sides, in four exchanges.
func TestRingModel(t *testing.T) {
	var m ringModel
	m.sides[0].posts, m.sides[1].posts = 4, 4
	m.sides[1].at = ringSpin
	states, stuck := m.lost(false)
	if stuck != nil {
		t.Errorf("both wait: %+v", *stuck)
	}
	if states < 100 {
		t.Errorf("%d states: that cannot be all", states)
	}
	if _, stuck := m.lost(true); stuck == nil {
		t.Error("where a poster clears the peer's flag, no wake-up is lost: then this test would not find one")
	}
}

// TestRingFlags has both sides find the peer's flag set: they leave it alone.
func TestRingFlags(t *testing.T) {
	r, err := openRing(newMemfd(t, wire.RingSize, true))
	if err != nil {
		t.Fatal(err)
	}
	defer r.unmap()
	*r.word(wire.RingStateOffset), *r.word(wire.RingClientWaits) = wire.RingPosted, 1
	if err := r.reply([]byte("reply")); err != nil {
		t.Fatal(err)
	}
	if *r.word(wire.RingClientWaits) == 0 {
		t.Error("the server clears the client's flag")
	}
	// The client's side runs in programs only.
	source, err := os.ReadFile("../../runtimestub/ring.go")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(source)) {
		if strings.Contains(line, "RingServerWaits") && !strings.Contains(line, "load(") {
			t.Errorf("the client writes to the server's flag: %s", line)
		}
	}
}
