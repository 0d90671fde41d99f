package wire_test

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"capnproto.org/go/capnp/v3"
	"pgregory.net/rapid"

	schema "remotec.dev/capnp"
	. "remotec.dev/runtimestub/wire"
)

// message is one kind of message: how to make, write and read one.
type message struct {
	tag  Tag
	name string // the field of the schema's Message
	make func(*rapid.T) any
	put  func(dst []byte, v any) ([]byte, bool)
	get  func(frame []byte) (any, error)
}

var messages = []message{
	{TagAttach, "Attach", makeAttach,
		func(dst []byte, v any) ([]byte, bool) { return PutAttach(dst, v.(*Attach)) },
		func(f []byte) (any, error) { return GetAttach(f) }},
	{TagAttached, "Attached", makeAttached,
		func(dst []byte, v any) ([]byte, bool) { return PutAttached(dst, v.(*Attached)) },
		func(f []byte) (any, error) { return GetAttached(f) }},
	{TagRefused, "Refused", makeRefused,
		func(dst []byte, v any) ([]byte, bool) { return PutRefused(dst, v.(*Refused)) },
		func(f []byte) (any, error) { return GetRefused(f) }},
	{TagLink, "Link", makeLink,
		func(dst []byte, v any) ([]byte, bool) { return PutLink(dst, v.(*Link)) },
		func(f []byte) (any, error) { return GetLink(f) }},
	{TagCall, "Call", makeCall,
		func(dst []byte, v any) ([]byte, bool) { return PutCall(dst, v.(*Call)) },
		func(f []byte) (any, error) { c := new(Call); return c, GetCall(f, c) }},
	{TagReply, "Reply", makeReply, putReply,
		func(f []byte) (any, error) { r := new(Reply); return r, GetReply(f, r) }},
	{TagEvent, "Event", makeEvent,
		func(dst []byte, v any) ([]byte, bool) { return PutEvent(dst, v.(*Event)) },
		func(f []byte) (any, error) { e := new(Event); return e, GetEvent(f, e) }},
	{TagGoroutines, "Goroutines", makeGoroutines,
		func(dst []byte, v any) ([]byte, bool) { return PutGoroutines(dst, v.(*Goroutines)) },
		func(f []byte) (any, error) { return GetGoroutines(f) }},
}

func putReply(dst []byte, v any) ([]byte, bool) {
	r := v.(*Reply)
	var w ReplyWriter
	w.Start(dst)
	for i, b := range r.Blobs {
		if b == nil {
			continue
		}
		to := w.Blob(i, len(b)+3)
		if to == nil {
			return nil, false
		}
		copy(to, b)
		w.Trim(i, len(b)+3, len(b))
	}
	return w.Finish(r.Errno, r.Handed, r.R1, r.R2)
}

var (
	text = rapid.StringN(0, 20, 40)
	data = rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 50))
	u32  = rapid.Uint32()
	u64  = rapid.Uint64()
)

func blobs(t *rapid.T) (b Blobs) {
	for i := range b {
		b[i] = data.Draw(t, "blob")
	}
	return b
}

func makeAttach(t *rapid.T) any {
	return &Attach{APIVersion: u32.Draw(t, ""), PID: u32.Draw(t, ""), Umask: u32.Draw(t, ""), Flags: u32.Draw(t, ""),
		CPU: u64.Draw(t, ""), GoVersion: text.Draw(t, ""), BuildID: text.Draw(t, ""), Token: text.Draw(t, ""),
		Path: text.Draw(t, ""), Cwd: text.Draw(t, ""), Args: rapid.SliceOf(text).Draw(t, "")}
}

func makeAttached(t *rapid.T) any {
	return &Attached{Session: u64.Draw(t, ""), Process: u32.Draw(t, ""), Processes: u32.Draw(t, ""), Policy: u32.Draw(t, ""),
		Std: u32.Draw(t, ""), Lease: u64.Draw(t, ""), Hooks: u64.Draw(t, ""), PID: u32.Draw(t, ""),
		Server: text.Draw(t, ""), Key: data.Draw(t, "")}
}

func makeRefused(t *rapid.T) any {
	return &Refused{Code: RefuseCode(u32.Draw(t, "")), Message: text.Draw(t, "")}
}

func makeLink(t *rapid.T) any {
	return &Link{Session: u64.Draw(t, ""), Thread: u32.Draw(t, ""), Flags: u32.Draw(t, ""), Key: data.Draw(t, "")}
}

func makeCall(t *rapid.T) any {
	c := &Call{Nr: u32.Draw(t, ""), Nulls: u32.Draw(t, ""), Blobs: blobs(t)}
	for i := range c.Args {
		c.Args[i] = u64.Draw(t, "")
	}
	return c
}

func makeReply(t *rapid.T) any {
	return &Reply{Errno: u32.Draw(t, ""), Handed: u32.Draw(t, ""), R1: u64.Draw(t, ""), R2: u64.Draw(t, ""), Blobs: blobs(t)}
}

func makeEvent(t *rapid.T) any {
	return &Event{Kind: EventKind(u32.Draw(t, "")), N: u32.Draw(t, ""), A: u64.Draw(t, ""), B: u64.Draw(t, ""), Text: text.Draw(t, "")}
}

func makeGoroutines(t *rapid.T) any {
	g := &Goroutines{Created: u64.Draw(t, ""), Ended: u64.Draw(t, ""), Live: u64.Draw(t, ""), Hooks: rapid.SliceOf(u64).Draw(t, ""),
		More: rapid.Bool().Draw(t, ""), Collections: u64.Draw(t, ""), Pause: u64.Draw(t, ""), Heap: u64.Draw(t, "")}
	use := func() (u Use) {
		for _, w := range []*uint64{&u.CPU, &u.Bytes, &u.Objects, &u.Chans, &u.Calls} {
			*w = u64.Draw(t, "")
		}
		for i := range u.Waited {
			u.Waited[i] = u64.Draw(t, "")
		}
		return u
	}
	for range rapid.IntRange(0, 4).Draw(t, "sites") {
		g.Sites = append(g.Sites, Site{PC: u64.Draw(t, ""), Created: u64.Draw(t, ""), Ended: u64.Draw(t, ""), Live: u64.Draw(t, ""),
			Line: u32.Draw(t, ""), Func: text.Draw(t, ""), File: text.Draw(t, ""), Use: use()})
	}
	for range rapid.IntRange(0, 4).Draw(t, "goroutines") {
		g.List = append(g.List, Goroutine{ID: u64.Draw(t, ""), PC: u64.Draw(t, ""), Status: u32.Draw(t, ""), Process: u32.Draw(t, ""), Wait: text.Draw(t, ""), Stack: u64.Draw(t, ""), Use: use()})
	}
	return g
}

// dirty is memory that was used before: writers must leave nothing of it.
func dirty(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 0xa5
	}
	return b
}

// TestRoundTrip: what is written is read, and a buffer that is too small gives
// no frame.
func TestRoundTrip(t *testing.T) {
	for _, m := range messages {
		t.Run(m.name, rapid.MakeCheck(func(t *rapid.T) {
			v := m.make(t)
			frame, ok := m.put(dirty(1<<16), v)
			if !ok {
				t.Fatal("does not fit")
			}
			if kind, err := Kind(frame); err != nil || kind != m.tag {
				t.Fatalf("kind %v, %v", kind, err)
			}
			got, err := m.get(frame)
			if err != nil {
				t.Fatal(err)
			}
			if !equal(v, got) {
				t.Fatalf("wrote %+v\nread  %+v", v, got)
			}
			// A reply is trimmed while it is written, and needs more room.
			short := rapid.IntRange(0, len(frame)-1).Draw(t, "room")
			if _, ok := m.put(dirty(short), v); ok && m.tag != TagReply {
				t.Fatalf("%d bytes fit into %d", len(frame), short)
			}
			for _, other := range messages {
				if other.tag != m.tag {
					if _, err := other.get(frame); err == nil {
						t.Fatalf("read as %s", other.name)
					}
				}
			}
		}))
	}
}

// equal is DeepEqual where an empty list is as good as none; nil and empty
// blobs differ.
func equal(a, b any) bool {
	return reflect.DeepEqual(a, b) || strings.ReplaceAll(fmt.Sprintf("%#v", a), "(nil)", "{}") ==
		strings.ReplaceAll(fmt.Sprintf("%#v", b), "(nil)", "{}")
}

// names of fields in the schema's generated code, where they differ.
var names = map[string]string{"APIVersion": "ApiVersion", "PID": "Pid", "CPU": "CpuFeatures", "BuildID": "BuildId",
	"Message": "Message_", "PC": "Pc", "ID": "Id", "Nr": "Number"}

// fields calls f for each field of a message with its name in the schema.
// Arrays count as so many fields.
func fields(v reflect.Value, f func(name string, v reflect.Value)) {
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		use := v.Type() == reflect.TypeFor[Use]()
		if use && name == "CPU" {
			name = "Cpu"
		}
		if other, ok := names[name]; ok {
			name = other
		}
		if v.Field(i).Kind() != reflect.Array {
			f(name, v.Field(i))
			continue
		}
		for k := range v.Field(i).Len() {
			if use {
				f("Wait"+[WaitKinds]string{"Run", "Chan", "Select", "Lock", "Sleep", "IO", "Call", "Other"}[k], v.Field(i).Index(k))
				continue
			}
			f(fmt.Sprint(strings.TrimSuffix(name, "s"), k), v.Field(i).Index(k))
		}
	}
}

// method calls a method of the generated code and checks its error, if it has
// one.
func method(t *rapid.T, v reflect.Value, name string, args ...reflect.Value) reflect.Value {
	m := v.MethodByName(name)
	if !m.IsValid() {
		t.Fatalf("the schema's %v has no %s", v.Type(), name)
	}
	out := m.Call(args)
	if n := len(out); n > 0 && out[n-1].Type() == reflect.TypeFor[error]() {
		if !out[n-1].IsNil() {
			t.Fatalf("%v.%s: %v", v.Type(), name, out[n-1])
		}
		out = out[:n-1]
	}
	if len(out) == 0 {
		return reflect.Value{}
	}
	return out[0]
}

// TestReadByTheLibrary: the Cap'n Proto library reads what this package
// writes.
func TestReadByTheLibrary(t *testing.T) {
	for _, m := range messages {
		t.Run(m.name, rapid.MakeCheck(func(t *rapid.T) {
			v := m.make(t)
			frame, ok := m.put(dirty(1<<16), v)
			if !ok {
				t.Fatal("does not fit")
			}
			msg, err := capnp.Unmarshal(frame)
			if err != nil {
				t.Fatal(err)
			}
			root, err := schema.ReadRootMessage(msg)
			if err != nil {
				t.Fatal(err)
			}
			if int(root.Which()) != int(m.tag) {
				t.Fatalf("is a %v", root.Which())
			}
			compare(t, reflect.ValueOf(v).Elem(), method(t, reflect.ValueOf(root), m.name))
		}))
	}
}

func compare(t *rapid.T, v, theirs reflect.Value) {
	fields(v, func(name string, v reflect.Value) {
		got := method(t, theirs, name)
		if v.Kind() == reflect.Struct {
			compare(t, v, got)
			return
		}
		if v.Kind() != reflect.Slice || v.Type().Elem().Kind() == reflect.Uint8 {
			if v.Kind() == reflect.Slice && v.IsNil() != !method(t, theirs, "Has"+name).Bool() {
				t.Fatalf("%s: nil %v", name, v.IsNil())
			}
			if fmt.Sprint(v) != fmt.Sprint(got) {
				t.Fatalf("%s: wrote %v, the library reads %v", name, v, got)
			}
			return
		}
		if n := method(t, got, "Len").Int(); int(n) != v.Len() {
			t.Fatalf("%s: wrote %d, the library reads %d", name, v.Len(), n)
		}
		for i := range v.Len() {
			e := method(t, got, "At", reflect.ValueOf(i))
			switch item := v.Index(i); {
			case item.Kind() == reflect.Struct:
				compare(t, item, e)
			case item.Kind() == reflect.Uint64:
				if n := method(t, e, "N").Uint(); n != item.Uint() {
					t.Fatalf("%s: wrote %v, the library reads %v", name, item, n)
				}
			case item.String() != e.String():
				t.Fatalf("%s: wrote %v, the library reads %v", name, item, e)
			}
		}
	})
}

// TestWrittenByTheLibrary: this package reads what the library writes.
func TestWrittenByTheLibrary(t *testing.T) {
	for _, m := range messages {
		t.Run(m.name, rapid.MakeCheck(func(t *rapid.T) {
			v := m.make(t)
			msg, seg := capnp.NewSingleSegmentMessage(nil)
			root, err := schema.NewRootMessage(seg)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, method(t, reflect.ValueOf(root), "New"+m.name), reflect.ValueOf(v).Elem())
			frame, err := msg.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.get(frame)
			if err != nil {
				t.Fatal(err)
			}
			if !equal(v, got) {
				t.Fatalf("the library wrote %+v\nread %+v", v, got)
			}
		}))
	}
}

func fill(t *rapid.T, theirs, v reflect.Value) {
	fields(v, func(name string, v reflect.Value) {
		switch {
		case v.Kind() == reflect.Struct:
			fill(t, method(t, theirs, "New"+name), v)
		case v.Kind() != reflect.Slice:
			set := theirs.MethodByName("Set" + name)
			if !set.IsValid() {
				t.Fatalf("the schema's %v has no %s", theirs.Type(), name)
			}
			set.Call([]reflect.Value{v.Convert(set.Type().In(0))})
		case v.Type().Elem().Kind() == reflect.Uint8:
			if !v.IsNil() {
				method(t, theirs, "Set"+name, v)
			}
		default:
			list := method(t, theirs, "New"+name, reflect.ValueOf(int32(v.Len())))
			for i := range v.Len() {
				switch item := v.Index(i); item.Kind() {
				case reflect.Struct:
					fill(t, method(t, list, "At", reflect.ValueOf(i)), item)
				case reflect.Uint64:
					method(t, method(t, list, "At", reflect.ValueOf(i)), "SetN", item)
				default:
					method(t, list, "Set", reflect.ValueOf(i), item)
				}
			}
		}
	})
}

// TestOverlappingTexts: a small frame does not become large in memory.
func TestOverlappingTexts(t *testing.T) {
	const n = 1000
	frame, ok := PutAttach(dirty(1<<16), &Attach{Args: append(make([]string, n), strings.Repeat("x", 1000))})
	if !ok {
		t.Fatal("does not fit")
	}
	if _, err := GetAttach(frame); err != nil {
		t.Fatal(err)
	}
	// The list of pointers is n+1 words of which the last refers to the long
	// text: make the others refer to it too.
	long := strings.Index(string(frame), "xxxx")
	for at := 8; at+8 <= len(frame); at += 8 {
		if p := binary.LittleEndian.Uint64(frame[at:]); p&3 == 1 && p>>32 == 2|1<<3 && at+8+int(int32(p)>>2)*8 < len(frame) {
			off := uint32((long - at - 8) / 8)
			binary.LittleEndian.PutUint64(frame[at:], uint64(off<<2|1)|(2|1001<<3)<<32)
		}
	}
	if _, err := GetAttach(frame); err == nil || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("a frame of %d bytes with %d texts of 1000 bytes: %v", len(frame), n, err)
	}
}
