package gateway_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

func headerOf(list []wire.Header, name string) string {
	for _, h := range list {
		if h.Name == name {
			return h.Values[0]
		}
	}
	return ""
}

func TestClientsMoveToAnotherAppServerWhenTheirsLeaves(t *testing.T) {
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		t.Run(codec.Name(), func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				from := w.server("server-1")
				c := w.clientWith("ann", clientOptions{codec: codec})
				from.ask(&wire.JoinGroupWithAck{ConnectionID: c.ID(), GroupName: "g", AckID: 1})
				to := w.server("server-2")
				w.client("") // with it, server-3 has fewer clients
				await[*wire.OpenConnection](to)
				w.serverWith("server-3", serverOptions{hello: &wire.HandshakeRequest{Version: 1}}) // it takes no clients of others
				from.send(&wire.Ping{Messages: []string{"shutdown", "fin:1"}})
				closed := await[*wire.CloseConnection](from)
				if closed.ConnectionID != c.ID() || headerOf(closed.Headers, "Asrs-Migrate-To") != "server-2" {
					t.Errorf("the app server that leaves is told %+v", closed)
				}
				open := await[*wire.OpenConnection](to)
				if open.ConnectionID != c.ID() || headerOf(open.Headers, "Asrs-Migrate-From") != "server-1" || len(open.Claims) < 3 {
					t.Errorf("the other is told %+v", open)
				}
				from.send(bye(c)) // its hub has ended
				var answer string
				if err := c.Invoke(w.ctx, &answer, "Echo", "again"); err != nil || answer != "again" {
					t.Errorf("after the move: %q, %v", answer, err)
				}
				to.send(&wire.GroupBroadcastData{GroupName: "g", Payloads: both("m")})
				if got := c.next(w); got != "m" {
					t.Errorf("the group got %q", got)
				}
				if err := from.conn.Close(); err != nil {
					t.Error(err)
				}
				<-from.over
				synctest.Wait()
				if err := c.Invoke(w.ctx, &answer, "Echo", "still"); err != nil {
					t.Error(err)
				}
				if s := w.stats(); s.ClientsMigrated != 1 || s.Clients != 2 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// A message that has begun goes to the app server that has its beginning.
func TestAClientMovesBetweenTwoMessages(t *testing.T) {
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		t.Run(codec.Name(), func(t *testing.T) {
			message := func(text string) []byte {
				b, err := codec.Append(nil, &protocol.Invocation{InvocationID: "1", Target: "Echo", Arguments: []any{text}})
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			one, two := message("first"), message("second")
			for cut := 0; cut < len(one); cut += 1 + cut/3 {
				inWorld(t, nil, func(w *world) {
					from := w.server("server-1")
					conn := w.raw(codec)
					from.quiet()
					write := func(p []byte) {
						if err := conn.Write(p); err != nil {
							t.Fatal(err)
						}
						synctest.Wait()
					}
					if cut > 0 {
						write(one[:cut])
					}
					to := w.server("server-2")
					from.send(&wire.Ping{Messages: []string{"shutdown", "fin:1"}})
					synctest.Wait()
					write(append(append([]byte(nil), one[cut:]...), two...))
					bytesOf := func(s *fakeServer) (b []byte) {
						for _, m := range s.quiet() {
							if data, ok := m.(*wire.ConnectionData); ok {
								b = append(b, data.Payload...)
							}
						}
						return b
					}
					hello := protocol.AppendHandshakeRequest(nil, protocol.HandshakeRequest{Protocol: codec.Name(), Version: 1})
					wantFrom, wantTo := one, append(hello, two...)
					if cut == 0 {
						wantFrom, wantTo = nil, append(append(hello, one...), two...)
					}
					if got := bytesOf(from); string(got) != string(wantFrom) {
						t.Errorf("cut at %d the old one has %q, want %q", cut, got, wantFrom)
					}
					if got := bytesOf(to); string(got) != string(wantTo) {
						t.Errorf("cut at %d the new one has %q, want %q", cut, got, wantTo)
					}
				})
			}
		})
	}
}

// raw connects a client that is only bytes; its handshake is done.
func (w *world) raw(codec protocol.Codec) *hubclient.Conn {
	w.Helper()
	token := sign(key, map[string]any{"aud": "http://x/client/?hub=chat", "asrs.s.uid": "raw"})
	conn, err := hubclient.Open(w.ctx, hubclient.ConnOptions{URL: "http://gateway/client/?hub=chat&access_token=" + token, DialContext: w.link.DialContext, SkipNegotiation: true, Binary: codec.Binary()})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() }) // it may have ended
	if err := conn.Write(protocol.AppendHandshakeRequest(nil, protocol.HandshakeRequest{Protocol: codec.Name(), Version: 1})); err != nil {
		w.Fatal(err)
	}
	if answer, err := conn.Read(); err != nil || string(answer) != "{}\x1e" {
		w.Fatalf("the handshake is answered %q, %v", answer, err)
	}
	return conn
}

func TestWithoutAnotherAppServerAClientStays(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		c := w.client("ann")
		w.server("server-1") // another connection, which leaves with it
		s.send(&wire.Ping{Messages: []string{"shutdown", "fin:1"}})
		if m := await[*wire.Ping](s); m.Messages[1] != "finack" {
			t.Errorf("the answer is %q", m.Messages)
		}
		if err := c.Invoke(w.ctx, nil, "Echo", 1); err != nil {
			t.Error(err)
		}
		_, err := w.dial("bob", clientOptions{}) // it takes no new ones
		var refused *hubclient.HandshakeError
		if !errors.As(err, &refused) {
			t.Errorf("a new client gets %v", err)
		}
	})
}
