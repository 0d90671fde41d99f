package wire

import "unsafe"

// The primitives of a single Cap'n Proto segment. Offsets are in bytes from
// the start of the frame; the segment starts at byte 8.

const frameHeader = 8

func put32(b []byte, v uint32) {
	_ = b[3]
	b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
}

func put64(b []byte, v uint64) {
	_ = b[7]
	put32(b, uint32(v))
	put32(b[4:], uint32(v>>32))
}

func get16(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }

func get32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func get64(b []byte) uint64 { return uint64(get32(b)) | uint64(get32(b[4:]))<<32 }

// FrameSize returns the total length in bytes of the frame whose first 8
// bytes are h, or an error when it is not a frame of this binding.
func FrameSize(h []byte, max int) (int, error) {
	if len(h) < frameHeader {
		return 0, Error("short frame header")
	}
	if get32(h) != 0 {
		return 0, Error("frame has more than one segment")
	}
	words := get32(h[4:])
	if words == 0 || uint64(words)*8+frameHeader > uint64(max) {
		return 0, Error("frame length out of range")
	}
	return int(words)*8 + frameHeader, nil
}

// builder writes one frame into a caller's buffer. It never grows it: ok
// turns false when something did not fit, and the frame is then useless.
type builder struct {
	b  []byte
	n  int // bytes used, the frame header included
	ok bool
}

// start lays out header, root pointer and a Message whose union tag is tag.
// It returns the offset of the Message's pointer.
func (w *builder) start(b []byte, tag uint16) int {
	w.b, w.n, w.ok = b, frameHeader, true
	root := w.alloc(8)
	msg := w.alloc(16)
	if !w.ok {
		return 0
	}
	w.structPtr(root, msg, 1, 1)
	put64(w.b[msg:], uint64(tag))
	return msg + 8
}

// alloc reserves n bytes, rounded up to words and zeroed.
func (w *builder) alloc(n int) int {
	n = (n + 7) &^ 7
	if !w.ok || n < 0 || n > len(w.b)-w.n {
		w.ok = false
		return 0
	}
	at := w.n
	w.n += n
	clear(w.b[at:w.n])
	return at
}

// reserve is alloc for a blob: only the padding of the last word is zeroed.
func (w *builder) reserve(n int) int {
	r := (n + 7) &^ 7
	if !w.ok || n < 0 || r > len(w.b)-w.n {
		w.ok = false
		return 0
	}
	at := w.n
	w.n += r
	if r > n {
		clear(w.b[at+n : at+r])
	}
	return at
}

func (w *builder) structPtr(at, target, dataWords, ptrs int) {
	off := (target - at - 8) / 8
	put64(w.b[at:], uint64(uint32(off)<<2)|uint64(dataWords)<<32|uint64(ptrs)<<48)
}

// newStruct allocates a struct and points the pointer at offset ptr to it.
func (w *builder) newStruct(ptr, dataWords, ptrs int) int {
	at := w.alloc((dataWords + ptrs) * 8)
	if w.ok {
		w.structPtr(ptr, at, dataWords, ptrs)
	}
	return at
}

// List element sizes of the encoding specification.
const (
	elemByte      = 2
	elemPointer   = 6
	elemComposite = 7
)

func (w *builder) listPtr(at, target, elem, count int) {
	off := (target - at - 8) / 8
	put64(w.b[at:], uint64(uint32(off)<<2|1)|uint64(elem)<<32|uint64(count)<<35)
}

// data writes a Data blob.
func (w *builder) data(ptr int, v []byte) {
	if v == nil {
		return
	}
	at := w.reserve(len(v))
	if w.ok {
		copy(w.b[at:], v)
		w.listPtr(ptr, at, elemByte, len(v))
	}
}

// text writes a Text: its bytes and a terminating zero.
func (w *builder) text(ptr int, s string) {
	at := w.reserve(len(s) + 1)
	if w.ok {
		copy(w.b[at:], s)
		w.b[at+len(s)] = 0
		w.listPtr(ptr, at, elemByte, len(s)+1)
	}
}

// textList writes a List(Text).
func (w *builder) textList(ptr int, list []string) {
	at := w.alloc(len(list) * 8)
	if !w.ok {
		return
	}
	w.listPtr(ptr, at, elemPointer, len(list))
	for i, s := range list {
		w.text(at+8*i, s)
	}
}

// structList allocates a List of structs and returns the first one's offset.
func (w *builder) structList(ptr, count, dataWords, ptrs int) int {
	words := count * (dataWords + ptrs)
	at := w.alloc(8 + words*8)
	if !w.ok {
		return 0
	}
	w.listPtr(ptr, at, elemComposite, words)
	put64(w.b[at:], uint64(uint32(count)<<2)|uint64(dataWords)<<32|uint64(ptrs)<<48)
	return at + 8
}

// finish writes the frame header and returns the frame.
func (w *builder) finish() ([]byte, bool) {
	if !w.ok || w.n > MaxFrame {
		return nil, false
	}
	put32(w.b, 0)
	put32(w.b[4:], uint32((w.n-frameHeader)/8))
	return w.b[:w.n], true
}

// object is a struct inside a received frame, bounds already checked. The
// zero object reads as all defaults.
type object struct {
	b        []byte // the whole frame
	data     int    // offset of the data section
	dataLen  int    // bytes
	ptrs     int    // offset of the pointer section
	ptrCount int
}

// message checks the frame header and returns the Message struct.
func message(b []byte) (object, error) {
	n, err := FrameSize(b, MaxFrame)
	if err != nil {
		return object{}, err
	}
	if n != len(b) {
		return object{}, Error("frame length does not match its header")
	}
	return structAt(b, frameHeader)
}

// target resolves the offset of a struct or list pointer at p.
func target(b []byte, p int, ptr uint64) int64 {
	return int64(p) + 8 + int64(int32(uint32(ptr))>>2)*8
}

func structAt(b []byte, p int) (object, error) {
	ptr := get64(b[p:])
	if ptr == 0 {
		return object{}, nil
	}
	if ptr&3 != 0 {
		return object{}, Error("expected a struct pointer")
	}
	dataLen, ptrs := int(ptr>>32&0xffff)*8, int(ptr>>48)
	at := target(b, p, ptr)
	if at < frameHeader || at+int64(dataLen)+int64(ptrs)*8 > int64(len(b)) {
		return object{}, Error("struct pointer out of bounds")
	}
	return object{b, int(at), dataLen, int(at) + dataLen, ptrs}, nil
}

func (o *object) u16(off int) uint16 {
	if off+2 > o.dataLen {
		return 0
	}
	return get16(o.b[o.data+off:])
}

func (o *object) u32(off int) uint32 {
	if off+4 > o.dataLen {
		return 0
	}
	return get32(o.b[o.data+off:])
}

func (o *object) u64(off int) uint64 {
	if off+8 > o.dataLen {
		return 0
	}
	return get64(o.b[o.data+off:])
}

func (o *object) child(i int) (object, error) {
	if i >= o.ptrCount {
		return object{}, nil
	}
	return structAt(o.b, o.ptrs+8*i)
}

// list resolves a list pointer: offset of the first element and count. For
// composite lists count is in words and the offset is that of the tag.
func (o *object) list(i, elem int) (at, count int, err error) {
	if i >= o.ptrCount {
		return 0, 0, nil
	}
	p := o.ptrs + 8*i
	ptr := get64(o.b[p:])
	if ptr == 0 {
		return 0, 0, nil
	}
	if ptr&3 != 1 || int(ptr>>32&7) != elem {
		return 0, 0, Error("unexpected list pointer")
	}
	count = int(ptr >> 35)
	size := int64(count)
	if elem != elemByte {
		size *= 8
	}
	if elem == elemComposite {
		size += 8
	}
	t := target(o.b, p, ptr)
	if t < frameHeader || t+size > int64(len(o.b)) {
		return 0, 0, Error("list pointer out of bounds")
	}
	return int(t), count, nil
}

// bytes returns a Data blob; nil when the pointer is null.
func (o *object) bytes(i int) ([]byte, error) {
	at, n, err := o.list(i, elemByte)
	if err != nil || at == 0 {
		return nil, err
	}
	return o.b[at : at+n : at+n], nil
}

func (o *object) text(i int) (string, error) {
	s, err := o.alias(i)
	return string([]byte(s)), err // a copy
}

// alias returns a Text that lies in the frame.
func (o *object) alias(i int) (string, error) {
	v, err := o.bytes(i)
	if err != nil || len(v) == 0 {
		return "", err
	}
	if v[len(v)-1] != 0 {
		return "", Error("text without a terminating zero")
	}
	return unsafe.String(&v[0], len(v)-1), nil
}

func (o *object) texts(i int) ([]string, error) {
	at, n, err := o.list(i, elemPointer)
	if err != nil {
		return nil, err
	}
	holder := object{b: o.b, ptrs: at, ptrCount: n}
	var out []string
	total := 0
	for k := range n {
		s, err := holder.text(k)
		if err != nil {
			return nil, err
		}
		if total += len(s); total > len(o.b) {
			return nil, errOverlap
		}
		out = append(out, s)
	}
	return out, nil
}

// errOverlap refuses a list whose texts are the same bytes many times over:
// copies of them could take thousands of times the memory of the frame.
const errOverlap = Error("texts overlap")

// structs calls f for each element of a list of structs.
func (o *object) structs(i int, f func(*object) error) error {
	at, words, err := o.list(i, elemComposite)
	if err != nil || at == 0 {
		return err
	}
	tag := get64(o.b[at:])
	count, dataLen, ptrs := int(uint32(tag)>>2), int(tag>>32&0xffff)*8, int(tag>>48)
	size := dataLen + ptrs*8
	if tag&3 != 0 || int64(count)*int64(size) > int64(words)*8 || size == 0 && count > 0 {
		return Error("malformed struct list")
	}
	at += 8
	for k := range count {
		e := object{o.b, at + k*size, dataLen, at + k*size + dataLen, ptrs}
		if err := f(&e); err != nil {
			return err
		}
	}
	return nil
}

// Tag is the union tag of a Message.
type Tag uint16

// The kinds of message; numbers as in capnp/remotec.capnp.
const (
	TagAttach Tag = iota
	TagAttached
	TagRefused
	TagLink
	TagCall
	TagReply
	TagEvent
	TagGoroutines
)

// Kind returns the union tag of a frame.
func Kind(frame []byte) (Tag, error) {
	m, err := message(frame)
	if err != nil {
		return 0, err
	}
	return Tag(m.u16(0)), nil
}

// body returns the struct of a frame that must be of kind want.
func body(frame []byte, want Tag) (object, error) {
	m, err := message(frame)
	if err != nil {
		return object{}, err
	}
	if Tag(m.u16(0)) != want {
		return object{}, Error("unexpected kind of message")
	}
	return m.child(0)
}
