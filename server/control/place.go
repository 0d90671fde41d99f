package control

import (
	"context"
	"errors"
	"time"

	"remotec.dev/capnp"
	"remotec.dev/server/placement"
	"remotec.dev/server/session"
)

// Placer is the part of a Source that is about the placement of goroutines.
type Placer interface {
	// Decisions returns the last decisions about a goroutine, or all for 0, oldest first, and
	// whether it is pinned.
	Decisions(ctx context.Context, id, goroutine uint64) (list []session.Decision, pinned bool, err error)
	// Pin has no policy move a goroutine any more, or lets them again.
	Pin(ctx context.Context, id, goroutine uint64, pinned bool) error
	// Weigh sets the weight of a label.
	Weigh(ctx context.Context, id uint64, w session.Weight) error
}

func (b *binding) Decisions(ctx context.Context, call capnp.Server_decisions) error {
	list, pinned, err := b.src.Decisions(ctx, call.Args().Session(), call.Args().Goroutine())
	if err != nil {
		return err
	}
	r, err := call.AllocResults()
	if err != nil {
		return err
	}
	r.SetPinned(pinned)
	to, err := r.NewList(int32(len(list)))
	if err != nil {
		return err
	}
	for i := range list {
		if err := putDecision(to.At(i), &list[i]); err != nil {
			return err
		}
	}
	return nil
}

func putDecision(to capnp.Decision, d *session.Decision) error {
	to.SetNumber(uint64(d.Number))
	to.SetTime(d.Time.UnixNano())
	to.SetGoroutine(d.Goroutine)
	to.SetFrom(uint32(d.From))
	to.SetTo(uint32(d.To))
	to.SetTook(int64(d.Took))
	to.SetKnown(d.Known)
	to.SetBefore(d.Before)
	to.SetAfter(d.After)
	return errors.Join(to.SetKind(d.Kind.String()), to.SetReason(d.Reason), to.SetState(d.State), to.SetWhy(d.Why))
}

func getDecision(from capnp.Decision) (session.Decision, error) {
	d := session.Decision{
		Number: int(from.Number()), Time: time.Unix(0, from.Time()), Took: time.Duration(from.Took()), Known: from.Known(),
		Before: from.Before(), After: from.After(),
	}
	d.Goroutine, d.From, d.To = from.Goroutine(), int(int32(from.From())), int(from.To())
	kind, err := from.Kind()
	var errs [3]error
	d.Reason, errs[0] = from.Reason()
	d.State, errs[1] = from.State()
	d.Why, errs[2] = from.Why()
	d.Kind = placement.ParseKind(kind)
	return d, errors.Join(err, errs[0], errs[1], errs[2])
}

func (b *binding) Pin(ctx context.Context, call capnp.Server_pin) error {
	a := call.Args()
	return b.src.Pin(ctx, a.Session(), a.Goroutine(), a.Pinned())
}

func (b *binding) Weigh(ctx context.Context, call capnp.Server_weigh) error {
	from, err := call.Args().Weight()
	if err != nil {
		return err
	}
	w := session.Weight{Process: int(from.Process()), Weight: from.Weight()}
	if w.Key, err = from.Key(); err != nil {
		return err
	}
	if w.Value, err = from.Value(); err != nil {
		return err
	}
	return b.src.Weigh(ctx, call.Args().Session(), w)
}

// Decisions returns the last decisions about a goroutine of a session, or all for 0, and whether it
// is pinned.
func (c *Client) Decisions(ctx context.Context, id, goroutine uint64) (list []session.Decision, pinned bool, err error) {
	f, release := c.server.Decisions(ctx, func(p capnp.Server_decisions_Params) error {
		p.SetSession(id)
		p.SetGoroutine(goroutine)
		return nil
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, false, err
	}
	from, err := r.List()
	if err != nil {
		return nil, false, err
	}
	for i := range from.Len() {
		d, err := getDecision(from.At(i))
		if err != nil {
			return nil, false, err
		}
		list = append(list, d)
	}
	return list, r.Pinned(), nil
}

// Pin has no policy move a goroutine of a session any more, or lets them again.
func (c *Client) Pin(ctx context.Context, id, goroutine uint64, pinned bool) error {
	f, release := c.server.Pin(ctx, func(p capnp.Server_pin_Params) error {
		p.SetSession(id)
		p.SetGoroutine(goroutine)
		p.SetPinned(pinned)
		return nil
	})
	defer release()
	_, err := f.Struct()
	return err
}

// Weigh sets the weight that a label of goroutines of a session has in a process.
func (c *Client) Weigh(ctx context.Context, id uint64, w session.Weight) error {
	f, release := c.server.Weigh(ctx, func(p capnp.Server_weigh_Params) error {
		p.SetSession(id)
		to, err := p.NewWeight()
		if err != nil {
			return err
		}
		to.SetProcess(uint32(w.Process))
		to.SetWeight(w.Weight)
		return errors.Join(to.SetKey(w.Key), to.SetValue(w.Value))
	})
	defer release()
	_, err := f.Struct()
	return err
}
