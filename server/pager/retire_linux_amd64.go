package pager

import (
	"fmt"

	"remotec.dev/server/coherence"
)

// Retire makes the memory of a process that is about to end that of the session. None of its threads
// writes to it any more. Its pages stay in its file: what they were to others they remain.
func (p *Pager) Retire(process int) error {
	p.mu.Lock()
	a := p.attached[process]
	p.mu.Unlock()
	if a == nil {
		return fmt.Errorf("pager: process %d has no memory on this host", process)
	}
	a.gone.Store(true)
	p.pins.Retire(process) // before anybody hears that it is gone
	return nil
}

// Keep has what a process that has retired left keep what it refers to: see coherence.
func (p *Pager) Keep(e *coherence.Estate) (met int, err error) { return p.directory.Keep(e) }
