package node

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"time"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/coherence"
	"remotec.dev/server/mail"
)

// protocol is the version of what this package says, to its own kind only.
const protocol = 4

// maxMessage bounds a message in bytes: it holds a program's environment.
const maxMessage = 8 << 20

// hello is the first message of a node.
type hello struct {
	Protocol int      `json:"protocol"` // and nothing else where that is another one
	Version  string   `json:"version"`  // of remotec, for people
	API      uint16   `json:"api"`      // version of what stubs speak
	Name     string   `json:"name"`     // of the host
	OS       string   `json:"os"`
	Arch     string   `json:"arch"`
	Features []string `json:"features"` // of the processor
	Missing  string   `json:"missing"`  // why the host cannot run processes of several; empty: it can
	CPUs     int      `json:"cpus"`
	Key      []byte   `json:"key"` // public, for the certificate
}

// check says why a node cannot take part where remotec has the given version, and the
// first process's processor these features; empty: it can.
func (me *hello) check(version string, ours []string) string {
	switch {
	case me.Protocol != protocol:
		return fmt.Sprintf("it speaks version %d of the protocol of nodes (remotec %s), the session version %d (remotec %s): install the same remotec on both hosts",
			me.Protocol, me.Version, protocol, version)
	case me.API != wire.APIVersion:
		return fmt.Sprintf("its remotec %s speaks version %d of the API, the session's remotec %s version %d: install the same remotec on both hosts",
			me.Version, me.API, version, wire.APIVersion)
	case me.OS != runtime.GOOS || me.Arch != runtime.GOARCH:
		return fmt.Sprintf("it is a %s/%s host, the program is for %s/%s: all hosts of a session are alike in that", me.OS, me.Arch, runtime.GOOS, runtime.GOARCH)
	case len(me.Key) != 32:
		return "its key is malformed"
	case me.Missing != "":
		return "it cannot run processes of several: " + me.Missing
	}
	return unlike(ours, me.Features)
}

// welcome is the answer.
type welcome struct {
	Protocol    int    `json:"protocol"`
	Version     string `json:"version"`
	Refused     string `json:"refused,omitempty"` // why; the rest is empty then
	Name        string `json:"name,omitempty"`    // server name of the other connections
	Certificate []byte `json:"certificate,omitempty"`
	Authority   []byte `json:"authority,omitempty"`
	Standing    bool   `json:"standing,omitempty"` // this is a server: it will call the node to sessions
}

// opening is the first message of a connection with a certificate.
type opening struct {
	Memory  bool `json:"memory"`            // of a session: the memory connection; else that of the streams
	Program bool `json:"program,omitempty"` // of a server: what follows is of a program; else it is the standing one
}

// call is what a server tells a node that has joined it, each [beat] at least; no field
// may be set.
type call struct {
	Token Token   `json:"token,omitempty"` // of a session, which the node is to take part in
	End   *string `json:"end,omitempty"`   // it is no longer a node: why, empty where all is well
}

// sign is what such a node tells, each [beat].
type sign struct {
	Leaving string `json:"leaving,omitempty"` // the node ends: why
}

// streamHead is the first message of a stream, which the node opens.
type streamHead struct {
	Kind    streamKind `json:"kind"`
	Process int        `json:"process"`
}

type streamKind string

const (
	streamOrders  streamKind = "orders"  // orders to the node, notices from it; the first one
	streamControl streamKind = "control" // of a process: its frames
	streamLink    streamKind = "link"    // of a thread of a process: the Link frame and what follows
	streamErrors  streamKind = "errors"  // what a process writes to its own standard error
	streamBinary  streamKind = "binary"  // the session sends the executable
)

// order is what the session tells a node; one field is set.
type order struct {
	Fetch *binaryID `json:"fetch,omitempty"` // answered by a notice of its own
	Start *start    `json:"start,omitempty"`
	Kill  *int      `json:"kill,omitempty"` // a process
	End   *string   `json:"end,omitempty"`  // the session is over: why, empty where all is well
	// Await has the node listen for other nodes of the session, of these numbers. It is answered by a
	// notice of its own.
	Await []int `json:"await,omitempty"`
	Meet  *meet `json:"meet,omitempty"`
	// Watch has the node tell what its processes do, from now on.
	Watch *watch `json:"watch,omitempty"`
}

// watch is the order to tell what processes do.
type watch struct {
	Labels []uint64 `json:"labels,omitempty"` // hashes: goroutines with these labels are of interest
}

// meet is the order to connect to another node.
type meet struct {
	Node int    `json:"node"` // number
	Addr string `json:"addr"` // host:port, where it listens
}

// start is the order to start a process.
type start struct {
	Process int              `json:"process"`
	Args    []string         `json:"args"`
	Env     []string         `json:"env"` // but for what tells the process its number
	Number  string           `json:"number"`
	First   int              `json:"first"` // of the processes of this host
	Count   int              `json:"count"` // of those, which have mail; 0: they have none
	Binary  binaryID         `json:"binary"`
	Layout  coherence.Layout `json:"layout"`
	// Features are those of the first process's processor: what this host's has
	// beyond them the process is not to use.
	Features []string `json:"features"`
}

// binaryID names an executable.
type binaryID struct {
	Hash string `json:"hash"` // SHA-256, hexadecimal
	Size int64  `json:"size"` // bytes
}

// notice is what a node tells the session.
type notice struct {
	Process int    `json:"process"`
	Fetched bool   `json:"fetched,omitempty"` // or Failed says why not
	Started int    `json:"started,omitempty"` // process id
	Failed  string `json:"failed,omitempty"`  // why it was not started
	Ended   bool   `json:"ended,omitempty"`
	Status  int    `json:"status,omitempty"`
	Signal  int    `json:"signal,omitempty"`
	Leaving string `json:"leaving,omitempty"` // the node ends: why
	Awaits  string `json:"awaits,omitempty"`  // host:port, where it listens for other nodes
	// Account is what is new of Process, and RoundTrip how long a message and its answer take.
	Account   *mail.Account `json:"account,omitempty"`
	RoundTrip time.Duration `json:"roundTrip,omitempty"`
	// Node is the number of another one with which it has a connection, or has none: Failed
	// says why.
	Node int `json:"node,omitempty"`
}

// send writes a message: its length in 4 bytes, and JSON.
func send(w io.Writer, message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encoding a message: %w", err)
	}
	if len(text) > maxMessage {
		return fmt.Errorf("a message of %d bytes; the limit is %d", len(text), maxMessage)
	}
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(text)), uint32(len(text)))
	_, err = w.Write(append(b, text...))
	return err
}

// receive reads a message, and not a byte more.
func receive(r io.Reader, message any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxMessage {
		return fmt.Errorf("a message of %d bytes; the limit is %d", n, maxMessage)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	if err := json.Unmarshal(text, message); err != nil {
		return fmt.Errorf("decoding a message: %w", err)
	}
	return nil
}
