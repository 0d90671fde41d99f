package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"remotec.dev/server"
	"remotec.dev/server/control"
	"remotec.dev/server/metrics"
	"remotec.dev/server/program"
	"remotec.dev/server/session"
)

// placements are the words of -placement.
var placements = []string{"local", "spread", "balance", "affinity"}

var runCommand = &command{
	name:  "run",
	args:  "PROGRAM [ARGUMENT...]",
	short: "run a program with a runtime server of its own",
	long: `
PROGRAM is a remote binary, or a package directory, an import path or .go
files, which are built first. Its standard streams, arguments, environment and
working directory are those of this command, and so is the exit status in
return: the program's own, 128 + N where signal N ended it, 1 where remotec
failed.

With -nodes N it waits until N other hosts have joined by "remotec join", and
prints what to run there on standard error. The processes (-n) are divided over
this host and those, each gets one at least. -listen is where they find this
host: give an address that they can reach, as -listen 10.0.0.1:7000.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o runOptions
		fs.StringVar(&o.processes, "n", "1", "processes of the program; with -server, unless given, as many as that says")
		fs.IntVar(&o.nodes, "nodes", 0, "other hosts that run processes of the program")
		fs.StringVar(&o.listen, "listen", "127.0.0.1:0", "`address` on which to wait for them")
		fs.StringVar(&o.placement, "placement", envOr("REMOTEC_PLACEMENT", "balance"), "where new goroutines go: "+strings.Join(placements, ", "))
		fs.StringVar(&o.chaos, "chaos", os.Getenv("REMOTEC_CHAOS"), "fault injection for tests: delay=DURATION before each call, post=DURATION at most before each message between processes, mail=DURATION at most between two looks at such messages, migrate=DURATION between moves of some goroutine to another process")
		fs.BoolVar(&o.account, "account", os.Getenv("REMOTEC_ACCOUNT") == "true", "account for what goroutines use from the start, not only from when remotec top or somebody else asks")
		fs.StringVar(&o.http, "http", "", "serve a page about the session at this `address`, which is printed on standard error: 127.0.0.1:0")
		fs.BoolVar(&o.httpAny, "http-any", false, "let -http be an address that other machines can reach")
		fs.StringVar(&o.server, "server", "", "use the server at this `address` instead of an own one")
		fs.StringVar(&o.token, "token", os.Getenv("REMOTEC_TOKEN"), "what the server given by -server asks for")
		fs.BoolVar(&o.hand, "hand", envOr("REMOTEC_HAND", "true") != "false", "hand open descriptors to the program, so that its reads and writes bypass the server")
		return func(args []string, std streams) error {
			fs.Visit(func(f *flag.Flag) {
				o.givenN = o.givenN || f.Name == "n"
				o.givenPlacement = o.givenPlacement || f.Name == "placement"
				o.givenAccount = o.givenAccount || f.Name == "account"
			})
			return o.run(args, std)
		}
	},
}

// runOptions are the flags of remotec run as they were given.
type runOptions struct {
	processes, placement, chaos, http string
	server, token, listen             string
	nodes                             int
	hand, httpAny, account            bool
	givenN, givenPlacement            bool
	givenAccount                      bool
}

func (o *runOptions) run(args []string, std streams) error {
	if len(args) == 0 {
		return usagef("no program given")
	}
	n, err := strconv.Atoi(o.processes)
	switch {
	case err != nil || n < 1:
		return usagef("-n %s: not a number of processes", o.processes)
	case n > session.MaxProcesses:
		return usagef("-n %d: a session has at most %d processes", n, session.MaxProcesses)
	case o.nodes < 0:
		return usagef("-nodes %d: not a number of hosts", o.nodes)
	case o.nodes > 0 && o.server != "":
		return usagef("-nodes %d: the server given by -server has nodes of its own, see remotec serve -join; without -server other hosts join the session", o.nodes)
	case o.nodes > 0 && o.processes != "1" && n <= o.nodes:
		return usagef("-n %d: %d hosts need at least as many processes: -n %d", n, o.nodes+1, o.nodes+1)
	case o.nodes >= session.MaxProcesses:
		return usagef("-nodes %d: a session has at most %d processes", o.nodes, session.MaxProcesses)
	}
	placement, err := parsePlacement(o.placement)
	if err != nil {
		return err
	}
	if o.http != "" && o.server != "" {
		return usagef("-http %s: the server at %s has the session; it serves a page if it was started so: remotec serve -http ADDR", o.http, o.server)
	}
	if o.account && o.givenAccount && o.server != "" {
		return usagef("-account: the server at %s has the session; it accounts for goroutines from the start if it was started so: remotec serve -account", o.server)
	}
	chaos, err := parseChaos(o.chaos)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the remotec command for -toolexec: %w", err)
	}
	p, err := (&program.Builder{Tool: self, Output: std.err}).Find(args)
	if err != nil {
		return err
	}
	defer p.Remove()
	var exit server.Exit
	if o.server != "" {
		exit, err = server.RunAt(o.server, o.token, server.Program{Program: *p, Env: o.asking()})
	} else {
		cfg := serverConfig()
		cfg.Policy.Hand, cfg.Delay, cfg.PostDelay, cfg.MailDelay, cfg.MoveEvery = o.hand, chaos.delay, chaos.post, chaos.mail, chaos.migrate
		cfg.Processes = max(n, o.nodes+1)
		cfg.Nodes = server.Nodes{
			Count: o.nodes, Listen: o.listen, Version: version(),
			Say: func(line string) { fmt.Fprintf(std.err, "remotec: %s\n", line) },
		}
		cfg.Placement = placement
		cfg.Account = o.account
		cfg.Page = pageAt(o.http, o.httpAny, std.err)
		exit, err = server.Run(cfg, server.Program{Program: *p})
	}
	if err != nil {
		return err
	}
	return exitStatus(exit.Code())
}

// pageAt is the page of -http and -http-any.
func pageAt(addr string, any bool, stderr io.Writer) server.Page {
	return server.Page{Addr: addr, Any: any, Metrics: func(src control.Source) http.Handler { return metrics.Handler(src) }, Ready: func(url string) { fmt.Fprintf(stderr, "remotec: page at %s\n", url) }}
}

// parsePlacement reads a word of -placement.
func parsePlacement(word string) (server.Placement, error) {
	i := slices.Index(placements, word)
	if i < 0 {
		return 0, usagef("placement %q: not one of %s", word, strings.Join(placements, ", "))
	}
	return []server.Placement{server.PlaceLocal, server.PlaceSpread, server.PlaceBalance, server.PlaceAffinity}[i], nil
}

// processesVariable is how a program asks its server for processes, and for a
// placement: N, N/PLACEMENT or /PLACEMENT.
const processesVariable = "REMOTEC_PROCESSES"

// asking returns the environment of a program that is to ask the server given by
// -server for what the flags say.
func (o *runOptions) asking() []string {
	ask := ""
	if o.givenN {
		ask = o.processes
	}
	if o.givenPlacement || os.Getenv("REMOTEC_PLACEMENT") != "" {
		ask += "/" + o.placement
	}
	if ask == "" {
		return nil
	}
	return append(os.Environ(), processesVariable+"="+ask)
}

// faults are what is injected: delays, and moves of goroutines.
type faults struct {
	delay, post, mail, migrate time.Duration
}

// faultWords names the faults that there are.
const faultWords = "delay=DURATION, post=DURATION, mail=DURATION and migrate=DURATION"

// parseChaos reads a list of faults.
func parseChaos(spec string) (chaos faults, err error) {
	if spec == "" {
		return chaos, nil
	}
	for _, fault := range strings.Split(spec, ",") {
		name, value, _ := strings.Cut(fault, "=")
		switch name {
		case "delay", "post", "mail", "migrate":
			d, err := time.ParseDuration(value)
			if err != nil || d < 0 {
				return chaos, usagef("chaos %q: not a duration", fault)
			}
			switch name {
			case "delay":
				chaos.delay = d
			case "post":
				chaos.post = d
			case "mail":
				chaos.mail = d
			default:
				chaos.migrate = d
			}
		case "gc":
			return chaos, usagef("chaos %q: this version injects "+faultWords+" only", fault)
		default:
			return chaos, usagef("chaos %q: not a known fault; there are "+faultWords, fault)
		}
	}
	return chaos, nil
}

// serverConfig is the server of this command, as far as the environment has
// a say. It is also that of programs that programs start.
func serverConfig() server.Config {
	chaos, _ := parseChaos(os.Getenv("REMOTEC_CHAOS"))
	return server.Config{
		Name: "remotec " + version(),
		Policy: server.Policy{
			Hand: envOr("REMOTEC_HAND", "true") != "false",
			Ring: envOr("REMOTEC_RING", "true") != "false",
		},
		Delay: chaos.delay, PostDelay: chaos.post, MailDelay: chaos.mail, MoveEvery: chaos.migrate,
		Nodes: server.Nodes{Version: version()}, Account: os.Getenv("REMOTEC_ACCOUNT") == "true",
	}
}

func envOr(name, value string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return value
}
