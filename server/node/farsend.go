package node

import "remotec.dev/server/coherence"

// Reaches implements [coherence.Direct]: pages go directly among the processes of a node, and between nodes
// that both say that they have met.
func (m far) Reaches(to coherence.Memory) bool {
	t, ok := to.(far)
	if !ok || m.hub.number == 0 {
		return false
	}
	return t.hub == m.hub || m.hub.met[t.hub.number].Load() && t.hub.met[m.hub.number].Load()
}

// sending makes an operation that stages a page at to, or nowhere, and what is to be returned of it if
// that happens.
func (m far) sending(step coherence.Step, page uintptr, to coherence.Memory) (f frame, stage coherence.Stage) {
	f = frame{kind: opSendRead + frameKind(step), process: m.process, addr: uint64(page)}
	if t, ok := to.(far); ok {
		stage = coherence.Stage{From: m.hub.number, Number: m.hub.staged.Add(1)}
		f.node, f.stage = t.hub.number, stage.Number
	}
	return f, stage
}

// Send implements [coherence.Direct].
func (m far) Send(step coherence.Step, page uintptr, to coherence.Memory, buf *[coherence.PageSize]byte) (coherence.Sent, error) {
	f, stage := m.sending(step, page, to)
	p := m.hub.start(&f, buf)
	sent, err := m.hub.waitSent(f.id, p)
	if sent.Short {
		sent.Stage = stage
	}
	return sent, err
}

// SendRun implements [coherence.Direct]: the operations on all pages are under way at the same
// time.
func (m far) SendRun(page uintptr, to coherence.Memory, data [][coherence.PageSize]byte, sent []coherence.Sent) (n int, err error) {
	n = len(data)
	ids, pending := make([]uint32, n), make([]*pending, n)
	for i := range n {
		f, stage := m.sending(coherence.StepProtectRead, page+uintptr(i)*coherence.PageSize, to)
		pending[i] = m.hub.prepare(&f, &data[i])
		ids[i], sent[i].Stage = f.id, stage
	}
	m.hub.flush()
	for i, p := range pending {
		got, e := m.hub.waitSent(ids[i], p)
		if e != nil && err == nil {
			err = e
		}
		if got.Short {
			got.Stage = sent[i].Stage
		}
		sent[i] = got
	}
	for i := range data {
		if !sent[i].Short && data[i] == zeroPage {
			n = i // perhaps a hole
			break
		}
	}
	if err != nil {
		n = 0
	}
	for _, s := range sent[n:] {
		if s.Short {
			to.(far).Discard(s.Stage)
		}
	}
	return n, err
}

// InstallSent implements [coherence.Direct].
func (m far) InstallSent(page uintptr, stage coherence.Stage, writable bool) error {
	f := install(opInstallSent, m.process, page, writable)
	f.node, f.stage = stage.From, stage.Number
	m.hub.write(&f)
	return nil
}

// InstallRunSent implements [coherence.Direct].
func (m far) InstallRunSent(page uintptr, data [][coherence.PageSize]byte, sent []coherence.Sent, writable bool) error {
	for i := range data {
		f := install(opInstall, m.process, page+uintptr(i)*coherence.PageSize, writable)
		if stage := sent[i].Stage; sent[i].Short {
			f.kind += opInstallSent - opInstall
			f.node, f.stage = stage.From, stage.Number
		} else {
			f.page(&data[i])
		}
		m.hub.put(&f)
	}
	m.hub.flush()
	return nil
}

// Discard implements [coherence.Direct].
func (m far) Discard(stage coherence.Stage) {
	m.hub.write(&frame{kind: opDiscard, process: m.process, node: stage.From, stage: stage.Number})
}
