package session

import (
	"encoding/binary"
	"io"
	"log/slog"
	"syscall"
	"testing"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/coherence"
	"remotec.dev/server/pager"
)

// TestNobodyRetiresUnasked has a process say that it ends, and what it leaves: before it was told to, in wrong ways, and again.
func TestNobodyRetiresUnasked(t *testing.T) {
	layout := coherence.Layout{Base: 1 << 40, SlotSize: 1 << 30, Slots: 2}
	memory, err := pager.New(pager.Config{Layout: layout})
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	s := &Session{cfg: Config{Memory: memory, Layout: layout, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}}
	p := &process{s: s, number: 1}
	say := func(what uint64, words ...uint64) syscall.Errno {
		var b []byte
		for _, w := range words {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		c := wire.Call{Args: wire.Args{what}}
		c.Blobs[1] = b
		_, e := p.collect(&c, new(wire.ReplyWriter))
		return e
	}
	check := func(when string, want, got syscall.Errno) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	check("parts, unasked", syscall.EINVAL, say(wire.CollectEstate, 1<<40, 1<<40+4096))
	check("the end, unasked", syscall.EINVAL, say(wire.CollectRetire, 0, 0, 0))
	s.retiring.asked.Store(1 << 1)
	check("parts", 0, say(wire.CollectEstate, 1<<40, 1<<40+4096))
	check("too many parts", syscall.EINVAL, say(wire.CollectEstate, make([]uint64, 2*mostParts)...))
	check("the end, without figures", syscall.EINVAL, say(wire.CollectRetire))
	s.retiring.gone.Store(1 << 1)
	check("parts of one that is gone", syscall.EINVAL, say(wire.CollectEstate, 1<<40, 1<<40+4096))
	check("the end of one that is gone", syscall.EINVAL, say(wire.CollectRetire, 0, 0, 0))
	if n := len(s.retiring.parts[1]); n != 1 {
		t.Errorf("%d parts are kept, want 1", n)
	}
}
