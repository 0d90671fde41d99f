package server

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"remotec.dev/server/fds"
	"remotec.dev/server/osys"
	"remotec.dev/server/session"
)

// Config is a server: its parts and policy. The zero Config is the
// passthrough server.
type Config struct {
	Name string // name and version, told to programs; default "remotec"

	// OS makes what carries out the calls of one session; default
	// osys.Passthrough. It is called in the session process.
	OS func(osys.Config) osys.OS

	Policy Policy

	// Processes is how many processes a program that Run starts gets; 0 stands
	// for 1. Placement says where its goroutines go.
	Processes int
	Placement Placement
	// Nodes are other hosts that such a program's processes are divided over, beside
	// this one. Where there are some, Processes is at least one more.
	Nodes Nodes

	// Lease grants leave to create goroutines: of a session and how many it
	// asks for it makes how many it may create. Default: all.
	Lease func(session, asked uint64) uint64

	// Events is told what happens; it may be called by several goroutines
	// at once, in the master as well as in session processes.
	Events func(Event)

	// LogTo makes the logger for what goes wrong. In a session process that a
	// master started it writes to the master's standard error, since the own
	// one is the program's. Default: NewLog with warnings and errors.
	LogTo func(io.Writer) *slog.Logger

	// Delay is slept before each call; fault injection.
	Delay time.Duration
	// PostDelay is how long a message from one process of a program to another
	// may wait; how long each does is random. Fault injection.
	PostDelay time.Duration
	// MailDelay is for how long at most a process does not look at the messages of others of its
	// host after it has looked.
	MailDelay time.Duration
	// MoveEvery is how often a goroutine of a program in several processes is moved
	// to another one, whichever; 0: never. Fault injection.
	MoveEvery time.Duration

	// Page is a page about the session, or about those of a master; where its Addr is empty
	// there is none.
	Page Page
	// Account has what goroutines use accounted for from the start of a session, not only from when
	// somebody asks.
	Account bool

	log  *slog.Logger // made by LogTo, and kept in book
	book *book
}

// Policy is what programs are allowed beyond calls.
type Policy struct {
	Hand bool // opened descriptors are handed over: data calls bypass the server
	Ring bool // links may use shared memory
}

// Placement says in which process of a session a new goroutine starts.
type Placement int

// Placements.
const (
	PlaceLocal    Placement = iota // in the process that creates it
	PlaceSpread                    // in each process in turn
	PlaceBalance                   // where it is created, or in a process that has nothing to do; those that have begun move by what they do
	PlaceAffinity                  // in each process in turn; then they move by what they do
)

// EventKind is what an Event tells.
type EventKind int

// Events of a server.
const (
	SessionStarted EventKind = 1 + iota
	SessionEnded             // Exit tells how, where the server knows
	AttachRefused            // Err tells why
)

// Event is something that happened to a server.
type Event struct {
	Kind    EventKind
	Session uint64
	Program string // path of the binary, as it calls itself
	Exit    Exit
	Err     error
}

// space is the descriptor space of this process. It is one per process
// because descriptors are.
var space fds.Space

// hold runs once, before the process opens descriptors of its own.
var hold = sync.OnceValue(space.Hold)

// Adopt takes a descriptor that a part of the server keeps in a session
// process out of the program's way: it moves it to another number, which it
// returns, and makes it close-on-exec and invisible to the program.
func Adopt(fd int) (int, error) { return space.Adopt(fd) }

// withDefaults fills in what cfg leaves open.
func (cfg Config) withDefaults() Config {
	if cfg.Name == "" {
		cfg.Name = "remotec"
	}
	if cfg.OS == nil {
		cfg.OS = osys.Passthrough
	}
	if cfg.Events == nil {
		cfg.Events = func(Event) {}
	}
	if cfg.LogTo == nil {
		cfg.LogTo = func(w io.Writer) *slog.Logger { return NewLog(w, slog.LevelWarn) }
	}
	if cfg.log == nil {
		cfg.setLog(os.Stderr)
	}
	return cfg
}

// setLog makes the log, which w gets.
func (cfg *Config) setLog(w io.Writer) {
	cfg.book = new(book)
	cfg.log = cfg.book.keep(cfg.LogTo(w))
}

// session returns the part of cfg that one session is made with.
func (cfg *Config) session(id uint64) session.Config {
	return session.Config{
		ID: id, Name: cfg.Name, Space: &space, Log: cfg.log, OS: cfg.OS,
		Hand: cfg.Policy.Hand, Ring: cfg.Policy.Ring, Lease: cfg.Lease, Delay: cfg.Delay, PostDelay: cfg.PostDelay, MoveEvery: cfg.MoveEvery, Exec: successor, Logged: cfg.book.Lines, Account: cfg.Account,
	}
}

// NewLog returns a logger that writes lines of the form
//
//	remotec: message: key=value ...
//
// to w, for records of at least the given level.
func NewLog(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(newLineHandler(w, level))
}

// Exit is how a program ended.
type Exit struct {
	Status int // exit status
	Signal int // signal it died of, or 0
}

// Code is the exit status by which a shell would report e.
func (e Exit) Code() int {
	if e.Signal != 0 {
		return 128 + e.Signal
	}
	return e.Status
}

func (e Exit) String() string {
	if e.Signal != 0 {
		return fmt.Sprintf("signal %d", e.Signal)
	}
	return fmt.Sprintf("exit status %d", e.Status)
}
