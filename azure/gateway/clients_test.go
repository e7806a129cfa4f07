package gateway_test

import (
	"strings"
	"testing"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

func TestAClientCallsItsAppServerOverEveryTransportAndProtocol(t *testing.T) {
	for _, mode := range []string{hubclient.WebSockets, hubclient.ServerSentEvents, hubclient.LongPolling} {
		for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
			if mode == hubclient.ServerSentEvents && codec.Binary() {
				continue
			}
			t.Run(mode+" "+codec.Name(), func(t *testing.T) {
				inWorld(t, nil, func(w *world) {
					s := w.server("server-1")
					c := w.clientWith("ann", clientOptions{mode: mode, codec: codec})
					for _, text := range []string{"hello", strings.Repeat("long", 20_000), ""} {
						var answer string
						if err := c.Invoke(w.ctx, &answer, "Echo", text); err != nil || answer != text {
							t.Fatalf("%d characters come back as %d, %v", len(text), len(answer), err)
						}
					}
					open := await[*wire.OpenConnection](s)
					if open.ConnectionID != c.ID() || wire.Text(open.Protocol) != codec.Name() {
						t.Errorf("the app server was told of %q with %q", open.ConnectionID, wire.Text(open.Protocol))
					}
					c.Close()
					if m := await[*wire.CloseConnection](s); m.ConnectionID != c.ID() {
						t.Errorf("the end of %q was told", m.ConnectionID)
					}
				})
			})
		}
	}
}
