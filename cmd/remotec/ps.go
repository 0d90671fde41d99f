package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server"
	"remotec.dev/server/control"
	"remotec.dev/server/session"
)

// psTimeout bounds the whole of remotec ps.
const psTimeout = 10 * time.Second

var psCommand = &command{
	name:  "ps",
	short: "list sessions, and their goroutines by where they were created",
	long: `
Without -server it lists all sessions of this user on this machine. The counts
of goroutines are those that the program sent last; -goroutines asks for new
ones, and where somebody has asked what goroutines use (remotec top, stats, the page of
-http, -account), it shows what those of each place have used since. Of a program in several processes there
is a line for each, with its number, host and process id there. With -server, the
other hosts that have joined that server are listed, too; -nodes lists nothing else.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o psOptions
		o.flags(fs)
		fs.BoolVar(&o.goroutines, "goroutines", false, "list the places that create goroutines")
		fs.BoolVar(&o.nodes, "nodes", false, "list the nodes of the server given by -server only")
		fs.BoolVar(&o.json, "json", false, "print JSON")
		return o.run
	},
}

type psOptions struct {
	sessionOptions
	goroutines, json bool
	nodes            bool
}

// psSession is one session as -json prints it.
type psSession struct {
	ID          uint64      `json:"id"`
	PID         int         `json:"pid"`
	ProcessPID  int         `json:"processPid"`
	Path        string      `json:"path"`
	Args        []string    `json:"args"`
	GoVersion   string      `json:"goVersion"`
	BuildID     string      `json:"buildId"`
	Started     string      `json:"started"`
	Calls       uint64      `json:"calls"`
	Links       int         `json:"links"`
	Descriptors int         `json:"descriptors"`
	Goroutines  uint64      `json:"goroutines"`
	Created     uint64      `json:"created"`
	Remote      string      `json:"remote,omitempty"`
	Accounted   string      `json:"accounted,omitempty"` // since when what goroutines use is counted
	Processes   []psProcess `json:"processes,omitempty"`
	Sites       []psSite    `json:"sites,omitempty"`
}

// psProcess is one process of a session.
type psProcess struct {
	Number     int    `json:"number"`
	Host       string `json:"host,omitempty"` // empty: the session's
	PID        int    `json:"pid"`
	Goroutines uint64 `json:"goroutines"`
	Created    uint64 `json:"created"`
	Gone       bool   `json:"gone,omitempty"` // it was drained, and has ended
}

// psSite is a place that creates goroutines.
type psSite struct {
	Live    uint64 `json:"live"`
	Created uint64 `json:"created"`
	Ended   uint64 `json:"ended"`
	Func    string `json:"func"`
	File    string `json:"file"`
	Line    uint32 `json:"line"`

	Use *useJSON `json:"use,omitempty"` // of all of them, ended and live, since the session accounts for it
}

func (o *psOptions) run(args []string, std streams) error {
	if err := noArgs(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), psTimeout)
	defer cancel()
	var nodes []control.NodeInfo
	if o.nodes && o.server == "" {
		return usagef("-nodes: which server's? say -server ADDR")
	}
	if o.server != "" {
		c, err := dialServer(ctx, o.server, o.token)
		if err != nil {
			return err
		}
		defer c.Close()
		if nodes, err = c.Nodes(ctx); err != nil {
			return o.asking(err)
		}
	}
	if o.nodes {
		return o.printNodes(std.out, nodes)
	}
	sessions, done, err := o.all(ctx)
	if err != nil {
		return err
	}
	defer done()
	list, err := o.ask(ctx, sessions)
	if err != nil {
		return err
	}
	if o.json {
		if list == nil {
			list = []psSession{}
		}
		return printJSON(std.out, list)
	}
	if err := o.print(std.out, list); err != nil || len(nodes) == 0 {
		return err
	}
	fmt.Fprintln(std.out)
	return o.printNodes(std.out, nodes)
}

// psNode is a node as -json prints it.
type psNode struct {
	Name     string `json:"name"`
	Address  string `json:"address"`
	CPUs     int    `json:"cpus"`
	Sessions int    `json:"sessions"`
	Joined   string `json:"joined"`
}

func (o *psOptions) printNodes(w io.Writer, nodes []control.NodeInfo) error {
	if o.json {
		list := make([]psNode, 0, len(nodes))
		for _, n := range nodes {
			list = append(list, psNode{n.Name, n.Addr, n.CPUs, n.Sessions, n.Joined.UTC().Format(time.RFC3339Nano)})
		}
		return printJSON(w, list)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "NODE\tADDRESS\tCPUS\tSESSIONS\tAGE")
	for _, n := range nodes {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\n", n.Name, n.Addr, n.CPUs, n.Sessions, time.Since(n.Joined).Round(time.Second))
	}
	return t.Flush()
}

// ask gets what is to be printed.
func (o *psOptions) ask(ctx context.Context, sessions []found) (list []psSession, err error) {
	for _, f := range sessions {
		var sites []psSite
		if o.goroutines {
			g, err := f.Goroutines(ctx, f.ID, false)
			if err != nil {
				continue // it has just ended
			}
			sites = psSites(g)
			infos, err := f.Sessions(ctx) // with what it has just told
			if err != nil && o.server != "" {
				return nil, err
			}
			for _, i := range infos {
				if i.ID == f.ID {
					f.Info = i
				}
			}
		}
		s := newPsSession(f.Info)
		if s.Sites = sites; s.Accounted == "" {
			for k := range sites {
				sites[k].Use = nil // nothing is known
			}
		}
		list = append(list, s)
	}
	return list, nil
}

func newPsSession(i session.Info) psSession {
	s := psSession{
		ID: i.ID, PID: i.PID, ProcessPID: i.ProcessPID, Path: i.Path, Args: i.Args, GoVersion: i.GoVersion,
		BuildID: i.BuildID, Started: i.Started.UTC().Format(time.RFC3339Nano), Calls: i.Calls, Links: i.Links,
		Descriptors: i.Descriptors, Goroutines: i.Live, Created: i.Created, Remote: i.Remote,
	}
	if !i.Accounted.IsZero() {
		s.Accounted = i.Accounted.UTC().Format(time.RFC3339Nano)
	}
	for _, p := range i.Processes {
		s.Processes = append(s.Processes, psProcess{Number: p.Number, Host: p.Host, PID: p.PID, Goroutines: p.Live, Created: p.Created, Gone: p.Gone})
	}
	return s
}

// psSites returns the sites of g, those with most live goroutines first.
func psSites(g *wire.Goroutines) []psSite {
	sites := make([]psSite, 0, len(g.Sites))
	for _, s := range g.Sites {
		sites = append(sites, psSite{Live: s.Live, Created: s.Created, Ended: s.Ended, Func: s.Func, File: s.File, Line: s.Line, Use: newUse(&s.Use)})
	}
	slices.SortStableFunc(sites, func(a, b psSite) int {
		if a.Live != b.Live {
			return int(b.Live) - int(a.Live)
		}
		return int(b.Created) - int(a.Created)
	})
	return sites
}

func (o *psOptions) print(w io.Writer, list []psSession) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "SESSION\tPID\tPROCESS\tAGE\tCALLS\tFILES\tGOROUTINES\tCREATED\tPROGRAM")
	for _, s := range list {
		started, _ := time.Parse(time.RFC3339Nano, s.Started)
		program := filepath.Base(s.Path)
		if len(s.Args) > 1 {
			program += " " + strings.Join(s.Args[1:], " ")
		}
		fmt.Fprintf(t, "%d\t%d\t%d\t%s\t%d\t%d\t%d\t%d\t%s\n", s.ID, s.PID, s.ProcessPID,
			time.Since(started).Round(time.Second), s.Calls, s.Descriptors, s.Goroutines, s.Created, program)
		if !o.goroutines && len(s.Processes) < 2 {
			continue
		}
		if err := t.Flush(); err != nil {
			return err
		}
		for _, p := range s.Processes {
			if len(s.Processes) == 1 {
				break // the line above says it all
			}
			if p.Gone {
				fmt.Fprintf(t, "  process %d\t%s\tgone\n", p.Number, cmp.Or(p.Host, "this host"))
				continue
			}
			fmt.Fprintf(t, "  process %d\t%s\tpid %d\t%d live\t%d created\n", p.Number, cmp.Or(p.Host, "this host"), p.PID, p.Goroutines, p.Created)
		}
		if err := t.Flush(); err != nil {
			return err
		}
		for _, site := range s.Sites {
			fmt.Fprintf(t, "  %d live\t%d created\t%d ended\t", site.Live, site.Created, site.Ended)
			if site.Use != nil {
				fmt.Fprintf(t, "cpu %v\t%s\t", short(time.Duration(site.Use.CPU)), bytesText(site.Use.Bytes))
			}
			fmt.Fprintf(t, "%s\t%s:%d\n", site.Func, site.File, site.Line)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return t.Flush()
}

// dialServer connects to the server at addr. Where token is empty, it is the one that a
// server on this host left.
func dialServer(ctx context.Context, addr, token string) (*control.Client, error) {
	if token == "" {
		token = localToken(addr)
	}
	return control.Dial(ctx, addr, token)
}

// localToken returns the token that a server on this host left, or "".
func localToken(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return ""
	}
	name, err := server.TokenFile(n)
	if err != nil {
		return ""
	}
	token, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(token)
}
