package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"remotec.dev/server/session"
)

var sharingCommand = &command{
	name:  "sharing",
	short: "show which variables processes take from each other",
	long: `
Memory goes between the processes of a program in pages of 4096 bytes. For each
of the pages that they take from each other most often it prints how often that
is, the variables or objects on it with the words that processes waited for,
the lines of the program that wanted them, and what may be done.

It is false sharing when processes want different words of a page, and true
sharing when they want the same. It looks for a second before it prints. Types
of objects are known for those above 512 bytes that have pointers, and where the
memory profile has a sample, the line that allocated them.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o sharingOptions
		o.flags(fs)
		fs.IntVar(&o.limit, "n", 5, "how many pages to show")
		fs.BoolVar(&o.json, "json", false, "print JSON")
		return o.run
	},
}

type sharingOptions struct {
	sessionOptions
	limit int
	json  bool
}

func (o *sharingOptions) run(args []string, std streams) error {
	if err := noArgs(args); err != nil {
		return err
	}
	if o.limit < 1 {
		return usagef("-n %d: not a number of pages", o.limit)
	}
	return o.with(func(ctx context.Context, s found) error {
		data, err := s.View(ctx, s.ID, "sharing", url.Values{"limit": {strconv.Itoa(o.limit)}, "wait": {"1"}})
		if err != nil {
			return err
		}
		if o.json {
			_, err := fmt.Fprintf(std.out, "%s\n", data)
			return err
		}
		var pages []session.SharedPage
		if err := json.Unmarshal(data, &pages); err != nil {
			return fmt.Errorf("report on sharing: %w", err)
		}
		return printSharing(std.out, pages)
	})
}

// wordsMost bounds the words of a page that are printed.
const wordsMost = 8

func printSharing(w io.Writer, pages []session.SharedPage) error {
	if len(pages) == 0 {
		_, err := fmt.Fprintln(w, "no page goes back and forth between processes")
		return err
	}
	for i, p := range pages {
		if i > 0 {
			fmt.Fprintln(w)
		}
		how := fmt.Sprintf("%.0f a second", p.Rate)
		if p.Idle > 5 {
			how = fmt.Sprintf("the last one %.0f s ago", p.Idle)
		}
		fmt.Fprintf(w, "%s: page %#x, %s, %d moves, %s\n", cmp.Or(p.Verdict, "sharing"), p.Address, p.Where, p.Moves, how)
		t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		fmt.Fprintln(t, "  WORD\tPROCESS\tREADS\tWRITES")
		type line struct {
			name string
			session.SharedWord
		}
		var lines []line
		for k := range p.Objects {
			o := &p.Objects[k]
			for _, word := range o.Words {
				lines = append(lines, line{wordName(o, word), word})
			}
		}
		all := len(lines)
		if all > wordsMost { // those that matter, in the order in which they are in memory
			order := slices.Clone(lines)
			slices.SortStableFunc(order, func(a, b line) int { return cmp.Compare(b.Reads+b.Writes, a.Reads+a.Writes) })
			least := order[wordsMost-1].Reads + order[wordsMost-1].Writes
			lines = slices.DeleteFunc(lines, func(l line) bool { return l.Reads+l.Writes < least })
		}
		for _, l := range lines {
			fmt.Fprintf(t, "  %s\t%d\t%d\t%d\n", l.name, l.Process, l.Reads, l.Writes)
		}
		if err := t.Flush(); err != nil {
			return err
		}
		if more := all - len(lines); more > 0 {
			fmt.Fprintf(w, "  and %d more\n", more)
		}
		for _, o := range p.Objects {
			if o.Alloc != "" {
				fmt.Fprintf(w, "  %s is allocated by %s\n", objectName(&o), o.Alloc)
			}
		}
		for _, at := range sharingPlaces(p.Places) {
			fmt.Fprintf(w, "  wanted by %s\n", at)
		}
		if p.Hint != "" {
			fmt.Fprintf(w, "  %s\n", p.Hint)
		}
	}
	return nil
}

// objectName is what an object is called in a report.
func objectName(o *session.SharedObject) string {
	switch {
	case o.Name != "":
		return o.Name
	case o.Type != "":
		return o.Type
	case o.Kind == "stack":
		return "a stack"
	case o.Kind == "unknown":
		return "unknown"
	}
	return fmt.Sprintf("object of %d bytes", o.Size)
}

func wordName(o *session.SharedObject, w session.SharedWord) string {
	name := objectName(o)
	switch {
	case w.Field != "":
		return name + w.Field
	case o.Size > 8:
		return fmt.Sprintf("%s +%d", name, w.Offset)
	}
	return name
}

// sharingPlaces returns the lines of the program, each once, with the processes.
func sharingPlaces(places []session.SharedPlace) []string {
	var order []string
	by := map[string][]string{}
	for _, at := range places {
		if at.Func == "" {
			continue
		}
		key := fmt.Sprintf("%s %s:%d", at.Func, filepath.Base(at.File), at.Line)
		if by[key] == nil {
			order = append(order, key)
		}
		if k := strconv.Itoa(at.Process); !slices.Contains(by[key], k) {
			by[key] = append(by[key], k)
		}
	}
	for i, key := range order {
		slices.Sort(by[key])
		order[i] = fmt.Sprintf("%s, in process %s", key, strings.Join(by[key], ", "))
	}
	return order
}
