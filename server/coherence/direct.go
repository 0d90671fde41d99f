package coherence

import "fmt"

// Pages that go from one host to another directly, where both are not the directory's. The
// rules R1 and R2 say when the words of a page are pinned, and nothing of where the rest of it is: a page that is
// staged is one that nobody has. So the order of the steps is that of the other transitions,
// with Install in two parts, of which the second one, that processes notice, is where Install was.

// contents is what the directory has of a page that changes hands.
type contents struct {
	buf   *[PageSize]byte
	to    Memory // which the page is for; nil: the directory
	brief bool   // which needs no more than the words to pin
	sent  Sent   // what buf is
}

// fetch makes step with the page of process at addr, whose memory is m.
func (c *contents) fetch(step Step, process int, m Memory, addr uintptr) (err error) {
	far, isFar := m.(Far)
	if direct, ok := m.(Direct); ok && (c.brief || c.to != nil && direct.Reaches(c.to)) {
		c.sent, err = direct.Send(step, addr, c.to, c.buf)
	} else {
		switch {
		case step == StepTake:
			err = m.(Taker).Take(addr, c.buf)
		case step == StepProtectRead && isFar:
			err = far.ProtectRead(addr, c.buf)
		case step == StepProtectRead:
			if err = m.Protect(addr); err == nil {
				err = m.Read(addr, c.buf)
			}
		default:
			err = m.Read(addr, c.buf)
		}
	}
	if err != nil {
		doing := [...]string{StepRead: "reading", StepProtectRead: "protecting and reading", StepTake: "taking"}
		return fmt.Errorf("%s the page of process %d: %w", doing[step], process, err)
	}
	return nil
}

// words returns what is to be pinned, among other words.
func (c *contents) words() []uintptr { return c.sent.words(c.buf) }

func (s *Sent) words(buf *[PageSize]byte) []uintptr {
	if s.Short {
		return pageWords(buf)[:s.Words]
	}
	return pageWords(buf)[:]
}

// install installs the page where it was to go.
func (c *contents) install(addr uintptr, writable bool) error {
	if c.sent.Short {
		return c.to.(Direct).InstallSent(addr, c.sent.Stage, writable)
	}
	return c.to.Install(addr, c.buf, writable)
}

// discard is for a page that is not installed after all.
func (c *contents) discard() { discard(c.to, []Sent{c.sent}) }

func discard(to Memory, sent []Sent) {
	for _, s := range sent {
		if s.Stage != (Stage{}) {
			to.(Direct).Discard(s.Stage)
		}
	}
}
