package rescue

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Clients can cause some lines as often as they like. Of the same line, that is
// of one message with one method, reason and type, linesPerSecond are written a
// second; how many were left out is logged when the second is over.
const (
	linesPerSecond = 5
	lineWindow     = time.Second
	// mostLines bounds how many different lines are counted at once; further
	// ones are told apart by their message alone.
	mostLines = 256
)

// Lines that begin and end the life of a connection are never left out.
const (
	LineOpened = "connection opened"
	LineClosed = "connection closed"
)

// lineDetails are the attributes that tell lines of one message apart. Their
// values come from our code or the application. A client can choose among a few at most;
// mostLines is for those that quote it all the same.
var lineDetails = map[string]bool{"in": true, "method": true, "reason": true, "type": true}

// Limited returns log without the lines that come too often.
func Limited(log *slog.Logger) *slog.Logger {
	return slog.New(limitedHandler{log.Handler(), &lineLimit{}})
}

// A limitedHandler leaves out lines that come too often.
type limitedHandler struct {
	slog.Handler
	limit *lineLimit
}

func (h limitedHandler) Handle(ctx context.Context, r slog.Record) error {
	if !h.limit.allow(h.Handler, r) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h limitedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return limitedHandler{h.Handler.WithAttrs(attrs), h.limit}
}

func (h limitedHandler) WithGroup(name string) slog.Handler {
	return limitedHandler{h.Handler.WithGroup(name), h.limit}
}

// A lineLimit counts the lines of one log.
type lineLimit struct {
	mu    sync.Mutex
	lines map[lineKey]*lineCount
}

type lineKey struct {
	level   slog.Level
	message string
	details string
}

type lineCount struct {
	since   time.Time
	written int
	left    int
	report  *time.Timer // not nil while lines are left out
}

func newLineKey(r slog.Record) lineKey {
	key := lineKey{level: r.Level, message: r.Message}
	r.Attrs(func(a slog.Attr) bool {
		if lineDetails[a.Key] {
			key.details += a.Key + "=" + a.Value.String() + " "
		}
		return true
	})
	return key
}

// allow reports whether r may be written to h now, and counts it.
func (l *lineLimit) allow(h slog.Handler, r slog.Record) bool {
	if r.Message == LineOpened || r.Message == LineClosed {
		return true
	}
	now, key := time.Now(), newLineKey(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.lines[key]
	if c == nil && len(l.lines) >= mostLines {
		l.forgetOld(now)
		if len(l.lines) >= mostLines {
			key.details = ""
			c = l.lines[key]
		}
	}
	if c == nil {
		c = &lineCount{since: now}
		if l.lines == nil {
			l.lines = map[lineKey]*lineCount{}
		}
		l.lines[key] = c
	}
	if c.report == nil && now.Sub(c.since) >= lineWindow {
		c.since, c.written = now, 0
	}
	if c.written < linesPerSecond {
		c.written++
		return true
	}
	if c.left++; c.report == nil {
		c.report = time.AfterFunc(c.since.Add(lineWindow).Sub(now), func() { l.tell(h, key, c) })
	}
	return false
}

// forgetOld forgets the lines whose second is over.
func (l *lineLimit) forgetOld(now time.Time) {
	for key, c := range l.lines {
		if c.report == nil && now.Sub(c.since) >= lineWindow {
			delete(l.lines, key)
		}
	}
}

// tell logs how many lines were left out.
func (l *lineLimit) tell(h slog.Handler, key lineKey, c *lineCount) {
	l.mu.Lock()
	left := c.left
	if l.lines[key] == c {
		delete(l.lines, key)
	}
	l.mu.Unlock()
	r := slog.NewRecord(time.Now(), key.level, key.message, 0)
	if key.details != "" {
		r.AddAttrs(slog.String("of", key.details[:len(key.details)-1]))
	}
	r.AddAttrs(slog.Int("leftOut", left))
	_ = h.Handle(context.Background(), r)
}
