package wire_test

import (
	"encoding/binary"
	"reflect"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	. "remotec.dev/runtimestub/wire"
)

// The readers get whatever a peer sends. They must not panic, must return
// nothing from outside the frame, and what they accept must be something that
// can be written and read again.

func FuzzGetAttach(f *testing.F)     { fuzz(f, TagAttach) }
func FuzzGetAttached(f *testing.F)   { fuzz(f, TagAttached) }
func FuzzGetRefused(f *testing.F)    { fuzz(f, TagRefused) }
func FuzzGetLink(f *testing.F)       { fuzz(f, TagLink) }
func FuzzGetCall(f *testing.F)       { fuzz(f, TagCall) }
func FuzzGetReply(f *testing.F)      { fuzz(f, TagReply) }
func FuzzGetEvent(f *testing.F)      { fuzz(f, TagEvent) }
func FuzzGetGoroutines(f *testing.F) { fuzz(f, TagGoroutines) }

func fuzz(f *testing.F, tag Tag) {
	m := messages[tag]
	example := rapid.Custom(func(t *rapid.T) any { return m.make(t) })
	for seed := range 10 {
		frame, ok := m.put(make([]byte, 1<<16), example.Example(seed))
		if !ok {
			f.Fatal("does not fit")
		}
		f.Add(append([]byte(nil), frame...), true)
		f.Add(append([]byte(nil), frame[:len(frame)/2]...), false)
	}
	f.Add([]byte{}, false)
	f.Add(make([]byte, 8), false)
	f.Add(make([]byte, 32), true)
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend && len(b) >= 8 {
			// Most damage is found by the length: let that be right.
			b = b[:len(b)&^7]
			binary.LittleEndian.PutUint64(b, uint64(len(b)-8)/8<<32)
		}
		frame := append([]byte(nil), b...)
		frame = frame[:len(frame):len(frame)]
		if size, err := FrameSize(frame, len(frame)); err == nil && size > len(frame) {
			t.Fatalf("a frame of %d bytes has %d", len(frame), size)
		}
		kind, err := Kind(frame)
		v, err2 := m.get(frame)
		if err2 != nil {
			return
		}
		if err != nil || kind != tag {
			t.Fatalf("read as %s, but its kind is %v, %v", m.name, kind, err)
		}
		inside(t, frame, reflect.ValueOf(v))
		again, ok := m.put(make([]byte, 2*MaxFrame), v)
		if !ok {
			t.Fatalf("cannot be written: %+v", v)
		}
		w, err := m.get(again)
		if err != nil || !equal(v, w) {
			t.Fatalf("read   %+v\nagain %+v, %v", v, w, err)
		}
	})
}

// inside checks that each slice of bytes in v lies in frame.
func inside(t *testing.T, frame []byte, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		inside(t, frame, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			inside(t, frame, v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			inside(t, frame, v.Index(i))
		}
	case reflect.Slice:
		b, ok := v.Interface().([]byte)
		if !ok || b == nil {
			return
		}
		start, end := uintptr(unsafe.Pointer(unsafe.SliceData(frame))), uintptr(len(frame))
		at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
		if at < start || at+uintptr(cap(b)) > start+end {
			t.Fatalf("%d bytes at %#x are not of the frame at %#x", cap(b), at, start)
		}
	}
}

// FuzzGetSpawnAttr does the same for the blob that describes a child.
func FuzzGetSpawnAttr(f *testing.F) {
	f.Add(PutSpawnAttr(&SpawnAttr{}))
	f.Add(PutSpawnAttr(&SpawnAttr{Chroot: "/x", HasCredential: true, Groups: []uint32{1, 2}, UidMappings: []IDMap{{1, 2, 3}}, AmbientCaps: []uint64{4}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := GetSpawnAttr(b)
		if err != nil {
			return
		}
		w, err := GetSpawnAttr(PutSpawnAttr(a))
		if err != nil || !equal(a, w) {
			t.Fatalf("read   %+v\nagain %+v, %v", a, w, err)
		}
	})
}

// FuzzLookup: whatever the number and the arguments, a shape comes back whose
// references can be followed.
func FuzzLookup(f *testing.F) {
	for nr := range uint64(470) {
		f.Add(nr, uint64(1), uint64(2))
	}
	f.Fuzz(func(t *testing.T, nr, a, b uint64) {
		args := Args{a, b, a, b, a, b}
		s := Lookup(nr, &args)
		for i := range s.Args {
			if n, ok := s.BlobSize(i, &args); ok && (n < 0 || n > MaxData) {
				t.Fatalf("%s: argument %d has %d bytes", s.Name, i, n)
			}
		}
	})
}
