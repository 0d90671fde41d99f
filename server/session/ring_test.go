package session

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

const (
	sysMemfdCreate = 319
	addSeals       = 1033
	allowSealing   = 2
)

// newMemfd makes memory for a ring as a stub does, of the given size.
func newMemfd(t *testing.T, size int64, seal bool) int {
	t.Helper()
	name := []byte("ring\x00")
	fd, _, e := syscall.Syscall(sysMemfdCreate, uintptr(unsafe.Pointer(&name[0])), allowSealing, 0)
	if e != 0 {
		t.Fatal(e)
	}
	t.Cleanup(func() { syscall.Close(int(fd)) })
	if err := syscall.Ftruncate(int(fd), size); err != nil {
		t.Fatal(err)
	}
	if seal {
		if _, _, e := syscall.Syscall(syscall.SYS_FCNTL, fd, addSeals, sealShrink|sealGrow); e != 0 {
			t.Fatal(e)
		}
	}
	return int(fd)
}

func TestOpenRingRefuses(t *testing.T) {
	for name, fd := range map[string]int{
		"unsealed":   newMemfd(t, wire.RingSize, false),
		"small":      newMemfd(t, wire.RingSize-4096, true),
		"large":      newMemfd(t, wire.RingSize+4096, true),
		"not memory": 0,
		"closed":     1 << 20,
	} {
		if _, err := openRing(fd); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// client is the other side of a ring, after runtimestub/ring.go.
type client struct{ *ring }

func (c client) call(frame []byte, spin bool) []byte {
	copy(c.mem[wire.RingRequestStart:], frame)
	state := c.word(wire.RingStateOffset)
	atomic.StoreUint32(state, wire.RingPosted)
	if atomic.LoadUint32(c.word(wire.RingServerWaits)) != 0 {
		futex(state, futexWake, 1)
	}
	for spin && atomic.LoadUint32(state) == wire.RingPosted {
		runtime.Gosched()
	}
	for atomic.LoadUint32(state) == wire.RingPosted {
		atomic.StoreUint32(c.word(wire.RingClientWaits), 1)
		if atomic.LoadUint32(state) != wire.RingPosted {
			break
		}
		futex(state, futexWait, wire.RingPosted)
	}
	atomic.StoreUint32(c.word(wire.RingClientWaits), 0)
	area := c.mem[wire.RingAnswerStart:]
	n, err := wire.FrameSize(area, wire.MaxFrame)
	if err != nil {
		return nil
	}
	return area[:n]
}

// TestRingExchange posts and answers with pauses at random places, so that
// each side finds the other spinning, about to wait, waiting and late. A lost
// wake-up hangs it.
func TestRingExchange(t *testing.T) {
	fd := newMemfd(t, wire.RingSize, true)
	server, err := openRing(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer server.unmap()
	other, err := openRing(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer other.unmap()
	pause := func(r *rand.Rand) {
		switch r.IntN(8) {
		case 0:
			time.Sleep(time.Duration(r.IntN(100)) * time.Microsecond)
		case 1, 2:
			for range r.IntN(2000) {
				atomic.LoadUint32(server.word(wire.RingClientWaits))
			}
		}
	}
	done := make(chan error, 1)
	go func() {
		r := rand.New(rand.NewPCG(1, 2))
		buf, out := make([]byte, 64), make([]byte, 1<<20)
		for {
			pause(r)
			n, err := server.next(&buf)
			if err != nil {
				done <- err
				return
			}
			var c wire.Call
			if err := wire.GetCall(buf[:n], &c); err != nil {
				done <- err
				return
			}
			var w wire.ReplyWriter
			w.Start(out)
			copy(w.Blob(1, len(c.Blobs[1])), c.Blobs[1])
			frame, _ := w.Finish(0, 0, c.Args[0]+1, 0)
			pause(r)
			if err := server.reply(frame); err != nil {
				done <- err
				return
			}
		}
	}()
	r := rand.New(rand.NewPCG(3, 4))
	buf := make([]byte, 1<<20)
	rounds := 4000
	if testing.Short() {
		rounds = 500
	}
	for i := range rounds {
		call := wire.Call{Nr: 1, Args: wire.Args{uint64(i)}}
		call.Blobs[1] = []byte(fmt.Sprint(i))
		frame, _ := wire.PutCall(buf, &call)
		pause(r)
		var reply wire.Reply
		if err := wire.GetReply(client{other}.call(frame, r.IntN(2) == 0), &reply); err != nil {
			t.Fatal(err)
		}
		if reply.R1 != uint64(i+1) || string(reply.Blobs[1]) != fmt.Sprint(i) {
			t.Fatalf("round %d: %d %q", i, reply.R1, reply.Blobs[1])
		}
	}
	other.close()
	if err := <-done; err != io.EOF {
		t.Fatalf("server ended with %v, not io.EOF", err)
	}
}

// TestRingHostile: a header that lies must not make the server read outside.
func TestRingHostile(t *testing.T) {
	fd := newMemfd(t, wire.RingSize, true)
	server, err := openRing(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer server.unmap()
	for _, words := range []uint32{0, 1 << 31, wire.MaxFrame, 0xffffffff} {
		*(*uint32)(unsafe.Pointer(&server.mem[wire.RingRequestStart+4])) = words
		atomic.StoreUint32(server.word(wire.RingStateOffset), wire.RingPosted)
		buf := make([]byte, 64)
		if n, err := server.next(&buf); err == nil {
			t.Errorf("%d words: a frame of %d bytes", words, n)
		}
	}
	// A state that the protocol does not have means waiting, not reading.
	atomic.StoreUint32(server.word(wire.RingStateOffset), 77)
	ended := make(chan error)
	go func() {
		buf := make([]byte, 64)
		_, err := server.next(&buf)
		ended <- err
	}()
	server.close()
	if err := <-ended; err != io.EOF {
		t.Errorf("closed: %v", err)
	}
}
