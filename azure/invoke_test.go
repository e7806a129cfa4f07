package azure

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/azure/internal/token"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

// Whoever has the key asks a client by REST; the hub that has the client passes the
// answer on, as it does for another server.
func TestRESTAsksAClientThatAServerHas(t *testing.T) {
	behindGateway(t, func(b *backed) {
		for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
			c, _ := b.client(0, "ann", hubclient.WebSockets, codec)
			path := "/api/hubs/chat/connections/" + c.ID() + "/:invoke"
			text, err := token.Make(testKey, token.Spec{Audience: "http://service" + path, IssuedAt: time.Now(), Expires: time.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.NewRequestWithContext(b.ctx, http.MethodPost, "http://service"+path+"?api-version=2024-12-01", strings.NewReader(`{"target":"ask","arguments":[]}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+text)
			r.Header.Set("Content-Type", "application/json")
			web := &http.Transport{DialContext: b.dial}
			answer, err := web.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Result   []byte
				Protocol string
			}
			if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
				t.Error(err)
			}
			_ = answer.Body.Close() // it was read
			web.CloseIdleConnections()
			var result string
			m, _, err := codec.Next(got.Result)
			done, ok := m.(*protocol.Completion)
			if err != nil || !ok || codec.Unmarshal(done.RawResult, &result) != nil || result != "well" || got.Protocol != codec.Name() {
				t.Errorf("%s: %d, %s, %q, %v", codec.Name(), answer.StatusCode, got.Protocol, got.Result, err)
			}
		}
	})
}
