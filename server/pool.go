package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/control"
	"remotec.dev/server/fds"
	"remotec.dev/server/node"
	"remotec.dev/server/session"
)

// Nodes of a master: other hosts that have joined it, and take part in the sessions of
// programs on this host. The master knows them; what is between a node and a
// session goes over connections of their own, which come to the master's address and
// which it passes on to the session process.

// Events on the channel of a session process, beside those of package wire.
const (
	channelNodes = wire.EventKind(20) // before the attach: a node.Party, in JSON
	channelNode  = wire.EventKind(21) // a connection of one of them travels along
)

// openPool has other hosts join at an address.
func (m *master) openPool(listen string) error {
	at, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil {
		return fmt.Errorf("listening for nodes on %s: %w; want host:port", listen, err)
	}
	fd, port, err := listenTCP(at)
	if err != nil {
		return fmt.Errorf("listening for nodes on %s: %w", listen, err)
	}
	addr := net.JoinHostPort(reachable(listen, at), strconv.Itoa(port))
	n := &m.cfg.Nodes
	say := func(format string, args ...any) {
		if n.Say != nil {
			n.Say(fmt.Sprintf(format, args...))
		}
	}
	m.pool, err = node.OpenPool(fd, node.PoolConfig{
		Version: n.Version, Log: m.cfg.log,
		Waiting: func(t node.Token) {
			say("for another host to join run there: remotec join %s -token %s", addr, t)
		},
		Joined:  func(name, from string, cpus int) { say("node %s joined from %s, %d CPUs", name, from, cpus) },
		Refused: func(from string, err error) { say("a node at %s was not taken: %v", from, err) },
		Left:    func(name, from string, err error) { say("node %s at %s is gone: %v", name, from, err) },
		Program: m.forwarded,
	})
	return err
}

// gather chooses the nodes of a session, and says how many processes the program is to
// have that attached with a. Party is nil where it is to have them on this host only.
func (m *master) gather(a *wire.Attach, local bool) (party *node.Party, processes int, err error) {
	n := m.cfg.Processes
	if a.Processes > 0 {
		n = int(a.Processes)
	}
	if m.pool == nil || !local || n == 1 {
		return nil, m.cfg.Processes, nil
	}
	most := n - 1
	if n <= 0 { // one on each host
		most = session.MaxProcesses - 1
	}
	party, err = m.pool.Gather(most)
	if err != nil || party == nil {
		return nil, m.cfg.Processes, err
	}
	if n <= 0 {
		n = len(party.Tokens) + 1
	}
	return party, n, nil
}

// tell returns the frame that tells a session process of its nodes.
func tell(party *node.Party) ([]byte, error) {
	text, err := json.Marshal(party)
	if err != nil {
		return nil, err
	}
	frame, ok := wire.PutEvent(make([]byte, 512+len(text)), &wire.Event{Kind: channelNodes, Text: string(text)})
	if !ok {
		return nil, errors.New("the nodes do not fit a frame")
	}
	return frame, nil
}

// call calls the nodes to the session of h.
func (h *hosted) call() {
	frame, _ := wire.PutEvent(make([]byte, 512), &wire.Event{Kind: channelNode})
	h.party.Call(func(c *fds.Conn) { h.send(frame, c.FD) }) // an error is a session that is over
}

// nodes lists the nodes for tools.
func (m *master) nodes() (list []control.NodeInfo) {
	if m.pool == nil {
		return nil
	}
	for _, n := range m.pool.Members() {
		list = append(list, control.NodeInfo{Name: n.Name, Addr: n.Addr, CPUs: n.CPUs, Joined: n.Joined, Sessions: n.Sessions})
	}
	return list
}
