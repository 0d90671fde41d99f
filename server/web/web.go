// Package web serves a page about the sessions of a server: live figures, the goroutines with
// their stacks, what goes between processes, and buttons for what a user may do about it.
// Its HTML, style and script are part of the binary, and refer to nothing outside.
//
// # Who may look
//
// A program's page shows and moves its goroutines, so that everything, the script too,
// needs the *token*: as the query parameter of the first request, which a browser gets a
// cookie for, or in the header X-Remotec-Token or as a bearer token. Beyond that:
//
//   - The Host header names an address that the page is served at. A name of
//     somebody else's that resolves to this host (DNS rebinding) does not.
//   - A request that a browser makes for another site (Origin, Sec-Fetch-Site) is refused. What changes
//     something is a POST, with an Origin that is the page's own, or with the token in a header.
//   - The cookie is no token: it is a value of its own, HttpOnly and SameSite=Strict.
//   - The page may not be framed, and its policy (Content-Security-Policy) lets it load nothing from elsewhere.
//
// # What it costs
//
// Nothing is computed before somebody asks. A viewer's events come once a second, while
// the page is visible; all viewers of a session share what its processes answer.
package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"remotec.dev/server/control"
)

//go:embed static
var static embed.FS

// Options are what a handler is made with.
type Options struct {
	Token string // what requests must present
	Addr  string // host:port that the page is served at
	Any   bool   // it can be reached by other addresses of this machine
	// Actor carries out what the page has buttons for; default: Acting.
	Actor Actor
	// Metrics answers /metrics; nil: there are none.
	Metrics http.Handler
}

const (
	tick          = time.Second      // between two events of a viewer
	viewTimeout   = 5 * time.Second  // bounds what a view takes
	actionTimeout = 10 * time.Second // and an action: a drain takes up to five seconds
)

// handler serves the page.
type handler struct {
	src    control.Source
	o      Options
	cookie string // its name: cookies of a host are common to all ports
	value  string // its value
	mux    *http.ServeMux
}

// Handler returns the page about the sessions of src.
func Handler(src control.Source, o Options) http.Handler {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails: crypto/rand
	_, port, _ := net.SplitHostPort(o.Addr)
	if o.Actor == nil {
		o.Actor = Acting{src}
	}
	h := &handler{src: src, o: o, cookie: "remotec-" + port, value: hex.EncodeToString(secret), mux: http.NewServeMux()}
	h.mux.HandleFunc("GET /{$}", h.index)
	h.mux.HandleFunc("GET /static/{name}", h.file)
	h.mux.HandleFunc("GET /api/sessions", h.sessions)
	h.mux.HandleFunc("GET /api/view", h.view)
	h.mux.HandleFunc("GET /api/live", h.live)
	h.mux.HandleFunc("POST /api/action", h.action)
	if o.Metrics != nil {
		h.mux.Handle("GET /metrics", o.Metrics)
	}
	return h
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Frame-Options", "DENY")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Cache-Control", "no-store")
	if why, status := h.refuse(r); status != 0 {
		http.Error(w, "remotec: "+why, status)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// refuse returns why a request is refused, with a status; 0 where it is not.
func (h *handler) refuse(r *http.Request) (why string, status int) {
	if !h.hostKnown(r.Host) {
		return "the page is not served under this name; use the address that remotec printed", http.StatusMisdirectedRequest
	}
	header, cookie := h.presents(r)
	page := r.URL.Path == "/"
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		return "a request of another site", http.StatusForbidden
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		// A link from elsewhere may open the page, with the token in it.
		if !page || !h.tokenIs(r.URL.Query().Get("token")) {
			return "a request of another site", http.StatusForbidden
		}
	}
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead && !header && r.Header.Get("Origin") == "":
		return "a request that changes something, without its origin", http.StatusForbidden
	case header, cookie, page && h.tokenIs(r.URL.Query().Get("token")):
		return "", 0
	}
	return "the token is missing or wrong: open the address that remotec printed", http.StatusUnauthorized
}

// presents reports whether a request has the token in a header, and whether it has the cookie.
func (h *handler) presents(r *http.Request) (header, cookie bool) {
	token := r.Header.Get("X-Remotec-Token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	if c, err := r.Cookie(h.cookie); err == nil {
		cookie = same(c.Value, h.value)
	}
	return h.tokenIs(token), cookie
}

func (h *handler) tokenIs(token string) bool { return token != "" && same(token, h.o.Token) }

// same compares secrets in a time that does not depend on them, nor on their lengths.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// hostKnown reports whether a Host header is one of an address that the page is
// served at: no name that somebody else may make resolve to this host.
func (h *handler) hostKnown(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), "80"
	}
	own, ownPort, err := net.SplitHostPort(h.o.Addr)
	if err != nil || port != ownPort {
		return false
	}
	if name == own || name == "localhost" {
		return true
	}
	ip := net.ParseIP(name)
	if ip == nil {
		return false
	}
	return h.o.Any || ip.Equal(net.ParseIP(own))
}

// index serves the page itself, and gives the cookie to who came with the token.
func (h *handler) index(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{
		Name: h.cookie, Value: h.value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	h.send(w, "index.html")
}

func (h *handler) file(w http.ResponseWriter, r *http.Request) { h.send(w, r.PathValue("name")) }

func (h *handler) send(w http.ResponseWriter, name string) {
	data, err := static.ReadFile("static/" + path.Base(name))
	if err != nil {
		http.Error(w, "remotec: no such file", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Write(data) // an error is a viewer who is gone
}

// Listed is a session in the list of a page.
type Listed struct {
	ID        uint64   `json:"id"`
	Path      string   `json:"path"`
	Args      []string `json:"args"`
	Processes int      `json:"processes"`
}

// sessions lists the sessions, and what can be done.
func (h *handler) sessions(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), viewTimeout)
	defer cancel()
	infos, err := h.src.Sessions(ctx)
	if err != nil {
		fail(w, err)
		return
	}
	name, _ := h.src.Name()
	answer := struct {
		Server   string   `json:"server"`
		Actions  []string `json:"actions"`
		Sessions []Listed `json:"sessions"`
	}{name, h.o.Actor.Actions(), []Listed{}}
	for _, i := range infos {
		answer.Sessions = append(answer.Sessions, Listed{i.ID, i.Path, i.Args, max(len(i.Processes), 1)})
	}
	reply(w, answer)
}

// view answers with a view of a session.
func (h *handler) view(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), viewTimeout)
	defer cancel()
	q := r.URL.Query()
	id, _ := strconv.ParseUint(q.Get("session"), 10, 64)
	data, err := h.src.View(ctx, id, q.Get("what"), q)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(data)
}

// live sends pictures of a session as events, until the viewer goes or the session ends.
func (h *handler) live(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseUint(r.URL.Query().Get("session"), 10, 64)
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for failed := 0; ; {
		ctx, cancel := context.WithTimeout(r.Context(), viewTimeout)
		data, err := h.src.View(ctx, id, "picture", url.Values{})
		cancel()
		out.SetWriteDeadline(time.Now().Add(10 * time.Second)) // of one who does not read
		event := "data: " + string(data) + "\n\n"
		if err != nil {
			failed++
			text, _ := json.Marshal(err.Error()) // a string can be marshaled
			event = "event: trouble\ndata: " + string(text) + "\n\n"
		} else {
			failed = 0
		}
		if _, err := io.WriteString(w, event); err != nil || out.Flush() != nil || failed == 3 {
			return
		}
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
	}
}

// action carries out what a button asks for.
func (h *handler) action(w http.ResponseWriter, r *http.Request) {
	var a Action
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
	if err := d.Decode(&a); err != nil {
		http.Error(w, "remotec: not an action: "+err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), actionTimeout)
	defer cancel()
	if err := h.o.Actor.Do(ctx, a); err != nil {
		fail(w, err)
		return
	}
	reply(w, struct {
		Done bool `json:"done"`
	}{true})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) // an error is a viewer who is gone
}

// fail tells why something could not be done.
func fail(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusConflict)
	json.NewEncoder(w).Encode(struct {
		Error string `json:"error"`
	}{control.Plain(err)})
}
