// Peers measures what a program would use instead of a channel between two processes:
// messages of 64 bytes through an embedded NATS server, net/rpc and gRPC. It is a
// module of its own, because the project needs none of these.
//
//	peers          prints the measures
//	peers serve    is the other process of net/rpc and gRPC
package main

import (
	"context"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const size = 64 // bytes of a message

func main() {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		serve()
		return
	}
	publish()
	dir, err := os.MkdirTemp("", "peers")
	must(err)
	defer os.RemoveAll(dir)
	other := exec.Command(os.Args[0], "serve")
	other.Dir, other.Stderr = dir, os.Stderr
	in, err := other.StdinPipe() // its end is the other process's
	must(err)
	out, err := other.StdoutPipe()
	must(err)
	must(other.Start())
	var ready string
	_, err = fmt.Fscanln(out, &ready)
	must(err)
	calls(dir + "/rpc")
	stream(dir + "/grpc")
	must(in.Close())
	must(other.Wait())
}

// publish measures how fast one connection publishes: until the server has taken
// all, with nobody subscribed.
func publish() {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	must(err)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		must(fmt.Errorf("the NATS server does not start"))
	}
	c, err := nats.Connect(s.ClientURL())
	must(err)
	data := make([]byte, size)
	const n = 100_000
	report("peers/nats", n, func() {
		for range n {
			must(c.Publish("measure", data))
		}
		must(c.Flush())
	})
	c.Close()
	s.Shutdown()
}

// Echo is the net/rpc service.
type Echo struct{}

// Call returns its argument.
func (Echo) Call(in *[]byte, out *[]byte) error {
	*out = *in
	return nil
}

// calls measures calls of net/rpc, one after the other.
func calls(path string) {
	c, err := rpc.Dial("unix", path)
	must(err)
	data := make([]byte, size)
	const n = 500
	report("peers/netrpc", n, func() {
		for range n {
			var back []byte
			must(c.Call("Echo.Call", &data, &back))
		}
	})
	must(c.Close())
}

// stream measures messages of a client stream of gRPC, until the server has counted
// them.
func stream(path string) {
	c, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	m := wrapperspb.Bytes(make([]byte, size))
	const n = 10_000
	report("peers/grpc", n, func() {
		s, err := c.NewStream(context.Background(), &counting, "/peers.Count/Count")
		must(err)
		for range n {
			must(s.SendMsg(m))
		}
		must(s.CloseSend())
		var got wrapperspb.Int64Value
		must(s.RecvMsg(&got))
		if got.Value != n {
			must(fmt.Errorf("gRPC counted %d messages of %d", got.Value, n))
		}
	})
	must(c.Close())
}

var counting = grpc.StreamDesc{StreamName: "Count", ClientStreams: true, Handler: count}

// count is the method of the gRPC service.
func count(_ any, s grpc.ServerStream) error {
	n := int64(0)
	for {
		var m wrapperspb.BytesValue
		if err := s.RecvMsg(&m); err != nil {
			return s.SendMsg(wrapperspb.Int64(n))
		}
		n++
	}
}

func serve() {
	must(rpc.Register(Echo{}))
	l, err := net.Listen("unix", "rpc")
	must(err)
	go rpc.Accept(l)
	g := grpc.NewServer()
	g.RegisterService(&grpc.ServiceDesc{ServiceName: "peers.Count", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{counting}}, struct{}{})
	l, err = net.Listen("unix", "grpc")
	must(err)
	go g.Serve(l)
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1))
	g.Stop()
}

// report prints the median time of one of the n operations of f in ns.
func report(name string, n int, f func()) {
	f()
	var took []time.Duration
	for begin := time.Now(); len(took) < 5 || time.Since(begin) < 500*time.Millisecond; {
		start := time.Now()
		f()
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	fmt.Println(name, float64(took[len(took)/2])/float64(n), "ns")
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}
