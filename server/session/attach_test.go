package session

import (
	"errors"
	"strings"
	"testing"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/servertest"
)

func TestAttachIsChecked(t *testing.T) {
	terms := &Terms{Token: "secret", Features: 0b101}
	for _, c := range []struct {
		name   string
		change func(*wire.Attach)
		code   wire.RefuseCode
		says   string
	}{
		{"all right", func(*wire.Attach) {}, 0, ""},
		{"a beta", func(a *wire.Attach) { a.GoVersion = "go1.27rc1" }, 0, ""},
		{"a development version", func(a *wire.Attach) { a.GoVersion = "devel go1.27-abc123" }, 0, ""},
		{"experiments", func(a *wire.Attach) { a.GoVersion = "go1.26.8-X:nogreenteagc" }, 0, ""},
		{"no build ID", func(a *wire.Attach) { a.BuildID = "" }, 0, ""},
		{"more features", func(a *wire.Attach) { a.CPU = 0b111 }, 0, ""},
		{"other API", func(a *wire.Attach) { a.APIVersion = 99 }, wire.RefuseVersion, "version 99"},
		{"no token", func(a *wire.Attach) { a.Token = "" }, wire.RefuseToken, "REMOTEC_TOKEN"},
		{"wrong token", func(a *wire.Attach) { a.Token = "secre" }, wire.RefuseToken, "wrong token"},
		{"older Go", func(a *wire.Attach) { a.GoVersion = "go1.25.1" }, wire.RefuseBinary, "go1.26, go1.27"},
		{"similar Go", func(a *wire.Attach) { a.GoVersion = "go1.260" }, wire.RefuseBinary, "go1.260"},
		{"no Go", func(a *wire.Attach) { a.GoVersion = "" }, wire.RefuseBinary, ""},
		{"spaces in the build ID", func(a *wire.Attach) { a.BuildID = "a b" }, wire.RefuseBinary, "build ID"},
		{"long build ID", func(a *wire.Attach) { a.BuildID = strings.Repeat("x", 600) }, wire.RefuseBinary, "build ID"},
		{"fewer features", func(a *wire.Attach) { a.CPU = 0b001 }, wire.RefuseCPU, "0x4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := servertest.Hello()
			a.Token, a.CPU = "secret", 0b101
			c.change(a)
			client, r := pair(t)
			result := make(chan error, 1)
			go func() {
				_, err := Greet(r, terms)
				r.Conn.Shutdown()
				result <- err
			}()
			var told *servertest.Refused
			errors.As(client.Attach(a), &told)
			err := <-result
			if c.code == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Code != c.code {
				t.Errorf("the server says %v", err)
			}
			if told == nil || told.Code != c.code || !strings.Contains(told.Message, c.says) {
				t.Errorf("the client is told %v, want code %d and %q", told, c.code, c.says)
			}
		})
	}
}

func TestMalformedAttachIsAnswered(t *testing.T) {
	client, r := pair(t)
	link, _ := wire.PutLink(make([]byte, 256), &wire.Link{})
	client.Conn.Write(append([]byte(wire.PreambleFramed), link...))
	if _, err := Greet(r, &Terms{}); err == nil {
		t.Error("no error")
	}
	frame, err := client.Frames.Next()
	if err != nil {
		t.Fatal(err)
	}
	if no, err := wire.GetRefused(frame); err != nil || no.Code != wire.RefuseProtocol {
		t.Errorf("got %+v, %v", no, err)
	}
}
