package profile

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// text is what a process tells.
type text []byte

func (t text) words(v ...uint64) text {
	for _, w := range v {
		t = binary.LittleEndian.AppendUint64(t, w)
	}
	return t
}

func (t text) str(s string) text {
	t = append(t.words(uint64(len(s))), s...)
	for len(t)%8 != 0 {
		t = append(t, 0)
	}
	return t
}

// TestBuild: samples of the same stack and labels are one; those of other processes are not.
func TestBuild(t *testing.T) {
	sample := func(n uint64, label string) text {
		b := text(nil).words(1, 1, n, 2, 0x1000, 0x2000)
		if label == "" {
			return b.words(0)
		}
		return b.words(1).str("key").str(label)
	}
	places := text(nil).words(2, 0x1000, 10).str("main.f").str("a.go").words(2, 0x2000, 20).str("main.main").str("main.go")
	first := append(text(nil).words(3, 10_000_000), sample(2, "")...)
	first = append(append(append(first, sample(3, "")...), sample(1, "x")...), places...)
	second := append(append(text(nil).words(3, 10_000_000), sample(4, "")...), places...)
	b, err := Build("cpu", time.Second, [][]byte{first, second})
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Sample) != 3 || len(p.Location) != 2 || len(p.Function) != 2 || p.DurationNanos != int64(time.Second) || p.Period != 10_000_000 {
		t.Errorf("got %v", p)
	}
	for i, want := range []struct {
		process string
		n       int64
		label   string
	}{{"0", 5, ""}, {"0", 1, "x"}, {"1", 4, ""}} {
		s := p.Sample[i]
		if s.Value[0] != want.n || s.Value[1] != want.n*10_000_000 || s.Label["process"][0] != want.process || want.label != "" && s.Label["key"][0] != want.label {
			t.Errorf("sample %d is %v %v", i, s.Value, s.Label)
		}
		if l := s.Location[0].Line[0]; l.Function.Name != "main.f" || l.Line != 10 || l.Function.Filename != "a.go" {
			t.Errorf("sample %d is in %v", i, l)
		}
	}
}

func TestKinds(t *testing.T) {
	for kind := range Kinds {
		types, _ := valueTypes(kind)
		n := len(types)
		if kind == "cpu" {
			n = 1
		}
		b := text(nil).words(1, uint64(n))
		for range n {
			b = b.words(7)
		}
		b = b.words(1, 0x1000, 0).words(2, 0x1000, 1).str("main.f").str("")
		if _, err := Build(kind, 0, [][]byte{b, nil}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := Build(kind, 0, [][]byte{text(nil).words(1, uint64(n)+1)}); err == nil {
			t.Errorf("%s: a sample of too few words is taken", kind)
		}
	}
}

// TestMalformed: no bytes make more than an error.
func TestMalformed(t *testing.T) {
	good := text(nil).words(1, 1, 5, 1, 0x1000, 1).str("key").str("value").words(2, 0x1000, 1).str("main.f").str("f.go")
	for n := range len(good) {
		Build("goroutine", 0, [][]byte{good[:n]})
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		b := bytes.Clone(good)
		for range r.IntN(4) + 1 {
			b[r.IntN(len(b))] = byte(r.IntN(256))
		}
		Build("goroutine", 0, [][]byte{b})
	}
}
