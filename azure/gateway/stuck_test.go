package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/protocol"
)

// A deafTransport answers when it is let, whatever becomes of its requests.
type deafTransport struct{ let chan struct{} }

func (d *deafTransport) RoundTrip(*http.Request) (*http.Response, error) {
	<-d.let
	return nil, context.Canceled
}

func TestATransportThatIgnoresItsContextHoldsUpNothing(t *testing.T) {
	deaf := &deafTransport{}
	o := &gateway.Options{
		Serverless: true, Upstreams: []gateway.Upstream{{Category: "messages", URL: "http://upstream/"}}, UpstreamTransport: deaf,
		UpstreamTimeout: 20 * time.Second, MaximumUpstreamRequests: 2,
	}
	inWorld(t, o, func(w *world) {
		deaf.let = make(chan struct{}) // of the bubble
		begun := time.Now()
		var all []*client
		for range 2 {
			c := w.client("ann")
			all = append(all, c)
			err := c.Write(&protocol.Invocation{InvocationID: "1", Target: "Call", Arguments: []any{}})
			if err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		time.Sleep(22 * time.Second)
		synctest.Wait()
		if s := w.g.Stats(); s.UpstreamFailures != 2 || s.EventsWaiting != 0 {
			t.Errorf("after %v: %+v", time.Since(begun), s)
		}
		// There are as many as may run: no more are begun.
		begun = time.Now()
		if err := all[0].Invoke(w.ctx, nil, "Again"); err == nil || !strings.Contains(err.Error(), "did not answer in time") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("that took %v", took)
		}
		ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
		defer cancel()
		begun = time.Now()
		if err := w.g.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("Shutdown took %v", took)
		}
		close(deaf.let)
	})
}

func TestShutdownLeavesATransportThatIgnoresIt(t *testing.T) {
	deaf := &deafTransport{}
	o := &gateway.Options{Serverless: true, Upstreams: []gateway.Upstream{{URL: "http://upstream/"}}, UpstreamTransport: deaf, UpstreamTimeout: -1}
	inWorld(t, o, func(w *world) {
		deaf.let = make(chan struct{}) // of the bubble
		w.client("ann")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
		defer cancel()
		begun := time.Now()
		if err := w.g.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begun); took != 6*time.Second {
			t.Errorf("Shutdown took %v, want its time and a second", took)
		}
		close(deaf.let)
	})
}
