package gateway_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

func TestAppServersAreRefusedInServerlessMode(t *testing.T) {
	inServerless(t, nil, nil, func(w *world, _ *fakeUpstream) {
		s := w.connectServer("server-1", serverOptions{hub: "chat"})
		s.send(&wire.HandshakeRequest{Version: 1})
		if m := await[*wire.HandshakeResponse](s); !strings.Contains(wire.Text(m.ErrorMessage), "serverless") {
			t.Errorf("the app server is told %+v", m)
		}
		<-s.over
	})
}

func TestClientsWithoutAnUpstreamReceiveWhatRESTSends(t *testing.T) {
	inServerless(t, &gateway.Options{Upstreams: []gateway.Upstream{}}, nil, func(w *world, u *fakeUpstream) {
		text, packed := w.client("ann"), w.clientWith("bob", clientOptions{codec: protocol.MessagePack{}})
		for _, path := range []string{"/api/v1/hubs/chat", "/api/v1/hubs/chat/users/ann", "/api/v1/hubs/chat/connections/" + packed.ID()} {
			if status, _, answer := w.rest("POST", path, "application/json", `{"target":"m"}`); status != 202 {
				t.Errorf("%s is answered %d %s", path, status, answer)
			}
		}
		for _, c := range []*client{text, packed, text, packed} {
			if got := c.next(w); got != "m" {
				t.Errorf("the call is %q", got)
			}
		}
		if status, _, answer := w.rest("DELETE", "/api/v1/hubs/chat/connections/"+text.ID()+"?reason=go", "", ""); status != 202 {
			t.Errorf("%d %s", status, answer)
		}
		<-text.Done()
		var closed *hubclient.CloseMessage
		if !errors.As(text.Err(), &closed) || closed.Close.Error != "go" || closed.AllowReconnect {
			t.Errorf("the client ended with %v", text.Err())
		}
		if n := w.stats().Clients; n != 1 || len(u.told()) > 0 {
			t.Errorf("%d clients; told: %q", n, u.told())
		}
	})
}

func TestHandshakesThatServerlessModeCannotServeAreRefusedAsAHubDoes(t *testing.T) {
	inServerless(t, nil, nil, func(w *world, u *fakeUpstream) {
		for hello, want := range map[string]string{
			`{"protocol":"blazorpack","version":1}`: "The protocol 'blazorpack' is not supported.",
			`{"protocol":"XML","version":1}`:        "The protocol 'XML' is not supported.",
			`{"protocol":"json","version":3}`:       "The server does not support version 3 of the 'json' protocol.",
			`{"protocol":"JSON","version":2}`:       "",
		} {
			conn := w.open(false)
			if err := conn.Write([]byte(hello + "\x1e")); err != nil {
				t.Fatal(err)
			}
			p, err := conn.Read()
			text, _, bad := protocol.ParseHandshakeResponse(p)
			if err != nil || bad != nil || text != want {
				t.Errorf("%s is answered %q, %v, want %q", hello, p, err, want)
			}
			_ = conn.Close() // it may have ended
		}
		if got := u.told(); len(got) != 2 {
			t.Errorf("told of refused clients, too: %q", got)
		}
	})
}

// open opens a connection of a client that has not shaken hands.
func (w *world) open(binary bool) *hubclient.Conn {
	w.Helper()
	conn, err := hubclient.Open(w.ctx, hubclient.ConnOptions{
		URL: "http://gateway/client/?hub=chat", DialContext: w.link.DialContext, SkipNegotiation: true, Binary: binary,
		Header: http.Header{"Authorization": {"Bearer " + sign(key, map[string]any{"aud": "http://x/client/?hub=chat"})}},
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() }) // it may have ended
	return conn
}

func TestAClientThatBreaksTheProtocolIsClosed(t *testing.T) {
	long := binary.AppendUvarint(nil, 10_001)
	for name, test := range map[string]struct {
		codec protocol.Codec
		bytes string
	}{
		"no JSON":                    {protocol.JSON{}, "{\x1e"},
		"no message":                 {protocol.JSON{}, "[]\x1e"},
		"an endless message of JSON": {protocol.JSON{}, strings.Repeat("x", 11_000)},
		"a long message of JSON":     {protocol.JSON{}, `{"type":1,"target":"m","arguments":["` + strings.Repeat("x", 10_000) + "\"]}\x1e"},
		"a length that is too much":  {protocol.MessagePack{}, string(long)},
		"a length that is no length": {protocol.MessagePack{}, "\xff\xff\xff\xff\xff\xff"},
		"no MessagePack":             {protocol.MessagePack{}, "\x01\xc1"},
	} {
		t.Run(name, func(t *testing.T) {
			inServerless(t, &gateway.Options{MaximumClientMessage: 10_000}, nil, func(w *world, u *fakeUpstream) {
				conn := w.open(test.codec.Binary())
				hello := protocol.AppendHandshakeRequest(nil, protocol.HandshakeRequest{Protocol: test.codec.Name(), Version: 1})
				if err := conn.Write(append(hello, test.bytes...)); err != nil {
					t.Fatal(err)
				}
				var in []byte
				for {
					p, err := conn.Read()
					if err != nil {
						break
					}
					in = append(in, p...)
				}
				_, rest, err := protocol.ParseHandshakeResponse(in)
				if err != nil {
					t.Fatal(err)
				}
				m, rest, err := test.codec.Next(rest)
				closed, ok := m.(*protocol.Close)
				if err != nil || !ok || closed.Error != "Connection closed with an error." || !closed.AllowReconnect || len(rest) != 0 {
					t.Errorf("it gets %q", in)
				}
				if got := strings.Join(u.told(), ","); got != "connections connected,connections disconnected" {
					t.Errorf("told: %s", got)
				}
			})
		})
	}
}

func TestAMessageMayComeInAnyPieces(t *testing.T) {
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		inServerless(t, nil, nil, func(w *world, u *fakeUpstream) {
			conn := w.open(codec.Binary())
			all := protocol.AppendHandshakeRequest(nil, protocol.HandshakeRequest{Protocol: codec.Name(), Version: 1})
			for _, target := range []string{"a", "b", "c"} {
				var err error
				if all, err = codec.Append(all, &protocol.Invocation{Target: target, Arguments: []any{strings.Repeat("x", 150)}}); err != nil {
					t.Fatal(err)
				}
			}
			for i := 0; i < len(all); i += 7 {
				if err := conn.Write(all[i:min(i+7, len(all))]); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			if got := strings.Join(u.told(), ","); got != "connections connected,messages a,messages b,messages c" {
				t.Errorf("told: %s", got)
			}
		})
	}
}

func TestStreamsFailAndTheConnectionGoesOn(t *testing.T) {
	inServerless(t, nil, echo, func(w *world, _ *fakeUpstream) {
		c := w.client("ann")
		call, err := c.Stream("m", nil)
		if err != nil {
			t.Fatal(err)
		}
		const want = "Invocation failed, there are no streams in serverless mode."
		var failed *hubclient.CallError
		if err := call.Wait(w.ctx, nil); !errors.As(err, &failed) || failed.Text != want {
			t.Errorf("a stream fails with %v", err)
		}
		if err := c.Write(&protocol.Invocation{InvocationID: "u", Target: "m", Arguments: []any{}, StreamIDs: []string{"1"}}); err != nil {
			t.Fatal(err)
		}
		for _, m := range []protocol.Message{&protocol.StreamItem{InvocationID: "1", Item: 1}, &protocol.CancelInvocation{InvocationID: "1"},
			&protocol.Completion{InvocationID: "1", Kind: protocol.ResultVoid}, &protocol.Ack{SequenceID: 1}, &protocol.Sequence{SequenceID: 1}} {
			if err := c.Write(m); err != nil {
				t.Fatal(err)
			}
		}
		var answer int
		if err := c.Invoke(w.ctx, &answer, "m", 7); err != nil || answer != 7 {
			t.Errorf("then %d, %v", answer, err)
		}
	})
}

func TestAClientIsPingedAndEndsWhenItHasGoneSilent(t *testing.T) {
	inServerless(t, nil, nil, func(w *world, u *fakeUpstream) {
		conn := w.open(false)
		if err := conn.Write([]byte("{\"protocol\":\"json\",\"version\":1}\x1e{\"type\":6}\x1e")); err != nil {
			t.Fatal(err)
		}
		begun, in := time.Now(), ""
		for {
			p, err := conn.Read()
			if err != nil {
				break
			}
			in += string(p)
		}
		if want := "{}\x1e{\"type\":6}\x1e"; !strings.HasPrefix(in, want) || !strings.HasSuffix(in, "{\"type\":7,\"error\":\"Connection closed with an error.\",\"allowReconnect\":true}\x1e") {
			t.Errorf("it gets %q", in)
		}
		if after := time.Since(begun); after < 30*time.Second || after > 33*time.Second {
			t.Errorf("it was ended after %v", after)
		}
		if got := strings.Join(u.told(), ","); got != "connections connected,connections disconnected" {
			t.Errorf("told: %s", got)
		}
	})
}

func TestShutdownTellsOfAllClientsBeforeItEnds(t *testing.T) {
	inServerless(t, &gateway.Options{MaximumUpstreamRequests: 2}, func(http.ResponseWriter, *webhook) { time.Sleep(time.Second) }, func(w *world, u *fakeUpstream) {
		for range 6 {
			w.client("ann")
		}
		if n := len(u.told()); n != 2 {
			t.Errorf("%d told", n)
		}
		ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
		defer cancel()
		if err := w.g.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		counts := map[string]int{}
		for _, h := range u.got.All() {
			counts[h.String()]++
		}
		if s := w.stats(); counts["connections disconnected"] != 6 || s.EventsDropped != 0 || s.EventsWaiting != 0 || s.UpstreamRequests != 12 {
			t.Errorf("told after all: %v, %+v", counts, s)
		}
	})
}

func TestShutdownDropsWhatAnUpstreamDoesNotTakeInTime(t *testing.T) {
	inServerless(t, &gateway.Options{MaximumUpstreamRequests: 2, UpstreamTimeout: -1}, func(_ http.ResponseWriter, h *webhook) { <-h.Context().Done() }, func(w *world, u *fakeUpstream) {
		for range 6 {
			w.client("ann")
		}
		u.told()
		ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
		defer cancel()
		if err := w.g.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown returns %v", err)
		}
		// Two were on their way; the others, and that all are gone, was not told.
		if s := w.stats(); s.EventsDropped != 4+6 || s.EventsWaiting != 0 || s.UpstreamFailures != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestClientsThatEndUntoldAreBounded(t *testing.T) {
	inServerless(t, &gateway.Options{MaximumEndedClients: 3, MaximumUpstreamRequests: 1, UpstreamTimeout: -1}, func(_ http.ResponseWriter, h *webhook) { <-h.Context().Done() }, func(w *world, u *fakeUpstream) {
		var all []*client
		for range 5 {
			all = append(all, w.client("ann"))
		}
		for _, c := range all {
			c.Close()
			synctest.Wait() // the first one, of whom the upstream is being told, is gone first
		}
		if s := w.stats(); s.EventsDropped != 4 || s.Clients != 0 { // both events of two
			t.Errorf("%+v", s)
		}
		_, err := w.dial("bob", clientOptions{})
		var refused *hubclient.HandshakeError
		if !errors.As(err, &refused) || !strings.Contains(refused.Text, "upstream") {
			t.Errorf("one more client gets %v", err)
		}
	})
}

// What an app server's client is sent while its own bytes wait is written all the
// same.
func TestAClientThatIsHeldBackStillReceives(t *testing.T) {
	inWorld(t, &gateway.Options{ServerBufferSize: 10_000, SlowClientTimeout: time.Hour}, func(w *world) {
		link := w.net.Link(nil)
		deaf := w.serverWith("server-1", serverOptions{link: link})
		c := w.client("ann")
		deaf.quiet()
		link.SetReading(false)
		over := make(chan struct{})
		go func() {
			defer close(over)
			for range 1000 {
				if c.Send("m", []any{strings.Repeat("x", 10_000)}) != nil {
					return
				}
			}
		}()
		synctest.Wait()
		if status, _, _ := w.rest("POST", "/api/v1/hubs/chat/users/ann", "application/json", `{"target":"news"}`); status != 202 {
			t.Errorf("the send is answered %d", status)
		}
		begun := time.Now()
		if got := c.next(w); got != "news" || time.Since(begun) > time.Second {
			t.Errorf("%q comes after %v", got, time.Since(begun))
		}
		c.Abort()
		<-over
	})
}
