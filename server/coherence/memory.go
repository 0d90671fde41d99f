package coherence

import "errors"

// Memory is what the directory does with the shared memory of one process. All
// calls for one page are made with that page locked. A page of the memory is
// a hole, readable, or readable and writable.
//
// The memory of a process that is gone keeps its contents: Read works, the
// other methods do nothing.
type Memory interface {
	// Protect makes page read-only: once it returns, the process does not
	// write to page without a fault, and none of its earlier writes is
	// missing from what Read returns. A hole stays one.
	Protect(page uintptr) error
	// Read copies the contents of page to buf. A hole reads as zeros, and stays
	// one.
	Read(page uintptr, buf *[PageSize]byte) error
	// Drop makes page a hole: the next access faults.
	Drop(page uintptr) error
	// Install puts data where page is a hole. Where page is none, its contents are
	// equal to data already, and Install does the rest. It need not wake who waits:
	// Wake is called when the page is not locked any more.
	Install(page uintptr, data *[PageSize]byte, writable bool) error
	// InstallZero puts a writable page of zeros where page is a hole. Where it
	// is none it only makes it writable. It wakes who waits.
	InstallZero(page uintptr) error
	// Unprotect makes page writable and wakes who waits.
	Unprotect(page uintptr) error
	// Wake makes who waits for page try again.
	Wake(page uintptr) error
}

// Far is a Memory that is reached by messages, so that each answer is waited for.
// Operations that the rules of the package comment allow to be one are one, and
// those that nothing waits for are not answered: of Install, InstallZero, Unprotect
// and Wake only the order among the operations on a page is guaranteed, which is that
// of the calls, and an error is told to somebody else. Install wakes who waits.
type Far interface {
	Memory
	// ProtectRead is Protect and then Read.
	ProtectRead(page uintptr, buf *[PageSize]byte) error
	// Take is Protect, Read and then Drop.
	Take(page uintptr, buf *[PageSize]byte) error
	// StartDrop starts Drop; the page is dropped when done returns nil. done
	// is called once.
	StartDrop(page uintptr) (done func() error)
}

// Direct is a Far that can send a page to another memory by itself, so that the contents do not
// come by way of the directory. That gets the words which it has to pin, see
// [Layout.Words], and says what is to be done with the page when it has. Until then the page is *staged* at
// its receiver, where no process sees it. Whatever is staged is installed or discarded.
type Direct interface {
	Far
	// Reaches reports whether pages can be sent to a memory, another one. That may change at any time.
	Reaches(to Memory) bool
	// Send is a step that reads the page. The contents are staged at to; with nil they are not, as only the
	// words are wanted. buf gets what Sent says. With an error nothing is staged.
	Send(step Step, page uintptr, to Memory, buf *[PageSize]byte) (Sent, error)
	// SendRun is Send with StepProtectRead of the pages that data and sent have room for, up to
	// the first hole, or page of zeros. It returns how many these are.
	SendRun(page uintptr, to Memory, data [][PageSize]byte, sent []Sent) (int, error)
	// InstallSent is Install of what is staged here.
	InstallSent(page uintptr, stage Stage, writable bool) error
	// InstallRunSent is InstallSent or Install of neighbouring pages.
	InstallRunSent(page uintptr, data [][PageSize]byte, sent []Sent, writable bool) error
	// Discard forgets what is staged here.
	Discard(stage Stage)
}

// Step is one of the operations that read a page.
type Step uint8

const (
	StepRead        Step = iota // Memory.Read
	StepProtectRead             // Far.ProtectRead
	StepTake                    // Far.Take
)

// Sent says what the directory has of a page that was to be sent. The zero value is: all of it. That
// is always possible, where there is no way to the receiver any more above all.
type Sent struct {
	Short bool  // there are only the words that look like addresses,
	Words int   // so many
	Stage Stage // where the rest is
}

// Stage names a page that is staged. The zero value is none.
type Stage struct {
	From   uint8 // whose number it is
	Number uint32
}

// Near is a Memory that can tell a hole from a page.
type Near interface {
	Memory
	// Present reports whether page is no hole. It is asked after a Read, to
	// know whether that read a hole.
	Present(page uintptr) (bool, error)
}

// Taker is a Memory on this host that takes a page in one step: Protect, Read and then Drop.
type Taker interface {
	Memory
	Take(page uintptr, buf *[PageSize]byte) error
}

// ErrUnmapped is wrapped by errors of a Memory that has nothing mapped at the
// page's address: the program followed a pointer to where no memory is.
var ErrUnmapped = errors.New("nothing is mapped at the address")

// ErrLost is wrapped by errors of a Memory that cannot be reached any more. Who
// reached it knows, and ends the session.
var ErrLost = errors.New("the memory is out of reach")
