package coherence

// Push gives a page to a process that is about to write to it, unless it has the page
// already, or it is another one's turn. It is as a fault that comes before the access,
// which does no harm where there is none after all.
func (d *Directory) Push(process int, addr uintptr) error {
	addr &^= PageSize - 1
	p, err := d.page(addr)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holders.Has(process) {
		return nil
	}
	_, _, err = d.handle(p, addr, Fault{Process: process, Addr: addr, Write: true})
	return err
}
