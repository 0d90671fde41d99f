package coherence

import (
	"strings"
	"testing"
)

// The models that are explored to the last state have all their states visited;
// larger ones as many as the limit says.
var models = map[string]model{
	"two, one slot":   {procs: 2, regs: 1, home: []int8{0, 0}, linked: true, demand: true},
	"two, two slots":  {procs: 2, regs: 1, home: []int8{0, 1}, linked: true, demand: true},
	"one collects":    {procs: 2, regs: 2, home: []int8{0, 1}, demand: true, collectors: 1},
	"prefetching":     {procs: 2, regs: 1, home: []int8{0, 1}, limit: 200000},
	"registers":       {procs: 2, regs: 2, home: []int8{0, 1}, limit: 200000},
	"messages":        {procs: 2, regs: 1, home: []int8{0, 1}, flights: true, limit: 200000},
	"three objects":   {procs: 2, regs: 1, home: []int8{0, 0, 1}, linked: true, demand: true, limit: 200000},
	"three processes": {procs: 3, regs: 1, home: []int8{0, 1}, linked: true, stray: true, demand: true, limit: 200000},
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
