// Package profile builds profiles in the format of pprof from what the processes of
// a session tell: each its samples, with the places of the program counters in them.
//
// What a process tells is words of 8 bytes, little-endian, in entries:
//
//	1, n, n values, m, m program counters, k, k times key and value    a sample and its labels
//	2, program counter, line, function, file                           a place in the program
//	3, period                                                          what one sample stands for
//
// A string is its length in bytes, and its bytes, filled up to words. A program counter is
// that of one place, with functions that were inlined as places of their own; the processes
// of a session have the same.
//
// Invariant: what a process tells can make its own profile wrong and nothing else: no length
// in it is believed.
package profile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"remotec.dev/runtimestub/wire"
)

// MaxDuration is how long a profile may take.
const MaxDuration = 10 * time.Minute

// Kinds are the profiles that there are, with what a process is asked for.
var Kinds = map[string]uint32{
	"goroutine":    wire.AskGoroutine,
	"heap":         wire.AskHeap,
	"allocs":       wire.AskHeap,
	"block":        wire.AskBlock,
	"mutex":        wire.AskMutex,
	"threadcreate": wire.AskThreads,
	"cpu":          wire.AskCPU,
}

// KindNames lists them.
func KindNames() string {
	return strings.Join(slices.Sorted(maps.Keys(Kinds)), ", ")
}

var errMalformed = errors.New("malformed profile")

// valueTypes are the values of the samples of a kind: types and units in turn, as package
// runtime/pprof names them.
func valueTypes(kind string) (types []*profile.ValueType, def string) {
	names := []string{kind, "count"}
	switch kind {
	case "heap", "allocs":
		names = []string{"alloc_objects", "count", "alloc_space", "bytes", "inuse_objects", "count", "inuse_space", "bytes"}
		def = "inuse_space"
		if kind == "allocs" {
			def = "alloc_space"
		}
	case "block", "mutex":
		names = []string{"contentions", "count", "delay", "nanoseconds"}
	case "cpu":
		names = []string{"samples", "count", "cpu", "nanoseconds"}
	}
	for i := 0; i < len(names); i += 2 {
		types = append(types, &profile.ValueType{Type: names[i], Unit: names[i+1]})
	}
	return types, def
}

// Build makes the profile of a session, gzipped, from what each process told. Each sample has
// the number of its process as the label "process", beside those that the program gave
// it. d is how long it took.
func Build(kind string, d time.Duration, parts [][]byte) ([]byte, error) {
	types, def := valueTypes(kind)
	p := &profile.Profile{SampleType: types, DefaultSampleType: def, TimeNanos: time.Now().Add(-d).UnixNano(), DurationNanos: int64(d)}
	switch kind {
	case "heap", "allocs":
		p.PeriodType = &profile.ValueType{Type: "space", Unit: "bytes"}
	case "block", "mutex":
		p.PeriodType = &profile.ValueType{Type: "contentions", Unit: "count"}
		p.Period = 1
	case "cpu":
		p.PeriodType = &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}
	default:
		p.PeriodType = &profile.ValueType{Type: kind, Unit: "count"}
		p.Period = 1
	}
	b := &builder{p: p, kind: kind, functions: map[string]*profile.Function{}, locations: map[uint64]*profile.Location{}, samples: map[string]*profile.Sample{}}
	for k, part := range parts {
		if err := b.add(k, part); err != nil {
			return nil, fmt.Errorf("process %d: %w", k, err)
		}
	}
	if err := p.CheckValid(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

type builder struct {
	p         *profile.Profile
	kind      string
	functions map[string]*profile.Function
	locations map[uint64]*profile.Location
	samples   map[string]*profile.Sample // by process, stack and labels
}

// add adds what one process told.
func (b *builder) add(process int, text []byte) error {
	r := &reader{b: text}
	period := int64(0)
	for len(r.b) > 0 && r.ok() {
		switch r.word() {
		case 1:
			b.sample(process, period, r)
		case 2:
			pc, line := r.word(), r.word()
			b.place(pc, int64(line), r.text(), r.text())
		case 3:
			period = int64(r.word())
			b.p.Period = max(b.p.Period, period)
		default:
			r.bad = true
		}
	}
	if r.bad {
		return errMalformed
	}
	return nil
}

func (b *builder) sample(process int, period int64, r *reader) {
	values := make([]int64, r.count())
	for i := range values {
		values[i] = int64(r.word())
	}
	from := r.b
	stack := make([]*profile.Location, r.count())
	for i := range stack {
		stack[i] = b.location(r.word())
	}
	labels := map[string][]string{"process": {strconv.Itoa(process)}}
	for range r.count() {
		key := r.text()
		labels[key] = append(labels[key], r.text())
	}
	if r.bad {
		return
	}
	if b.kind == "cpu" {
		if len(values) != 1 {
			r.bad = true
			return
		}
		values = append(values, values[0]*period)
	}
	if len(values) != len(b.p.SampleType) {
		r.bad = true
		return
	}
	key := strconv.Itoa(process) + ":" + string(from[:len(from)-len(r.b)])
	if s := b.samples[key]; s != nil {
		for i, v := range values {
			s.Value[i] += v
		}
		return
	}
	s := &profile.Sample{Value: values, Location: stack, Label: labels}
	b.samples[key] = s
	b.p.Sample = append(b.p.Sample, s)
}

func (b *builder) location(pc uint64) *profile.Location {
	l := b.locations[pc]
	if l == nil {
		l = &profile.Location{ID: uint64(len(b.p.Location) + 1), Address: pc}
		b.locations[pc] = l
		b.p.Location = append(b.p.Location, l)
	}
	return l
}

func (b *builder) place(pc uint64, line int64, function, file string) {
	l := b.location(pc)
	if len(l.Line) > 0 || function == "" {
		return
	}
	f := b.functions[function]
	if f == nil {
		f = &profile.Function{ID: uint64(len(b.p.Function) + 1), Name: function, SystemName: function, Filename: file}
		b.functions[function] = f
		b.p.Function = append(b.p.Function, f)
	}
	l.Line = []profile.Line{{Function: f, Line: line}}
}

// reader reads words and strings. After bad was set, all it reads is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) ok() bool { return !r.bad }

func (r *reader) word() uint64 {
	if r.bad || len(r.b) < 8 {
		r.bad, r.b = true, nil
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

// count reads how many things follow, each of one word at least.
func (r *reader) count() int {
	n := r.word()
	if n > uint64(len(r.b)/8) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) text() string {
	n := r.word()
	if n > uint64(len(r.b)) || (n+7)&^7 > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[(n+7)&^7:]
	return s
}
