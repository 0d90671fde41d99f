package coherence

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// fake is a Memory that is a map, and makes faults as a process does.
type fake struct {
	id        int
	directory *Directory
	mu        sync.Mutex
	pages     map[uintptr]*fakePage
	woken     int
	runs      int        // operations on several pages
	stage     *fakeStage // where it is a directFake
}

type fakePage struct {
	words    [PageSize / 8]uintptr
	writable bool
}

func (p *fakePage) bytes() *[PageSize]byte { return (*[PageSize]byte)(unsafe.Pointer(&p.words)) }

// newFakes returns a directory with the fakes of all processes of a layout.
func newFakes(layout Layout, options Options) (*Directory, []*fake) {
	d := NewDirectory(layout, NewPins(layout), options)
	fakes := make([]*fake, layout.Slots)
	for i := range fakes {
		fakes[i] = &fake{id: i, directory: d, pages: make(map[uintptr]*fakePage)}
		d.SetMemory(i, fakes[i])
		if i%2 == 1 {
			d.SetMemory(i, farFake{fakes[i]})
		}
	}
	return d, fakes
}

// farFake is a fake as a Far; the others are Near.
type farFake struct{ *fake }

func (m farFake) Present() {} // hides that of fake

func (m farFake) ProtectRead(addr uintptr, buf *[PageSize]byte) error {
	return errors.Join(m.Protect(addr), m.Read(addr, buf))
}

func (m farFake) Take(addr uintptr, buf *[PageSize]byte) error {
	return errors.Join(m.ProtectRead(addr, buf), m.Drop(addr))
}

func (m farFake) StartDrop(addr uintptr) func() error {
	err := m.Drop(addr)
	return func() error { return err }
}

func (m *fake) Present(addr uintptr) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pages[addr] != nil, nil
}

func (m *fake) Protect(addr uintptr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.pages[addr]; p != nil {
		p.writable = false
	}
	return nil
}

func (m *fake) Read(addr uintptr, buf *[PageSize]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	*buf = [PageSize]byte{}
	if p := m.pages[addr]; p != nil {
		if p.writable {
			return fmt.Errorf("process %d: %#x is read while it is writable", m.id, addr)
		}
		*buf = *p.bytes()
	}
	return nil
}

func (m *fake) Drop(addr uintptr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.pages[addr]; p != nil && p.writable {
		return fmt.Errorf("process %d: %#x is dropped while it is writable", m.id, addr)
	}
	delete(m.pages, addr)
	return nil
}

func (m *fake) Install(addr uintptr, data *[PageSize]byte, writable bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pages[addr]
	if p == nil {
		p = &fakePage{}
		*p.bytes() = *data
		m.pages[addr] = p
	} else if *p.bytes() != *data {
		return fmt.Errorf("process %d: other contents are installed over %#x", m.id, addr)
	}
	p.writable = writable
	return nil
}

func (m *fake) InstallZero(addr uintptr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pages[addr] == nil {
		m.pages[addr] = &fakePage{}
	}
	m.pages[addr].writable = true
	return nil
}

func (m *fake) Unprotect(addr uintptr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.pages[addr]; p != nil {
		p.writable = true
	}
	return nil
}

func (m *fake) Wake(uintptr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.woken++
	return nil
}

func (m *fake) ProtectRun(addr uintptr, data [][PageSize]byte) (n int, err error) {
	for i := range data {
		at := addr + uintptr(i)*PageSize
		if present, _ := m.Present(at); !present {
			return i, err
		}
		err = errors.Join(err, m.Protect(at), m.Read(at, &data[i]))
	}
	return len(data), err
}

func (m *fake) DropRun(addr uintptr, n int) (err error) {
	for i := range n {
		err = errors.Join(err, m.Drop(addr+uintptr(i)*PageSize))
	}
	return err
}

func (m *fake) UnprotectRun(addr uintptr, n int) (err error) {
	m.mu.Lock()
	m.runs++
	m.mu.Unlock()
	for i := range n {
		err = errors.Join(err, m.Unprotect(addr+uintptr(i)*PageSize))
	}
	return err
}

func (m *fake) InstallRun(addr uintptr, data [][PageSize]byte, writable bool) (err error) {
	m.mu.Lock()
	m.runs++
	m.mu.Unlock()
	for i := range data {
		err = errors.Join(err, m.Install(addr+uintptr(i)*PageSize, &data[i], writable))
	}
	return err
}

func (m *fake) ZeroRun(addr uintptr, n int) error {
	m.mu.Lock()
	m.runs++
	m.mu.Unlock()
	for i := range n {
		if err := m.InstallZero(addr + uintptr(i)*PageSize); err != nil {
			return err
		}
	}
	return nil
}

// access runs do on the word at addr, after as many faults as that takes.
func (m *fake) access(addr uintptr, write bool, do func(*uintptr)) error {
	page := addr &^ (PageSize - 1)
	for {
		m.mu.Lock()
		p := m.pages[page]
		if p != nil && (p.writable || !write) {
			do(&p.words[addr%PageSize/8])
			m.mu.Unlock()
			return nil
		}
		f := Fault{Process: m.id, Addr: addr, Write: write, WP: p != nil}
		m.mu.Unlock()
		switch outcome, _, err := m.directory.Handle(f); {
		case err != nil:
			return err
		case outcome == PlainMemory:
			if err := m.directory.Common(f); err != nil {
				return err
			}
		}
	}
}

func (m *fake) load(addr uintptr) (value uintptr, err error) {
	err = m.access(addr, false, func(word *uintptr) { value = *word })
	return value, err
}

func (m *fake) store(addr, value uintptr) error {
	return m.access(addr, true, func(word *uintptr) { *word = value })
}

// release is MADV_REMOVE.
func (m *fake) release(page uintptr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pages, page)
}

// peek returns the word at addr as the processes see it, without a fault.
func peek(d *Directory, fakes []*fake, addr uintptr) uintptr {
	state, err := d.State(addr)
	if err != nil {
		panic(err)
	}
	for holder := range state.Holders.All() {
		m := fakes[holder]
		m.mu.Lock()
		p := m.pages[addr&^(PageSize-1)]
		m.mu.Unlock()
		if p != nil {
			return p.words[addr%PageSize/8]
		}
	}
	return 0
}
