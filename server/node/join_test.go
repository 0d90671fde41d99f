package node

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"remotec.dev/runtimestub/wire"
)

// waiting is a session that waits for nodes.
type waiting struct {
	*Listener
	addr    string
	tokens  chan Token
	refused chan error
}

func newWaiting(t testing.TB, count int) *waiting {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 10))
	}
	if err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	w := &waiting{tokens: make(chan Token, 10), refused: make(chan error, 10)}
	w.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*syscall.SockaddrInet4).Port))
	w.Listener, err = Listen(fd, Config{
		Count: count, Version: "test", Log: slog.New(slog.DiscardHandler),
		Waiting: func(token Token) { w.tokens <- token },
		Joined:  func(string, string, int) {},
		Refused: func(_ string, err error) { w.refused <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w.Wait(ctx)
	})
	return w
}

// joins joins w and returns the error of that, once the session has ended.
func (w *waiting) joins(t *testing.T, token Token) error {
	t.Helper()
	return Join(t.Context(), JoinConfig{Addr: w.addr, Token: token, Version: "test", Cache: t.TempDir()})
}

// TestJoin: a node joins with its token, which nobody can use again.
func TestJoin(t *testing.T) {
	w := newWaiting(t, 1)
	token := <-w.tokens
	ended := make(chan error, 1)
	go func() { ended <- w.joins(t, token) }()
	hosts, err := w.Wait(t.Context())
	if err != nil || len(hosts) != 1 || hosts[0].Addr != "127.0.0.1" || hosts[0].CPUs < 1 {
		t.Fatalf("got %v, %v", hosts, err)
	}
	if err := w.joins(t, token); err == nil || !strings.Contains(err.Error(), "nothing listens there") {
		t.Errorf("a second node: %v", err)
	}
	hosts[0].Close()
	if err := <-ended; err != nil {
		t.Errorf("the node says %v", err)
	}
}

// TestTokenOnce: while others are waited for, a used token is a wrong one.
func TestTokenOnce(t *testing.T) {
	w := newWaiting(t, 2)
	token := <-w.tokens
	go w.joins(t, token)
	for { // the first one is in when its token is out
		w.mu.Lock()
		n := len(w.Listener.tokens)
		w.mu.Unlock()
		if n == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	for name, token := range map[string]Token{"used": token, "wrong": newToken()} {
		if err := w.joins(t, token); err == nil || !strings.Contains(err.Error(), "without a word: the token is wrong or was used before") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.joins(t, "abc"); err == nil || !strings.Contains(err.Error(), "is no join token: it has 26 letters and digits") {
		t.Errorf("malformed: %v", err)
	}
}

// TestStranger: who does not know a token gets not a byte.
func TestStranger(t *testing.T) {
	w := newWaiting(t, 1)
	token := <-w.tokens
	s, err := token.derive()
	if err != nil {
		t.Fatal(err)
	}
	wrong, _ := newToken().derive()
	// A real first message with another name, and with none.
	for name, config := range map[string]*tls.Config{
		"no name":    {InsecureSkipVerify: true},
		"other name": {InsecureSkipVerify: true, ServerName: wrong.name},
		"old TLS":    {InsecureSkipVerify: true, ServerName: s.name, MaxVersion: tls.VersionTLS12},
	} {
		c := dialCounting(t, w.addr)
		if err := tls.Client(c, config).Handshake(); err == nil {
			t.Errorf("%s: a handshake", name)
		}
		if c.read > 0 && name != "old TLS" {
			t.Errorf("%s: got %d bytes", name, c.read)
		}
	}
	// Who saw the name on the way, and has not the key.
	terms, err := (&secrets{name: s.name, server: s.server, node: wrong.node}).join()
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(dialCounting(t, w.addr), terms)
	err = c.Handshake()
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 1))
	}
	if err == nil {
		t.Error("somebody without the key got in")
	}
	for _, text := range []string{"GET / HTTP/1.0\r\n\r\n", "REMOTEC1", "\x16\x03\x01\x00\x05hello", ""} {
		c := dialCounting(t, w.addr)
		c.Write([]byte(text))
		c.Conn.(*net.TCPConn).CloseWrite()
		if b, _ := io.ReadAll(c); len(b) > 0 {
			t.Errorf("%q got %q", text, b)
		}
	}
	// The token is still good.
	go w.joins(t, token)
	hosts, err := w.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hosts[0].Close()
}

// counting counts what is read.
type counting struct {
	net.Conn
	read int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read += n
	return n, err
}

func dialCounting(t *testing.T, addr string) *counting {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return &counting{Conn: c}
}

// TestImpostor: a node does not talk to somebody who does not know its token.
func TestImpostor(t *testing.T) {
	token := newToken()
	s, _ := token.derive()
	other, _ := newToken().derive()
	terms, err := (&secrets{name: s.name, server: other.server, node: s.node}).joining()
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", terms)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = c.Read(make([]byte, 1))
		}
		got <- err
	}()
	err = Join(t.Context(), JoinConfig{Addr: l.Addr().String(), Token: token})
	if err == nil || !strings.Contains(err.Error(), "the other end has another token") {
		t.Errorf("got %v", err)
	}
	if <-got == nil {
		t.Error("it said something")
	}
}

// TestRefused: a host that cannot take part is told why, and so is the user of the session,
// who gets another token.
func TestRefused(t *testing.T) {
	good := func() *hello {
		return &hello{Protocol: protocol, Version: "v9", API: wire.APIVersion, Name: "b", OS: "linux", Arch: "amd64", Features: features(), Key: make([]byte, 32)}
	}
	w := newWaiting(t, 1)
	for want, change := range map[string]func(*hello){
		"it speaks version 9 of the protocol of nodes (remotec v9), the session version 4 (remotec test): install the same remotec": func(h *hello) { h.Protocol = 9 },
		"its remotec v9 speaks version 1 of the API":               func(h *hello) { h.API = 1 },
		"it is a linux/arm64 host, the program is for linux/amd64": func(h *hello) { h.Arch = "arm64" },
		"its processor lacks sse42, which": func(h *hello) {
			h.Features = slices.DeleteFunc(h.Features, func(f string) bool { return f == "sse42" })
		},
		"it cannot run processes of several: no userfaultfd": func(h *hello) { h.Missing = "no userfaultfd" },
		"its key is malformed":                               func(h *hello) { h.Key = nil },
	} {
		token := <-w.tokens
		s, _ := token.derive()
		terms, err := s.join()
		if err != nil {
			t.Fatal(err)
		}
		c, err := dial(t.Context(), w.addr, terms)
		if err != nil {
			t.Fatal(err)
		}
		h, answer := good(), welcome{}
		change(h)
		if err := errors.Join(send(c, h), receive(c, &answer)); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(answer.Refused, want) || answer.Certificate != nil {
			t.Errorf("told %q, want %q", answer.Refused, want)
		}
		if err := <-w.refused; !strings.Contains(err.Error(), "node b: "+want) {
			t.Errorf("the session is told %v, want %q", err, want)
		}
	}
	if got := good().check("test", w.features); got != "" {
		t.Errorf("a good one is refused: %s", got)
	}
}

// TestOtherSession: a certificate of one session is worth nothing in another.
func TestOtherSession(t *testing.T) {
	w, other := newWaiting(t, 1), newWaiting(t, 1)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := other.identity.issue(1, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	terms, err := member(&welcome{Name: w.identity.name, Authority: w.identity.authority.Raw, Certificate: cert}, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dial(t.Context(), w.addr, terms)
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 1))
	}
	if err == nil || err == io.EOF {
		t.Errorf("got %v", err)
	}
}

// TestFeatures: what differs between processors is named.
func TestFeatures(t *testing.T) {
	for _, test := range []struct{ ours, theirs, want string }{
		{"aes sse41 ssse3 avx", "aes sse41 ssse3 avx avx2", ""},
		{"aes sse41 ssse3 avx avx2", "aes sse41 ssse3", "lacks avx, avx2, which"},
		{"avx", "avx aes", "has aes and that of the session's first process has not"},
	} {
		got := unlike(strings.Fields(test.ours), strings.Fields(test.theirs))
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s / %s: %q, want %q", test.ours, test.theirs, got, test.want)
		}
	}
}
