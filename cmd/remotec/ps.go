package main

import (
	"cmp"
	"context"
	"encoding/json"
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
ones, and shows what the goroutines of each place have used since the program
began; remotec top shows that again and again. Of a program in several processes
there is a line for each, with its number, host and process id there.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		var o psOptions
		o.flags(fs)
		fs.BoolVar(&o.goroutines, "goroutines", false, "list the places that create goroutines")
		fs.BoolVar(&o.json, "json", false, "print JSON")
		return o.run
	},
}

type psOptions struct {
	target
	goroutines, json bool
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
}

// psSite is a place that creates goroutines.
type psSite struct {
	Live    uint64 `json:"live"`
	Created uint64 `json:"created"`
	Ended   uint64 `json:"ended"`
	Func    string `json:"func"`
	File    string `json:"file"`
	Line    uint32 `json:"line"`

	Use *useJSON `json:"use"` // of all of them, ended and live
}

func (o *psOptions) run(args []string, std streams) error {
	if err := noArgs(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), psTimeout)
	defer cancel()
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
		enc := json.NewEncoder(std.out)
		enc.SetIndent("", "\t")
		return enc.Encode(list)
	}
	return o.print(std.out, list)
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
		s.Sites = sites
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
	for _, p := range i.Processes {
		s.Processes = append(s.Processes, psProcess{Number: p.Number, Host: p.Host, PID: p.PID, Goroutines: p.Live, Created: p.Created})
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
			fmt.Fprintf(t, "  process %d\t%s\tpid %d\t%d live\t%d created\n", p.Number, cmp.Or(p.Host, "this host"), p.PID, p.Goroutines, p.Created)
		}
		if err := t.Flush(); err != nil {
			return err
		}
		for _, site := range s.Sites {
			fmt.Fprintf(t, "  %d live\t%d created\t%d ended\tcpu %v\t%s\t%s\t%s:%d\n", site.Live, site.Created, site.Ended,
				short(time.Duration(site.Use.CPU)), bytesText(site.Use.Bytes), site.Func, site.File, site.Line)
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
