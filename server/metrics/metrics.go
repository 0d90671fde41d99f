// Package metrics shows what is known of sessions as Prometheus metrics.
//
// Invariant: a session is asked when the page is. From then on it accounts for what its
// goroutines use, and pays nothing else. What one does not answer in time is left out of that page.
package metrics

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/session"
)

// patience bounds how long a page waits for its sessions.
const patience = 5 * time.Second

// maxSites is how many places that create goroutines a session has on the page: those whose
// goroutines used most. Each place is a time series.
const maxSites = 100

// Source is who knows sessions: a [control.Source], or who asks one.
type Source interface {
	Name() (name string, pid int)
	Sessions(ctx context.Context) ([]session.Info, error)
	Goroutines(ctx context.Context, id uint64, all bool) (*wire.Goroutines, error)
	Stats(ctx context.Context, id uint64) (*session.Stats, error)
}

// Handler returns a handler of /metrics: the metrics of all sessions of src.
func Handler(src Source) http.Handler {
	return promhttp.HandlerFor(registry(src), promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// Write writes what the handler would answer.
func Write(w io.Writer, src Source) error {
	families, err := registry(src).Gather()
	if err != nil {
		return err
	}
	e := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

func registry(src Source) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(&collector{src})
	return r
}

var (
	ofSession = []string{"session"}
	ofProcess = []string{"session", "process"}
	ofSite    = []string{"session", "function", "file", "line"}
)

func desc(name, help string, labels []string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc("remotec_"+name, help, append(append([]string{}, labels...), more...), nil)
}

var (
	up          = desc("up", "1 if the server answers.", nil, "server")
	info        = desc("session_info", "What the session runs; the value is 1.", ofSession, "path", "go_version", "build_id")
	started     = desc("session_start_time_seconds", "Start of the session since the Unix epoch.", ofSession)
	accounted   = desc("session_accounted_time_seconds", "Since when what goroutines use is counted, since the Unix epoch.", ofSession)
	links       = desc("session_links", "Links that carry system calls.", ofSession)
	descriptors = desc("session_open_descriptors", "Open descriptors of the program.", ofSession)
	calls       = desc("session_calls_total", "System calls and other calls that the session carried out.", ofSession, "call")
	faults      = desc("memory_faults_total", "Page faults on memory that the processes have in common, by how they were answered.", ofSession, "outcome")
	faultTime   = desc("memory_fault_seconds_total", "Time that the session took to answer them.", ofSession)
	copied      = desc("memory_copied_bytes_total", "Contents that were copied for them.", ofSession)
	messages    = desc("messages_total", "Messages between processes that passed the session.", ofSession)

	goroutines  = desc("process_goroutines", "Live goroutines.", ofProcess)
	created     = desc("process_goroutines_created_total", "Goroutines created.", ofProcess)
	heap        = desc("process_heap_bytes", "Memory in use on the heap.", ofProcess)
	collections = desc("process_collections_total", "Collections of garbage.", ofProcess)
	pauses      = desc("process_pause_seconds_total", "Time that the process stood still for them.", ofProcess)
	cpu         = desc("process_goroutine_cpu_seconds_total", "Time that goroutines ran, without system calls.", ofProcess)
	allocated   = desc("process_allocated_bytes_total", "Memory that goroutines allocated.", ofProcess)
	objects     = desc("process_allocated_objects_total", "Objects that goroutines allocated.", ofProcess)
	chans       = desc("process_channel_operations_total", "Sends, receives, closings of channels and selects.", ofProcess)
	osCalls     = desc("process_calls_total", "System calls of goroutines.", ofProcess)
	waited      = desc("process_wait_seconds_total", "Time that goroutines waited, by what for.", ofProcess, "for")

	siteLive    = desc("site_goroutines", "Live goroutines that a place in the program has created.", ofSite)
	siteCreated = desc("site_goroutines_created_total", "Goroutines that a place in the program has created.", ofSite)
	siteCPU     = desc("site_cpu_seconds_total", "Time that they ran, without system calls.", ofSite)
	siteBytes   = desc("site_allocated_bytes_total", "Memory that they allocated.", ofSite)
)

// collector asks the sessions of a source.
type collector struct{ src Source }

// Describe leaves open what there is: sessions come and go.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	name, _ := c.src.Name()
	list, err := c.src.Sessions(ctx)
	if err != nil {
		gauge(out, up, 0, name)
		return
	}
	gauge(out, up, 1, name)
	for i := range list {
		c.session(ctx, out, &list[i])
	}
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func seconds(ns uint64) float64 { return float64(ns) / 1e9 }

func (c *collector) session(ctx context.Context, out chan<- prometheus.Metric, i *session.Info) {
	id := strconv.FormatUint(i.ID, 10)
	st, err := c.src.Stats(ctx, i.ID)
	if err != nil {
		return // it has just ended
	}
	g, err := c.src.Goroutines(ctx, i.ID, false)
	if err != nil {
		return
	}
	gauge(out, info, 1, id, i.Path, i.GoVersion, i.BuildID)
	gauge(out, started, seconds(uint64(st.Started.UnixNano())), id)
	gauge(out, accounted, seconds(uint64(st.Accounted.UnixNano())), id)
	gauge(out, links, float64(st.Links), id)
	gauge(out, descriptors, float64(st.Descriptors), id)
	for _, n := range st.Calls {
		counter(out, calls, float64(n.N), id, n.Name)
	}
	for _, n := range st.Memory {
		switch n.Name {
		case "faults", "granules": // the sum of the others; a size
		case "faults_ns":
			counter(out, faultTime, seconds(n.N), id)
		case "copied_bytes":
			counter(out, copied, float64(n.N), id)
		case "messages":
			counter(out, messages, float64(n.N), id)
		default:
			if outcome, ok := strings.CutPrefix(n.Name, "faults_"); ok {
				counter(out, faults, float64(n.N), id, outcome)
			}
		}
	}
	for k := range st.Processes {
		process(out, id, &st.Processes[k])
	}
	sites(out, id, g.Sites)
}

func process(out chan<- prometheus.Metric, id string, p *session.ProcessStats) {
	own := []string{id, strconv.Itoa(p.Number)}
	gauge(out, goroutines, float64(p.Live), own...)
	counter(out, created, float64(p.Created), own...)
	gauge(out, heap, float64(p.Heap), own...)
	counter(out, collections, float64(p.Collections), own...)
	counter(out, pauses, p.Pause.Seconds(), own...)
	counter(out, cpu, seconds(p.Use.CPU), own...)
	counter(out, allocated, float64(p.Use.Bytes), own...)
	counter(out, objects, float64(p.Use.Objects), own...)
	counter(out, chans, float64(p.Use.Chans), own...)
	counter(out, osCalls, float64(p.Use.Calls), own...)
	for k, ns := range p.Use.Waited {
		counter(out, waited, seconds(ns), append(own[:2:2], wire.WaitNames[k])...)
	}
}
