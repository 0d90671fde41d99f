package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// How nodes meet: when all have joined a session that has several of them, it asks each to listen for those with higher
// numbers, which it then tells the address. Nobody waits for that, and where two nodes do not reach each other
// pages go by way of the session.

// waitingRoom is where a node listens for others of its session. It is closed when all have come, or
// too late for them.
type waitingRoom struct {
	net.Listener
	late *time.Timer

	mu      sync.Mutex
	missing map[int]bool // by number; guarded by mu
}

func (r *waitingRoom) close() {
	r.late.Stop()
	r.Close()
}

// expected reports whether a node is still to come.
func (r *waitingRoom) expected(node int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.missing[node]
}

// came notes that a node has come, and closes the room after the last one.
func (r *waitingRoom) came(node int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if delete(r.missing, node); len(r.missing) == 0 {
		r.close()
	}
}

// listen has the node listen for others: at addr, host:port, or, where that is empty, on an
// address of the host local. What others are to be told is in the notice.
func (p *peers) listen(nodes []int, addr, local string) notice {
	at := addr
	if at == "" {
		at = net.JoinHostPort(local, "0")
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return notice{Node: p.number, Failed: fmt.Sprintf("listening for other nodes: %v", err)}
	}
	room := &waitingRoom{Listener: l, missing: make(map[int]bool)}
	for _, n := range nodes {
		room.missing[n] = true
	}
	room.late = time.AfterFunc(2*introduction, func() { l.Close() })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.await != nil {
		room.close()
		return notice{Node: p.number, Failed: "it listens already"}
	}
	p.await = room
	go p.accept(room)
	host, port, _ := net.SplitHostPort(l.Addr().String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = local
	}
	return notice{Awaits: net.JoinHostPort(host, port)}
}

// accept takes connections until the room is closed.
func (p *peers) accept(room *waitingRoom) {
	slots := make(chan struct{}, maxStrangers)
	for {
		c, err := room.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		select {
		case slots <- struct{}{}:
		default: // enough of them
			c.Close()
			continue
		}
		go func() {
			defer func() { <-slots }()
			if err := p.welcome(room, c); err != nil {
				c.Close()
			}
		}()
	}
}

// welcome takes a connection of another node. Who is none gets not a byte.
func (p *peers) welcome(room *waitingRoom, raw net.Conn) error {
	me := peerName(p.name, p.number)
	gate := &gate{Conn: raw}
	conn := tls.Server(gate, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if gate.open = h.ServerName == me; !gate.open {
			return nil, errStranger
		}
		return &tls.Config{
			MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, Certificates: p.terms.Certificates,
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: p.terms.RootCAs, Time: p.terms.Time,
		}, nil
	}})
	if err := shake(conn); err != nil {
		return err
	}
	node := number(conn.ConnectionState().PeerCertificates[0])
	if !room.expected(node) {
		return fmt.Errorf("node %d is not expected", node)
	}
	if err := p.add(node, conn); err != nil {
		return err
	}
	room.came(node)
	return nil
}

// meet connects to another node, and tells of a failure.
func (p *peers) meet(ctx context.Context, m meet) {
	terms := p.terms.Clone()
	terms.ServerName = peerName(p.name, m.Node)
	conn, err := dial(ctx, m.Addr, terms)
	if err == nil {
		conn.SetDeadline(time.Now().Add(introduction))
		if err = awaitBeat(conn); err == nil {
			conn.SetDeadline(time.Time{})
			err = p.add(m.Node, conn)
		}
		if err != nil {
			conn.NetConn().Close()
		}
	}
	if err != nil {
		p.tell(notice{Node: m.Node, Failed: fmt.Sprintf("connecting to it at %s: %v", m.Addr, err)})
	}
}

// introduceHosts has the nodes of a session connect to each other.
func introduceHosts(hosts []*Host) {
	if len(hosts) < 2 {
		return
	}
	for _, h := range hosts {
		h.mu.Lock()
		h.others = hosts
		h.mu.Unlock()
	}
	for _, h := range hosts {
		var await []int
		for _, o := range hosts {
			if o.number > h.number && o.hub.number != 0 && h.hub.number != 0 {
				await = append(await, o.number)
			}
		}
		if len(await) > 0 {
			go h.order(order{Await: await})
		}
	}
}

// awaits has the nodes with higher numbers connect to h, which listens at addr.
func (h *Host) awaits(addr string) {
	h.mu.Lock()
	others := h.others
	h.others = nil // it is asked once
	h.mu.Unlock()
	for _, o := range others {
		if o.number > h.number && o.hub.number != 0 {
			go o.order(order{Meet: &meet{Node: h.number, Addr: addr}})
		}
	}
}

// met notes whether h has a connection with another node; why not otherwise.
func (h *Host) met(node int, why string) {
	if node < 1 || node > maxNumber {
		return
	}
	h.hub.met[node].Store(why == "")
	if h.debug == nil {
		return
	}
	if why == "" {
		h.debug.Debug("nodes have met: pages go directly", "node", h.Name, "other", node)
	} else {
		h.debug.Debug("nodes do not reach each other: pages go by way of the session", "node", h.Name, "other", node, "err", why)
	}
}
