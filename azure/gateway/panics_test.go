package gateway_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/azure/gateway"
)

// brokenTransport panics, or ends its goroutine, with the events that say so.
type brokenTransport struct{}

// RoundTrip implements http.RoundTripper.
func (brokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.Header.Get("X-ASRS-Event") {
	case "Panic":
		panic("no transport")
	case "Goexit":
		runtime.Goexit()
	}
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
}

func TestATransportThatPanicsOrEndsTheGoroutineFailsOneCall(t *testing.T) {
	o := &gateway.Options{Serverless: true, Upstreams: []gateway.Upstream{{URL: "http://upstream/"}}, UpstreamTransport: brokenTransport{}, MaximumUpstreamRequests: 1}
	inWorld(t, o, func(w *world) {
		c := w.client("ann")
		for _, target := range []string{"Panic", "Goexit", "Panic", "Goexit"} {
			if err := c.Invoke(w.ctx, nil, target); err == nil || !strings.Contains(err.Error(), "the upstream cannot be reached") {
				t.Errorf("%s: %v", target, err)
			}
			if err := c.Invoke(w.ctx, nil, "Other"); err != nil {
				t.Errorf("after %s: %v", target, err)
			}
		}
		if s := w.stats(); s.EventsWaiting != 0 || s.UpstreamFailures != 4 {
			t.Errorf("%+v", s)
		}
	})
}
