package server

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"remotec.dev/server/fds"
)

// child is a started program process.
type child struct {
	pid  int           // 0 on another host
	far  func()        // kills one on another host
	done chan Exit     // gets how it ended
	over chan struct{} // closed after that, by running.run
}

// launch starts the program at path with the standard descriptors of this
// process and, from 3 on, more.
//
// The program process is in a process group of its own: a terminal's signals
// are for the session process, which is what the user sees and signals. It
// dies with the session process.
func launch(path string, argv, env []string, more ...int) (*child, error) {
	c := &child{done: make(chan Exit, 1), over: make(chan struct{})}
	started := make(chan error)
	go func() {
		// PR_SET_PDEATHSIG means the thread that forked, not the process
		// (prctl(2)): this one stays until the program ends.
		runtime.LockOSThread()
		err := c.fork(path, argv, env, more)
		started <- err
		if err == nil {
			c.done <- c.wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

func (c *child) fork(path string, argv, env []string, more []int) error {
	files := []uintptr{0, 1, 2}
	for _, fd := range more {
		files = append(files, uintptr(fd))
	}
	restore, err := fds.CloseOnExec()
	if err != nil {
		return err
	}
	defer restore()
	c.pid, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env: env, Files: files,
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return &os.PathError{Op: "starting", Path: path, Err: err}
	}
	return nil
}

func (c *child) wait() Exit {
	var ws syscall.WaitStatus
	for {
		_, err := syscall.Wait4(c.pid, &ws, 0, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return Exit{Status: 1}
		case ws.Signaled():
			return Exit{Signal: int(ws.Signal())}
		}
		return Exit{Status: ws.ExitStatus()}
	}
}

// environ returns the environment env with name set to value.
func environ(env []string, name, value string) []string {
	out := make([]string, 0, len(env)+1)
	for _, kv := range env {
		if !strings.HasPrefix(kv, name+"=") {
			out = append(out, kv)
		}
	}
	return append(out, name+"="+value)
}

// errNoArgs is a program without an argument vector.
var errNoArgs = errors.New("empty argument vector")

// socketpair returns two connected stream sockets, close-on-exec.
func socketpair() (ours, theirs int, err error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("socketpair: %w", err)
	}
	return pair[0], pair[1], nil
}
