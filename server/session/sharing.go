package session

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/coherence"
)

// The report on sharing: the pages that processes take from each other, and what is on
// them. Package coherence knows which words of them were wanted by whom, the process
// whose heap it is what is allocated there, and the executable file the rest.

// Verdicts of a SharedPage.
const (
	// FalseSharing: processes want different words of the page, which they could have
	// for themselves if they were on different pages.
	FalseSharing = "false sharing"
	// TrueSharing: they want the same words.
	TrueSharing = "true sharing"
	// MixedSharing: some words are wanted by several, others by one.
	MixedSharing = "both"
)

// SharedPage is a page that processes take from each other.
type SharedPage struct {
	Address   uint64         `json:"address,string"`
	Where     string         `json:"where"` // "heap of process 1", "global variables"
	Home      int            `json:"home"`
	Moves     uint64         `json:"moves"`  // from process to process, to write
	Copies    uint64         `json:"copies"` // to read, since it is looked at
	Rate      float64        `json:"rate"`   // moves in a second, since it is looked at
	Idle      float64        `json:"idle"`   // seconds since the last move
	Processes []int          `json:"processes"`
	Verdict   string         `json:"verdict"`
	Hint      string         `json:"hint"`
	Objects   []SharedObject `json:"objects"`
	Places    []SharedPlace  `json:"places"`
}

// SharedObject is a variable or an object of such a page that was waited for.
type SharedObject struct {
	Address uint64       `json:"address,string"`
	Size    int          `json:"size"` // bytes that it takes
	Kind    string       `json:"kind"` // variable, object, noscan (an object without pointers), tiny (several of those in one), stack or unknown
	Name    string       `json:"name,omitempty"`
	Type    string       `json:"type,omitempty"`
	Alloc   string       `json:"alloc,omitempty"` // function and line that allocated it
	Words   []SharedWord `json:"words"`
}

// SharedWord is a word of it that a process waited for.
type SharedWord struct {
	Offset  int    `json:"offset"` // in the object
	Field   string `json:"field,omitempty"`
	Process int    `json:"process"`
	Reads   uint64 `json:"reads"`
	Writes  uint64 `json:"writes"`
}

// SharedPlace is where in the program a process waited for the page.
type SharedPlace struct {
	Process int    `json:"process"`
	Func    string `json:"func"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Write   bool   `json:"write"`
	Offset  int    `json:"offset"` // of the word in the page
	Count   uint64 `json:"count"`
}

// watchFor is how long after a report the places of faults are looked up.
const watchFor = 5 * time.Second

// Sharing reports on the worst pages, at most limit. Where wait is set, and nobody has asked
// lately, it looks for a while where in the program they are wanted.
func (s *Session) Sharing(ctx context.Context, limit int, wait bool) ([]SharedPage, error) {
	if s.cfg.Memory == nil {
		return []SharedPage{}, nil
	}
	d := s.cfg.Memory.Directory()
	d.Watch(time.Now().Add(watchFor))
	if wait {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	bounces := d.Bounces()
	slices.SortStableFunc(bounces, func(a, b coherence.Bounce) int { return cmp.Compare(heat(b), heat(a)) })
	list := []SharedPage{}
	for _, b := range bounces[:min(limit, len(bounces))] {
		list = append(list, s.sharedPage(ctx, b))
	}
	return list, nil
}

// placesMost bounds the places of a page in a report.
const placesMost = 8

// nameChannels says of an object that nobody knows the type of that it is a channel, where
// that is what the program was doing with it: channels of elements without pointers have no type.
func (p *SharedPage) nameChannels() {
	channel, all := uint64(0), uint64(0)
	for _, at := range p.Places {
		all += at.Count
		for _, name := range []string{"runtime.chan", "runtime.(*hchan)", "runtime.(*waitq)", "runtime.remoteChan", "runtime.closechan", "runtime.select", "runtime.sendDirect", "runtime.recv"} {
			if strings.HasPrefix(at.Func, name) {
				channel += at.Count
				break
			}
		}
	}
	if all == 0 || 2*channel < all {
		return
	}
	for i := range p.Objects {
		if o := &p.Objects[i]; o.Type == "" && o.Size >= 96 && (o.Kind == "noscan" || o.Kind == "object") {
			o.Type = "channel"
		}
	}
}

// heat is what pages are sorted by: their moves, less where they were long ago.
func heat(b coherence.Bounce) float64 {
	return float64(b.Moves) / (1 + time.Since(b.Last).Seconds()/10)
}

func (s *Session) sharedPage(ctx context.Context, b coherence.Bounce) SharedPage {
	p := SharedPage{
		Address: uint64(b.Page), Home: b.Home, Moves: b.Moves, Copies: b.Copies, Idle: time.Since(b.Last).Seconds(),
		Places: []SharedPlace{},
	}
	moved := uint64(0)
	for _, w := range b.Words {
		moved += w.Reads + w.Writes
		if !slices.Contains(p.Processes, w.Process) {
			p.Processes = append(p.Processes, w.Process)
		}
	}
	slices.Sort(p.Processes)
	if seen := b.Last.Sub(b.Since).Seconds(); seen > 0 {
		p.Rate = max(float64(moved)-float64(b.Copies), 0) / seen
	}
	var objects []SharedObject
	if int(uint64(b.Page-s.cfg.Layout.Base)/uint64(s.cfg.Layout.SlotSize)) < s.cfg.Layout.Slots && b.Page >= s.cfg.Layout.Base {
		p.Where = fmt.Sprintf("heap of process %d", b.Home)
		answers, err := s.inspect(ctx, []int{b.Home}, wire.InspectPage, uint64(b.Page))
		if err == nil {
			objects = parseObjects(answers[b.Home])
		}
	} else {
		p.Where = "global variables"
		objects = s.symbols().variables(uint64(b.Page), uint64(b.Page)+coherence.PageSize)
	}
	p.Objects = s.attribute(objects, b)
	for _, at := range b.Places {
		// A thread that was woken by the answer to another's fault may have been asked
		// where it is later: such places come once or twice.
		if at.Count*10 < b.Places[0].Count || len(p.Places) == placesMost {
			break
		}
		fn, file, line := s.sourceOf(ctx, at)
		p.Places = append(p.Places, SharedPlace{
			Process: at.Process, Func: fn, File: file, Line: line, Write: at.Write, Offset: at.Offset, Count: at.Count,
		})
	}
	p.nameChannels()
	p.Verdict = verdict(b.Words)
	p.Hint = hint(&p)
	return p
}

// attribute gives the words of a page to the objects that they are in, and leaves out objects
// without.
func (s *Session) attribute(objects []SharedObject, b coherence.Bounce) []SharedObject {
	list := []SharedObject{}
	for _, w := range b.Words {
		at := uint64(b.Page) + uint64(w.Offset)
		in := func(o SharedObject) bool { return o.Address <= at && at < o.Address+uint64(o.Size) }
		k := slices.IndexFunc(list, in)
		if k < 0 {
			o := SharedObject{Address: at, Size: 8, Kind: "unknown"}
			if i := slices.IndexFunc(objects, in); i >= 0 {
				o = objects[i]
			}
			list = append(list, o)
			k = len(list) - 1
		}
		o := &list[k]
		word := SharedWord{Offset: int(at - o.Address), Process: w.Process, Reads: w.Reads, Writes: w.Writes}
		word.Field = s.symbols().field(o, word.Offset)
		o.Words = append(o.Words, word)
	}
	for i := range list {
		slices.SortFunc(list[i].Words, func(a, b SharedWord) int {
			return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Process, b.Process))
		})
	}
	return list
}

// sourceOf returns the function and line that a process was in: where that is inlined code of
// package sync or atomic, the one that calls it.
func (s *Session) sourceOf(ctx context.Context, at coherence.Place) (fn, file string, line int) {
	y := s.symbols()
	y.mu.Lock()
	text, ok := y.places[at.PC]
	y.mu.Unlock()
	if !ok {
		answers, err := s.inspect(ctx, []int{at.Process}, wire.InspectPlace, uint64(at.PC))
		if err != nil {
			return "", "", 0
		}
		text = answers[at.Process]
		y.mu.Lock()
		y.places[at.PC] = text
		y.mu.Unlock()
	}
	for entry := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(entry, "\n"), "\t")
		if len(f) != 3 {
			continue
		}
		fn, file = f[0], f[1]
		line, _ = strconv.Atoi(f[2]) // a number, or 0
		if !strings.HasPrefix(fn, "sync/atomic.") && !strings.HasPrefix(fn, "sync.") && !strings.HasPrefix(fn, "internal/") {
			break
		}
	}
	return fn, file, line
}

// parseObjects reads what a process says of a page: see remotec_inspect.go.
func parseObjects(text string) (list []SharedObject) {
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 8 {
			continue
		}
		addr, err := strconv.ParseUint(strings.TrimPrefix(f[0], "0x"), 16, 64)
		size, err2 := strconv.Atoi(f[1])
		if err != nil || err2 != nil || size <= 0 {
			continue
		}
		o := SharedObject{Address: addr, Size: size, Kind: f[2], Type: f[4]}
		if n, _ := strconv.Atoi(f[3]); o.Type != "" && n > 0 && size >= 2*n {
			// The type is an element's.
			o.Type = fmt.Sprintf("[]%s", o.Type)
		}
		if f[5] != "" {
			o.Alloc = fmt.Sprintf("%s %s:%s", f[5], f[6], f[7])
		}
		list = append(list, o)
	}
	return list
}

// verdict says what kind of sharing it is, from the words that processes wanted. A word that is only
// read is nobody's reason to take the page from others, where others are written. One that
// comes to a page wants one word first, and then perhaps others: a tenth of a word's
// count is taken for that.
func verdict(words []coherence.Word) string {
	type users struct{ total, most, writes uint64 }
	writes := uint64(0)
	byOffset := map[int]*users{}
	for _, w := range words {
		u := byOffset[w.Offset]
		if u == nil {
			u = &users{}
			byOffset[w.Offset] = u
		}
		n := w.Reads + w.Writes
		writes += w.Writes
		u.writes += w.Writes
		u.total += n
		u.most = max(u.most, n)
	}
	var all, common uint64
	for _, u := range byOffset {
		if writes > 0 && u.writes == 0 {
			continue
		}
		all += u.total
		if u.total-u.most > u.total/10 {
			common += u.total
		}
	}
	switch {
	case all == 0:
		return ""
	case common <= all/10:
		return FalseSharing
	case common >= all-all/10:
		return TrueSharing
	}
	return MixedSharing
}

// hint says what may be done about it.
func hint(p *SharedPage) string {
	const apart = "; memory moves between processes in pages of 4096 bytes, so that padding to a cache line is not enough"
	global := p.Where == "global variables"
	switch {
	case p.Verdict == FalseSharing && len(p.Objects) == 1 && global:
		return "Processes use different parts of one variable: give each its own object, allocated by the goroutine that uses it" + apart + "."
	case p.Verdict == FalseSharing && len(p.Objects) == 1:
		return "Processes use different parts of one object: put what each uses into an object of its own, allocated by the goroutine that uses it" + apart + "."
	case p.Verdict == FalseSharing && global:
		return "Processes use different variables that happen to be on one page: make them pointers to objects that the goroutines which use them allocate" + apart + "."
	case p.Verdict == FalseSharing:
		return "Processes use different objects that happen to be on one page: allocate each in the goroutine that uses it, whose process then has it on pages of its own."
	case p.Verdict == TrueSharing:
		return "Processes use the same words: shard the value (one for each process, added up when read), send messages instead, or keep the goroutines that use it in one process (remote.GoOn, -placement)."
	case p.Verdict == MixedSharing:
		return "Some words are used by several processes, others by one: keep those that one process uses apart from the others, and shard or send what is left."
	}
	return ""
}
