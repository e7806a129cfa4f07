package gateway_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

func TestAnAppServerIsPingedFirstAndCutOffWhenItIsSilent(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.serverWith("server-1", serverOptions{mute: true})
		begun := time.Now()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := w.stats().ServerConnections; n != 1 {
			t.Fatalf("an app server that answers pings was cut off")
		}
		s.silent.Store(true)
		<-s.over
		if after := time.Since(begun); after < 85*time.Second || after > 100*time.Second {
			t.Errorf("a silent app server is cut off %v after it began", after)
		}
	})
}

func TestPingsOfAppServersAreAnsweredOnTheirConnection(t *testing.T) {
	inWorld(t, &gateway.Options{MaximumClients: 1000}, func(w *world) {
		one, two := w.server("server-1"), w.server("server-2")
		check := func(ask []string, want ...string) {
			t.Helper()
			one.send(&wire.Ping{Messages: ask})
			got := await[*wire.Ping](one).Messages
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%q is answered %q, want %q", ask, got, want)
			}
		}
		check([]string{"status", "1"}, "status", "0", "clientcount", "0", "servercount", "2", "capacity", "1000")
		w.client("ann")
		check([]string{"#clientInHub", "1", "#client", "1", "status", ""}, "status", "1", "clientcount", "1", "servercount", "2", "capacity", "1000")
		one.send(&wire.Ping{Messages: []string{"servers", ""}})
		list := await[*wire.Ping](one).Messages
		if len(list) != 2 || list[0] != "servers" || !strings.HasSuffix(list[1], ":server-1;server-2") {
			t.Errorf("the app servers are %q", list)
		}
		// 1 January 2000, when the bubble begins, in ticks of .NET.
		if ticks, _, _ := strings.Cut(list[1], ":"); ticks < "630822816000000000" || ticks > "630822817000000000" {
			t.Errorf("the list is of %s", ticks)
		}
		one.send(&wire.Ping{Messages: []string{"shutdown", "finack"}}, &wire.Ping{Messages: []string{"new", "thing"}}, &wire.Ping{Messages: []string{"status"}})
		check([]string{"shutdown", "fin:2"}, "shutdown", "finack")
		if rest := two.quiet(); slices.ContainsFunc(rest, func(m wire.Message) bool { _, ping := m.(*wire.Ping); return ping }) {
			t.Errorf("another app server got %v", rest)
		}
	})
}

func TestWhatIsNoHandshakeOfAnAppServerIsRefused(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for name, m := range map[string]wire.Message{
			"another version": &wire.HandshakeRequest{Version: 2},
			"a ping":          &wire.Ping{},
			"a send":          &wire.BroadcastData{Payloads: both("m")},
		} {
			s := w.connectServer("server-1", serverOptions{hub: "chat"})
			s.send(m)
			if answer, ok := s.next().(*wire.HandshakeResponse); !ok || wire.Text(answer.ErrorMessage) == "" {
				t.Errorf("%s is answered %+v", name, answer)
			}
			<-s.over
		}
		begun := time.Now()
		s := w.connectServer("server-1", serverOptions{hub: "chat"})
		<-s.over
		if after := time.Since(begun); after < 15*time.Second || after > 18*time.Second {
			t.Errorf("an app server that says nothing is cut off after %v", after)
		}
		s = w.connectServer("server-1", serverOptions{hub: "chat"})
		if err := s.conn.Write([]byte{0xff, 0xff, 0xff, 0xff, 0x7f}); err != nil { // a frame of 32 GiB
			t.Fatal(err)
		}
		<-s.over
	})
}

func TestClientsGoToTheConnectionWithTheFewest(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		servers := []*fakeServer{w.server("server-1"), w.server("server-1"), w.server("server-2")}
		weak := w.serverWith("server-3", serverOptions{hello: &wire.HandshakeRequest{Version: 1, ConnectionType: wire.ConnectionWeak}})
		for range 9 {
			w.client("")
		}
		for i, s := range append(servers, weak) {
			want := 3
			if s == weak {
				want = 0
			}
			if n := s.count(); n != want {
				t.Errorf("connection %d has %d clients, want %d", i, n, want)
			}
		}
	})
}

func TestAClientSticksToItsAppServer(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		one, two := w.server("server-1"), w.server("server-2")
		for range 3 {
			w.clientWith("", clientOptions{claims: map[string]any{"asrs.s.sn": "server-2", "asrs.s.ssticky": "Required"}})
			w.clientWith("", clientOptions{claims: map[string]any{"asrs.s.sn": "server-2", "asrs.s.ssticky": "Preferred"}})
		}
		if one.count() != 0 || two.count() != 6 {
			t.Errorf("%d and %d clients, want 0 and 6", one.count(), two.count())
		}
		w.clientWith("", clientOptions{claims: map[string]any{"asrs.s.sn": "gone", "asrs.s.ssticky": "Preferred"}})
		_, err := w.dial("", clientOptions{claims: map[string]any{"asrs.s.sn": "gone", "asrs.s.ssticky": "Required"}})
		var refused *hubclient.HandshakeError
		if !errors.As(err, &refused) || !strings.HasPrefix(refused.Text, "No server available.") {
			t.Errorf("a client whose app server is gone gets %v", err)
		}
	})
}

func TestWithoutAnAppServerAClientIsToldSo(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
			_, err := w.dial("ann", clientOptions{codec: codec})
			var refused *hubclient.HandshakeError
			if !errors.As(err, &refused) || !strings.HasPrefix(refused.Text, "No server available.") {
				t.Errorf("a client of nobody's hub gets %v", err)
			}
		}
		if s := w.stats(); s.ClientsRefused != 2 || s.Clients != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestClientsOfALostConnectionMayComeAgain(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		link := w.net.Link(nil)
		lost, stays := w.serverWith("server-1", serverOptions{link: link}), w.server("server-2")
		a, b := w.client("ann"), w.client("ann")
		if !lost.has(a) {
			a, b = b, a
		}
		link.Cut()
		<-a.Done()
		var closed *hubclient.CloseMessage
		if !errors.As(a.Err(), &closed) || !closed.AllowReconnect {
			t.Errorf("the client of a lost connection ends with %v", a.Err())
		}
		stays.send(&wire.UserData{UserID: "ann", Payloads: both("m")})
		if got := b.next(w); got != "m" {
			t.Errorf("the other client gets %q", got)
		}
		again := w.client("ann")
		if err := again.Invoke(w.ctx, nil, "Echo", 1); err != nil {
			t.Error(err)
		}
		if s := w.stats(); s.Clients != 2 || s.ServersLost != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// What the app server is told of a client.
func TestAnAppServerKnowsWhoTheClientIs(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		w.clientWith("u1", clientOptions{claims: map[string]any{
			"asrs.s.uid": []string{"u1", "evil"}, "asrs.s.aut": "Cookies", "role": []string{"r1", "r2"}, "asrs.u.exp": "1", "custom": "x",
		}})
		open := await[*wire.OpenConnection](s)
		claims := map[string][]string{}
		for _, c := range open.Claims {
			claims[c.Type] = append(claims[c.Type], c.Value)
		}
		for name, want := range map[string]string{
			"asrs.s.uid": "[u1 evil]", "asrs.s.aut": "[Cookies]", "asrs.u.exp": "[1]", "custom": "[x]",
			"http://schemas.microsoft.com/ws/2008/06/identity/claims/role":         "[r1 r2]",
			"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier": "[u1]",
		} {
			if got := fmt.Sprint(claims[name]); got != want {
				t.Errorf("claim %s is %s, want %s", name, got, want)
			}
		}
		headers := map[string]string{}
		for _, h := range open.Headers {
			headers[h.Name] = strings.Join(h.Values, ",")
		}
		for name, want := range map[string]string{"Host": "gateway", "Asrs-Instance-Id": "instance-1", "X-Forwarded-For": "192.0.2.2", "Authorization": "", "Connection": ""} {
			if headers[name] != want {
				t.Errorf("header %s is %q, want %q", name, headers[name], want)
			}
		}
		if query := wire.Text(open.QueryString); query != "?asrs.op=%2Fchat&hub=chat" {
			t.Errorf("the query is %q", query)
		}
		if s.ask(&wire.CheckUserExistenceWithAck{UserID: "evil", AckID: 1}) != wire.AckNotFound {
			t.Error("a second asrs.s.uid is the user, too")
		}
	})
}

func TestATokenOpensWhatItIsFor(t *testing.T) {
	inWorld(t, &gateway.Options{AccessKeys: []string{key, "second key"}}, func(w *world) {
		w.server("server-1")
		status := func(path, token string) int {
			t.Helper()
			_, err := hubclient.Open(w.ctx, hubclient.ConnOptions{
				URL: "http://gateway" + path, DialContext: w.link.DialContext, Header: http.Header{"Authorization": {"Bearer " + token}},
				SkipNegotiation: path[:7] == "/server",
			})
			var refused *hubclient.StatusError
			if errors.As(err, &refused) {
				return refused.Code
			}
			if err != nil {
				t.Fatal(err)
			}
			return http.StatusOK
		}
		past, client := time.Now().Add(-10*time.Minute).Unix(), "https://any.host:99/client/?hub=chat"
		for name, test := range map[string]struct {
			path, key string
			claims    map[string]any
			want      int
		}{
			"first key":         {"/client/?hub=chat", key, map[string]any{"aud": client}, 200},
			"second key":        {"/client/?hub=Chat", "second key", map[string]any{"aud": client}, 200},
			"another key":       {"/client/?hub=chat", "third key", map[string]any{"aud": client}, 401},
			"another hub":       {"/client/?hub=news", key, map[string]any{"aud": client}, 401},
			"a hub behind it":   {"/client/?hub=news&hub=chat", key, map[string]any{"aud": client}, 401},
			"no hub":            {"/client/", key, map[string]any{"aud": client}, 401},
			"over":              {"/client/?hub=chat", key, map[string]any{"aud": client, "exp": past}, 401},
			"of a client":       {"/server/?hub=chat", key, map[string]any{"aud": client, "nameid": "s"}, 401},
			"of an app server":  {"/client/?hub=chat", key, map[string]any{"aud": "http://x/server/?hub=chat"}, 401},
			"without audience":  {"/client/?hub=chat", key, map[string]any{}, 401},
			"server, first key": {"/server/?hub=chat", key, map[string]any{"aud": "http://x/server/?hub=chat", "nameid": "s"}, 200},
		} {
			if got := status(test.path, sign(test.key, test.claims)); got != test.want {
				t.Errorf("%s: %d, want %d", name, got, test.want)
			}
		}
		if got := status("/client/?hub=chat", "no.token.atall"); got != 401 {
			t.Errorf("no token: %d", got)
		}
		if err := w.g.SetAccessKeys("second key", "third key"); err != nil {
			t.Fatal(err)
		}
		for with, want := range map[string]int{key: 401, "second key": 200, "third key": 200} {
			if got := status("/client/?hub=chat", sign(with, map[string]any{"aud": client})); got != want {
				t.Errorf("after the rotation %s: %d, want %d", with, got, want)
			}
		}
	})
}
