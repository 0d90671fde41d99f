package pager

import (
	"testing"
)

// BenchmarkFault measures what a fault costs the process that makes it, at the
// median, between two processes.
func BenchmarkFault(b *testing.B) {
	const pages = 500
	for _, kind := range []string{"first", "zero", "read", "upgrade", "steal"} {
		b.Run(kind, func(b *testing.B) {
			pager, procs := start(b, 2, func(c *Config) { c.Options.NoMigration = true })
			next := slot(0)
			var all []uint64
			for b.Loop() {
				a := Args{Addr: next, Value: pages, N: 1}
				next += pages * page4K
				read := a
				read.N = 0
				var took uint64
				switch kind {
				case "first": // touch of private memory, the kernel alone
					took = procs[0].call(b, "Touch", a)
				case "zero": // hole in a granule that others have asked for
					for i := uintptr(0); i < pages; i += 100 {
						procs[1].load(b, a.Addr+i*page4K)
					}
					took = procs[0].call(b, "Touch", a)
				case "read":
					procs[0].call(b, "Touch", a)
					took = procs[1].call(b, "Touch", read)
				case "upgrade":
					procs[0].call(b, "Touch", a)
					procs[1].call(b, "Touch", read)
					took = procs[1].call(b, "Touch", a)
				case "steal":
					procs[0].call(b, "Touch", a)
					took = procs[1].call(b, "Touch", a)
				}
				all = append(all, took)
				if next > slot(0)+900<<20 {
					next = slot(0)
				}
			}
			var serving FaultStats
			for _, f := range pager.Stats().Processes[1].Faults {
				serving = serving.Add(f)
			}
			if serving.Count > 0 {
				b.ReportMetric(float64(serving.Total)/float64(serving.Count), "ns/served-mean")
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(quantile(all, 0.5)), "ns/fault-p50")
		})
	}
}
