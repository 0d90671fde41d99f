package stress

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A model of selects over channels of several homes, as the added runtime files
// remotec_select.go, remotec_part.go and remotec_token.go have them, whose steps are those that others can
// see: a compare-and-swap, a store, what happens under a lock of theirs. All
// interleavings of small programs are gone through.

// end is an operation on a channel.
type end struct {
	channel int
	send    bool
}

// program is what the goroutines of a model do: selects, operations on one channel, and closing.
type program struct {
	homes   []int // of the channels
	selects [][]end
	plain   []end
	close   []int
	after   int  // if not 0, that select is made by the goroutine of the first one, when that is completed, with the same token
	brief   bool // parts are not withdrawn: what they do after that concerns nobody else
}

// rules are those of the protocol, each of which can be left out to see that it is needed.
type rules struct {
	unordered bool // tokens are claimed in the order own, other, and not given back
	pass      bool // who finds a token claimed takes the select for completed
	unclaimed bool // who comes does not claim its own token first
	unlooked  bool // a part does not look at its token between entering the list and the queues
	ageless   bool // of two selects with one token the one that waits is the earlier
}

const (
	waiting = iota
	claimed
	spent
	states
)

// token returns the token of a select, and its generation.
func (s *state) token(sel int) (token, generation int) {
	if s.program.after != 0 && sel == s.program.after {
		return 0, 1
	}
	return sel, 0
}

// value returns what the token of a select says to that.
func (s *state) value(sel int) int {
	token, generation := s.token(sel)
	switch v := s.tokens[token]; {
	case v/states < generation:
		return waiting
	case v/states > generation:
		return spent
	default:
		return v % states
	}
}

func (s *state) set(sel, value int) {
	token, generation := s.token(sel)
	s.tokens[token] = generation*states + value
}

// What a thread is about to do.
const (
	toEnter = iota
	toLock
	toTry
	toClaimFirst
	toClaimSecond
	toGiveBack
	toSpendFirst
	toSpendSecond
	toClaimOwn // for what needs no second token
	toSpendOwn
	toLook
	toPark
	parked
	toLeave
	toAnswer
	toWithdraw // of the select's own goroutine
	toWake
	finished
)

// thread is a part of a select, the select's goroutine that withdraws parts, an operation on one channel, or who closes.
type thread struct {
	kind  byte // 'p', 'w', 'o', 'c'
	sel   int  // of 'p', 'w'
	home  int  // of 'p', 'w'
	cases []end

	pc, at    int
	over      bool // the head of the queue is the one that turned out to be completed
	ready     bool // it was woken
	withdrawn bool
	slept     bool // its state says that it waits
	listed    bool
	won       bool
}

type entry struct{ thread, at int }

type state struct {
	program *program
	rules   rules
	tokens  []int
	done    []int // completions of selects and, behind them, of operations
	partner []int
	queues  [][2][]entry // by channel: receivers, senders
	locked  []int        // by whom, plus 1
	closed  []bool
	threads []thread
}

func (p *program) start(r rules) *state {
	s := &state{program: p, rules: r, tokens: make([]int, len(p.selects)), done: make([]int, len(p.selects)+len(p.plain)),
		partner: make([]int, len(p.selects)+len(p.plain)), queues: make([][2][]entry, len(p.homes)), locked: make([]int, len(p.homes)), closed: make([]bool, len(p.homes))}
	for i, cases := range p.selects {
		for home := range slices.Max(p.homes) + 1 {
			var part []end
			for _, e := range cases {
				if p.homes[e.channel] == home {
					part = append(part, e)
				}
			}
			if part != nil {
				s.threads = append(s.threads, thread{kind: 'p', sel: i, home: home, cases: part})
				if !p.brief {
					s.threads = append(s.threads, thread{kind: 'w', sel: i, home: home, pc: toWithdraw})
				}
			}
		}
	}
	for i, e := range p.plain {
		s.threads = append(s.threads, thread{kind: 'o', sel: len(p.selects) + i, cases: []end{e}, pc: toLock})
	}
	for _, c := range p.close {
		s.threads = append(s.threads, thread{kind: 'c', sel: -1, cases: []end{{c, true}, {c, false}}, pc: toLock})
	}
	return s
}

func (s *state) clone() *state {
	n := *s
	n.tokens, n.done, n.partner = slices.Clone(s.tokens), slices.Clone(s.done), slices.Clone(s.partner)
	n.locked, n.closed, n.threads = slices.Clone(s.locked), slices.Clone(s.closed), slices.Clone(s.threads)
	n.queues = slices.Clone(s.queues)
	for i := range n.queues {
		n.queues[i] = [2][]entry{slices.Clone(s.queues[i][0]), slices.Clone(s.queues[i][1])}
	}
	return &n
}

func (s *state) key() string {
	var b strings.Builder
	bit := func(v bool) byte {
		if v {
			return '1'
		}
		return '0'
	}
	for _, l := range [][]int{s.tokens, s.done, s.locked} {
		for _, v := range l {
			b.WriteByte(byte('0' + v))
		}
	}
	for c, q := range s.queues {
		b.WriteByte(bit(s.closed[c]))
		for _, l := range q {
			for _, e := range l {
				b.WriteByte(byte('A' + e.thread))
				b.WriteByte(byte('0' + e.at))
			}
			b.WriteByte('/')
		}
	}
	for _, t := range s.threads {
		b.Write([]byte{byte('a' + t.pc), byte('0' + t.at), bit(t.over), bit(t.ready), bit(t.withdrawn), bit(t.slept), bit(t.listed), bit(t.won)})
	}
	return b.String()
}

func side(send bool) int {
	if send {
		return 1
	}
	return 0
}

// complete notes that one operation is done, with another or for another reason.
func (s *state) complete(who, with int) error {
	if s.done[who]++; s.done[who] > 1 {
		return fmt.Errorf("%d is completed twice", who)
	}
	s.partner[who] = with
	return nil
}

func (s *state) unlock(t int) {
	for c := range s.locked {
		if s.locked[c] == t+1 {
			s.locked[c] = 0
		}
	}
}

// step has a thread make its next step; moved is false where it cannot.
func (s *state) step(i int) (moved bool, err error) {
	t := &s.threads[i]
	switch t.pc {
	case toEnter:
		if s.program.after != 0 && t.sel == s.program.after && s.done[0] == 0 {
			return false, nil
		}
		t.listed, t.pc = true, toLock
	case toLock:
		for _, e := range t.cases {
			if s.locked[e.channel] != 0 && s.locked[e.channel] != i+1 {
				return false, nil
			}
		}
		for _, e := range t.cases {
			s.locked[e.channel] = i + 1
		}
		t.pc, t.at = toTry, 0
		if t.kind == 'c' {
			s.closed[t.cases[0].channel] = true
		}
	case toTry:
		return true, s.try(i)
	case toClaimFirst, toClaimSecond, toClaimOwn:
		return s.claim(i)
	case toGiveBack:
		first, _ := s.pair(i)
		s.set(first, waiting)
		t.pc = toTry
		return true, s.after(i)
	case toSpendFirst:
		first, _ := s.pair(i)
		s.set(first, spent)
		t.pc = toSpendSecond
	case toSpendSecond:
		_, second := s.pair(i)
		s.set(second, spent)
		return true, s.serve(i)
	case toSpendOwn:
		if t.kind == 'p' {
			s.set(t.sel, spent)
		} else {
			s.set(s.threads[s.head(i).thread].sel, spent)
		}
		return true, s.serve(i)
	case toLook:
		if s.value(t.sel) == spent && !s.rules.unlooked {
			s.unlock(i)
			t.pc = finished
			t.listed = false
			break
		}
		for at, e := range t.cases {
			q := &s.queues[e.channel][side(e.send)]
			*q = append(*q, entry{i, at})
		}
		s.unlock(i)
		t.pc = toPark
	case toPark:
		if t.slept = !t.withdrawn; t.slept || t.ready {
			t.pc = parked
		} else {
			t.pc = toLeave
		}
	case parked:
		if !t.ready {
			return false, nil
		}
		t.pc = toLeave
	case toLeave: // under the locks
		for _, e := range t.cases {
			if s.locked[e.channel] != 0 {
				return false, nil
			}
		}
		for c := range s.queues {
			for k := range s.queues[c] {
				s.queues[c][k] = slices.DeleteFunc(s.queues[c][k], func(e entry) bool { return e.thread == i })
			}
		}
		t.listed = false
		t.pc = finished
	case toWithdraw:
		// The select goes on when it was answered, by the part that has won.
		part := slices.IndexFunc(s.threads, func(p thread) bool { return p.kind == 'p' && p.sel == t.sel && p.home == t.home })
		if s.done[t.sel] == 0 || s.threads[part].won {
			return false, nil
		}
		if t.pc = finished; s.threads[part].listed {
			s.threads[part].listed = false
			t.pc = toWake
		}
	case toWake:
		part := slices.IndexFunc(s.threads, func(p thread) bool { return p.kind == 'p' && p.sel == t.sel && p.home == t.home })
		p := &s.threads[part]
		if p.slept {
			p.ready = true
		}
		p.withdrawn = true
		t.pc = finished
	default:
		return false, nil
	}
	return true, nil
}

// head is the first in the queue that thread i looks at.
func (s *state) head(i int) entry {
	e := s.threads[i].cases[s.threads[i].at]
	return s.queues[e.channel][side(!e.send)][0]
}

// pair returns the tokens of thread i and of the one that it has met, in the order in which they are claimed.
func (s *state) pair(i int) (first, second int) {
	first, second = s.threads[i].sel, s.threads[s.head(i).thread].sel
	a, _ := s.token(first)
	if b, _ := s.token(second); b < a && !s.rules.unordered {
		first, second = second, first
	}
	return
}

// try looks at the next case of thread i.
func (s *state) try(i int) error {
	t := &s.threads[i]
	if t.at == len(t.cases) {
		switch t.kind {
		case 'p':
			t.pc = toLook
		case 'o':
			e := t.cases[0]
			q := &s.queues[e.channel][side(e.send)]
			*q = append(*q, entry{i, 0})
			s.unlock(i)
			t.pc, t.slept = parked, true
		default:
			s.unlock(i)
			t.pc = finished
		}
		return nil
	}
	e := t.cases[t.at]
	q := s.queues[e.channel][side(!e.send)]
	switch {
	case t.kind != 'c' && s.closed[e.channel]:
		if t.kind == 'p' {
			t.pc = toClaimOwn
			return nil
		}
		return s.serve(i)
	case len(q) == 0:
		t.at++
	case t.kind == 'p' && s.threads[q[0].thread].kind == 'p':
		mine, own := s.token(t.sel)
		if token, generation := s.token(s.threads[q[0].thread].sel); token == mine {
			t.over = own < generation && !s.rules.ageless
			return s.after(i)
		}
		t.pc = toClaimFirst
		if s.rules.unclaimed {
			t.pc = toClaimSecond
		}
	case t.kind == 'p' || s.threads[q[0].thread].kind == 'p':
		t.pc = toClaimOwn
	default:
		return s.serve(i)
	}
	return nil
}

// claim is a compare-and-swap of a token, by thread i.
func (s *state) claim(i int) (bool, error) {
	t := &s.threads[i]
	token, own, next := t.sel, true, toSpendOwn
	switch {
	case t.pc == toClaimFirst:
		first, _ := s.pair(i)
		token, own, next = first, first == t.sel, toClaimSecond
	case t.pc == toClaimSecond:
		_, second := s.pair(i)
		token, own, next = second, second == t.sel, toSpendFirst
	case t.kind != 'p':
		token, own = s.threads[s.head(i).thread].sel, false
	}
	switch state := s.value(token); {
	case state == waiting:
		s.set(token, claimed)
		t.pc = next
	case state == claimed && !s.rules.pass:
		return false, nil
	default:
		t.over = own
		if t.pc == toClaimSecond && !s.rules.unclaimed {
			t.pc = toGiveBack
			return true, nil
		}
		return true, s.after(i)
	}
	return true, nil
}

// after goes on where one of two was completed already.
func (s *state) after(i int) error {
	t := &s.threads[i]
	if t.over {
		s.unlock(i)
		t.pc, t.listed = finished, false
		return nil
	}
	e := t.cases[t.at]
	q := &s.queues[e.channel][side(!e.send)]
	*q = slices.Clone((*q)[1:])
	t.pc = toTry
	return nil
}

// serve completes the case that thread i looks at.
func (s *state) serve(i int) error {
	t := &s.threads[i]
	e := t.cases[t.at]
	q := &s.queues[e.channel][side(!e.send)]
	var err error
	if s.closed[e.channel] && t.kind != 'c' {
		err = s.complete(t.sel, -1)
	} else {
		o := (*q)[0]
		*q = slices.Clone((*q)[1:])
		other := &s.threads[o.thread]
		other.ready, other.won = true, true
		if err = s.complete(other.sel, t.sel); err == nil && t.kind != 'c' {
			err = s.complete(t.sel, other.sel)
		}
	}
	if t.kind == 'c' {
		t.pc = toTry
		return err
	}
	s.unlock(i)
	t.pc, t.won, t.listed = finished, true, false
	return err
}

// check looks at a state in which no thread can make a step.
func (s *state) check() error {
	for i, t := range s.threads {
		switch {
		case t.kind == 'w' && t.pc == toWithdraw || t.pc == finished:
		case t.pc != parked:
			return fmt.Errorf("thread %d is stuck at %d", i, t.pc)
		case t.kind == 'p' && s.value(t.sel) == spent && !s.program.brief:
			return fmt.Errorf("part %d waits though its select is over", i)
		}
	}
	var ends [2]map[int][]int // of what waits: by side and channel, whose it is
	for _, t := range s.threads {
		for _, e := range t.cases {
			if t.pc != parked || t.kind == 'p' && s.value(t.sel) != waiting {
				continue
			}
			if ends[side(e.send)] == nil {
				ends[side(e.send)] = map[int][]int{}
			}
			ends[side(e.send)][e.channel] = append(ends[side(e.send)][e.channel], t.sel)
			if s.closed[e.channel] {
				return fmt.Errorf("%d waits for channel %d, which is closed", t.sel, e.channel)
			}
		}
	}
	for c, receivers := range ends[0] {
		for _, r := range receivers {
			for _, w := range ends[1][c] {
				if r != w {
					return fmt.Errorf("%d and %d wait for each other on channel %d", r, w, c)
				}
			}
		}
	}
	for i, n := range s.done {
		if with := s.partner[i]; n > 0 && with >= 0 && (s.done[with] == 0 || s.partner[with] != i) {
			return fmt.Errorf("%d is completed with %d, but not %d with it", i, with, with)
		}
	}
	return nil
}

// explore goes through all interleavings of p, and returns how many states there are.
func explore(p program, r rules) (states int, err error) {
	seen := map[string]bool{}
	stack := []*state{p.start(r)}
	seen[stack[0].key()] = true
	for len(stack) > 0 {
		s := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		stuck := true
		for i := range s.threads {
			n := s.clone()
			moved, err := n.step(i)
			if err != nil {
				return len(seen), err
			}
			if !moved {
				continue
			}
			stuck = false
			if k := n.key(); !seen[k] {
				seen[k] = true
				stack = append(stack, n)
			}
		}
		if stuck {
			if err := s.check(); err != nil {
				return len(seen), err
			}
		}
	}
	return len(seen), nil
}

var (
	send0, send1, send2          = end{0, true}, end{1, true}, end{2, true}
	receive0, receive1, receive2 = end{0, false}, end{1, false}, end{2, false}
)

var programs = map[string]program{
	"two that meet twice":     {homes: []int{0, 1}, selects: [][]end{{send0, send1}, {receive0, receive1}}},
	"two, across":             {homes: []int{0, 1}, selects: [][]end{{send0, receive1}, {receive0, send1}}},
	"two, and a send":         {homes: []int{0, 1}, selects: [][]end{{send0, receive1}, {receive0, receive1}}, plain: []end{send1}},
	"one, two sends":          {homes: []int{0, 1}, selects: [][]end{{receive0, receive1}}, plain: []end{send0, send1}},
	"one, closed":             {homes: []int{0, 1}, selects: [][]end{{receive0, receive1}}, plain: []end{send0}, close: []int{1}},
	"one, both closed":        {homes: []int{0, 1}, selects: [][]end{{receive0, send1}}, close: []int{0, 1}},
	"a ring of three":         {brief: true, homes: []int{0, 1, 2}, selects: [][]end{{send0, receive2}, {send1, receive0}, {send2, receive1}}},
	"three, one of them left": {brief: true, homes: []int{0, 1}, selects: [][]end{{send0, send1}, {receive0, receive1}, {receive0, receive1}}},
	"one that is over first":  {homes: []int{0, 1, 1}, selects: [][]end{{receive0, receive1}, {send0, send2}}, plain: []end{receive2, send1}},
	"one after the other":     {homes: []int{0, 1}, after: 2, selects: [][]end{{receive0, receive1}, {receive1}, {send1, receive0}}, plain: []end{send0}},
	"two of one home":         {homes: []int{0, 0, 1}, selects: [][]end{{send0, receive1, receive2}, {receive0, send2}}},
}

// TestTokens checks that no select completes two cases, or one with another that completed a third,
// that none waits though it could go on, and that no part is left in a queue for ever.
func TestTokens(t *testing.T) {
	for name, p := range programs {
		t.Run(name, func(t *testing.T) {
			n, err := explore(p, rules{})
			t.Logf("%d states", n)
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTokenRules has the model find what goes wrong without each of the rules.
func TestTokenRules(t *testing.T) {
	for _, c := range []struct {
		name    string
		rules   rules
		program string
	}{
		{"unordered", rules{unordered: true}, "two that meet twice"},
		{"pass", rules{pass: true}, "one that is over first"},
		{"unclaimed", rules{unclaimed: true}, "two, and a send"},
		{"unlooked", rules{unlooked: true}, "one, two sends"},
		{"ageless", rules{ageless: true}, "one after the other"},
	} {
		_, err := explore(programs[c.program], c.rules)
		if err == nil {
			t.Errorf("nothing goes wrong with %s", c.name)
		}
		t.Logf("%s: %v", c.name, err)
	}
}
