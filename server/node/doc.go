// Package node lets hosts take part in sessions: both halves of what goes on
// between the session process of a program and the other hosts on which it has
// processes, and between a server and the hosts that have joined it.
//
// # Words
//
// A *node* is the agent of one other host: the process of "remotec join"
// ([Join]). A [Host] is what the session process knows of one. A node gets
// the *binary* by its hash, starts processes of it and answers for them:
//
//   - The program's connections end at the node, which *relays* them. Each
//     is a *stream* of the node's streams connection.
//   - The userfaultfd and memory of a process stay at the node. Who has
//     which page is decided in the session process, to which faults go and from
//     which *operations* come, over the memory connection.
//
// A node may join a server instead of a session. The server has a [Pool] of such *members*,
// each with a *standing* connection, on which it is *called* to sessions: for each it
// becomes a node of that session, with a token that the call brings. The nodes of one
// session are its *party*.
//
// # Connections
//
// All are TLS 1.3 with both ends authenticated. A *token* is 16 random bytes that
// somebody carries from the session to the node. Out of it come three
// things that both know (token.go): the *name*, by which the node asks for that
// token's terms in its first message, and a key pair for either end. Who does not
// say a name that is waited for gets no answer: not a byte. A token is good for
// one connection, on which the node says what its host is and gets a
// certificate of the session, with which it makes its two other connections, and those with other
// nodes of the session.
// Certificates and keys live as long as the session, in memory only.
//
// Tokens and certificates of a pool are of the same kind; its nodes make the standing
// connection with them, and one for each connection of a program that they forward. What comes
// to a pool's address for one of its sessions is told by the name in its first message, which is
// looked at and left in the socket (hello.go): the session's process makes the handshake.
//
// Nodes of a session connect to each other (meet.go): each waits for those with higher numbers, at an address that the
// session tells them. It ceases to listen when all have come, or ten seconds later. Where there is one
// node, none listens. The server name that a node waits for is made of the session's.
//
// # Pages
//
// A page that goes from one process of the session's host to one of a node, or back, goes over that node's memory connection. One
// that goes from node to node goes over their own connection, and one that goes from process to process of a node stays there:
// the session gets the words on it that look like addresses, which the directory has to pin before anybody gets the page, and the
// page is *staged* at its receiver meanwhile (peer.go). So there is the same number of messages one after the other as by
// way of the session, which carries the page where the two nodes do not reach each other.
//
// # Failure
//
// Both ends send something every [beat], and a node that was not heard of for
// [Silence] is lost, as is one whose connection ends. So is the server, for a node. A
// lost node ends the session; a lost session ends the node, with its
// processes, which also die with the node's process (PDEATHSIG). An operation
// on a page that takes longer than [Patience] loses the node, too: nothing waits for
// ever. Two nodes that lose each other go on by way of the session; but if a page was on its way between them, nobody
// has it, and the session ends.
//
// # Invariants
//
//   - A node belongs to one session, and does what that asks: it runs its program. A member of
//     a pool has a process for each session.
//     Of the session's other processes it sees the pages that its own ask for.
//   - Operations on the pages of a process are carried out in the order in
//     which they were sent; that is what lets the directory not wait for the last
//     one of each transition (see [coherence.Far]).
//   - The session's reader of a memory connection never waits: not for a page, nor for
//     room to write in. So a node's may write. It waits for one thing, a page that another node has been asked to send it:
//     the reader of a connection between nodes never waits for anything.
//   - What comes from another node is looked at: it can stage at most [window] pages here, of whose use the session decides.
//
// Lock order: Listener.mu, Host.mu, memoryConn.mu; Pool.mu, forwards.mu; peers.mu, waitingRoom.mu; stage.mu; none is held while
// something is sent or waited for.
package node
