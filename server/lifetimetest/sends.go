package lifetimetest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

var sendCases = []testCase{
	{"B01 S01 a send to all reaches every client of every node", func(b *bench) {
		c1, c2, c3 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", ""), b.connect(b.b, "c3", "u")
		b.ok(b.a.Send(b.Context(), toAll(), invocation("x")))
		b.received(map[*receiver]string{c1: "x", c2: "x", c3: "x"})
	}},
	{"B02 S02 a send to all does not reach a client that has left", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		b.disconnect(b.b, c2)
		b.ok(b.a.Send(b.Context(), toAll(), invocation("x")))
		b.received(map[*receiver]string{c1: "x"})
		if len(c2.got) > 0 {
			b.Error("the client that has left received something")
		}
	}},
	{"a send to all but some skips these, however many are listed", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		many := strings.Fields(strings.Repeat("nobody ", 50) + "c1")
		b.ok(b.a.Send(b.Context(), toAll("c2", "nobody"), invocation("x")), b.b.Send(b.Context(), toAll(many...), invocation("y")))
		b.received(map[*receiver]string{c1: "x", c2: "y"})
	}},
	{"B05 S03 a send to a connection reaches that one, from its own node and from another", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		b.ok(b.a.Send(b.Context(), toConnections("c2"), invocation("x")), b.b.Send(b.Context(), toConnections("c2"), invocation("y")),
			b.a.Send(b.Context(), toConnections("nobody"), invocation("z")))
		b.received(map[*receiver]string{c1: "", c2: "x y"})
	}},
	{"a send to several connections reaches these", func(b *bench) {
		c1, c2, c3 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", ""), b.connect(b.b, "c3", "")
		b.ok(b.a.Send(b.Context(), toConnections("c1", "c3", "nobody"), invocation("x")), b.a.Send(b.Context(), toConnections(), invocation("y")))
		b.received(map[*receiver]string{c1: "x", c2: "", c3: "x"})
	}},
	{"a send to no names reaches nobody, and one to an unknown kind is an error", func(b *bench) {
		c1 := b.connect(b.a, "c1", "u")
		for _, kind := range []server.AudienceKind{server.ToConnections, server.ToGroups, server.ToUsers} {
			b.ok(b.a.Send(b.Context(), server.Audience{Kind: kind}, invocation(kind.String())))
		}
		if err := b.a.Send(b.Context(), server.Audience{Kind: 99}, invocation("x")); err == nil || !strings.Contains(err.Error(), "AudienceKind(99)") {
			b.Errorf("a send to an unknown audience = %v", err)
		}
		b.received(map[*receiver]string{c1: ""})
	}},
	{"S15 a send to a user reaches all its connections", func(b *bench) {
		c1, c2, c3 := b.connect(b.a, "c1", "alice"), b.connect(b.b, "c2", "alice"), b.connect(b.b, "c3", "bob")
		anonymous := b.connect(b.a, "c4", "")
		b.ok(b.a.Send(b.Context(), toUsers("alice"), invocation("x")), b.b.Send(b.Context(), toUsers("alice", "bob", "nobody"), invocation("y")),
			b.a.Send(b.Context(), toUsers("Alice"), invocation("z")), b.a.Send(b.Context(), toUsers(), invocation("z")), b.b.Send(b.Context(), toUsers("", "bob"), invocation("w")))
		b.received(map[*receiver]string{c1: "x y", c2: "x y", c3: "y w", anonymous: ""})
	}},
	{"S16 a send to a user reaches the connection that is left", func(b *bench) {
		c1, c2, c3 := b.connect(b.a, "c1", "alice"), b.connect(b.b, "c2", "alice"), b.connect(b.a, "c3", "alice")
		b.disconnect(b.a, c3)
		b.disconnect(b.b, c2)
		b.ok(b.b.Send(b.Context(), toUsers("alice"), invocation("x")))
		b.received(map[*receiver]string{c1: "x"})
		if len(c2.got)+len(c3.got) > 0 {
			b.Error("a client that has left received something")
		}
	}},
	{"R04 a user named * is no pattern", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", "*"), b.connect(b.b, "c2", "alice")
		b.ok(b.b.Send(b.Context(), toUsers("alice"), invocation("x")), b.b.Send(b.Context(), toUsers("*"), invocation("y")))
		b.received(map[*receiver]string{c1: "y", c2: "x"})
	}},
	{"S13 S14 a client whose writes fail harms neither the sender nor others", func(b *bench) {
		broken, whole, also := b.connect(b.b, "c1", "u"), b.connect(b.b, "c2", "u"), b.connect(b.a, "c3", "")
		for _, c := range []string{"c1", "c2", "c3"} {
			b.ok(b.a.AddToGroup(b.Context(), c, "g"))
		}
		broken.broken = true
		for range 3 {
			b.ok(b.a.Send(b.Context(), toGroups("g"), invocation("x")), b.a.Send(b.Context(), toConnections("c1"), invocation("y")),
				b.a.Send(b.Context(), toUsers("u"), invocation("z")))
		}
		b.received(map[*receiver]string{whole: "x x x z z z", also: "x x x"})
	}},
	{"each client gets a message in its own protocol", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		b.disconnect(b.b, c2)
		c2.codec = protocol.MessagePack{}
		c2.ctx, c2.end = context.WithCancel(context.Background())
		b.Cleanup(c2.end)
		b.ok(b.b.Connected(b.Context(), c2), b.a.Send(b.Context(), toAll(), invocation("x")))
		b.received(map[*receiver]string{c1: "x", c2: "x"})
	}},
	{"a message that cannot be encoded is an error and reaches nobody", func(b *bench) {
		c1 := b.connect(b.a, "c1", "")
		for _, err := range []error{b.a.Send(b.Context(), toAll(), unencodable()), b.a.Send(b.Context(), toConnections("c1"), unencodable())} {
			if err == nil {
				b.Error("the send of a channel succeeded")
			}
		}
		b.received(map[*receiver]string{c1: ""})
	}},
	{"messages of one sender arrive in the order of the sends", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		const senders, messages = 4, 500
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				for i := range messages {
					if err := b.a.Send(b.Context(), toAll(), invocation(fmt.Sprintf("%d %d", s, i))); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		for _, c := range []*receiver{c1, c2} {
			next := make([]int, senders)
			for range senders * messages {
				var s, i int
				if _, err := fmt.Sscan(b.next(c).target, &s, &i); err != nil || i != next[s] {
					b.Fatalf("%s received message %d of sender %d, want %d", c.id, i, s, next[s])
				}
				next[s]++
			}
		}
	}},
}
