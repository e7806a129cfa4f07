package server

import (
	"context"
	"log/slog"
)

// A logHandler is the slog.Handler of the user's logger. A panic in it costs the
// line, and nothing else.
type logHandler struct{ slog.Handler }

// guardedLogger returns log, or slog.Default() for nil, behind a logHandler.
func guardedLogger(log *slog.Logger) *slog.Logger {
	if log == nil {
		log = slog.Default()
	}
	return slog.New(logHandler{log.Handler()})
}

func (h logHandler) Enabled(ctx context.Context, level slog.Level) (on bool) {
	defer func() { _ = recover() }()
	return h.Handler.Enabled(ctx, level)
}

func (h logHandler) Handle(ctx context.Context, r slog.Record) (err error) {
	defer catch(&err)
	return h.Handler.Handle(ctx, r)
}

func (h logHandler) WithAttrs(attrs []slog.Attr) (with slog.Handler) {
	defer func() {
		if recover() != nil {
			with = h
		}
	}()
	return logHandler{h.Handler.WithAttrs(attrs)}
}

func (h logHandler) WithGroup(name string) (with slog.Handler) {
	defer func() {
		if recover() != nil {
			with = h
		}
	}()
	return logHandler{h.Handler.WithGroup(name)}
}
