package node

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"remotec.dev/server/coherence"
)

// Pages from node to node. A page that goes from a process of one node to one of another, or of the same one,
// need not come by way of the session, which only has to know the words on it that look like addresses. So
// the session asks the first node to *stage* the page at the second one, gets the words, pins them, and tells
// the second one what to do with what is staged there.
//
// Invariants:
//
//   - The reader of a connection between nodes never waits, whatever comes: it stages. So a node may write to
//     another one while it carries out operations, and may wait, in the middle of them, for what another one
//     has been asked to stage: nothing but a lost connection keeps that from coming. The session asks for it to be
//     installed when the other one has replied, and between that reply and the page nothing is waited for.
//   - What is staged goes on in the order of the session's operations at the receiver, as all does. The
//     connection between nodes carries nothing that has a meaning by itself: of two pages either may come first.
//   - A node has at most [window] pages staged at another one. The receiver tells how many it has
//     taken away, and who sends more is not one that keeps to the protocol.
//   - A page for which there is no way to the receiver, or no room there, is in the reply, which goes to the session. What was
//     staged on a connection that ends is at the receiver, or lost: nobody else has it. Then the receiver
//     says so, and the session ends.

// peerConn is a connection with another node.
type peerConn struct {
	*memoryConn
	stage stage
	taken int // pages that were taken from the stage since the last frameTaken; of the rim

	mu  sync.Mutex
	out int // pages staged at the other end, as far as is known; guarded by mu
}

// tellTaken is after how many pages a node says that they are not staged any more.
const tellTaken = window / 8

// reserve reports whether a page can be staged at the other end; it is, then.
func (p *peerConn) reserve() bool {
	select {
	case <-p.lost:
		return false
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out >= window {
		return false
	}
	p.out++
	return true
}

// serve reads until the connection is lost.
func (p *peerConn) serve() {
	r := bufio.NewReaderSize(p.conn, 64<<10)
	buf, page := new([headSize + maxData]byte), new([coherence.PageSize]byte)
	var f frame
	for {
		err := p.read(r, &f, buf)
		if err != nil {
			err = fmt.Errorf("the connection with it ended: %w", err)
		} else if err = p.got(&f, page); err != nil {
			err = fmt.Errorf("protocol error: %w", err)
		}
		if err != nil {
			p.lose(err)
			p.stage.end(p.err)
			return
		}
	}
}

// got handles a frame. It does not wait.
func (p *peerConn) got(f *frame, page *[coherence.PageSize]byte) error {
	switch f.kind {
	case frameBeat:
		return nil
	case frameStaged:
		if err := f.takePage(page); err != nil {
			return err
		}
		return p.stage.put(f.stage, page)
	case frameTaken:
		p.mu.Lock()
		defer p.mu.Unlock()
		if int64(f.id) > int64(p.out) {
			return fmt.Errorf("%d pages were taken of %d", f.id, p.out)
		}
		p.out -= int(f.id)
		return nil
	}
	return fmt.Errorf("a frame of kind %d", f.kind)
}

// peers are the other nodes of a session, as one node sees them, and that itself: pages go
// from process to process there, too.
type peers struct {
	number int
	name   string      // the session's
	terms  *tls.Config // to connect to others on
	tell   func(notice)
	own    stage
	unsent []*peerConn // have frames that were put, of the rim

	mu     sync.Mutex        // guards the rest
	list   map[int]*peerConn // those that there is, or was, a connection with
	await  *waitingRoom      // where others connect; nil: nowhere
	closed bool
}

// newPeers returns the peers of the node that has a certificate.
func newPeers(w *welcome, terms *tls.Config) (*peers, error) {
	leaf, err := x509.ParseCertificate(w.Certificate)
	if err != nil {
		return nil, fmt.Errorf("the certificate of this node: %w", err)
	}
	return &peers{number: number(leaf), name: w.Name, terms: terms, list: make(map[int]*peerConn)}, nil
}

// known returns the connection with a node, nil where there is none.
func (p *peers) known(node int) *peerConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list[node]
}

// reserve returns what stages a page at a node, which flush sends there, and which has room for that; nil where it has not,
// or is out of reach.
func (p *peers) reserve(node int) func(number uint32, page *[coherence.PageSize]byte) error {
	if node == p.number {
		if p.own.full() {
			return nil
		}
		return p.own.put
	}
	to := p.known(node)
	if to == nil || !to.reserve() {
		return nil
	}
	return func(number uint32, page *[coherence.PageSize]byte) error {
		f := frame{kind: frameStaged, stage: number}
		f.page(page)
		if n := to.put(&f); n > enough {
			to.flush() // where that fails the other one says so
		} else if !slices.Contains(p.unsent, to) {
			p.unsent = append(p.unsent, to)
		}
		return nil
	}
}

// flush sends what was put.
func (p *peers) flush() {
	for _, to := range p.unsent {
		to.flush()
	}
	p.unsent = p.unsent[:0]
}

// take returns a page that a node has staged here. It calls before before it waits.
func (p *peers) take(node int, number uint32, before func()) (*[coherence.PageSize]byte, error) {
	if node == p.number {
		return p.own.take(number, before)
	}
	from := p.known(node)
	if from == nil {
		return nil, fmt.Errorf("%w: there was no connection with node %d", errNotSent, node)
	}
	page, err := from.stage.take(number, before)
	if err != nil {
		return nil, err
	}
	if from.taken++; from.taken == tellTaken {
		from.taken = 0
		from.write(&frame{kind: frameTaken, id: tellTaken})
	}
	return page, nil
}

// add begins with a connection, where there has been none with that node.
func (p *peers) add(node int, conn *tls.Conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.list[node] != nil {
		return errors.New("a connection that nobody waits for")
	}
	c := &peerConn{memoryConn: newMemoryConn(conn)}
	p.list[node] = c
	go func() {
		c.write(&frame{kind: frameBeat}) // it is welcome
		p.tell(notice{Node: node})
		c.serve()
		p.tell(notice{Node: node, Failed: c.err.Error()})
	}()
	return nil
}

// close ends all connections.
func (p *peers) close() {
	p.mu.Lock()
	p.closed = true
	list, await := p.list, p.await
	p.mu.Unlock()
	for _, c := range list { // to which nothing is added any more
		c.lose(errEnded)
	}
	if await != nil {
		await.close()
	}
}

// awaitBeat reads the first frame of a connection, with which the other end says that it is welcome.
func awaitBeat(conn io.Reader) error {
	var head [headSize]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	if head != [headSize]byte{byte(frameBeat)} {
		return errors.New("protocol error: it does not begin with a beat")
	}
	return nil
}
