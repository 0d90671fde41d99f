package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"remotec.dev/internal/cachedir"
	"remotec.dev/server"
	"remotec.dev/server/node"
)

var joinCommand = &command{
	name:  "join",
	args:  "ADDR",
	short: "take part in sessions of another host: run processes of its programs",
	long: `
ADDR and the token are those that "remotec run -nodes N -listen ADDR" or "remotec
serve -join ADDR" prints on the other host. A token is good for one join. All that
goes over the network is encrypted, and both ends prove that they know it.

It prints "joined ADDR" when the session, or the server, took this host, and ends
with it: with status 0 where that ended by itself, whatever a program's status, and
1 where the hosts lost each other. A node that loses its server tries to come back
for a minute.

With -listen HOST:PORT, a loopback address, programs that are started on this host with
-go.remote=HOST:PORT attach to the server that it has joined, by way of this node: their
files and sockets are that host's, their standard streams this one's. They run in one
process. It prints "listening on HOST:PORT".

Nodes of one session connect to each other, encrypted too, so that memory goes between
them directly; where they cannot, it goes by way of ADDR. A node listens for that until the
others have come: at -peer HOST:PORT, where a firewall lets one port through.

A program runs here as this user, with the environment of the other host. Its
system calls are carried out there: it sees none of this host's files. Executables
are kept in the cache (REMOTEC_CACHE) and received only once.`,
	setup: func(fs *flag.FlagSet) func([]string, streams) error {
		token := fs.String("token", "", "the `token` that was printed with the address; default: REMOTEC_TOKEN, which other users cannot see")
		listen := fs.String("listen", "", "loopback `address` at which programs started on this host attach to the server, host:port")
		peer := fs.String("peer", "", "`address` at which other nodes of a session reach this one, host:port; default: the one from which this host reaches ADDR, any port")
		return func(args []string, std streams) error {
			if len(args) == 0 {
				return usagef("no address given: the one that remotec run or remotec serve printed, host:port")
			}
			addr := args[0]
			if err := fs.Parse(args[1:]); err != nil { // remotec join ADDR -token T
				return usagef("%v", err)
			}
			if *token == "" {
				*token = os.Getenv("REMOTEC_TOKEN")
			}
			if _, _, err := net.SplitHostPort(*peer); *peer != "" && err != nil {
				return usagef("-peer %s: want host:port", *peer)
			}
			switch {
			case fs.NArg() > 0:
				return usagef("unexpected argument %q", fs.Arg(0))
			case *token == "":
				return usagef("-token is missing: remotec run or remotec serve printed one, and the environment variable REMOTEC_TOKEN will do, too")
			}
			cache, err := cachedir.Dir()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return server.Join(ctx, node.JoinConfig{
				Addr: addr, Token: node.Token(*token), Version: version(), Cache: cache, Peer: *peer,
				Failed: func(err error) { fmt.Fprintf(std.err, "remotec: %v\n", err) },
				Joined: func() { fmt.Fprintf(std.out, "joined %s\n", addr) },
			}, *listen, func(at string) { fmt.Fprintf(std.out, "listening on %s\n", at) })
		}
	},
}
