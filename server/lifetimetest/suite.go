// Package lifetimetest is the contract of server.LifetimeManager, and of
// server.ResultRouter, as a test suite, for authors of a manager of their own:
//
//	func TestContract(t *testing.T) {
//		lifetimetest.Run(t, func(t *testing.T) []server.LifetimeManager { ... })
//	}
//
// The letters in the names of the cases are those of
// docs/reference/redis-backplane.md, section 8: what Microsoft's own suite
// checks, and what the scheme needs beyond that.
package lifetimetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// patience is how long a message may take to arrive.
const patience = 10 * time.Second

// Run runs the suite; the cases for client results only where the managers are
// also server.ResultRouters. Each case calls managers for managers of its own: one, or
// several that serve one hub on several nodes and are ready. What managers
// starts it ends by t.Cleanup.
func Run(t *testing.T, managers func(t *testing.T) []server.LifetimeManager) {
	run := func(c testCase, ready func(*bench)) {
		t.Run(c.name, func(t *testing.T) {
			all := managers(t)
			b := &bench{T: t, a: newNode(all[0]), b: newNode(all[len(all)-1]), several: len(all) > 1}
			ready(b)
			c.run(b)
		})
	}
	for _, c := range slices.Concat(sendCases, groupCases) {
		run(c, func(*bench) {})
	}
	for _, c := range resultCases {
		run(c, (*bench).needResults)
	}
}

type testCase struct {
	name string
	run  func(*bench)
}

// A node is a manager with all that it can do.
type node struct {
	server.LifetimeManager
	server.ResultRouter // nil if it is none
}

func newNode(m server.LifetimeManager) node {
	results, _ := m.(server.ResultRouter)
	return node{m, results}
}

// A bench is two nodes, which are one and the same where there is only one.
type bench struct {
	*testing.T
	a, b    node
	several bool
}

// needResults ends a test of managers that are no server.ResultRouter.
func (b *bench) needResults() {
	if b.a.ResultRouter == nil || b.b.ResultRouter == nil {
		b.Skip("the manager is no server.ResultRouter")
	}
}

// A receiver is a client that remembers what it was sent.
type receiver struct {
	id, user string
	codec    protocol.Codec
	ctx      context.Context
	end      context.CancelFunc
	broken   bool // every Send fails
	got      chan sent
}

type sent struct {
	id     string // of the invocation, if it wants a result
	target string
}

func (c *receiver) ID() string               { return c.id }
func (c *receiver) UserID() string           { return c.user }
func (c *receiver) Codec() protocol.Codec    { return c.codec }
func (c *receiver) Context() context.Context { return c.ctx }

func (c *receiver) Send(m *server.Message) error {
	if c.broken {
		return server.ErrConnectionClosed
	}
	b, err := m.Bytes(c.codec)
	if err != nil {
		return err
	}
	decoded, _, err := c.codec.Next(slices.Clone(b))
	if err != nil {
		return err
	}
	inv, ok := decoded.(*protocol.Invocation)
	if !ok {
		return fmt.Errorf("received a %T", decoded)
	}
	c.got <- sent{id: inv.InvocationID, target: inv.Target}
	return nil
}

// connect connects a client to a node.
func (b *bench) connect(m node, id, user string) *receiver {
	b.Helper()
	c := &receiver{id: id, user: user, codec: protocol.JSON{}, got: make(chan sent, 10_000)}
	c.ctx, c.end = context.WithCancel(context.Background())
	b.Cleanup(c.end)
	b.ok(m.Connected(b.Context(), c))
	return c
}

// disconnect ends a client of a node.
func (b *bench) disconnect(m node, c *receiver) {
	c.end()
	m.Disconnected(c)
}

// ok ends the test at the first error.
func (b *bench) ok(errs ...error) {
	b.Helper()
	for _, err := range errs {
		if err != nil {
			b.Fatal(err)
		}
	}
}

func invocation(target string) *server.Message {
	return server.NewMessage(&protocol.Invocation{Target: target, Arguments: []any{}})
}

// next returns what a client receives next.
func (b *bench) next(c *receiver) sent {
	b.Helper()
	select {
	case s := <-c.got:
		return s
	case <-time.After(patience):
		b.Fatalf("%s received nothing", c.id)
		return sent{}
	}
}

// received wants each client to have received the targets listed for it, and
// nothing else, in any order: channels are not ordered among each other.
func (b *bench) received(want map[*receiver]string) {
	b.Helper()
	got := map[*receiver][]string{}
	for c, list := range want { // let all arrive before the end is sent
		for range strings.Fields(list) {
			s := b.next(c)
			got[c] = append(got[c], s.target)
		}
	}
	b.ok(b.a.Send(b.Context(), toAll(), invocation("end")), b.b.Send(b.Context(), toAll(), invocation("end")))
	for c, list := range want {
		for ends := 0; ends < 2; {
			if s := b.next(c); s.target == "end" {
				ends++
			} else {
				got[c] = append(got[c], s.target)
			}
		}
		expected := strings.Fields(list)
		slices.Sort(expected)
		slices.Sort(got[c])
		if !slices.Equal(got[c], expected) {
			b.Errorf("%s received %q, want %q", c.id, got[c], expected)
		}
	}
}

// wantText wants an error of type T with this text.
func wantText[T error](b *bench, err error, text string) {
	b.Helper()
	var typed T
	if !errors.As(err, &typed) || err.Error() != text {
		b.Errorf("error %T %v, want %T %q", err, err, typed, text)
	}
}
