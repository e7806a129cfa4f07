package gateway_test

import (
	"testing"

	"github.com/hubwire/hubwire/azure/internal/wire"
)

// The SDK says on some of its connections only that it leaves, where a hub is mapped
// to several paths; its process ends with all of them.
func TestAnAppServerThatLeavesByOneConnectionLeavesByAll(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		one := w.server("server-1")
		a := w.client("ann")
		two := w.server("server-1")
		b := w.client("bob") // the other connection has fewer clients
		to := w.server("server-2")
		two.send(&wire.Ping{Messages: []string{"shutdown", "fin:1"}})
		if closed := await[*wire.CloseConnection](one); closed.ConnectionID != a.ID() || headerOf(closed.Headers, "Asrs-Migrate-To") != "server-2" {
			t.Errorf("the connection without fin:1 is told %+v", closed)
		}
		if closed := await[*wire.CloseConnection](two); closed.ConnectionID != b.ID() {
			t.Errorf("the connection with fin:1 is told %+v", closed)
		}
		moved := map[string]bool{}
		for range 2 {
			moved[await[*wire.OpenConnection](to).ConnectionID] = true
		}
		if !moved[a.ID()] || !moved[b.ID()] {
			t.Errorf("%v were moved, want %s and %s", moved, a.ID(), b.ID())
		}
		if s := w.stats(); s.ClientsMigrated != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// An app server gives a client new claims by its connection token, whichever of them
// has the client. That one is told of what has changed, and of nothing else.
func TestAClientIsRefreshedByItsConnectionToken(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		owner := w.server("server-1")
		c := w.client("ann")
		other := w.server("server-2")
		owner.quiet()
		ask := func(claims ...wire.Claim) *wire.Ack {
			other.send(&wire.RefreshAuth{ConnectionToken: c.Token(), Claims: claims, ExpireTime: wire.NoExpiry, AckID: 3})
			return await[*wire.Ack](other)
		}
		known := func() []wire.Claim {
			other.send(&wire.GetConnectionClaims{ConnectionToken: c.Token(), AckID: 4})
			claims, err := wire.ParseClaims(await[*wire.Ack](other).Payload)
			if err != nil {
				t.Error(err)
			}
			return claims
		}
		value := func(claims []wire.Claim, name string) string {
			for _, c := range claims {
				if c.Type == name {
					return c.Value
				}
			}
			return "none"
		}
		const role = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
		if got := value(known(), role); got != "none" {
			t.Errorf("the role is %s before the refresh", got)
		}
		ann := wire.Claim{Type: "asrs.s.uid", Value: "ann"}
		if ack := ask(ann, wire.Claim{Type: "role", Value: "writer"}); ack.Status != wire.AckOK {
			t.Errorf("a refresh is answered %+v", ack)
		} else if claims, err := wire.ParseClaims(ack.Payload); err != nil || value(claims, role) != "writer" {
			t.Errorf("it is answered with the claims %v, %v", claims, err)
		}
		if told := await[*wire.UpdateConnectionClaims](owner); told.ConnectionID != c.ID() || value(told.Claims, role) != "writer" {
			t.Errorf("the app server that has the client is told %+v", told)
		}
		if got := value(known(), role); got != "writer" {
			t.Errorf("the role is %s after the refresh", got)
		}
		if ack := ask(ann, wire.Claim{Type: role, Value: "writer"}); ack.Status != wire.AckOK {
			t.Errorf("the same again is answered %+v", ack)
		}
		for _, claims := range [][]wire.Claim{{{Type: "asrs.s.uid", Value: "bob"}}, {{Type: "role", Value: "reader"}}, nil} {
			if ack := ask(claims...); ack.Status != wire.AckForbidden {
				t.Errorf("a refresh with %v is answered %+v", claims, ack)
			}
		}
		if got := value(known(), role); got != "writer" {
			t.Errorf("the role is %s after refused refreshes", got)
		}
		for _, m := range owner.quiet() {
			if m, ok := m.(*wire.UpdateConnectionClaims); ok {
				t.Errorf("the app server that has the client is also told %+v", m)
			}
		}
		owner.send(&wire.Ping{Messages: []string{"shutdown", "fin:1"}})
		if open := await[*wire.OpenConnection](other); value(open.Claims, role) != "writer" {
			t.Errorf("the next app server is told %+v", open.Claims)
		}
	})
}
