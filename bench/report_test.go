package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestRatioIsTheMedianOfTheRoundsRatios(t *testing.T) {
	s := samples{}
	r := against("x", "m", target{atMost, 2})
	// The machine is ten times as slow in the second round.
	for _, v := range []struct{ plain, remote float64 }{{10, 20}, {100, 200}, {10, 15}} {
		s[r.base] = append(s[r.base], sample{v.plain, "ns"})
		s[r.what] = append(s[r.what], sample{v.remote, "ns"})
	}
	res, ok := compare(r, s)
	if !ok || res.ratio != 2 || res.base != 10 || res.what != 20 || res.verdict() != "met" {
		t.Errorf("got %+v, %v", res, ok)
	}
	if _, ok := compare(against("y", "other", target{}), s); ok {
		t.Error("a row without samples has figures")
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		target       target
		ratio, extra float64
		met          bool
		value        float64
	}{
		{target{atMost, 1.1}, 1.1, 0, true, 0},
		{target{atMost, 1.1}, 1.11, 0, false, 0},
		{target{atLeast, 0.7}, 0.69, 0, false, 0},
		{target{atLeast, 0.7}, 0.7, 0, true, 0},
		{target{atMostExtra, 50}, 100, 49, true, 0},
		{target{atMostExtra, 50}, 1, 51, false, 0},
		{target{atMostNs, 25_000}, 1, 0, false, 25_001},
		{target{atMostNs, 25_000}, 9, 0, true, 25_000},
		{target{atLeastMB, 1000}, 1, 0, false, 999},
		{target{atLeastMB, 1000}, 0, 0, true, 1000},
		{target{}, 100, 100, true, 0},
	} {
		if got := c.target.met(c.ratio, c.extra, c.value); got != c.met {
			t.Errorf("%v: ratio %v, extra %v ms: met is %v", c.target, c.ratio, c.extra, got)
		}
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit string
		want string
	}{
		{5.432, "ns", "5.43 ns"},
		{15_432, "ns", "15.4 µs"},
		{154_321_000, "ns", "154 ms"},
		{0, "ns", "0.00 ns"},
		{28_600, "MB/s", "28600 MB/s"},
	} {
		if got := value(c.v, c.unit); got != c.want {
			t.Errorf("value(%v, %s) = %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}

func TestOnlyProgramsOfSelectedRowsRun(t *testing.T) {
	rows := selected(regexp.MustCompile("^forwarded stat / round"), false)
	if len(rows) != 1 {
		t.Fatalf("%d rows", len(rows))
	}
	if v := needs(rows, "os"); len(v) != 1 || v[0] != forwarded {
		t.Errorf("variants of oscalls: %v", v)
	}
	if v := needs(rows, "roundtrip"); len(v) != 1 || v[0] != plain {
		t.Errorf("variants of roundtrip: %v", v)
	}
	if v := needs(rows, "cpu"); len(v) != 0 {
		t.Errorf("variants of cpu: %v", v)
	}
}

func TestReplaceTable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("a\n" + tableBegin + "\nold\n" + tableEnd + "\nb\n")
	for range 2 { // again: nothing piles up
		if err := replaceTable(file, "new\n"); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := os.ReadFile(file)
	if want := "a\n" + tableBegin + "\nnew\n" + tableEnd + "\nb\n"; string(got) != want {
		t.Errorf("got %q", got)
	}
	write("no marks")
	if err := replaceTable(file, "new\n"); err == nil || !strings.Contains(err.Error(), tableBegin) {
		t.Errorf("without marks: %v", err)
	}
}
