package coherence

import (
	"strings"
	"testing"
)

// The models that are explored to the last state have all their states visited;
// larger ones as many as the limit says.
var models = map[string]model{
	"two, one slot":           {procs: 2, regs: 1, home: []int8{0, 0}, linked: true, demand: true},
	"two, two slots":          {procs: 2, regs: 1, home: []int8{0, 1}, linked: true, demand: true},
	"one collects":            {procs: 2, regs: 2, home: []int8{0, 1}, demand: true, collectors: 1},
	"prefetching":             {procs: 2, regs: 1, home: []int8{0, 1}, limit: 200000},
	"registers":               {procs: 2, regs: 2, home: []int8{0, 1}, limit: 200000},
	"messages":                {procs: 2, regs: 1, home: []int8{0, 1}, flights: true, limit: 200000},
	"three objects":           {procs: 2, regs: 1, home: []int8{0, 0, 1}, linked: true, demand: true, limit: 200000},
	"three processes":         {procs: 3, regs: 1, home: []int8{0, 1}, linked: true, stray: true, demand: true, limit: 200000},
	"queues":                  {procs: 2, regs: 1, home: []int8{0, 1}, flights: true, queues: true, limit: 200000},
	"delays":                  {procs: 2, regs: 1, home: []int8{0, 1}, flights: true, delays: true, limit: 200000},
	"whole, delays":           {procs: 2, regs: 1, home: []int8{0, 1}, flights: true, delays: true, whole: true, limit: 400000},
	"whole":                   {procs: 2, regs: 1, home: []int8{0, 1}, whole: true, fails: true, limit: 400000},
	"whole, linked":           {procs: 2, regs: 1, home: []int8{0, 1}, linked: true, demand: true, whole: true, fails: true, limit: 400000},
	"whole, regs":             {procs: 2, regs: 2, home: []int8{0, 1}, whole: true, fails: true, limit: 400000},
	"whole, one slot":         {procs: 2, regs: 1, home: []int8{0, 0}, linked: true, demand: true, whole: true, fails: true, limit: 400000},
	"whole, messages":         {procs: 2, regs: 1, home: []int8{0, 1}, flights: true, whole: true, limit: 400000},
	"whole, queues":           {procs: 2, regs: 1, home: []int8{0, 1}, flights: true, queues: true, whole: true, limit: 400000},
	"whole, three":            {procs: 3, regs: 1, home: []int8{0, 1}, linked: true, stray: true, demand: true, whole: true, fails: true, limit: 400000},
	"retires":                 {procs: 2, regs: 1, home: []int8{0, 1}, retires: true, limit: 400000},
	"retires, linked":         {procs: 2, regs: 1, home: []int8{0, 0, 1}, linked: true, demand: true, retires: true, limit: 400000},
	"retires, slot":           {procs: 2, regs: 1, home: []int8{0, 1, 1}, demand: true, retires: true, limit: 400000},
	"retires, three":          {procs: 3, regs: 1, home: []int8{0, 1, 2}, demand: true, retires: true, limit: 400000},
	"retires, queues":         {procs: 2, regs: 1, home: []int8{0, 1}, flights: true, queues: true, retires: true, limit: 400000},
	"retires, whole":          {procs: 2, regs: 1, home: []int8{0, 1}, whole: true, fails: true, retires: true, limit: 600000},
	"retires, whole of three": {procs: 3, regs: 1, home: []int8{0, 1, 2}, demand: true, whole: true, retires: true, limit: 600000},
	"left":                    {procs: 2, regs: 1, home: []int8{0, 1}, left: 1, limit: 400000},
	"left, held":              {procs: 2, regs: 1, home: []int8{0, 1}, left: 1, leftHeld: true, whole: true, fails: true, limit: 400000},
	"left, whole":             {procs: 2, regs: 1, home: []int8{0, 1}, left: 1, whole: true, fails: true, limit: 400000},
	"left, whole of three":    {procs: 3, regs: 1, home: []int8{2, 1}, left: 1, leftHeld: true, whole: true, limit: 600000},
	"whole, objects":          {procs: 2, regs: 1, home: []int8{0, 0, 1}, linked: true, demand: true, whole: true, limit: 400000},
}

// TestNothingReachableIsSwept visits the states of the models.
func TestNothingReachableIsSwept(t *testing.T) {
	for name, m := range models {
		t.Run(name, func(t *testing.T) {
			whole := m.limit == 0
			if whole {
				m.limit = 2_000_000
				if testing.Short() {
					m.limit, whole = 200_000, false
				}
			}
			states, all, trace := m.explore()
			if trace != nil {
				t.Fatalf("an object is lost:\n\t%s", strings.Join(trace, "\n\t"))
			}
			if whole && !all {
				t.Errorf("more than %d states", m.limit)
			}
			t.Logf("%d states, all of them: %v", states, all)
		})
	}
}

// TestEveryRuleIsNeeded leaves out one rule at a time, and has the explorer find the
// object that is lost for the lack of it.
func TestEveryRuleIsNeeded(t *testing.T) {
	for _, c := range []struct {
		rule, model string
		leave       func(*model)
	}{
		{"pins at transitions", "registers", func(m *model) { m.noTransitionPins = true }},
		{"pins for the page's home", "three processes", func(m *model) { m.noHomePin = true }},
		{"pins for who gets a page to itself", "registers", func(m *model) { m.noRequesterPin = true }},
		{"pins for who loses a page", "two, one slot", func(m *model) { m.noLoserPin = true }},
		{"pins made during the owner's mark are roots of it", "two, one slot", func(m *model) { m.noSince = true }},
		{"pages held exclusively are roots", "registers", func(m *model) { m.noHeldRoots = true }},
		{"writes to foreign pages shade", "registers", func(m *model) { m.noForeignBarrier = true }},
		{"pins made during the holder's mark outlive it", "two, one slot", func(m *model) { m.noNewPins = true }},
		{"what was met is pinned before pins are dropped", "messages", func(m *model) { m.pruneFirst = true }},
		{"messages under way pin", "messages", func(m *model) { m.noHold = true }},
		{"messages that were sent are pinned before a mark begins", "delays", func(m *model) { m.noAwait = true }},
		{"what is sent during a mark is shaded", "delays", func(m *model) { m.noSendShade = true }},
		{"a receiver pins what a sender keeps no longer", "queues", func(m *model) { m.noGot = true }},
		{"what a sender keeps is marked before its mark ends", "queues", func(m *model) { m.queueOnce = true }},
		{"a whole mark starts when all have begun", "whole", func(m *model) { m.noGather = true }},
		{"a whole mark ends when all have marked", "whole", func(m *model) { m.noVote = true }},
		{"what is met in a whole mark is marked through", "whole", func(m *model) { m.noTelling = true }},
		{"pins are roots of a whole mark that fails", "whole", func(m *model) { m.noFallPins = true }},
		{"so are pages held exclusively", "whole, regs", func(m *model) { m.noFallHeld = true }},
		{"what a retired process left is looked at", "left", func(m *model) { m.noKeepMet = true }},
		{"what is pinned for a retired process is a root of a whole mark", "left, whole", func(m *model) { m.noKeptRoots = true }},
		{"so is what gets pinned for it during one", "left, whole of three", func(m *model) { m.noKeptSince = true }},
		{"so are pages of its slot that are held exclusively", "left, whole", func(m *model) { m.noKeptHeld = true }},
		{"writes to foreign pages shade in a whole mark", "whole, regs", func(m *model) { m.noForeignBarrier = true }},
	} {
		t.Run(c.rule, func(t *testing.T) {
			m := models[c.model]
			m.limit = 1_000_000
			c.leave(&m)
			states, _, trace := m.explore()
			if trace == nil {
				t.Fatalf("not missed in %d states", states)
			}
			t.Logf("%d states:\n\t%s", states, strings.Join(trace, "\n\t"))
		})
	}
}

// TestCyclesAreFreed has whole marks, and nothing else, free a cycle of two
// objects in two slots.
func TestCyclesAreFreed(t *testing.T) {
	m := model{procs: 2, regs: 1, home: []int8{0, 1}, cycle: true, limit: 2_000_000}
	m.complain = func(s *exState) string {
		if s.alive != 3 {
			return "the cycle is freed"
		}
		return ""
	}
	if _, all, trace := m.explore(); trace != nil || !all {
		t.Errorf("without whole marks (all states: %v):\n\t%s", all, strings.Join(trace, "\n\t"))
	}
	m.whole = true
	if _, _, trace := m.explore(); trace == nil {
		t.Error("no whole mark frees the cycle")
	}
	// Objects of one field that nobody refers to cannot become reachable again, so that
	// no mark of theirs is due in a whole mark.
	won := 0
	m.complain = func(s *exState) string {
		for p := range m.procs {
			if g := &s.gc[p]; g.won {
				if won++; g.marked&m.own(p)&s.alive&^m.reachable(s) != 0 && s.alive == 3 && s.field[0] == 1 && s.field[1] == 0 {
					return "the cycle survives"
				}
			}
		}
		return ""
	}
	if states, all, trace := m.explore(); trace != nil || !all || won == 0 {
		t.Errorf("%d states (all: %v), %d of them at the end of a whole mark:\n\t%s", states, all, won, strings.Join(trace, "\n\t"))
	}
}
