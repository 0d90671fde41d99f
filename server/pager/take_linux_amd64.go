package pager

import (
	"fmt"

	"golang.org/x/sys/unix"

	"remotec.dev/server/coherence"
)

// Take implements [coherence.Taker]. A pipe keeps the page while the file drops it, and with
// that all mappings of it do: what is in it then is what the process has written last. To
// protect the page from the process, and only then to read and to drop it, would interrupt the
// processor on which it runs twice.
func (p *process) Take(addr uintptr, buf *[coherence.PageSize]byte) error {
	if home, _ := p.layout.Home(addr); home == p.id {
		if err := p.register(p.layout.GranuleOf(addr)); err != nil {
			return err
		}
	}
	offset, err := p.offset(addr)
	if err != nil {
		return err
	}
	pipe, err := p.pipes.get()
	if err != nil {
		return fmt.Errorf("a pipe for %#x of process %d: %w", addr, p.id, err)
	}
	n, err := splice(p.memfd, offset, pipe.w, coherence.PageSize)
	if err == nil {
		err = p.Drop(addr)
	}
	for have := 0; err == nil && have < n; {
		var m int
		if m, err = unix.Read(pipe.r, buf[have:n]); err == unix.EINTR {
			m, err = 0, nil
		}
		have += m
	}
	if err == nil && n < coherence.PageSize {
		err = fmt.Errorf("the file has %d bytes of it", n)
	}
	if err != nil {
		pipe.close() // something may be left in it
		return fmt.Errorf("taking %#x of process %d from its memfd: %w", addr, p.id, err)
	}
	p.pipes.put(pipe)
	return nil
}

// splice moves n bytes of file at offset to a pipe, by reference. They are less only at the end
// of the file.
func splice(file int, offset int64, pipe, n int) (done int, err error) {
	for done < n {
		at := offset + int64(done)
		m, err := unix.Splice(file, &at, pipe, nil, n-done, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return done, err
		case m == 0:
			return done, nil
		}
		done += int(m)
	}
	return done, nil
}

type pipe struct{ r, w int }

func (p pipe) close() {
	unix.Close(p.r)
	unix.Close(p.w)
}

// pipes are empty pipes, for as many threads as take pages at the same time.
type pipes struct {
	free chan pipe
	own  func(fd int) (int, error) // as in Config
}

func newPipes(own func(int) (int, error)) *pipes { return &pipes{make(chan pipe, 16), own} }

func (p *pipes) get() (pipe, error) {
	select {
	case pipe := <-p.free:
		return pipe, nil
	default:
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return pipe{}, err
	}
	for i, fd := range fds {
		own, err := p.own(fd)
		if err != nil {
			unix.Close(fds[0])
			unix.Close(fds[1])
			return pipe{}, err
		}
		fds[i] = own
	}
	return pipe{fds[0], fds[1]}, nil
}

func (p *pipes) put(pipe pipe) {
	select {
	case p.free <- pipe:
	default:
		pipe.close()
	}
}

// close closes the pipes, which nobody uses any more.
func (p *pipes) close() {
	for {
		select {
		case pipe := <-p.free:
			pipe.close()
		default:
			return
		}
	}
}
