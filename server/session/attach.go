package session

import (
	"crypto/subtle"
	"fmt"
	"io"
	"strings"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
)

// Terms are the conditions under which a process may attach.
type Terms struct {
	Token string // that the process must present; empty: none
	// Features are CPU features that the process must have, those of the
	// session's first one; bits as in Attach.
	Features uint64
}

// goVersions are the Go releases whose remote binaries are served; the stub
// and the server must agree on how the runtime calls the system.
var goVersions = []string{"go1.26", "go1.27"}

// Greet reads what a framed client sends first, the preamble and its Attach
// frame. A refused attach has been answered when it returns; any other error
// means a client that does not speak the protocol.
func Greet(r *fds.FrameReader, t *Terms) (*wire.Attach, error) {
	preamble, err := r.Preamble()
	if err != nil {
		return nil, Early(err)
	}
	if preamble != wire.PreambleFramed {
		return nil, NotFramed(preamble)
	}
	r.Max = wire.MaxAttach
	frame, err := r.Next()
	if err != nil {
		return nil, Early(err)
	}
	return t.Attach(r.Conn, frame)
}

// Attach reads an Attach frame that arrived on conn and checks it. Where it
// may not attach, conn has been told.
func (t *Terms) Attach(conn io.Writer, frame []byte) (*wire.Attach, error) {
	a, err := wire.GetAttach(frame)
	if err != nil {
		Refuse(conn, &wire.Refused{Code: wire.RefuseProtocol, Message: "malformed attach: " + err.Error()})
		return nil, err
	}
	if no := t.Check(a); no != nil {
		Refuse(conn, no)
		return nil, (*RefusedError)(no)
	}
	return a, nil
}

// Early describes the end of a connection that has not said what it is.
func Early(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("it ended, or was too slow, before it said what it is: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// NotFramed describes a connection that starts with something else than a
// preamble of the API.
func NotFramed(preamble string) error {
	return fmt.Errorf("it starts with %q: neither a remote binary nor a tool of remotec", preamble)
}

// Knows compares a token in constant time.
func (t *Terms) Knows(token string) bool {
	return t.Token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(t.Token)) == 1
}

// RefusedError is an attach that was well-formed and not granted.
type RefusedError wire.Refused

func (e *RefusedError) Error() string { return "attach refused: " + e.Message }

// Refuse answers an attach with no.
func Refuse(w io.Writer, no *wire.Refused) {
	if frame, ok := wire.PutRefused(make([]byte, 512+len(no.Message)), no); ok {
		w.Write(frame)
	}
}

// Check returns why a may not attach, or nil.
func (t *Terms) Check(a *wire.Attach) *wire.Refused {
	no := func(code wire.RefuseCode, format string, args ...any) *wire.Refused {
		return &wire.Refused{Code: code, Message: fmt.Sprintf(format, args...)}
	}
	if a.APIVersion != wire.APIVersion {
		return no(wire.RefuseVersion, "the binary speaks version %d of the API, this server version %d: rebuild it with the server's own remotec, go build -toolexec=remotec", a.APIVersion, wire.APIVersion)
	}
	if !t.Knows(a.Token) {
		if a.Token == "" {
			return no(wire.RefuseToken, "this server asks for a token: set REMOTEC_TOKEN to the one it was started with")
		}
		return no(wire.RefuseToken, "wrong token: set REMOTEC_TOKEN to the one the server was started with")
	}
	if !supportedGo(a.GoVersion) {
		return no(wire.RefuseBinary, "the binary was built by %.40q, this server supports %s: build it with one of these", a.GoVersion, strings.Join(goVersions, ", "))
	}
	if !wellFormedID(a.BuildID) {
		return no(wire.RefuseBinary, "the binary's build ID %.80q is malformed: rebuild it with go build -toolexec=remotec", a.BuildID)
	}
	if missing := t.Features &^ a.CPU; missing != 0 {
		return no(wire.RefuseCPU, "the processor lacks features %#x that the session's first process has", missing)
	}
	return nil
}

// supportedGo accepts releases, their betas and what is built from their
// branches: "go1.26", "go1.26.8", "go1.27rc1", "devel go1.27-0123abc ...".
func supportedGo(v string) bool {
	v = strings.TrimPrefix(v, "devel ")
	for _, known := range goVersions {
		if rest, ok := strings.CutPrefix(v, known); ok && (rest == "" || rest[0] < '0' || rest[0] > '9') {
			return true
		}
	}
	return false
}

// wellFormedID accepts what the go command (buildid.go in its package work) and users'
// -buildid flags make: printable text of moderate length. An empty ID is
// what -ldflags=-buildid= leaves; a session of one process can do without.
func wellFormedID(id string) bool {
	if len(id) > 512 {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}
