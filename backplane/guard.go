package backplane

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// guard runs f, which a peer's bytes or the user's code may make panic: a panic
// is logged with its stack and returned as an error.
func guard(log *slog.Logger, what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("backplane: panic in %s: %v", what, p)
			log.Error("panic", "in", what, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	return f()
}

func (r *Redis) guard(what string, f func() error) error { return guard(r.log, what, f) }

// A guardedHandler loses a line of the log where the user's handler panics, and
// nothing else.
type guardedHandler struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h guardedHandler) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer func() { _ = recover() }() // a broken log must not stop the caller
	return h.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h guardedHandler) Handle(ctx context.Context, record slog.Record) (err error) {
	defer func() { _ = recover() }()
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h guardedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.derived(func() slog.Handler { return h.Handler.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h guardedHandler) WithGroup(name string) slog.Handler {
	return h.derived(func() slog.Handler { return h.Handler.WithGroup(name) })
}

func (h guardedHandler) derived(f func() slog.Handler) (derived slog.Handler) {
	derived = h
	defer func() { _ = recover() }()
	return guardedHandler{f()}
}
