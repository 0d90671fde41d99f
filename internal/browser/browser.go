// Package browser drives a headless Chromium for tests, by the DevTools protocol
// (chromedevtools.github.io/devtools-protocol) over two pipes: descriptors 3 and 4 of the
// browser, each message a JSON text with a zero byte at its end. That takes no port,
// no websocket and no module.
package browser

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// names of the program, most specific first.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

// Find returns the path of a browser, or "".
func Find() string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Browser is a running browser with one page.
type Browser struct {
	cmd  *exec.Cmd
	to   *os.File
	dir  string
	page string // id of the DevTools session of the page

	mu      sync.Mutex
	next    int                  // guarded by mu, as is the rest
	waiting map[int]chan message // calls that were not answered
	errs    []string             // of the page's scripts, and requests that its policy forbids
	gone    chan struct{}        // closed when the browser ends
}

type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// Limit bounds each operation.
const Limit = 10 * time.Second

// Start starts the browser at path, with an empty page.
func Start(path string) (*Browser, error) {
	dir, err := os.MkdirTemp("", "browser")
	if err != nil {
		return nil, err
	}
	b := &Browser{dir: dir, waiting: map[int]chan message{}, gone: make(chan struct{})}
	in, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	from, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	b.to = to
	b.cmd = exec.Command(path, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync", "--mute-audio",
		"--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir="+dir, "about:blank")
	b.cmd.ExtraFiles = []*os.File{in, out}
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	in.Close()
	out.Close()
	go b.read(from)
	if err := b.open(); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// open attaches to the page.
func (b *Browser) open() error {
	var targets struct {
		TargetInfos []struct{ TargetID, Type string }
	}
	for start := time.Now(); b.page == "" && time.Since(start) < Limit; {
		if err := b.call("", "Target.getTargets", nil, &targets); err != nil {
			return err
		}
		for _, t := range targets.TargetInfos {
			if t.Type != "page" {
				continue
			}
			var session struct{ SessionID string }
			if err := b.call("", "Target.attachToTarget", map[string]any{"targetId": t.TargetID, "flatten": true}, &session); err != nil {
				return err
			}
			b.page = session.SessionID
			break
		}
	}
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		if err := b.Call(domain+".enable", nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// read takes messages until the browser ends.
func (b *Browser) read(from *os.File) {
	defer from.Close()
	defer close(b.gone)
	r := bufio.NewReaderSize(from, 1<<16)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m) != nil {
			continue
		}
		b.mu.Lock()
		switch m.Method {
		case "":
			if c := b.waiting[m.ID]; c != nil {
				delete(b.waiting, m.ID)
				c <- m
			}
		case "Runtime.exceptionThrown":
			b.errs = append(b.errs, string(m.Params))
		case "Log.entryAdded":
			var p struct {
				Entry struct{ Level, Text, URL string }
			}
			if json.Unmarshal(m.Params, &p) == nil && p.Entry.Level == "error" {
				b.errs = append(b.errs, p.Entry.Text+" "+p.Entry.URL)
			}
		}
		b.mu.Unlock()
	}
}

// Call calls a method of the page; result may be nil.
func (b *Browser) Call(method string, params, result any) error {
	return b.call(b.page, method, params, result)
}

func (b *Browser) call(session, method string, params, result any) error {
	c := make(chan message, 1)
	b.mu.Lock()
	b.next++
	id := b.next
	b.waiting[id] = c
	b.mu.Unlock()
	text, err := json.Marshal(struct {
		ID        int    `json:"id"`
		Method    string `json:"method"`
		Params    any    `json:"params,omitempty"`
		SessionID string `json:"sessionId,omitempty"`
	}{id, method, params, session})
	if err != nil {
		return err
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		return fmt.Errorf("browser: %s: %w", method, err)
	}
	select {
	case m := <-c:
		if m.Error != nil {
			return fmt.Errorf("browser: %s: %s", method, m.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-b.gone:
		return fmt.Errorf("browser: %s: the browser has ended", method)
	case <-time.After(Limit):
		return fmt.Errorf("browser: %s: no answer", method)
	}
}

// Navigate opens a page.
func (b *Browser) Navigate(url string) error {
	var r struct{ ErrorText string }
	if err := b.Call("Page.navigate", map[string]any{"url": url}, &r); err != nil {
		return err
	}
	if r.ErrorText != "" {
		return fmt.Errorf("browser: opening %s: %s", url, r.ErrorText)
	}
	return nil
}

// Eval evaluates an expression of JavaScript in the page, waits for it if it is a promise, and stores
// its value in result, which may be nil.
func (b *Browser) Eval(expression string, result any) error {
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := b.Call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	switch {
	case err != nil:
		return err
	case r.ExceptionDetails != nil:
		return fmt.Errorf("browser: %s: %s %s", expression, r.ExceptionDetails.Text, r.ExceptionDetails.Exception.Description)
	case result == nil || r.Result.Value == nil:
		return nil
	}
	return json.Unmarshal(r.Result.Value, result)
}

// Await waits until an expression is true. It may fail before: elements come by and by.
func (b *Browser) Await(expression string) error {
	var err error
	for start := time.Now(); time.Since(start) < Limit; time.Sleep(50 * time.Millisecond) {
		ok := false
		if err = b.Eval("Boolean("+expression+")", &ok); err == nil && ok {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return errors.New("browser: it never was so: " + expression)
}

// Click clicks the element that a selector finds first, once there is one.
func (b *Browser) Click(selector string) error {
	s, _ := json.Marshal(selector) // a string can be marshaled
	if err := b.Await(fmt.Sprintf("document.querySelector(%s)", s)); err != nil {
		return err
	}
	return b.Eval(fmt.Sprintf("document.querySelector(%s).click()", s), nil)
}

// Size makes the page so large, in pixels of CSS, on a screen that has scale of its own for each.
func (b *Browser) Size(width, height int, scale float64, mobile, dark bool) error {
	err := b.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}, nil)
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	return errors.Join(err, b.Call("Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}},
	}, nil))
}

// Screenshot writes what can be seen to a file, as PNG.
func (b *Browser) Screenshot(file string) error {
	var r struct{ Data string }
	if err := b.Call("Page.captureScreenshot", map[string]any{"format": "png"}, &r); err != nil {
		return err
	}
	data, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// Errors returns what went wrong in the page so far: exceptions of its scripts, requests that failed.
func (b *Browser) Errors() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.errs...)
}

// Close ends the browser.
func (b *Browser) Close() {
	b.to.Close() // it ends by itself then
	select {
	case <-b.gone:
	case <-time.After(5 * time.Second):
		b.cmd.Process.Kill()
	}
	b.cmd.Wait()
	os.RemoveAll(b.dir)
}
