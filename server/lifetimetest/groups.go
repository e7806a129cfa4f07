package lifetimetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

func unencodable() *server.Message {
	return server.NewMessage(&protocol.Invocation{Target: "x", Arguments: []any{make(chan int)}})
}

var groupCases = []testCase{
	{"B03 S04 a send to a group reaches its members only, also from a node without any", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		b.ok(b.b.AddToGroup(b.Context(), "c2", "g"), b.a.Send(b.Context(), toGroups("g"), invocation("x")),
			b.a.Send(b.Context(), toGroups("none"), invocation("y")), b.a.Send(b.Context(), toGroups("G"), invocation("z")))
		b.received(map[*receiver]string{c1: "", c2: "x"})
	}},
	{"B04 a send to a group but some skips these", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		b.ok(b.a.AddToGroup(b.Context(), "c1", "g"), b.b.AddToGroup(b.Context(), "c2", "g"),
			b.a.Send(b.Context(), toGroup("g", "c2"), invocation("x")), b.b.Send(b.Context(), toGroup("g", "c1", "nobody"), invocation("y")))
		b.received(map[*receiver]string{c1: "x", c2: "y"})
	}},
	{"a member of two groups gets what is sent to both twice, as from ASP.NET Core", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		b.ok(b.a.AddToGroup(b.Context(), "c1", "g"), b.a.AddToGroup(b.Context(), "c1", "h"), b.b.AddToGroup(b.Context(), "c2", "h"),
			b.a.Send(b.Context(), toGroups("g", "h"), invocation("x")), b.a.Send(b.Context(), toGroups(), invocation("y")))
		b.received(map[*receiver]string{c1: "x x", c2: "x"})
	}},
	{"a group may have an empty name, and among several names it ends the send or is skipped", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		b.ok(b.a.AddToGroup(b.Context(), "c1", "g"), b.b.AddToGroup(b.Context(), "c2", ""), b.a.Send(b.Context(), toGroups(""), invocation("x")))
		err := b.a.Send(b.Context(), toGroups("g", ""), invocation("y"))
		if b.several {
			b.ok(err)
		} else if err != nil { // a backplane of one node has none
			wantText[*server.HubError](b, err, "Cannot send to an empty group name.")
		}
		b.received(map[*receiver]string{c1: "y", c2: "x"})
	}},
	{"S05 who leaves is in no group any more, also when its id comes again", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		b.ok(b.b.AddToGroup(b.Context(), "c2", "g"), b.b.AddToGroup(b.Context(), "c2", "h"), b.a.AddToGroup(b.Context(), "c1", "h"))
		b.disconnect(b.b, c2)
		again := b.connect(b.b, "c2", "")
		b.ok(b.a.Send(b.Context(), toGroups("g"), invocation("x")), b.a.Send(b.Context(), toGroups("h"), invocation("y")))
		b.received(map[*receiver]string{c1: "y", again: ""})
	}},
	{"S06 S07 to remove what is no member is no error", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		b.ok(b.a.RemoveFromGroup(b.Context(), "c1", "g"), b.a.RemoveFromGroup(b.Context(), "c2", "g"), b.a.Send(b.Context(), toGroups("g"), invocation("x")))
		b.received(map[*receiver]string{c1: "", c2: ""})
	}},
	{"S08 S09 S10 who is added from its node, from another or twice gets a message once", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		for _, id := range []string{"c1", "c1", "c2", "c2"} {
			b.ok(b.a.AddToGroup(b.Context(), id, "g"))
		}
		b.ok(b.b.Send(b.Context(), toGroups("g"), invocation("x")))
		b.received(map[*receiver]string{c1: "x", c2: "x"})
	}},
	{"S11 who is removed gets nothing any more, and is added again at will", func(b *bench) {
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		for range 3 {
			b.ok(b.a.AddToGroup(b.Context(), "c1", "g"), b.a.AddToGroup(b.Context(), "c2", "g"), b.a.Send(b.Context(), toGroups("g"), invocation("in")),
				b.a.RemoveFromGroup(b.Context(), "c2", "g"), b.b.RemoveFromGroup(b.Context(), "c1", "g"), b.a.Send(b.Context(), toGroups("g"), invocation("out")))
		}
		b.received(map[*receiver]string{c1: "in in in", c2: "in in in"})
	}},
	{"a manager that lists groups knows those of its own connections, until they disconnect", func(b *bench) {
		lister, ok := b.b.LifetimeManager.(server.GroupLister)
		if !ok {
			b.Skip("the manager is no server.GroupLister")
		}
		want := func(groups ...string) {
			b.Helper()
			got := lister.GroupsOf("c2")
			slices.Sort(got)
			if !slices.Equal(got, groups) {
				b.Errorf("GroupsOf = %q, want %q", got, groups)
			}
		}
		want()
		c2 := b.connect(b.b, "c2", "")
		want()
		b.ok(b.b.AddToGroup(b.Context(), "c2", "g"), b.a.AddToGroup(b.Context(), "c2", "h"), b.b.AddToGroup(b.Context(), "c2", "g"))
		want("g", "h")
		lister.GroupsOf("c2")[0] = "changed" // the slice is the caller's
		b.ok(b.a.RemoveFromGroup(b.Context(), "c2", "g"))
		want("h")
		b.disconnect(b.b, c2)
		want()
	}},
	{"R03 names of groups are any text, and no patterns", func(b *bench) {
		names := []string{"*", "a:b", "[ab]?", " ", "grüße \U0001F680", "\x00\r\n", strings.Repeat("x", 10_000)}
		members := map[*receiver]string{}
		for i, name := range names {
			c := b.connect(b.b, fmt.Sprint("c", i), "")
			b.ok(b.a.AddToGroup(b.Context(), c.id, name))
			members[c] = fmt.Sprint("x", i)
		}
		for i, name := range names {
			b.ok(b.a.Send(b.Context(), toGroups(name), invocation(fmt.Sprint("x", i))))
		}
		b.received(members)
	}},
	{"a storm of joins and leaves ends in the state of the last", func(b *bench) {
		var clients []*receiver
		for i := range 8 {
			clients = append(clients, b.connect([]node{b.a, b.b}[i%2], fmt.Sprint("c", i), ""))
		}
		want := map[*receiver]string{}
		var wg sync.WaitGroup
		for i, c := range clients {
			own := []node{b.a, b.b}[i%2]
			want[c] = ""
			wg.Go(func() {
				for range 30 {
					if err := own.AddToGroup(b.Context(), c.id, "g"); err != nil {
						b.Error(err)
					}
					if err := own.RemoveFromGroup(b.Context(), c.id, "g"); err != nil {
						b.Error(err)
					}
				}
				if i%4 < 2 {
					if err := own.AddToGroup(b.Context(), c.id, "g"); err != nil {
						b.Error(err)
					}
				}
			})
			if i%4 < 2 {
				want[c] = "x"
			}
		}
		wg.Wait()
		b.ok(b.a.Send(b.Context(), toGroups("g"), invocation("x")))
		b.received(want)
	}},
}
