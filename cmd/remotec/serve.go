package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"remotec.dev/server"
	"remotec.dev/server/session"
)

var serveCommand = &command{
	name:  "serve",
	short: "run a runtime server for any number of programs",
	long: `
It prints "listening on ADDR" when it is ready, and serves until it gets
SIGINT or SIGTERM. Start programs with GORUNTIMESERVER=ADDR in their
environment or with the flag -go.remote=ADDR.

Programs of other users cannot attach through a unix socket. Over TCP they
need the token: on a loopback address the server makes one up, which programs
and tools of the same user find by themselves; on any other address it must be
given, here and in REMOTEC_TOKEN for programs.

With -n N a program that is started on this host runs in N processes, the
others of which are started by the server; "remotec run -server ADDR -n N" and
REMOTEC_PROCESSES=N in its environment ask for another number. A program that
comes from another host runs in one.

With -join ADDR other hosts can become nodes of the server, on which programs that
are started on this host have processes, too: one on each host, unless -n says
how many in all. It prints on standard error what to run on such a host, with a
token that is good for one of them, and anew when that has joined. All that goes
between the hosts is encrypted. A node stays until it, or the server, ends.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		listen := fs.String("listen", "", "`address` to listen on, host:port or unix:/path")
		token := fs.String("token", os.Getenv("REMOTEC_TOKEN"), "what programs must present over TCP")
		hand := fs.Bool("hand", envOr("REMOTEC_HAND", "true") != "false", "hand open descriptors to programs on this host")
		n := fs.Int("n", 1, "processes of each program started on this host that does not say how many it wants; with nodes, unless given, one on each host")
		placement := fs.String("placement", envOr("REMOTEC_PLACEMENT", "balance"), "where goroutines of such programs go: "+strings.Join(placements, ", "))
		account := fs.Bool("account", os.Getenv("REMOTEC_ACCOUNT") == "true", "account for what goroutines use from the start of each program, not only from when remotec top or somebody else asks")
		http := fs.String("http", "", "serve a page about the sessions at this `address`, which is printed on standard error: 127.0.0.1:0")
		httpAny := fs.Bool("http-any", false, "let -http be an address that other machines can reach")
		join := fs.String("join", "", "`address` at which other hosts can join, host:port")
		verbose := fs.Bool("v", false, "log sessions and refusals")
		return func(args []string, std streams) error {
			switch {
			case len(args) > 0:
				return noArgs(args)
			case *listen == "":
				return usagef("-listen is missing: -listen 127.0.0.1:0 or -listen unix:/path")
			case *n < 1 || *n > session.MaxProcesses:
				return usagef("-n %d: a program has 1 to %d processes", *n, session.MaxProcesses)
			}
			place, err := parsePlacement(*placement)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			cfg := serverConfig()
			cfg.Account = *account
			cfg.Page = pageAt(*http, *httpAny, std.err)
			cfg.Policy.Hand, cfg.Placement = *hand, place
			fs.Visit(func(f *flag.Flag) {
				if f.Name == "n" {
					cfg.Processes = *n
				}
			})
			cfg.Nodes.Say = func(line string) { fmt.Fprintf(std.err, "remotec: %s\n", line) }
			if *verbose {
				cfg.LogTo = func(w io.Writer) *slog.Logger { return server.NewLog(w, slog.LevelInfo) }
			}
			return server.Serve(ctx, cfg, server.Options{
				Listen: *listen, Token: *token, Join: *join,
				Ready: func(addr string) { fmt.Fprintf(std.out, "listening on %s\n", addr) },
			})
		}
	},
}
