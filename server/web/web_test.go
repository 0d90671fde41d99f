package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/control"
	"remotec.dev/server/session"
)

// fake is a source of one session.
type fake struct {
	control.Source // of which a page asks nothing else

	moved []uint64
	views int

	drained   int
	on, keeps bool
}

func (*fake) Name() (string, int) { return "fake", 1 }
func (*fake) Sessions(context.Context) ([]session.Info, error) {
	return []session.Info{{ID: 7, Path: "/bin/prog"}}, nil
}
func (*fake) Goroutines(context.Context, uint64, bool) (*wire.Goroutines, error) {
	return nil, errors.New("not asked for by a page")
}
func (*fake) Signal(context.Context, uint64, int) error { return errors.New("not asked for by a page") }
func (f *fake) Nodes() []control.NodeInfo               { return nil }

func (f *fake) Drain(_ context.Context, _ uint64, processes []int, on, keep bool) (session.Drained, error) {
	f.drained, f.on, f.keeps = processes[0], on, keep
	if processes[0] == 0 && on && !keep {
		return session.Drained{Stays: "process 0 is drained, but stays"}, nil
	}
	return session.Drained{}, nil
}

func (f *fake) Decisions(context.Context, uint64, uint64) ([]session.Decision, bool, error) {
	return nil, false, nil
}

func (f *fake) Pin(context.Context, uint64, uint64, bool) error { return nil }

func (f *fake) Weigh(context.Context, uint64, session.Weight) error { return nil }

func (f *fake) Pause(context.Context, uint64, uint64, int, bool) error { return nil }

func (f *fake) Migrate(_ context.Context, id, goroutine uint64, process int) error {
	if process == 9 {
		return errors.New("remotec.capnp:Server.migrate: there is no process 9")
	}
	f.moved = append(f.moved, id, goroutine, uint64(process))
	return nil
}
func (f *fake) View(_ context.Context, id uint64, what string, q url.Values) (json.RawMessage, error) {
	if id != 7 {
		return nil, control.NoSession(id)
	}
	f.views++
	return json.Marshal(what + " " + q.Get("limit"))
}

// site serves a page, and asks it.
type site struct {
	t    *testing.T
	src  *fake
	h    http.Handler
	host string
}

func newSite(t *testing.T, o Options) *site {
	s := &site{t: t, src: &fake{}, host: "127.0.0.1:7777"}
	o.Token, o.Addr = "secret", s.host
	s.h = Handler(s.src, o)
	return s
}

// ask makes a request with headers, in pairs; Host stands for the address.
func (s *site) ask(method, path, body string, headers ...string) *http.Response {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = s.host
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w.Result()
}

// cookie opens the page with the token, as a browser does.
func (s *site) cookie() string {
	s.t.Helper()
	r := s.ask("GET", "/?token=secret", "")
	if r.StatusCode != http.StatusOK || len(r.Cookies()) != 1 {
		s.t.Fatalf("opening the page: %s, cookies %v", r.Status, r.Cookies())
	}
	c := r.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || strings.Contains(c.Value, "secret") {
		s.t.Errorf("cookie %+v", c)
	}
	return c.Name + "=" + c.Value
}

func TestWhoMayLook(t *testing.T) {
	s := newSite(t, Options{})
	cookie := s.cookie()
	const move = `{"name":"migrate","session":7,"goroutine":3,"process":1}`
	own := "http://" + s.host
	for _, c := range []struct {
		method, path string
		headers      []string
		want         int
	}{
		{"GET", "/", nil, 401},
		{"GET", "/?token=wrong", nil, 401},
		{"GET", "/static/page.js", nil, 401},
		{"GET", "/static/page.js?token=secret", nil, 401}, // for the page only
		{"GET", "/api/sessions", nil, 401},
		{"GET", "/api/sessions?token=secret", nil, 401},
		{"GET", "/api/live?session=7", nil, 401},
		{"GET", "/metrics", nil, 401},
		{"GET", "/api/sessions", []string{"X-Remotec-Token", "wrong"}, 401},
		{"GET", "/api/sessions", []string{"Cookie", strings.TrimSuffix(cookie, cookie[len(cookie)-1:])}, 401},
		{"GET", "/api/sessions", []string{"X-Remotec-Token", "secret"}, 200},
		{"GET", "/api/sessions", []string{"Authorization", "Bearer secret"}, 200},
		{"GET", "/api/sessions", []string{"Cookie", cookie}, 200},
		{"GET", "/static/page.js", []string{"Cookie", cookie}, 200},
		{"GET", "/static/nothing", []string{"Cookie", cookie}, 404},
		{"GET", "/static/..%2fweb.go", []string{"Cookie", cookie}, 404},
		{"GET", "/metrics", []string{"Cookie", cookie}, 404},
		// Names that are not the page's: DNS rebinding.
		{"GET", "/?token=secret", []string{"Host", "evil.example:7777"}, 421},
		{"GET", "/api/sessions", []string{"Host", "evil.example:7777", "X-Remotec-Token", "secret"}, 421},
		{"GET", "/api/sessions", []string{"Host", "127.0.0.1:1", "Cookie", cookie}, 421},
		{"GET", "/api/sessions", []string{"Host", "10.0.0.1:7777", "Cookie", cookie}, 421},
		{"GET", "/api/sessions", []string{"Host", "localhost:7777", "Cookie", cookie}, 200},
		// Requests that other sites make.
		{"GET", "/api/sessions", []string{"Cookie", cookie, "Origin", "http://evil.example"}, 403},
		{"GET", "/api/sessions", []string{"Cookie", cookie, "Origin", "null"}, 403},
		{"GET", "/api/sessions", []string{"Cookie", cookie, "Sec-Fetch-Site", "cross-site"}, 403},
		{"GET", "/api/sessions", []string{"Cookie", cookie, "Sec-Fetch-Site", "same-site"}, 403},
		{"GET", "/", []string{"Cookie", cookie, "Sec-Fetch-Site", "cross-site"}, 403},
		{"GET", "/?token=secret", []string{"Sec-Fetch-Site", "cross-site"}, 200}, // a link with the token
		{"GET", "/api/sessions", []string{"Cookie", cookie, "Origin", own, "Sec-Fetch-Site", "same-origin"}, 200},
		// What changes something.
		{"GET", "/api/action", []string{"Cookie", cookie, "Origin", own}, 405},
		{"POST", "/api/action", nil, 403},
		{"POST", "/api/action", []string{"Cookie", cookie}, 403},
		{"POST", "/api/action", []string{"Cookie", cookie, "Origin", "http://localhost:7777"}, 403},
		{"POST", "/api/action", []string{"Cookie", cookie, "Origin", "https://" + s.host}, 403},
		{"POST", "/api/action", []string{"Origin", own}, 401},
		{"POST", "/api/action", []string{"Cookie", cookie, "Origin", own}, 200},
		{"POST", "/api/action", []string{"X-Remotec-Token", "secret"}, 200},
	} {
		s.src.moved = nil
		r := s.ask(c.method, c.path, move, c.headers...)
		if r.StatusCode != c.want {
			text, _ := io.ReadAll(r.Body)
			t.Errorf("%s %s with %q: %s, not %d: %s", c.method, c.path, c.headers, r.Status, c.want, text)
		}
		if done := len(s.src.moved) > 0; done != (c.method == "POST" && c.want == 200) {
			t.Errorf("%s %s with %q moved %v", c.method, c.path, c.headers, s.src.moved)
		}
		if csp := r.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
			t.Errorf("%s %s: policy %q", c.method, c.path, csp)
		}
	}
}

func TestOtherAddresses(t *testing.T) {
	s := newSite(t, Options{Any: true})
	for host, want := range map[string]int{"10.0.0.1:7777": 200, "[::1]:7777": 200, "evil.example:7777": 421, "10.0.0.1:1": 421} {
		if r := s.ask("GET", "/?token=secret", "", "Host", host); r.StatusCode != want {
			t.Errorf("%s: %s, not %d", host, r.Status, want)
		}
	}
}

func TestNothingIsAskedBeforeSomebodyLooks(t *testing.T) {
	s := newSite(t, Options{})
	s.cookie()
	s.ask("GET", "/api/sessions", "", "X-Remotec-Token", "secret")
	if s.src.views != 0 {
		t.Errorf("%d views", s.src.views)
	}
}

func TestViewsAndActions(t *testing.T) {
	s := newSite(t, Options{})
	text := func(r *http.Response) string {
		b, _ := io.ReadAll(r.Body)
		return strings.TrimSpace(string(b))
	}
	token := []string{"X-Remotec-Token", "secret"}
	if got := text(s.ask("GET", "/api/view?session=7&what=goroutines&limit=5", "", token...)); got != `"goroutines 5"` {
		t.Errorf("a view: %s", got)
	}
	if r := s.ask("GET", "/api/view?session=8&what=picture", "", token...); r.StatusCode != 409 || !strings.Contains(text(r), "no session 8") {
		t.Errorf("a view of no session: %s", r.Status)
	}
	for body, want := range map[string]string{
		`{"name":"migrate","session":7,"goroutine":3,"process":1}`: `{"done":true}`,
		`{"name":"migrate","session":7,"goroutine":3,"process":9}`: `{"error":"there is no process 9"}`,
		`{"name":"pause","session":7,"goroutine":3}`:               `{"done":true}`,
		`{"name":"stop","session":7,"goroutine":3}`:                `{"error":"\"stop\" is not available"}`,
		`what`: "remotec: not an action: invalid character 'w' looking for beginning of value",
	} {
		if got := text(s.ask("POST", "/api/action", body, token...)); got != want {
			t.Errorf("%s: %s, not %s", body, got, want)
		}
	}
}

// TestDrain: the process ends, as with remotec drain, unless it is to be kept.
func TestDrain(t *testing.T) {
	s := newSite(t, Options{})
	for _, c := range []struct {
		body      string
		process   int
		on, keeps bool
		want      string
	}{
		{`{"name":"drain","session":7,"process":1}`, 1, true, false, `{"done":true}`},
		{`{"name":"drain","session":7,"process":2,"keep":true}`, 2, true, true, `{"done":true}`},
		{`{"name":"drain","session":7,"process":2,"undo":true}`, 2, false, false, `{"done":true}`},
		{`{"name":"drain","session":7,"process":0}`, 0, true, false, `{"error":"process 0 is drained, but stays"}`},
	} {
		text, _ := io.ReadAll(s.ask("POST", "/api/action", c.body, "X-Remotec-Token", "secret").Body)
		if got := strings.TrimSpace(string(text)); got != c.want {
			t.Errorf("%s: %s, not %s", c.body, got, c.want)
		}
		if s.src.drained != c.process || s.src.on != c.on || s.src.keeps != c.keeps {
			t.Errorf("%s drained process %d, on %v, kept %v", c.body, s.src.drained, s.src.on, s.src.keeps)
		}
	}
}

func TestLive(t *testing.T) {
	src := &fake{}
	server := httptest.NewServer(nil)
	defer server.Close()
	server.Config.Handler = Handler(src, Options{Token: "secret", Addr: strings.TrimPrefix(server.URL, "http://")})
	r, _ := http.NewRequest("GET", server.URL+"/api/live?session=7", nil) // the URL is a good one
	r.Header.Set("X-Remotec-Token", "secret")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for n := 0; n < 2 && lines.Scan(); {
		if line := lines.Text(); line == `data: "picture "` {
			n++
		} else if line != "" {
			t.Fatalf("got %q", line)
		}
	}
	if src.views < 2 {
		t.Errorf("%d views", src.views)
	}
}
