package azure

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/internal/seam"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/lifetimetest"
)

// The contract of lifetime managers holds for the one of a hub behind our own
// gateway: each client of the suite is a client of the gateway, by the id that the
// gateway gives it.
func TestTheContractOfLifetimeManagersBehindTheGateway(t *testing.T) {
	for name, servers := range map[string]int{"one server": 1, "two servers": 2} {
		t.Run(name, func(t *testing.T) {
			lifetimetest.Run(t, func(t *testing.T) (list []server.LifetimeManager) {
				b := newBacked(t)
				clients := &suiteClients{all: map[string]*suiteClient{}}
				for i := range servers {
					s := seam.RemoteOf(b.addServer(Options{Sticky: StickyRequired})).(*service)
					awaitHealth(t, s)
					list = append(list, &suiteManager{service: s, b: b, at: i, clients: clients})
				}
				return list
			})
		})
	}
}

// awaitHealth waits until the hub is connected.
func awaitHealth(t *testing.T, s *service) {
	for until := time.Now().Add(time.Minute); s.health() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the hub does not connect")
		}
	}
}

// suiteClients are the clients of all servers of a test by the ids that the suite has
// given them.
type suiteClients struct {
	mu  sync.Mutex
	all map[string]*suiteClient
}

// A suiteClient is a client of the gateway that gives what it gets to one of the
// suite.
type suiteClient struct {
	*hubclient.Client
	hub server.Receiver // the client as its hub knows it
}

// realID is the gateway's id of a client, or id itself where the suite has none.
func (c *suiteClients) realID(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cl := c.all[id]; cl != nil {
		return cl.ID()
	}
	return id
}

func (c *suiteClients) realIDs(ids []string) (list []string) {
	for _, id := range ids {
		list = append(list, c.realID(id))
	}
	return list
}

func (c *suiteClients) of(r server.Receiver) *suiteClient {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[r.ID()]
}

// A suiteManager is the manager of one server, with the suite's ids.
type suiteManager struct {
	*service
	b       *backed
	at      int // the number of the server
	clients *suiteClients
}

func (m *suiteManager) Connected(_ context.Context, r server.Receiver) error {
	client := m.b.dialAs(m.at, r.UserID(), "WebSockets", r.Codec(), func(inv *protocol.Invocation) {
		// One whose writes fail is part of the contract.
		_ = r.Send(server.NewMessage(&protocol.Invocation{InvocationID: inv.InvocationID, Target: inv.Target, Arguments: []any{}}))
	})
	if got := m.b.invoke(client, "Echo", "there"); got != "there" { // the hub knows it now
		return errors.New("Echo: " + got)
	}
	hub := m.receiverOf(client.ID())
	if hub == nil {
		return errors.New("the client came to another server")
	}
	m.clients.mu.Lock()
	defer m.clients.mu.Unlock()
	m.clients.all[r.ID()] = &suiteClient{Client: client, hub: hub}
	return nil
}

func (m *suiteManager) Disconnected(r server.Receiver) {
	client := m.clients.of(r)
	client.Abort()
	<-client.hub.Context().Done() // the gateway has told the server
}

func (m *suiteManager) Send(ctx context.Context, to server.Audience, message *server.Message) error {
	to.Except = m.clients.realIDs(to.Except)
	if to.Kind == server.ToConnections {
		to.Names = m.clients.realIDs(to.Names)
	}
	err := m.service.Send(ctx, to, message)
	if to.Kind == server.ToGroups && len(m.b.hubs) > 1 && err == nil {
		// A service does not order what two servers say: another one may take out a
		// member at once. So the suite goes on when the gateway has done it.
		_, err = m.pools[0].ask(ctx, sendKey{name: lastOf(to.Names)}, "CheckGroupExistenceWithAck", func(ack int) wire.Message {
			return &wire.CheckGroupExistenceWithAck{GroupName: "any", AckID: ack}
		})
	}
	return err
}

// lastOf is what names the order of a message to groups: it has one of one name only.
func lastOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return ""
}

func (m *suiteManager) AddToGroup(ctx context.Context, id, group string) error {
	return m.service.AddToGroup(ctx, m.clients.realID(id), group)
}

func (m *suiteManager) RemoveFromGroup(ctx context.Context, id, group string) error {
	return m.service.RemoveFromGroup(ctx, m.clients.realID(id), group)
}

func (m *suiteManager) InvokeConnection(ctx context.Context, id string, inv *protocol.Invocation) (server.ClientResult, error) {
	result, err := m.service.InvokeConnection(ctx, m.clients.realID(id), inv)
	if gone := (*server.ConnectionError)(nil); errors.As(err, &gone) {
		gone.ID = id
	}
	return result, err
}

// SetResult is called when the hub has the completion. What the gateway has said of
// the invocation comes before what its client sends, so a call tells that it is there.
func (m *suiteManager) SetResult(r server.Receiver, completion *protocol.Completion) (bool, error) {
	client := m.clients.of(r)
	if got := m.b.invoke(client.Client, "Echo", "asked"); got != "asked" {
		return false, errors.New("Echo: " + got)
	}
	known, err := m.service.SetResult(client.hub, completion)
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), "'"+client.ID()+"'", "'"+r.ID()+"'"))
	}
	return known, err
}
