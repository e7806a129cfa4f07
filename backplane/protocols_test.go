package backplane

import (
	"testing"
	"testing/synctest"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// The methods of a postHub send to and invoke clients, those of other nodes
// too.
type postHub struct{}

func (postHub) Join(call *server.Call, group string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}

func (postHub) All(call *server.Call, text string) error {
	return call.Clients().All().Send(call.Context(), "M", text)
}

func (postHub) Group(call *server.Call, group, text string) error {
	return call.Clients().Group(group).Send(call.Context(), "M", text)
}

func (postHub) Ask(call *server.Call, id string) (string, error) {
	return server.Invoke[string](call.Context(), call.Clients().Client(id), "Name")
}

func TestHubsWithOneProtocolShareABackplaneWithHubsThatSpeakBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		clients := map[string]*hubtest.Client{}
		for name, listed := range map[string][]protocol.Codec{
			"JSON alone": {protocol.JSON{}}, "MessagePack alone": {protocol.MessagePack{}}, "both": nil,
		} {
			r := m.node(t, Options{})
			ready(t, r)
			n := hubtest.New(t, postHub{}, &server.Options{Protocols: listed, LifetimeManager: r})
			for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
				id := codec.Name() + " at " + name
				c, err := n.TryConnect(hubtest.Protocol(codec), hubtest.Handle("Name", func() string { return id }))
				if (err == nil) != (listed == nil || listed[0].Name() == codec.Name()) {
					t.Fatalf("%s: %v", id, err)
				}
				if err == nil {
					c.Do("Join", "everybody")
					clients[id] = c
				}
			}
		}
		for from, c := range clients {
			c.Do("All", "all from "+from)
			c.Do("Group", "everybody", "group from "+from)
			for to, other := range clients {
				other.Expect("M", "all from "+from)
				other.Expect("M", "group from "+from)
				if got := hubtest.Result[string](c, "Ask", other.ID()); got != to {
					t.Errorf("%s asks %s for its name and gets %q", from, to, got)
				}
			}
		}
		if len(clients) != 4 {
			t.Errorf("%d clients, want 4", len(clients))
		}
	})
}
