package node

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"remotec.dev/server/coherence"
)

// protocol is the version of what this package says, to its own kind only.
const protocol = 1

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

// welcome is the answer.
type welcome struct {
	Protocol    int    `json:"protocol"`
	Version     string `json:"version"`
	Refused     string `json:"refused,omitempty"` // why; the rest is empty then
	Name        string `json:"name,omitempty"`    // server name of the other connections
	Certificate []byte `json:"certificate,omitempty"`
	Authority   []byte `json:"authority,omitempty"`
}

// opening is the first message of a connection with a certificate.
type opening struct {
	Memory bool `json:"memory"` // the memory connection; else that of the streams
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
}

// start is the order to start a process.
type start struct {
	Process int              `json:"process"`
	Args    []string         `json:"args"`
	Env     []string         `json:"env"` // but for what tells the process its number
	Number  string           `json:"number"`
	First   int              `json:"first"` // of the processes of this host
	Count   int              `json:"count"` // of those that are to have mail; 0: none
	Binary  binaryID         `json:"binary"`
	Layout  coherence.Layout `json:"layout"`
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
