package session

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/osys"
)

// Views: what tools and the page show of a session. They travel as JSON.

// Picture is a session as a whole.
type Picture struct {
	At         time.Time     `json:"at"`
	Took       time.Duration `json:"took"` // to ask the processes; ns
	ID         uint64        `json:"id"`
	PID        int           `json:"pid"`
	Path       string        `json:"path"`
	Args       []string      `json:"args"`
	GoVersion  string        `json:"goVersion"`
	Started    time.Time     `json:"started"`
	Calls      uint64        `json:"calls"`
	Links      int           `json:"links"`
	Files      int           `json:"files"`
	Goroutines int           `json:"goroutines"`
	Created    uint64        `json:"created"`
	Processes  []Member      `json:"processes"`
	Sites      []SiteView    `json:"sites"` // those with most goroutines
	SiteCount  int           `json:"siteCount"`
	States     []StateCount  `json:"states"`
	Traffic    []Pair        `json:"traffic"`
	ByCall     []CallCount   `json:"byCall"`
	Moves      []MoveRecord  `json:"moves"`
	MoveCount  uint64        `json:"moveCount"`
	Log        []LogLine     `json:"log"`
}

// Member is a process of the session.
type Member struct {
	Number     int    `json:"number"`
	PID        int    `json:"pid"`
	Host       string `json:"host"` // empty: the session's
	Goroutines int    `json:"goroutines"`
	Running    int    `json:"running"`
	Runnable   int    `json:"runnable"`
	Created    uint64 `json:"created"`
	Silent     bool   `json:"silent,omitempty"`  // it did not answer
	Drained    bool   `json:"drained,omitempty"` // it gets no goroutines
	Gone       bool   `json:"gone,omitempty"`    // it was drained, and has ended
}

// SiteView is a place that creates goroutines.
type SiteView struct {
	PC      uint64       `json:"pc,string"`
	Func    string       `json:"func"`
	File    string       `json:"file"`
	Line    uint32       `json:"line"`
	Live    int          `json:"live"`
	Created uint64       `json:"created"`
	By      []int        `json:"by"` // live ones, by process
	States  []StateCount `json:"states"`
	CPU     int64        `json:"cpu"`   // ns that they ran since the session accounts for it, those that ended and those that live
	Bytes   uint64       `json:"bytes"` // that they allocated since
}

// StateCount is how many goroutines are in a state.
type StateCount struct {
	State string `json:"state"`
	Count int    `json:"count"`
}

// Pair is what went from one process to another.
type Pair struct {
	From     int    `json:"from"`
	To       int    `json:"to"`
	Copies   uint64 `json:"copies"`   // pages to read
	Moves    uint64 `json:"moves"`    // pages to write to
	Messages uint64 `json:"messages"` // goroutines, wake-ups, operations on channels
}

// CallCount is how often a call was made.
type CallCount struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
}

// Listing is a part of the list of goroutines.
type Listing struct {
	At    time.Time `json:"at"`
	Total int       `json:"total"` // that the question is about
	Rows  []RowView `json:"rows"`
}

// RowView is a goroutine in a listing.
type RowView struct {
	ID      uint64 `json:"id"`
	PC      uint64 `json:"pc,string"`
	Process int    `json:"process"`
	State   string `json:"state"`
}

// StackView is where a goroutine is.
type StackView struct {
	Goroutine uint64 `json:"goroutine"`
	Process   int    `json:"process"`
	Text      string `json:"text"`
}

// pictureSites bounds the sites in a picture.
const pictureSites = 300

// listMost bounds a part of a listing.
const listMost = 1000

// View returns what is to be shown of the session, as JSON:
//
//	picture                a Picture
//	goroutines             a Listing of those that site, state, process and number ask for,
//	                       if they are given; from offset, limit of them
//	stack                  the StackView of goroutine
//	sharing                a list of SharedPage, at most limit
func (s *Session) View(ctx context.Context, what string, q url.Values) (json.RawMessage, error) {
	var v any
	var err error
	switch what {
	case "picture":
		v, err = s.picture(ctx)
	case "goroutines":
		v, err = s.listing(ctx, q)
	case "stack":
		var id uint64
		if id, err = strconv.ParseUint(q.Get("goroutine"), 10, 64); err == nil {
			view := StackView{Goroutine: id}
			view.Text, view.Process, err = s.Stack(ctx, id)
			v = view
		}
	case "sharing":
		v, err = s.Sharing(ctx, number(q, "limit", 10, 1000), q.Get("wait") != "")
	default:
		err = fmt.Errorf("no view %q", what)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// number returns a number of q, from 0 to most.
func number(q url.Values, name string, other, most int) int {
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 0 {
		return other
	}
	return min(n, most)
}

func (s *Session) picture(ctx context.Context) (*Picture, error) {
	o, err := s.observe(ctx)
	if err != nil {
		return nil, err
	}
	s.Account()
	account := s.Goroutines(false, observeLimit) // what the sites are called, and use
	info := s.Info()
	p := &Picture{
		At: o.at, Took: o.took, ID: info.ID, PID: info.PID, Path: info.Path, Args: info.Args, GoVersion: info.GoVersion,
		Started: info.Started, Calls: info.Calls, Links: info.Links, Files: info.Descriptors, Created: info.Created,
		Goroutines: len(o.rows),
	}
	n := len(s.procs)
	members := make([]*Member, n)
	for _, i := range info.Processes {
		p.Processes = append(p.Processes, Member{
			Number: i.Number, PID: i.PID, Host: i.Host, Created: i.Created, Gone: i.Gone,
			Silent: !i.Gone && slices.Contains(o.silent, i.Number), Drained: s.drained.has(i.Number),
		})
	}
	for i := range p.Processes {
		members[p.Processes[i].Number] = &p.Processes[i]
	}
	type siteCount struct {
		states map[string]int
		view   SiteView
	}
	sites, states := map[uint64]*siteCount{}, map[string]int{}
	site := func(pc uint64) *siteCount {
		c := sites[pc]
		if c == nil {
			c = &siteCount{states: map[string]int{}, view: SiteView{PC: pc, Func: "?", By: make([]int, n)}}
			sites[pc] = c
		}
		return c
	}
	for _, a := range account.Sites {
		v := &site(a.PC).view
		v.Func, v.File, v.Line, v.Created = cmp.Or(a.Func, "?"), a.File, a.Line, a.Created
		v.CPU, v.Bytes = int64(a.Use.CPU), a.Use.Bytes
	}
	if len(o.rows) > 0 && o.rows[0].ID == 1 {
		v := &site(o.rows[0].PC).view // no go statement made it
		v.Func, v.File, v.Line = "main goroutine", "", 0
	}
	for i := range o.rows {
		r := &o.rows[i]
		c := site(r.PC)
		c.view.Live++
		c.view.By[r.Process]++
		c.states[r.State]++
		states[r.State]++
		if m := members[r.Process]; m != nil {
			m.Goroutines++
			switch r.State {
			case "running":
				m.Running++
			case "runnable":
				m.Runnable++
			}
		}
	}
	for _, c := range sites {
		c.view.Created = max(c.view.Created, uint64(c.view.Live))
		c.view.States = sortStates(c.states)
		p.Sites = append(p.Sites, c.view)
	}
	slices.SortFunc(p.Sites, func(a, b SiteView) int {
		return cmp.Or(cmp.Compare(b.Live, a.Live), cmp.Compare(b.Created, a.Created), cmp.Compare(a.PC, b.PC))
	})
	p.SiteCount = len(p.Sites)
	p.Sites = p.Sites[:min(len(p.Sites), pictureSites)]
	p.States = sortStates(states)
	p.Traffic = s.traffic(o)
	p.ByCall = s.byCall()
	p.Moves, p.MoveCount = s.history.list()
	if s.cfg.Logged != nil {
		p.Log = s.cfg.Logged()
	}
	return p, nil
}

func sortStates(states map[string]int) []StateCount {
	list := make([]StateCount, 0, len(states))
	for state, n := range states {
		list = append(list, StateCount{state, n})
	}
	slices.SortFunc(list, func(a, b StateCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.State, b.State))
	})
	return list
}

// traffic returns what the pairs of processes had to do with each other.
func (s *Session) traffic(o *observation) []Pair {
	n := len(s.procs)
	pairs := make([]Pair, n*n)
	if s.cfg.Memory != nil {
		for _, t := range s.cfg.Memory.Directory().Traffic() {
			pairs[t.From*n+t.To].Copies, pairs[t.From*n+t.To].Moves = t.Copies, t.Moves
		}
	}
	var list []Pair
	s.mu.Lock()
	procs := slices.Clone(s.procs)
	s.mu.Unlock()
	for i := range pairs {
		p := &pairs[i]
		p.From, p.To = i/n, i%n
		p.Messages = o.sent[p.From][p.To]
		if from := procs[p.From]; from != nil {
			p.Messages += from.postedTo[p.To].Load()
		}
		if p.From != p.To && p.Copies|p.Moves|p.Messages != 0 {
			list = append(list, *p)
		}
	}
	return list
}

// byCall returns the calls that were made, the most frequent first.
func (s *Session) byCall() []CallCount {
	counting, ok := s.os.(osys.Counting)
	if !ok {
		return nil
	}
	var list []CallCount
	for nr, count := range counting.Stats().ByNumber {
		list = append(list, CallCount{cmp.Or(wire.Name(nr), strconv.Itoa(int(nr))), count})
	}
	slices.SortFunc(list, func(a, b CallCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// listing returns the goroutines that q asks for.
func (s *Session) listing(ctx context.Context, q url.Values) (*Listing, error) {
	o, err := s.observe(ctx)
	if err != nil {
		return nil, err
	}
	offset, limit := number(q, "offset", 0, observeMost), number(q, "limit", 100, listMost)
	pc, _ := strconv.ParseUint(q.Get("site"), 10, 64)
	bySite, process, state, digits := q.Get("site") != "", number(q, "process", -1, MaxProcesses), q.Get("state"), q.Get("number")
	l := &Listing{At: o.at, Rows: []RowView{}}
	for i := range o.rows {
		r := &o.rows[i]
		if bySite && r.PC != pc || process >= 0 && r.Process != process || state != "" && r.State != state {
			continue
		}
		if digits != "" && !strings.HasPrefix(strconv.FormatUint(r.ID, 10), digits) {
			continue
		}
		if l.Total++; l.Total > offset && len(l.Rows) < limit {
			l.Rows = append(l.Rows, RowView(*r))
		}
	}
	return l, nil
}
