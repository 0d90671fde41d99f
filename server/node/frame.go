package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"time"

	"golang.org/x/sys/unix"

	"remotec.dev/server/coherence"
)

// frameKind is what a frame of the memory connection is.
type frameKind uint8

// Operations on a page are those of coherence.Memory and coherence.Far. They go from
// the session to the node. Those of the first group are answered.
const (
	opAttach frameKind = 1 + iota // the faults of a process are to be answered from now on
	opProtect
	opRead
	opDrop
	opProtectRead
	opTake
	opSendRead        // opRead, opProtectRead and opTake, with the page staged at node, under stage; node is
	opSendProtectRead // 0: nowhere. The reply has the words that look like addresses, or the page where
	opSendTake        // nothing was staged

	opInstall         // with a page
	opInstallWritable // with a page; follows opInstall
	opInstallZero
	opInstallSent         // of what node has staged here under stage
	opInstallSentWritable // the same; follows opInstallSent
	opDiscard             // the same, which is forgotten
	opUnprotect
	opWake
	opPoison

	frameReply // of the node, to an operation; with a page where it reads one
	frameFault // of the node; flags, and as data the number of the goroutine, where the session watches
	frameClock // of the node, to ask the time; of the session, addr is it in ns
	frameBeat  // of both, so that something is heard
	frameError // of the node: an operation that is not answered failed; with text

	frameStaged // between nodes: a page, which is staged under stage
	frameTaken  // between nodes: so many pages (id) are not staged any more
)

// Flags of frames.
const (
	flagZero     = 1 << iota // the page is zeros, which are left out
	flagFailed               // of a reply: text instead of a page
	flagUnmapped             // of a reply: coherence.ErrUnmapped
	flagWrite                // of a fault
	flagWP                   // of a fault
	flagWords                // of a reply: words instead of a page
)

// frame is what the memory connection carries. In bytes, little-endian:
//
//	kind 1, process 1, flags 1, node 1, id 4, addr 8, length of data 4, stage 4
type frame struct {
	kind    frameKind
	process uint8
	flags   uint8
	node    uint8  // where a page is staged, or who staged it
	id      uint32 // of an operation that is answered, and of its reply
	addr    uint64
	stage   uint32 // number of a page that is staged
	data    []byte // a page, or text
}

const (
	headSize = 24
	maxData  = coherence.PageSize
)

// memoryConn is either end of a memory connection, or of one between nodes.
type memoryConn struct {
	conn  net.Conn
	heard atomic.Int64 // when something came last, ns of time.Since(epoch)
	lost  chan struct{}
	once  sync.Once
	err   error // why; set before lost is closed

	mu      sync.Mutex // guards the rest
	queue   []byte     // frames that are to be written
	spare   []byte
	writing bool
}

var epoch = time.Now()

// newMemoryConn starts the beat of a connection, which is lost when nothing comes.
func newMemoryConn(conn net.Conn) *memoryConn {
	c := &memoryConn{conn: conn, lost: make(chan struct{})}
	c.heard.Store(int64(time.Since(epoch)))
	go c.beats()
	return c
}

func (c *memoryConn) beats() {
	tick := time.NewTicker(beat / 2)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-c.lost:
			return
		case <-tick.C:
		}
		if i%2 == 0 {
			// Not on this goroutine: what is written may have to wait, and
			// this one is to notice that.
			go c.write(&frame{kind: frameBeat})
		}
		if time.Since(epoch)-time.Duration(c.heard.Load()) > Silence {
			c.lose(fmt.Errorf("nothing was heard from it for %v", Silence))
			return
		}
	}
}

// lose ends the connection for the reason err. The first one counts.
func (c *memoryConn) lose(err error) {
	c.once.Do(func() {
		c.err = err
		close(c.lost)
		c.conn.Close()
	})
}

// read returns the next frame, whose data is in buf.
func (c *memoryConn) read(r io.Reader, f *frame, buf *[headSize + maxData]byte) error {
	if _, err := io.ReadFull(r, buf[:headSize]); err != nil {
		return err
	}
	c.heard.Store(int64(time.Since(epoch)))
	le := binary.LittleEndian
	n := le.Uint32(buf[16:])
	if n > maxData {
		return fmt.Errorf("a frame with %d bytes of data; the limit is %d", n, maxData)
	}
	*f = frame{
		kind: frameKind(buf[0]), process: buf[1], flags: buf[2], node: buf[3], id: le.Uint32(buf[4:]), addr: le.Uint64(buf[8:]), stage: le.Uint32(buf[20:]),
	}
	f.data = buf[headSize : headSize+n]
	_, err := io.ReadFull(r, f.data)
	return err
}

// write sends f. The order of calls is that of the frames. Where another goroutine is
// writing, that one takes f along.
func (c *memoryConn) write(f *frame) {
	c.put(f)
	c.flush()
}

// put is write, but that f may wait for the next flush: so that many frames are few packets. It
// returns how many bytes wait.
func (c *memoryConn) put(f *frame) int {
	var head [headSize]byte
	head[0], head[1], head[2], head[3] = byte(f.kind), f.process, f.flags, f.node
	le := binary.LittleEndian
	le.PutUint32(head[4:], f.id)
	le.PutUint64(head[8:], f.addr)
	le.PutUint32(head[16:], uint32(len(f.data)))
	le.PutUint32(head[20:], f.stage)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(append(c.queue, head[:]...), f.data...)
	return len(c.queue)
}

// flush sends what was put before, or leaves that to who is sending.
func (c *memoryConn) flush() {
	c.mu.Lock()
	if c.writing {
		c.mu.Unlock()
		return
	}
	c.writing = true
	for len(c.queue) > 0 {
		out := c.queue
		c.queue, c.spare = c.spare[:0], nil
		c.mu.Unlock()
		if _, err := c.conn.Write(out); err != nil {
			c.lose(fmt.Errorf("its connection ended: %w", err))
		}
		c.mu.Lock()
		c.spare = out
	}
	c.writing = false
	c.mu.Unlock()
}

var zeroPage [coherence.PageSize]byte

// page puts the contents of a page into f.
func (f *frame) page(data *[coherence.PageSize]byte) {
	if *data == zeroPage {
		f.flags |= flagZero
		return
	}
	f.data = data[:]
}

// takePage copies the page that f carries to buf.
func (f *frame) takePage(buf *[coherence.PageSize]byte) error {
	switch {
	case f.flags&flagZero != 0:
		*buf = zeroPage
	case len(f.data) == len(buf):
		copy(buf[:], f.data)
	default:
		return fmt.Errorf("a page of %d bytes", len(f.data))
	}
	return nil
}

// sends reports whether f is an operation that may send a page to another node.
func (f *frame) sends() bool { return opSendRead <= f.kind && f.kind <= opSendTake }

// takeWords copies the words that f carries to buf, and returns how many they are.
func (f *frame) takeWords(buf *[coherence.PageSize]byte) (n int, err error) {
	if len(f.data)%8 != 0 {
		return 0, fmt.Errorf("%d bytes that are to be words", len(f.data))
	}
	return copy(buf[:], f.data) / 8, nil
}

// fail makes f say err.
func (f *frame) fail(err error) {
	f.flags = flagFailed
	if errors.Is(err, coherence.ErrUnmapped) {
		f.flags |= flagUnmapped
	}
	text := err.Error()
	f.data = []byte(text[:min(len(text), 1000)])
}

// failure returns what f says went wrong, or nil.
func (f *frame) failure() error {
	switch {
	case f.flags&flagFailed == 0:
		return nil
	case f.flags&flagUnmapped != 0:
		return fmt.Errorf("%w: %s", coherence.ErrUnmapped, f.data)
	}
	return errors.New(string(f.data))
}

// monotonic is the time of the clock that differs from host to host, in ns.
func monotonic() int64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail
	return ts.Nano()
}
