// Package rescue keeps what panics from ending the process: the last guard of
// goroutines that handle a peer's bytes, and the guard around code of the user.
package rescue

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// Call runs f, which a peer's bytes or the user's code may make panic. A panic is
// logged with its stack as one in what, and returned as an error. Goexit is not
// stopped: what must happen in any case is deferred by the caller.
func Call(log *slog.Logger, what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic in %s: %v", what, v)
			log.Error("panic", "in", what, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	return f()
}

// Logger returns log, or slog.Default() for nil. Where the handler panics a line
// is lost, and nothing else.
func Logger(log *slog.Logger) *slog.Logger {
	if log == nil {
		log = slog.Default()
	}
	if _, ok := log.Handler().(handler); ok {
		return log
	}
	return slog.New(handler{log.Handler()})
}

type handler struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h handler) Enabled(ctx context.Context, level slog.Level) (on bool) {
	defer func() { _ = recover() }() // a broken log must not stop the caller
	return h.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, record slog.Record) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic of a slog.Handler: %v", v)
		}
	}()
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.derive(func() slog.Handler { return h.Handler.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return h.derive(func() slog.Handler { return h.Handler.WithGroup(name) })
}

func (h handler) derive(f func() slog.Handler) (derived slog.Handler) {
	derived = h
	defer func() { _ = recover() }()
	return handler{f()}
}
