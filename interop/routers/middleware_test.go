package routers

import (
	"bufio"
	"context"
	"net"
	"net/http"
)

// The writers of middleware that people write themselves, each with what it
// lets through of net/http's.

// A plainWriter lets nothing through.
type plainWriter struct{ w http.ResponseWriter }

func (p plainWriter) Header() http.Header         { return p.w.Header() }
func (p plainWriter) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p plainWriter) WriteHeader(status int)      { p.w.WriteHeader(status) }

// An unwrappable has Unwrap, which http.ResponseController uses.
type unwrappable struct{ plainWriter }

func (u unwrappable) Unwrap() http.ResponseWriter { return u.w }

// A statusRecorder is what most access logs use.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// A flusher has Flush alone.
type flusher struct{ plainWriter }

func (f flusher) Flush() { f.w.(http.Flusher).Flush() }

// A flushHijacker has what was known before http.ResponseController.
type flushHijacker struct{ flusher }

func (f flushHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return f.w.(http.Hijacker).Hijack()
}

// wrapped serves h with the writers that wrap makes.
func wrapped(h http.Handler, wrap func(http.ResponseWriter) http.ResponseWriter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(wrap(w), r) })
}

// withoutCancel serves h with a context that does not end with the request.
func withoutCancel(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
	})
}
