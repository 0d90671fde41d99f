package node

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"remotec.dev/server/coherence"
)

// window is how many pages of a node may be staged at another one: 16 MiB. Who has so many
// there sends the next ones by way of the session.
const window = 4096

// stageWait is how long a page may take from another node.
const stageWait = Silence - beat

// stage has pages that one node has sent to this one, until the session says what is to become of them.
type stage struct {
	mu    sync.Mutex // guards the rest
	pages map[uint32]*[coherence.PageSize]byte
	err   error         // why no more come
	want  uint32        // somebody waits for this one
	ready chan struct{} // until this is closed; nil: nobody waits
}

var errNotSent = errors.New("a page that another node was to send did not come")

// put stages a page. It does not wait.
func (s *stage) put(number uint32, data *[coherence.PageSize]byte) error {
	page := stagedPages.Get().(*[coherence.PageSize]byte)
	*page = *data
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.pages) >= window:
		return fmt.Errorf("more than %d pages are staged", window)
	case s.pages[number] != nil:
		return fmt.Errorf("page %d is staged twice", number)
	case s.pages == nil:
		s.pages = make(map[uint32]*[coherence.PageSize]byte)
	}
	s.pages[number] = page
	if s.ready != nil && s.want == number {
		close(s.ready)
		s.ready = nil
	}
	return nil
}

// full reports whether nothing more may be put here.
func (s *stage) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pages) >= window
}

// end says that no more pages come. Those that are there stay.
func (s *stage) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err = err; s.ready != nil {
		close(s.ready)
		s.ready = nil
	}
}

// take takes a page from the stage, which the caller gives to stagedPages. It waits for it, for
// less than [Silence], so that it is the node that can say what went wrong, and has heard of the session meanwhile: who waits
// here is who reads. It calls before first. There is one caller at a time.
func (s *stage) take(number uint32, before func()) (*[coherence.PageSize]byte, error) {
	s.mu.Lock()
	if s.pages[number] == nil && s.err == nil {
		ready := make(chan struct{})
		s.want, s.ready = number, ready
		s.mu.Unlock()
		before()
		late := time.NewTimer(stageWait)
		select {
		case <-ready:
		case <-late.C:
		}
		late.Stop()
		s.mu.Lock()
		s.ready = nil
	}
	defer s.mu.Unlock()
	if page := s.pages[number]; page != nil {
		delete(s.pages, number)
		return page, nil
	}
	if s.err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, s.err)
	}
	return nil, fmt.Errorf("%w within %v", errNotSent, stageWait)
}

var stagedPages = sync.Pool{New: func() any { return new([coherence.PageSize]byte) }}
