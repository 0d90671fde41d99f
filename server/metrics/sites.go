package metrics

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"remotec.dev/runtimestub/wire"
)

// place is where a go statement is. Several are one where they are in one line, or where an
// inlined function has been copied to several program counters.
type place struct {
	function, file string
	line           uint32
}

// sites shows the places that create goroutines.
func sites(out chan<- prometheus.Metric, id string, list []wire.Site) {
	sums := map[place]*wire.Site{}
	for i := range list {
		s := &list[i]
		at := place{s.Func, s.File, s.Line}
		sum := sums[at]
		if sum == nil {
			sum = &wire.Site{Func: s.Func, File: s.File, Line: s.Line}
			sums[at] = sum
		}
		sum.Created += s.Created
		sum.Live += s.Live
		sum.Use.Add(&s.Use)
	}
	all := make([]*wire.Site, 0, len(sums))
	for _, s := range sums {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *wire.Site) int {
		return cmp.Or(cmp.Compare(b.Use.CPU, a.Use.CPU), cmp.Compare(b.Created, a.Created), cmp.Compare(a.Func, b.Func), cmp.Compare(a.Line, b.Line))
	})
	for _, s := range all[:min(len(all), maxSites)] {
		at := []string{id, s.Func, s.File, strconv.FormatUint(uint64(s.Line), 10)}
		gauge(out, siteLive, float64(s.Live), at...)
		counter(out, siteCreated, float64(s.Created), at...)
		counter(out, siteCPU, seconds(s.Use.CPU), at...)
		counter(out, siteBytes, float64(s.Use.Bytes), at...)
	}
}
