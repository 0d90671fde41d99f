package metrics

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/control"
	"remotec.dev/server/session"
)

// fake is a server with one session, and one that ends while it is asked.
type fake struct {
	control.Source
	down  bool
	asked int
}

func (*fake) Name() (string, int) { return "remotec test", 1 }

func (f *fake) Sessions(context.Context) ([]session.Info, error) {
	f.asked++
	if f.down {
		return nil, errors.New("down")
	}
	return []session.Info{{ID: 7, Path: "/bin/prog", GoVersion: "go1.26.8", BuildID: "id"}, {ID: 8}}, nil
}

func (*fake) Goroutines(_ context.Context, id uint64, _ bool) (*wire.Goroutines, error) {
	if id != 7 {
		return nil, control.NoSession(id)
	}
	return &wire.Goroutines{Live: 2, Sites: []wire.Site{
		{PC: 1, Created: 3, Live: 1, Func: "main.f", File: "main.go", Line: 5, Use: wire.Use{CPU: 2e9, Bytes: 100}},
		{PC: 2, Created: 1, Live: 1, Func: "main.f", File: "main.go", Line: 5, Use: wire.Use{CPU: 1e9}},
	}}, nil
}

func (*fake) Stats(_ context.Context, id uint64) (*session.Stats, error) {
	st := &session.Stats{Started: time.Unix(1000, 0), Accounted: time.Unix(1001, 0), Links: 2, Descriptors: 3, Calls: []session.Named{{Name: "openat", N: 4}},
		Memory: []session.Named{{Name: "faults", N: 9}, {Name: "faults_zeroed", N: 9}, {Name: "faults_ns", N: 5e8}, {Name: "granules", N: 1}}}
	u := wire.Use{CPU: 3e9, Bytes: 100, Objects: 2, Chans: 6, Calls: 5}
	u.Waited[1] = 1.5e9
	st.Processes = []session.ProcessStats{{Number: 0, Live: 2, Created: 4, Use: u, Collections: 1, Pause: time.Millisecond, Heap: 1 << 20}}
	return st, nil
}

func page(t *testing.T, f *fake) string {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(f).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("status %d, %v: %s", w.Code, err, text)
	}
	return string(text)
}

func TestPage(t *testing.T) {
	f := &fake{}
	h := Handler(f)
	if f.asked != 0 {
		t.Error("a session was asked before the page was")
	}
	_ = h
	text := page(t, f)
	for _, want := range []string{
		`remotec_up{server="remotec test"} 1`,
		`remotec_session_info{build_id="id",go_version="go1.26.8",path="/bin/prog",session="7"} 1`,
		`remotec_session_start_time_seconds{session="7"} 1000`,
		`remotec_session_calls_total{call="openat",session="7"} 4`,
		`remotec_memory_faults_total{outcome="zeroed",session="7"} 9`,
		`remotec_memory_fault_seconds_total{session="7"} 0.5`,
		`remotec_process_goroutine_cpu_seconds_total{process="0",session="7"} 3`,
		`remotec_process_wait_seconds_total{for="chan",process="0",session="7"} 1.5`,
		`remotec_process_heap_bytes{process="0",session="7"} 1.048576e+06`,
		`remotec_site_goroutines_created_total{file="main.go",function="main.f",line="5",session="7"} 4`,
		`remotec_site_cpu_seconds_total{file="main.go",function="main.f",line="5",session="7"} 3`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Contains(text, `session="8"`) {
		t.Error("the page has a session that is over")
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestServerThatDoesNotAnswer(t *testing.T) {
	if text := page(t, &fake{down: true}); !strings.Contains(text, `remotec_up{server="remotec test"} 0`) {
		t.Error(text)
	}
}
