package coherence

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// directFake is a farFake whose pages go directly to others of its kind, but now and then.
type directFake struct {
	farFake
	layout Layout
	stage  *fakeStage
}

// fakeStage is where pages are staged at one process.
type fakeStage struct {
	pages map[Stage]*[PageSize]byte
	sent  int // by the process
	short int // of these, came as words
}

// makeDirect makes the memories of some processes direct.
func makeDirect(d *Directory, fakes []*fake, which ...int) {
	for _, i := range which {
		fakes[i].stage = &fakeStage{pages: make(map[Stage]*[PageSize]byte)}
		d.SetMemory(i, directFake{farFake{fakes[i]}, d.layout, fakes[i].stage})
	}
}

// staged returns how many pages are staged.
func staged(fakes []*fake) (n int) {
	for _, m := range fakes {
		if m.stage != nil {
			n += len(m.stage.pages)
		}
	}
	return n
}

func (m directFake) Reaches(to Memory) bool {
	_, ok := to.(directFake)
	return ok && m.stage.sent%5 != 4
}

func (m directFake) Send(step Step, addr uintptr, to Memory, buf *[PageSize]byte) (s Sent, err error) {
	switch step {
	case StepRead:
		err = m.Read(addr, buf)
	case StepProtectRead:
		err = m.ProtectRead(addr, buf)
	case StepTake:
		err = m.Take(addr, buf)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stage.sent++; err != nil || m.stage.sent%7 == 0 {
		return Sent{}, err // the way is lost
	}
	m.stage.short++
	if to != nil {
		page := *buf
		s.Stage = Stage{From: uint8(m.id + 1), Number: uint32(m.stage.sent)}
		receiver := to.(directFake)
		receiver.stage.pages[s.Stage] = &page
	}
	s.Short, s.Words = true, m.layout.Words(buf)
	for i := s.Words * 8; i < PageSize; i++ {
		buf[i] = 0xdb // there is nothing else
	}
	return s, nil
}

func (m directFake) SendRun(addr uintptr, to Memory, data [][PageSize]byte, sent []Sent) (n int, err error) {
	for n < len(data) {
		at := addr + uintptr(n)*PageSize
		if present, _ := m.fake.Present(at); !present {
			break
		}
		if sent[n], err = m.Send(StepProtectRead, at, to, &data[n]); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

func (m directFake) InstallSent(addr uintptr, stage Stage, writable bool) error {
	page := m.stage.pages[stage]
	delete(m.stage.pages, stage)
	return m.Install(addr, page, writable)
}

func (m directFake) InstallRunSent(addr uintptr, data [][PageSize]byte, sent []Sent, writable bool) (err error) {
	for i := range data {
		c := contents{buf: &data[i], to: m, sent: sent[i]}
		err = errors.Join(err, c.install(addr+uintptr(i)*PageSize, writable))
	}
	return err
}

func (m directFake) Discard(stage Stage) { delete(m.stage.pages, stage) }

// TestDirect: what goes from process to process directly arrives, with all pins, and nothing stays
// staged. The directory sees no more of it than words that look like addresses.
func TestDirect(t *testing.T) {
	layout := smallLayout(3)
	d, fakes := newFakes(layout, Options{})
	makeDirect(d, fakes, 1, 2)
	at := func(i int) uintptr { return layout.Slot(1).Start + uintptr(i)*PageSize }
	known := func(i int) uintptr { return layout.Slot(0).Start + uintptr(i)*64 + 64 }
	const pages = 100
	for i := range pages {
		if i == 70 {
			continue // a hole, before which a run ends
		}
		for k, value := range []uintptr{12345, known(i)} {
			if err := fakes[1].store(at(i)+uintptr(k)*8, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, write := range []bool{false, true} {
		for i := range pages {
			value, err := fakes[2].load(at(i))
			if want := uintptr(12345); err != nil || value != want && i != 70 {
				t.Fatalf("page %d: %d, %v", i, value, err)
			}
			if holders, _ := d.pins.Holders(0, known(i)); i != 70 && !(holders.Has(1) && holders.Has(2)) {
				t.Fatalf("page %d: what is on it is pinned for %v", i, slices.Collect(holders.All()))
			}
			if write {
				if err := fakes[2].store(at(i), 12345); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if n := staged(fakes); n > 0 {
		t.Errorf("%d pages stay staged", n)
	}
	if s := fakes[1].stage; s.short < pages/2 || s.short == s.sent {
		t.Errorf("%d of %d pages went directly", s.short, s.sent)
	}
}

// TestPinWords: the words of a page stand for the page.
func TestPinWords(t *testing.T) {
	layout := pinLayout()
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var page [PageSize]byte
		for i := range pageWords(&page) {
			switch r.IntN(4) {
			case 0:
				pageWords(&page)[i] = layout.Base + uintptr(r.IntN(int(3*layout.SlotSize)))
			case 1:
				pageWords(&page)[i] = uintptr(r.Uint64())
			case 2:
				if i > 0 {
					pageWords(&page)[i] = pageWords(&page)[i-1]
				}
			}
		}
		whole, brief := NewPins(layout), NewPins(layout)
		brief.seed = whole.seed
		var last, lastBrief pinned
		whole.PinPage(&page, SetOf(0, 2), &last)
		n := layout.Words(&page)
		brief.pinWords(pageWords(&page)[:n], SetOf(0, 2), &lastBrief)
		if last != lastBrief {
			t.Fatalf("%+v is left of the page, %+v of its words", last, lastBrief)
		}
		for owner := range layout.Slots {
			if whole.Len(owner) != brief.Len(owner) {
				t.Fatalf("%v for the page, %v for its words", whole, brief)
			}
		}
	}
}
