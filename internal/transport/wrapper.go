package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// What the ResponseWriter of a middleware must let through to net/http's.
const (
	needHijack    = "WebSockets"
	needFlush     = "Server-Sent Events"
	needDeadlines = "requests that live longer than the http.Server's timeouts"
)

// lacks logs that a middleware's ResponseWriter hides what need needs, once for
// each type and need.
func (e *Endpoint) lacks(w http.ResponseWriter, need string) {
	name := fmt.Sprintf("%T", innermost(w))
	if _, logged := e.logged.LoadOrStore(name+" "+need, nil); logged {
		return
	}
	e.log.Error("a middleware's ResponseWriter stands in the way: give it an Unwrap method or put the hub outside of this middleware",
		"type", name, "of", need)
}

// logOverdue logs, once, that a middleware's deadline ends event streams.
func (e *Endpoint) logOverdue() {
	if _, told := e.logged.LoadOrStore(needFlush, nil); !told {
		e.log.Error("the deadline of a middleware ends requests that live long: put the hub outside of this middleware", "of", needFlush)
	}
}

// innermost unwraps w as far as that goes, as http.ResponseController does.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}

// canFlush reports whether w can flush. The innermost writer decides: those around
// it ask it, and some, as echo's, have a Flush in any case.
func canFlush(w http.ResponseWriter) bool {
	switch innermost(w).(type) {
	case http.Flusher, interface{ FlushError() error }:
		return true
	}
	return false
}

// canHijack reports whether w can give its connection away; see canFlush.
func canHijack(w http.ResponseWriter) bool {
	_, ok := innermost(w).(http.Hijacker)
	return ok
}

// flush flushes what rc controls. Some wrappers panic where what they wrap cannot
// flush.
func flush(rc *http.ResponseController) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v: %w", v, http.ErrNotSupported)
		}
	}()
	return rc.Flush()
}

// isOverdue reports whether the deadline of a middleware has ended r, and not
// its client. A poll is answered then, as after PollTimeout. An event stream
// has to end: nothing would notice any more that its client has left.
func isOverdue(r *http.Request) bool {
	return errors.Is(r.Context().Err(), context.DeadlineExceeded)
}

// clearDeadlines lifts the deadlines of the http.Server, which are for
// short requests, from one that lives long.
func (e *Endpoint) clearDeadlines(w http.ResponseWriter, r *http.Request, rc *http.ResponseController) {
	err := errors.Join(rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{}))
	if !errors.Is(err, http.ErrNotSupported) {
		return
	}
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	if server != nil && (server.ReadTimeout > 0 || server.WriteTimeout > 0) {
		e.lacks(w, needDeadlines)
	}
}
