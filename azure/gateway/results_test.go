package gateway_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
)

// twoServers are two app servers, the first of which has the client.
func (w *world) twoServers() (has, other *fakeServer, c *client) {
	w.Helper()
	has, other = w.server("server-1"), w.server("server-2")
	c = w.client("ann")
	if !has.has(c) {
		has, other = other, has
	}
	has.quiet()
	other.quiet()
	return has, other, c
}

func question(c *client, s *fakeServer, id string) *wire.ClientInvocation {
	return &wire.ClientInvocation{InvocationID: id, ConnectionID: c.ID(), CallerServerID: s.id, Payloads: both("Ask")}
}

func TestAResultCrossesFromOneAppServerToAnother(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		has, other, c := w.twoServers()
		other.send(question(c, other, "i1"))
		if got := c.next(w); got != "Ask" {
			t.Fatalf("the client is called with %q", got)
		}
		if m := await[*wire.ClientInvocation](has); m.InvocationID != "i1" || m.ConnectionID != c.ID() {
			t.Errorf("the app server of the client is told %+v", m)
		}
		if m := await[*wire.ServiceMapping](other); m.InvocationID != "i1" || m.InstanceID != "instance-1" {
			t.Errorf("the caller is told %+v", m)
		}
		json := "json"
		has.send(&wire.ClientCompletion{InvocationID: "i1", ConnectionID: c.ID(), CallerServerID: has.id, Protocol: &json, Payload: []byte("result")})
		if m := await[*wire.ClientCompletion](other); m.InvocationID != "i1" || string(m.Payload) != "result" || wire.Text(m.Protocol) != "json" {
			t.Errorf("the caller gets %+v", m)
		}
		if n := w.stats().PendingResults; n != 0 {
			t.Errorf("%d results are pending", n)
		}
		// Its own client's, whose result it has read itself.
		has.send(question(c, has, "i2"))
		c.next(w)
		has.send(&wire.ClientCompletion{InvocationID: "i2", ConnectionID: c.ID(), CallerServerID: has.id, Protocol: &json, Payload: []byte{}})
		if got := has.quiet(); len(got) != 0 {
			t.Errorf("the caller, which has the client, got %+v", got)
		}
		if n := w.stats().PendingResults; n != 0 {
			t.Errorf("%d results are pending", n)
		}
	})
}

func TestAResultThatCannotComeFails(t *testing.T) {
	inWorld(t, &gateway.Options{MaximumResults: 2}, func(w *world) {
		has, other, c := w.twoServers()
		other.send(&wire.ClientInvocation{InvocationID: "nobody", ConnectionID: "unknown", CallerServerID: "server-2", Payloads: both("Ask")})
		if m := await[*wire.ErrorCompletion](other); m.InvocationID != "nobody" || m.Error == "" {
			t.Errorf("the client is unknown: %+v", m)
		}
		other.send(question(c, other, "late"))
		begun := time.Now()
		if m := await[*wire.ErrorCompletion](other); m.InvocationID != "late" {
			t.Errorf("the client does not answer: %+v", m)
		}
		if after := time.Since(begun); after < 10*time.Minute || after > 10*time.Minute+time.Second {
			t.Errorf("that was told after %v", after)
		}
		other.send(question(c, other, "a"), question(c, other, "b"), question(c, other, "full"))
		if m := await[*wire.ErrorCompletion](other); m.InvocationID != "full" || !strings.Contains(m.Error, "Too many") {
			t.Errorf("there are too many: %+v", m)
		}
		has.quiet()
		c.Abort()
		left := time.Now()
		gone := map[string]bool{}
		for range 2 {
			gone[await[*wire.ErrorCompletion](other).InvocationID] = true
		}
		if !gone["a"] || !gone["b"] || time.Since(left) > time.Second {
			t.Errorf("the client is gone, and after %v that fails %v", time.Since(left), gone)
		}
		if n := w.stats().PendingResults; n != 0 {
			t.Errorf("%d results are pending", n)
		}
	})
}

func TestResultsOfAnAppServerThatIsGoneAreForgotten(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		has, other, c := w.twoServers()
		second := w.server(other.id) // another connection of the caller
		other.send(question(c, other, "i1"))
		c.next(w)
		if err := other.conn.Close(); err != nil {
			t.Fatal(err)
		}
		<-other.over
		synctest.Wait()
		has.send(&wire.ErrorCompletion{InvocationID: "i1", ConnectionID: c.ID(), CallerServerID: has.id, Error: "no"})
		if m := await[*wire.ErrorCompletion](second); m.InvocationID != "i1" || m.Error != "no" {
			t.Errorf("over its other connection the caller gets %+v", m)
		}
		second.send(question(c, second, "i2"))
		c.next(w)
		if err := second.conn.Close(); err != nil {
			t.Fatal(err)
		}
		<-second.over
		synctest.Wait()
		if n := w.stats().PendingResults; n != 0 {
			t.Errorf("%d results are pending", n)
		}
	})
}

// Nobody but the app server that has the client, or the caller, ends a call.
func TestAResultOfAStrangerMeansNothing(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		has, other, c := w.twoServers()
		stranger := w.server("server-3")
		other.send(question(c, other, "i1"))
		await[*wire.ServiceMapping](other)
		stranger.send(&wire.ErrorCompletion{InvocationID: "i1", ConnectionID: c.ID(), CallerServerID: other.id, Error: "forged"})
		stranger.ask(&wire.CheckUserExistenceWithAck{UserID: "ann", AckID: 1})
		has.send(&wire.ErrorCompletion{InvocationID: "i1", ConnectionID: c.ID(), CallerServerID: has.id, Error: "real"})
		if m := await[*wire.ErrorCompletion](other); m.Error != "real" {
			t.Errorf("the caller gets %+v", m)
		}
	})
}
