package gateway_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

// nothingIsLeft fails the test if the gateway has a client that never ends.
func (w *world) nothingIsLeft() {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	if err := w.g.Shutdown(ctx); err != nil {
		w.Errorf("Shutdown: %v; %d clients are left", err, w.g.Stats().Clients)
	}
}

// A client that has ended is read until TCP ends: else its socket, and its place among
// MaximumClients, stay for good.
func TestAServerlessClientThatEndsLeavesNothing(t *testing.T) {
	for name, last := range map[string]string{"by a Close": "{\"type\":7}\x1e", "by what is no message": "[]\x1e", "by a lost network": ""} {
		t.Run(name, func(t *testing.T) {
			inServerless(t, &gateway.Options{Upstreams: []gateway.Upstream{}, MaximumClients: 1}, nil, func(w *world, _ *fakeUpstream) {
				for range 3 {
					conn := w.open(false)
					hello := protocol.AppendHandshakeRequest(nil, protocol.HandshakeRequest{Protocol: "json", Version: 1})
					if err := conn.Write(append(hello, last...)); err != nil {
						t.Fatal(err)
					}
					if _, err := conn.Read(); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					_ = conn.Close() // the gateway may have ended it
					time.Sleep(time.Minute)
				}
				w.nothingIsLeft()
			})
		})
	}
}

// accepted returns a client whose handshake its app server has answered by hand.
func (w *world) accepted(from *fakeServer) *hubclient.Conn {
	opened := make(chan *hubclient.Conn)
	go func() { opened <- w.raw(protocol.JSON{}) }()
	open := await[*wire.OpenConnection](from)
	from.send(&wire.ConnectionData{ConnectionID: open.ConnectionID, Payload: []byte("{}\x1e"), DataType: wire.DataHandshake})
	conn := <-opened
	from.quiet()
	return conn
}

func TestAClientWhoseAppServerEndsWhileItWaitsLeavesNothing(t *testing.T) {
	inWorld(t, &gateway.Options{ServerBufferSize: 64 << 10}, func(w *world) {
		link := w.net.Link(nil)
		conn := w.accepted(w.serverWith("server-1", serverOptions{link: link, mute: true}))
		link.SetReading(false)
		over := make(chan struct{})
		go func() {
			defer close(over)
			for piece := make([]byte, 10_000); conn.Write(piece) == nil; {
			}
		}()
		synctest.Wait()
		_ = conn.Close()
		<-over
		time.Sleep(10 * time.Minute)
		w.nothingIsLeft()
	})
}

func TestAClientThatIsMovedWhileItWaitsGoesOn(t *testing.T) {
	inWorld(t, &gateway.Options{ServerBufferSize: 64 << 10}, func(w *world) {
		link := w.net.Link(nil)
		from := w.serverWith("server-1", serverOptions{link: link, mute: true})
		conn := w.accepted(from)
		to := w.server("server-2")
		link.SetReading(false)
		call, err := protocol.JSON{}.Append(nil, &protocol.Invocation{Target: "x", Arguments: []any{strings.Repeat("y", 1000)}})
		if err != nil {
			t.Fatal(err)
		}
		said := make(chan struct{})
		go func() {
			defer close(said)
			for range 2000 {
				if conn.Write(call) != nil {
					return
				}
				time.Sleep(time.Millisecond) // so that it is blocked behind a whole message, where it can be moved
			}
		}()
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		from.send(&wire.Ping{Messages: []string{"shutdown", "fin:1"}})
		synctest.Wait()
		_ = from.conn.Close() // before it has read what waits
		bytes := 0
		for done := false; !done; {
			time.Sleep(time.Second)
			for _, m := range to.quiet() {
				if d, ok := m.(*wire.ConnectionData); ok {
					bytes += len(d.Payload)
				}
			}
			select {
			case <-said:
				done = true
			default:
			}
		}
		if moved := w.g.Stats().ClientsMigrated; moved != 1 {
			t.Fatalf("%d clients were moved, want 1", moved)
		}
		if bytes == 0 {
			t.Error("the client is at the new app server, and nothing that it sends gets there")
		}
		_ = conn.Close()
		time.Sleep(10 * time.Minute)
		w.nothingIsLeft()
	})
}

// A name may begin with what marks an action, if that is escaped.
func TestRESTFindsNamesThatBeginWithAColon(t *testing.T) {
	inServerless(t, &gateway.Options{Upstreams: []gateway.Upstream{}}, nil, func(w *world, _ *fakeUpstream) {
		for path, want := range map[string]int{"/api/v1/hubs/chat/users/%3Aann": 202, "/api/v1/hubs/chat/users/:ann": 404} {
			if status, _, answer := w.rest("POST", path, "application/json", `{"target":"m","arguments":[]}`); status != want {
				t.Errorf("POST %s: %d %s, want %d", path, status, answer, want)
			}
		}
	})
}
