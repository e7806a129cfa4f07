package transport

import (
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
	if _, told := e.told.LoadOrStore(name+" "+need, nil); told {
		return
	}
	e.log.Error("a middleware's ResponseWriter stands in the way: give it an Unwrap method or put the hub outside of this middleware",
		"type", name, "of", need)
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

// canFlush reports whether w, or what it wraps, can flush.
func canFlush(w http.ResponseWriter) bool {
	for {
		switch x := w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = x.Unwrap()
		default:
			return false
		}
	}
}

// canHijack reports whether w, or what it wraps, can give its connection away.
func canHijack(w http.ResponseWriter) bool {
	for {
		switch x := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = x.Unwrap()
		default:
			return false
		}
	}
}

// clearDeadlines lifts the deadlines of the http.Server, which are meant for
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
