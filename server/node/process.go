package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"remotec.dev/runtimestub/wire"
	"remotec.dev/server/fds"
)

// process is a process of the program on the node's host.
type process struct {
	a       *agent
	number  int
	proc    *os.Process
	control *fds.Conn
	stream  *yamux.Stream // of the control connection
	done    chan exited
	shared  []int // its memory and userfaultfd, until they are attached; guarded by agent.mu
}

// exited is how a process ended.
type exited struct{ status, signal int }

// kill ends the process at once.
func (p *process) kill() { p.proc.Kill() }

// launch starts the process that s describes. It dies with the node.
func (a *agent) launch(s *start, path string) (*process, error) {
	theirs, ours, err := socketpair()
	if err != nil {
		return nil, err
	}
	child := os.NewFile(uintptr(theirs), "control")
	defer child.Close()
	p := &process{a: a, number: s.Process, control: &fds.Conn{FD: ours}, done: make(chan exited, 1)}
	fail := func(err error) (*process, error) {
		p.control.Close()
		return nil, err
	}
	inherited := []*os.File{child}
	for _, fd := range a.mail.Files() {
		fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return fail(fmt.Errorf("copying the descriptors for messages between processes: %w", err))
		}
		f := os.NewFile(uintptr(fd), "mail")
		defer f.Close()
		inherited = append(inherited, f)
	}
	if p.stream, err = openStream(a.streams, streamControl, s.Process); err != nil {
		return fail(err)
	}
	// What goes to standard error is the stub's last word: all else are calls.
	words, err := openStream(a.streams, streamErrors, s.Process)
	if err != nil {
		return fail(err)
	}
	cmd := &exec.Cmd{
		Path: path, Args: s.Args, ExtraFiles: inherited, Stderr: words,
		Env:         append(masked(without(s.Env, serverVariable, numberVariable), s.Features), serverVariable+"=fd:3", numberVariable+"="+s.Number),
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	started := make(chan error)
	a.running.Add(1)
	go func() {
		defer a.running.Done()
		defer words.Close()
		// PR_SET_PDEATHSIG means the thread that forked, not the process
		// (prctl(2)): this one stays until the program ends.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.done <- wait(cmd)
		}
	}()
	if err := <-started; err != nil {
		p.stream.Close()
		return fail(fmt.Errorf("starting the program: %w", err))
	}
	p.proc = cmd.Process
	return p, nil
}

// Variables of a program process; see docs/api.md.
const (
	serverVariable = "GORUNTIMESERVER"
	numberVariable = "REMOTEC_PROCESS"
)

// without returns env without the variables that are named.
func without(env []string, names ...string) []string {
	var rest []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if name != names[0] && name != names[1] {
			rest = append(rest, kv)
		}
	}
	return rest
}

func wait(cmd *exec.Cmd) exited {
	cmd.Wait() // says the same as the state, or that standard error could not be copied
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		if ws.Signaled() {
			return exited{signal: int(ws.Signal())}
		}
		return exited{status: ws.ExitStatus()}
	}
	return exited{status: 1}
}

func socketpair() (theirs, ours int, err error) {
	two, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, os.NewSyscallError("socketpair", err)
	}
	return two[0], two[1], nil
}

// serve relays the process's connections, and tells of its end.
func (p *process) serve() {
	p.a.running.Go(func() {
		how := <-p.done
		p.control.Shutdown()
		p.a.tell(notice{Process: p.number, Ended: true, Status: how.status, Signal: how.signal})
	})
	p.a.relays.Go(func() {
		defer p.control.Close()
		back := make(chan struct{})
		go func() {
			defer close(back)
			io.Copy(p.control, p.stream)
			p.control.Shutdown()
		}()
		if err := p.forward(); err != nil && err != io.EOF {
			p.a.tell(notice{Process: p.number, Failed: err.Error()})
		}
		p.stream.Close()
		p.control.Shutdown()
		<-back
	})
}

// forward passes on what the process says on its control connection, frame by frame
// because of the descriptors beside some: those of a link become a stream, those
// of its memory stay here.
func (p *process) forward() error {
	r := &fds.FrameReader{Conn: p.control, Max: wire.MaxAttach}
	defer r.Drop()
	preamble, err := r.Preamble()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(p.stream, preamble); err != nil {
		return err
	}
	for ; ; r.Max = wire.MaxFrame {
		frame, err := r.Next()
		if err != nil {
			if errors.Is(err, syscall.ECONNRESET) {
				err = io.EOF
			}
			return err
		}
		if kind, err := wire.Kind(frame); err == nil && kind == wire.TagLink {
			forward, err := p.link(r, frame)
			if err != nil {
				return err
			}
			if !forward {
				continue
			}
		}
		if _, err := p.stream.Write(frame); err != nil {
			return err
		}
	}
}

// link takes the descriptors of a Link frame; it reports whether the session is to get
// the frame on the control connection.
func (p *process) link(r *fds.FrameReader, frame []byte) (forward bool, err error) {
	l, err := wire.GetLink(frame)
	if err != nil {
		return false, err
	}
	switch l.Flags {
	case 0:
		hand := r.Take(1)
		if hand == nil {
			return false, errors.New("link frame without a socket")
		}
		conn, err := newFileConn(hand[0], "link")
		if err != nil {
			return false, err
		}
		frame = bytes.Clone(frame)
		go func() {
			stream, err := openStream(p.a.streams, streamLink, p.number)
			if err == nil {
				_, err = stream.Write(frame)
			}
			if err != nil {
				conn.Close()
				return
			}
			relay(conn, stream)
		}()
		return false, nil
	case wire.LinkMemory:
		hand := r.Take(2)
		if hand == nil {
			return false, errors.New("memory frame without descriptors")
		}
		p.a.mu.Lock()
		defer p.a.mu.Unlock()
		if p.shared != nil {
			return false, errors.New("memory of a process twice")
		}
		p.shared = hand
		return true, nil
	}
	return false, fmt.Errorf("link with flags %#x, which a process on another host does not get", l.Flags)
}
