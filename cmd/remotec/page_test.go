package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"remotec.dev/internal/browser"
	"remotec.dev/server/pager"
)

var update = flag.Bool("update", false, "make the screenshots of the page in docs anew")

// viewed is a program that runs with a page.
type viewed struct {
	t     *testing.T
	url   string // of the page, with the token
	base  string // without, up to the last slash
	token string
	id    uint64 // of the session
}

// view runs testdata/lively with a page, until the test ends.
func view(t *testing.T, flags []string, args ...string) *viewed {
	t.Helper()
	if err := pager.Supported(); err != nil {
		t.Skip(err) // says what the kernel refuses; docs/compatibility.md, Several processes, what to allow
	}
	tool, err := exec.LookPath("remotec") // this test binary, see TestMain
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		t.Setenv("GOFLAGS", "-trimpath") // the paths of this machine are nobody's concern
	}
	prog := buildProgram(t, t.TempDir(), "lively", true)
	stderr, stdout := &lines{more: make(chan struct{}, 1)}, &lines{more: make(chan struct{}, 1)}
	cmd := exec.Command(tool, append(append(append([]string{"run", "-http", "127.0.0.1:0"}, flags...), prog), args...)...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the program: %v: %s", err, stderr)
		}
	})
	stdout.await(t, `(lively|parked)`, 1)
	v := newViewed(t, stderr)
	list := v.sessions()
	if len(list) != 1 {
		t.Fatalf("sessions: %+v", list)
	}
	v.id = list[0].ID
	return v
}

// newViewed returns what views the page whose address is printed.
func newViewed(t *testing.T, stderr *lines) *viewed {
	t.Helper()
	v := &viewed{t: t, url: stderr.await(t, `page at (http://\S+)\n`, 1)[0]}
	v.base, v.token, _ = strings.Cut(v.url, "?token=")
	return v
}

// listed is a session in the page's list.
type listed struct {
	ID        uint64
	Processes int
}

// sessions returns the list.
func (v *viewed) sessions() []listed {
	v.t.Helper()
	var list struct{ Sessions []listed }
	v.get("api/sessions", &list)
	return list.Sessions
}

// get asks the page for something.
func (v *viewed) get(path string, answer any) {
	v.t.Helper()
	r, err := http.NewRequest("GET", v.base+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("X-Remotec-Token", v.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(data, answer)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		v.t.Fatalf("%s: %s: %s (%v)", path, resp.Status, data, err)
	}
}

// view asks for a view of the session.
func (v *viewed) view(what, query string, answer any) {
	v.t.Helper()
	v.get(fmt.Sprintf("api/view?session=%d&what=%s&%s", v.id, what, query), answer)
}

// open opens the page in a browser.
func (v *viewed) open() *browser.Browser {
	v.t.Helper()
	path := browser.Find()
	if path == "" {
		v.t.Skip("there is no Chromium to open the page with")
	}
	b, err := browser.Start(path)
	if err != nil {
		v.t.Skipf("Chromium does not run here: %v", err)
	}
	v.t.Cleanup(func() {
		if errs := b.Errors(); len(errs) > 0 {
			v.t.Errorf("errors in the page: %s", strings.Join(errs, "\n"))
		}
		if v.t.Failed() {
			var text string
			b.Eval("document.body.innerText", &text)
			v.t.Logf("the page:\n%s", text)
		}
		b.Close()
	})
	must(v.t, b.Size(1440, 900, 1, false, false))
	must(v.t, b.Navigate(v.url))
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestPageInBrowser opens the page of a program in two processes: it is alive, and its
// buttons do what they say.
func TestPageInBrowser(t *testing.T) {
	v := view(t, []string{"-n", "2", "-placement", "spread"})
	b := v.open()
	must(t, b.Await(`document.querySelector("#live").dataset.on === "yes"`))
	must(t, b.Await(`document.querySelectorAll(".process").length === 2`))
	must(t, b.Await(`document.querySelector("#topSites").textContent.includes("main.park")`))
	must(t, b.Await(`document.querySelector("[data-tile=calls] b").textContent !== "0"`))
	search := "?"
	must(t, b.Eval("location.search", &search))
	if search != "" {
		t.Errorf("the token is still in the address: %s", search)
	}

	// A goroutine that works goes to the other process.
	var spinner struct {
		Rows []struct {
			ID      uint64
			Process int
		}
	}
	var picture struct {
		Sites []struct {
			PC   string
			Func string
			Live int
			Line int
		}
	}
	v.view("picture", "", &picture)
	line := lineOf(t, "go spinner(")
	for _, s := range picture.Sites {
		if s.Line == line {
			v.view("goroutines", "site="+s.PC, &spinner)
		}
	}
	if len(spinner.Rows) != 1 {
		t.Fatalf("goroutines of line %d: %+v; sites: %+v", line, spinner, picture.Sites)
	}
	row := spinner.Rows[0]
	must(t, b.Eval(`location.hash = "#goroutines"`, nil))
	must(t, b.Await(`document.querySelectorAll(".row").length > 10`))
	must(t, b.Eval(fmt.Sprintf(`{const e = document.querySelector("#byNumber"); e.value = "%d"; e.dispatchEvent(new Event("input"))}`, row.ID), nil))
	must(t, b.Click(fmt.Sprintf(`[data-goroutine="%d"]`, row.ID)))
	must(t, b.Await(`document.querySelector("#stack").textContent.includes("main.spinner")`))
	must(t, b.Await(fmt.Sprintf(`document.querySelector("#detailProcess").textContent === "process %d"`, row.Process)))
	must(t, b.Click("#migrate"))
	must(t, b.Await(fmt.Sprintf(`document.querySelector("#detailProcess").textContent === "process %d"`, 1-row.Process)))
	var stack struct {
		Process int
		Text    string
	}
	v.view("stack", fmt.Sprintf("goroutine=%d", row.ID), &stack)
	if stack.Process != 1-row.Process || !strings.Contains(stack.Text, "main.spinner") {
		t.Errorf("after the move: %+v", stack)
	}
	must(t, b.Click(".close"))
	must(t, b.Eval(`location.hash = "#events"`, nil))
	must(t, b.Await(`document.querySelector("#moves").textContent.includes("asked for by a user")`))

	// Traffic and sharing.
	must(t, b.Eval(`location.hash = "#traffic"`, nil))
	must(t, b.Await(`document.querySelectorAll("#graph .edge").length === 2`))
	must(t, b.Eval(`location.hash = "#sharing"`, nil))
	must(t, b.Await(`document.querySelector("#pages").textContent.includes("main.hits[")`))
	must(t, b.Await(`document.querySelector("#pages").textContent.includes("main.tally")`))

	if *update {
		screenshots(t, v, b)
	}
	for _, size := range [][2]int{{1440, 900}, {390, 844}} {
		must(t, b.Size(size[0], size[1], 1, size[0] < 500, false))
		for _, view := range []string{"overview", "goroutines", "traffic", "sharing", "events"} {
			must(t, b.Eval(fmt.Sprintf(`location.hash = "#%s"`, view), nil))
			must(t, b.Await(fmt.Sprintf(`!document.querySelector("#view-%s").hidden`, view)))
			wide := 0
			must(t, b.Eval("document.documentElement.scrollWidth", &wide))
			if wide > size[0] {
				t.Errorf("%s is %d pixels wide on a screen of %d", view, wide, size[0])
			}
		}
	}
}

// lineOf returns the line of testdata/lively/main.go that has some text.
func lineOf(t *testing.T, text string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "lively", "main.go"))
	must(t, err)
	before, _, ok := strings.Cut(string(data), text)
	if !ok {
		t.Fatalf("lively has no %q", text)
	}
	return strings.Count(before, "\n") + 1
}

// screenshots makes those in docs.
func screenshots(t *testing.T, v *viewed, b *browser.Browser) {
	t.Helper()
	docs := filepath.Join("..", "..", "docs")
	shot := func(name, hash string, width, height int, dark bool) {
		scale := 1.0
		if width < 500 {
			scale = 2
		}
		must(t, b.Size(width, height, scale, width < 500, dark))
		must(t, b.Eval(fmt.Sprintf(`location.hash = "#%s"`, hash), nil))
		time.Sleep(2500 * time.Millisecond) // for lines to grow
		must(t, b.Screenshot(filepath.Join(docs, name)))
	}
	time.Sleep(40 * time.Second)
	shot("page-laptop.png", "overview", 1280, 860, false)
	shot("page-sharing.png", "sharing", 1280, 860, true)
	shot("page-traffic.png", "traffic", 1280, 760, false)
	shot("page-phone.png", "overview", 390, 844, true)
	must(t, b.Size(1280, 860, 1, false, false))
	must(t, b.Eval(`location.hash = "#goroutines"; document.querySelector("#byNumber").value = ""; document.querySelector("#byNumber").dispatchEvent(new Event("input"))`, nil))
	must(t, b.Await(`document.querySelectorAll(".row").length > 20`))
	must(t, b.Eval(`[...document.querySelectorAll(".row")].find(r => r.textContent.includes("hasher") || r.textContent.includes("main.main")).click()`, nil))
	must(t, b.Await(`document.querySelector("#stack").textContent.includes("main.")`))
	shot("page-goroutine.png", "goroutines", 1280, 860, false)
	must(t, b.Click(".close"))
}

// TestPageOfServer looks at two programs of one server, which run in two processes and in one.
func TestPageOfServer(t *testing.T) {
	if err := pager.Supported(); err != nil {
		t.Skip(err) // says what the kernel refuses; docs/compatibility.md, Several processes, what to allow
	}
	prog := buildProgram(t, t.TempDir(), "lively", true)
	addr := "unix:" + filepath.Join(t.TempDir(), "sock")
	stderr := &lines{more: make(chan struct{}, 1)}
	stdout := &lines{more: make(chan struct{}, 1)}
	server := exec.Command("remotec", "serve", "-listen", addr, "-http", "127.0.0.1:0")
	server.Stderr, server.Stdout = stderr, stdout
	must(t, server.Start())
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGTERM)
		server.Wait()
	})
	stdout.await(t, `listening on (\S+)`, 1)
	v := newViewed(t, stderr)
	if list := v.sessions(); len(list) != 0 {
		t.Errorf("before any program: %+v", list)
	}
	for _, n := range []string{"1", "2"} {
		out := &lines{more: make(chan struct{}, 1)}
		cmd := exec.Command(prog, "-go.remote="+addr)
		cmd.Env = append(os.Environ(), processesVariable+"="+n)
		cmd.Stdout, cmd.Stderr = out, os.Stderr
		stdin, err := cmd.StdinPipe()
		must(t, err)
		must(t, cmd.Start())
		t.Cleanup(func() { stdin.Close(); cmd.Wait() })
		out.await(t, `(lively)`, 1)
	}
	list := v.sessions()
	if len(list) != 2 {
		t.Fatalf("sessions: %+v", list)
	}
	for _, s := range list {
		v.id = s.ID
		var picture struct {
			Goroutines int
			Processes  []struct{ Goroutines int }
			ByCall     []struct{ Name string }
		}
		for start := time.Now(); picture.Goroutines < 60 && time.Since(start) < 10*time.Second; {
			v.view("picture", "", &picture) // there are more from picture to picture: what has not begun is not seen
		}
		if picture.Goroutines < 60 || len(picture.Processes) != s.Processes || len(picture.ByCall) == 0 {
			t.Errorf("session %d: %+v", s.ID, picture)
		}
		var stack struct{ Text string }
		v.view("stack", "goroutine=1", &stack)
		if !strings.Contains(stack.Text, "main.main()") {
			t.Errorf("session %d: the stack of main:\n%s", s.ID, stack.Text)
		}
	}
}

// TestPageOfDrainedProcess drains processes by the buttons of the page, in a program of three: one is kept, and gets
// goroutines again, one ends, and the page shows it as gone.
func TestPageOfDrainedProcess(t *testing.T) {
	v := view(t, []string{"-n", "3", "-placement", "spread"})
	b := v.open()
	must(t, b.Await(`document.querySelectorAll(".process").length === 3`))
	press := func(process int, label string) {
		t.Helper()
		must(t, b.Await(fmt.Sprintf(`(() => {
			const e = [...document.querySelectorAll("[data-process='%d'] button")].find(e => e.textContent === %q && !e.disabled);
			if (e) e.click();
			return e;
		})()`, process, label)))
	}
	head := func(process int, text string) {
		t.Helper()
		must(t, b.Await(fmt.Sprintf(`document.querySelector("[data-process='%d'] .head").textContent.includes(%q)`, process, text)))
	}
	type member struct {
		Number, Goroutines int
		Drained, Gone      bool
	}
	members := func() []member {
		t.Helper()
		var picture struct{ Processes []member }
		v.view("picture", "", &picture)
		return picture.Processes
	}
	press(2, "Drain, keep")
	head(2, ", drained")
	if m := members()[2]; !m.Drained || m.Gone || m.Goroutines != 0 {
		t.Errorf("process 2, which is kept: %+v", m)
	}
	press(2, "Undo drain")
	must(t, b.Await(`!document.querySelector("[data-process='2'] .head").textContent.includes("drained")`))

	press(1, "Drain")
	head(1, "gone")
	if m := members()[1]; !m.Gone || m.Goroutines != 0 {
		t.Errorf("process 1, which has ended: %+v", m)
	}
	left := -1
	must(t, b.Eval(`document.querySelectorAll("[data-process='1'] button").length`, &left))
	if left != 0 {
		t.Errorf("process 1 is gone, and has %d buttons", left)
	}
	out, err := exec.Command("remotec", "ps").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "gone") {
		t.Errorf("remotec ps: %v\n%s", err, out)
	}
	must(t, b.Eval(`location.hash = "#goroutines"`, nil))
	must(t, b.Await(`document.querySelectorAll("#byProcess option").length === 3`)) // all, 0 and 2
	must(t, b.Eval(`location.hash = "#traffic"`, nil))
	must(t, b.Await(`document.querySelectorAll("#graph circle").length === 2`))
}

// TestPageOfManyGoroutines looks at a program with 100,000 goroutines: the page answers soon,
// and the program goes on.
func TestPageOfManyGoroutines(t *testing.T) {
	const many = 100_000
	v := view(t, []string{"-n", "2"}, fmt.Sprint(many))
	var picture struct{ Goroutines int }
	for start := time.Now(); picture.Goroutines <= many; {
		v.view("picture", "", &picture)
		if time.Since(start) > 30*time.Second {
			t.Fatalf("%d goroutines are seen", picture.Goroutines)
		}
	}
	var slowest time.Duration
	for range 5 {
		time.Sleep(500 * time.Millisecond) // longer than a picture is good for
		start := time.Now()
		v.view("picture", "", &picture)
		slowest = max(slowest, time.Since(start))
	}
	var list struct {
		Total int
		Rows  []struct{ ID uint64 }
	}
	start := time.Now()
	v.view("goroutines", "offset=99000&limit=100", &list)
	paged := time.Since(start)
	t.Logf("a picture of %d goroutines takes %v at most, a part of the list %v", picture.Goroutines, slowest, paged)
	if list.Total <= many || len(list.Rows) != 100 {
		t.Errorf("list of %d, %d rows", list.Total, len(list.Rows))
	}
	if slowest > 2*time.Second {
		t.Errorf("a picture takes %v", slowest)
	}
	b := v.open()
	must(t, b.Await(`document.querySelector("#live").dataset.on === "yes"`))
	must(t, b.Eval(`location.hash = "#goroutines"`, nil))
	must(t, b.Await(`document.querySelectorAll(".row").length > 10`))
	elements := 0
	must(t, b.Eval(`document.getElementsByTagName("*").length`, &elements))
	if elements > 3000 {
		t.Errorf("the page has %d elements", elements)
	}
	must(t, b.Eval(`{const r = document.querySelector("#rows"); r.scrollTop = r.scrollHeight}`, nil))
	must(t, b.Await(fmt.Sprintf(`[...document.querySelectorAll(".row")].some(r => Number(r.dataset.goroutine) > %d)`, many)))
	// While the list is there and pictures come, a frame of the page takes a moment.
	var worst float64
	must(t, b.Eval(`new Promise(done => {
		let worst = 0, last = performance.now(), end = last + 3000;
		const tick = now => { worst = Math.max(worst, now - last); last = now; now < end ? requestAnimationFrame(tick) : done(worst); };
		requestAnimationFrame(tick);
	})`, &worst))
	t.Logf("the longest frame in 3 s took %.0f ms", worst)
	if worst > 1500 {
		t.Errorf("the page hung for %.0f ms", worst)
	}
}
