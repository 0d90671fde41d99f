package web

import (
	"context"
	"errors"
	"fmt"

	"remotec.dev/server/control"
)

// Action is what a button of the page asks for.
type Action struct {
	Name      string `json:"name"` // Migrate ...
	Session   uint64 `json:"session"`
	Goroutine uint64 `json:"goroutine,omitempty"`
	Process   int    `json:"process"`        // the one that it goes to, or that the action is about
	Node      string `json:"node,omitempty"` // that the action is about
	Keep      bool   `json:"keep,omitempty"` // the process that is drained does not end
	Undo      bool   `json:"undo,omitempty"` // it gets goroutines again
}

// Names of actions. The page has buttons for those that the Actor offers.
const (
	Migrate = "migrate" // Goroutine goes to Process
	Pause   = "pause"   // Goroutine, or all of Process if that is 0, stops
	Resume  = "resume"  // and goes on
	Drain   = "drain"   // Process gets rid of its goroutines, and ends
)

// Actor carries out actions.
type Actor interface {
	// Actions are the names of those that there are.
	Actions() []string
	Do(context.Context, Action) error
}

// Acting is the Actor that every server has.
type Acting struct{ Source control.Source }

// Actions implements [Actor].
func (Acting) Actions() []string { return []string{Migrate, Pause, Resume, Drain} }

// Do implements [Actor].
func (m Acting) Do(ctx context.Context, a Action) error {
	switch a.Name {
	case Migrate:
		return m.Source.Migrate(ctx, a.Session, a.Goroutine, a.Process)
	case Pause, Resume:
		return m.Source.Pause(ctx, a.Session, a.Goroutine, a.Process, a.Name == Pause)
	case Drain:
		d, err := m.Source.Drain(ctx, a.Session, []int{a.Process}, !a.Undo, a.Keep)
		if err == nil && d.Stays != "" {
			err = errors.New(d.Stays)
		}
		return err
	}
	return fmt.Errorf("%q is not available", a.Name)
}
