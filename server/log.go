package server

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"

	"remotec.dev/server/session"
)

// lineHandler writes records as remotec's other messages look: a prefix, the
// message, then what it is about. slog's text form with time and level would
// not fit between the lines of a program.
type lineHandler struct {
	mu    *sync.Mutex // guards w
	w     io.Writer
	level slog.Level
	attrs string // formatted, of With
}

func newLineHandler(w io.Writer, level slog.Level) *lineHandler {
	return &lineHandler{mu: new(sync.Mutex), w: w, level: level}
}

func (h *lineHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString("remotec: ")
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		appendAttr(&b, a)
		return true
	})
	b.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, b.String())
	return err
}

func appendAttr(b *strings.Builder, a slog.Attr) {
	b.WriteByte(' ')
	b.WriteString(a.Key)
	b.WriteByte('=')
	v := a.Value.Resolve().String()
	if strings.ContainsAny(v, " \"\n=") || v == "" {
		v = strconv.Quote(v)
	}
	b.WriteString(v)
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(h.attrs)
	for _, a := range attrs {
		appendAttr(&b, a)
	}
	c := *h
	c.attrs = b.String()
	return &c
}

// book remembers the last lines of a log, also those that are not written: for the page.
type book struct {
	mu    sync.Mutex
	lines []session.LogLine // guarded by mu
}

const bookSize = 200

// Lines returns them, the last one first.
func (b *book) Lines() []session.LogLine {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := slices.Clone(b.lines)
	slices.Reverse(lines)
	return lines
}

// keep returns a logger that writes what log writes, and what b remembers.
func (b *book) keep(log *slog.Logger) *slog.Logger {
	return slog.New(&bookHandler{b, log.Handler(), ""})
}

// bookHandler is the handler of such a logger.
type bookHandler struct {
	book  *book
	to    slog.Handler
	attrs string // formatted, of With
}

func (h *bookHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *bookHandler) Handle(ctx context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		appendAttr(&b, a)
		return true
	})
	h.book.mu.Lock()
	if len(h.book.lines) == bookSize {
		h.book.lines = slices.Delete(h.book.lines, 0, 1)
	}
	h.book.lines = append(h.book.lines, session.LogLine{At: r.Time, Level: strings.ToLower(r.Level.String()), Text: b.String()})
	h.book.mu.Unlock()
	if !h.to.Enabled(ctx, r.Level) {
		return nil
	}
	return h.to.Handle(ctx, r)
}

func (h *bookHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(h.attrs)
	for _, a := range attrs {
		appendAttr(&b, a)
	}
	return &bookHandler{h.book, h.to.WithAttrs(attrs), b.String()}
}

func (h *bookHandler) WithGroup(name string) slog.Handler {
	return &bookHandler{h.book, h.to.WithGroup(name), h.attrs}
}

// WithGroup ignores the group: keys of this server are few and distinct.
func (h *lineHandler) WithGroup(string) slog.Handler { return h }
