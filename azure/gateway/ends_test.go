package gateway_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

// bye is a farewell of the hub.
func bye(c *client) wire.Message {
	return &wire.ConnectionData{ConnectionID: c.ID(), Payload: []byte("{\"type\":7,\"error\":\"bye\"}\x1e"), DataType: wire.DataClose}
}

func TestAClientThatItsAppServerEndsIsNotToldOfTwice(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		link := w.net.Link(nil)
		c := w.clientWith("ann", clientOptions{link: link})
		s.quiet()
		link.SetReading(false) // else it might leave because of the farewell, before the 5 has come
		s.send(bye(c), &wire.CloseConnection{ConnectionID: c.ID()})
		synctest.Wait()
		link.SetReading(true)
		<-c.Done()
		var closed *hubclient.CloseMessage
		if !errors.As(c.Err(), &closed) || closed.Error() != "bye" && !strings.Contains(closed.Error(), "bye") {
			t.Errorf("the client ended with %v", c.Err())
		}
		if got := s.quiet(); len(got) != 0 {
			t.Errorf("the app server got %+v", got)
		}
	})
}

func TestAClientThatAnotherEndsIsToldOfToItsAppServer(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		has, other := w.server("server-1"), w.server("server-2")
		c := w.client("ann")
		if !has.has(c) {
			has, other = other, has
		}
		has.quiet()
		other.send(&wire.CloseConnection{ConnectionID: c.ID(), ErrorMessage: "go"})
		if m := await[*wire.CloseConnection](has); m.ConnectionID != c.ID() {
			t.Errorf("the app server was told of %q", m.ConnectionID)
		}
		<-c.Done()
		var closed *hubclient.CloseMessage
		if !errors.As(c.Err(), &closed) || closed.AllowReconnect {
			t.Errorf("the client ended with %v", c.Err())
		}
		// What its hub says afterwards means nothing.
		has.send(bye(c), &wire.CloseConnection{ConnectionID: c.ID()})
		if got := other.ask(&wire.CheckConnectionExistenceWithAck{ConnectionID: c.ID(), AckID: 1}); got != wire.AckNotFound {
			t.Errorf("it is there: %d", got)
		}
	})
}

func TestAClientThatLeavesIsForgottenEverywhere(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		c := w.client("ann")
		s.ask(&wire.JoinGroupWithAck{ConnectionID: c.ID(), GroupName: "g", AckID: 1})
		c.Abort()
		await[*wire.CloseConnection](s)
		synctest.Wait()
		for _, m := range []wire.Message{
			&wire.CheckConnectionExistenceWithAck{ConnectionID: c.ID(), AckID: 1},
			&wire.CheckUserExistenceWithAck{UserID: "ann", AckID: 1},
			&wire.CheckGroupExistenceWithAck{GroupName: "g", AckID: 1},
		} {
			if got := s.ask(m); got != wire.AckNotFound {
				t.Errorf("%T: %d", m, got)
			}
		}
		if stats := w.stats(); stats.Clients != 0 {
			t.Errorf("%+v", stats)
		}
	})
}

func TestARefusedHandshakeComesFromTheAppServer(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.serverWith("server-1", serverOptions{mute: true})
		go func() {
			open := await[*wire.OpenConnection](s)
			s.send(&wire.ConnectionData{ConnectionID: open.ConnectionID, Payload: protocol.AppendHandshakeResponse(nil, "not you"), DataType: wire.DataHandshake},
				&wire.CloseConnection{ConnectionID: open.ConnectionID})
		}()
		_, err := w.dial("ann", clientOptions{})
		var refused *hubclient.HandshakeError
		if !errors.As(err, &refused) || refused.Text != "not you" {
			t.Errorf("the client gets %v", err)
		}
	})
}

func TestAMessageInPartsIsOneForTheClient(t *testing.T) {
	inWorld(t, &gateway.Options{MaximumMessageSize: 1000}, func(w *world) {
		s := w.server("server-1")
		c := w.client("ann")
		text := both("m")[0].Bytes
		s.send(&wire.ConnectionData{ConnectionID: c.ID(), Payload: text[:5], DataType: wire.DataInvocation, IsPartial: true},
			&wire.BroadcastData{Payloads: both("between")},
			&wire.ConnectionData{ConnectionID: c.ID(), Payload: text[5:10], DataType: wire.DataInvocation, IsPartial: true},
			&wire.ConnectionData{ConnectionID: c.ID(), Payload: text[10:], DataType: wire.DataInvocation})
		if a, b := c.next(w), c.next(w); a != "between" || b != "m" {
			t.Errorf("the client got %s and %s", a, b)
		}
		for range 2 {
			s.send(&wire.ConnectionData{ConnectionID: c.ID(), Payload: make([]byte, 600), DataType: wire.DataInvocation, IsPartial: true})
		}
		<-c.Done()
		await[*wire.CloseConnection](s)
	})
}

func TestAClientWithoutHandshakeIsTurnedOut(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		for name, test := range map[string]struct {
			send   string
			within time.Duration
			claims map[string]any
		}{
			"says nothing":             {"", 17 * time.Second, nil},
			"says nothing for 9 s":     {"", 11 * time.Second, map[string]any{"asrs.s.cht": "9"}},
			"never ends it":            {strings.Repeat(" ", 5000), 0, nil},
			"says something else":      {"GET / HTTP/1.1\x1e", 0, nil},
			"begins one and stops":     {`{"protocol":`, 17 * time.Second, nil},
			"names no protocol at all": {"{}\x1e", 0, nil},
		} {
			claims := map[string]any{"aud": "http://x/client/?hub=chat"}
			for k, v := range test.claims {
				claims[k] = v
			}
			conn, err := hubclient.Open(w.ctx, hubclient.ConnOptions{URL: "http://gateway/client/?hub=chat&access_token=" + sign(key, claims), DialContext: w.link.DialContext, SkipNegotiation: true})
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			if test.send != "" {
				if err := conn.Write([]byte(test.send)); err != nil {
					t.Fatal(err)
				}
			}
			answer, _ := conn.Read() // what cannot be read is no refusal
			if text, _, err := protocol.ParseHandshakeResponse(answer); err != nil || text == "" {
				t.Errorf("%s: the answer is %q, %v", name, answer, err)
			}
			if after := time.Since(begun); after > test.within {
				t.Errorf("%s: it takes %v", name, after)
			}
			if _, err = conn.Read(); !errors.Is(err, io.EOF) {
				t.Errorf("%s: then comes %v", name, err)
			}
			_ = conn.Close() // it has ended
		}
		if got := s.quiet(); len(got) != 0 {
			t.Errorf("the app server was told %+v", got)
		}
	})
}

func TestACloseOnExpiryLetsTheClientComeAgain(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		ends := time.Now().Add(20 * time.Second)
		c := w.clientWith("ann", clientOptions{claims: map[string]any{"asrs.s.coae": "true", "asrs.s.aeo": ends.Unix()}})
		<-c.Done()
		var closed *hubclient.CloseMessage
		if after := time.Since(ends); after < 0 || after > 2*time.Second || !errors.As(c.Err(), &closed) || !closed.AllowReconnect {
			t.Errorf("%v after its end the client ends with %v", after, c.Err())
		}
		await[*wire.CloseConnection](s)
	})
}

func TestAShutdownTellsClientsToComeAgainAndThenEndsAppServers(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		polls, socket := w.clientWith("ann", clientOptions{mode: hubclient.LongPolling}), w.client("bob")
		ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
		defer cancel()
		if err := w.g.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		for _, c := range []*client{polls, socket} {
			<-c.Done()
			var closed *hubclient.CloseMessage
			if !errors.As(c.Err(), &closed) || !closed.AllowReconnect {
				t.Errorf("a client ends with %v", c.Err())
			}
			await[*wire.CloseConnection](s)
		}
		<-s.over
		if _, err := w.dial("eve", clientOptions{}); err == nil {
			t.Error("a client comes in")
		}
	})
}
