package azure

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/seam"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/lifetimetest"
)

// A contract is a service in memory that does for its clients what the contract of
// lifetime managers is about.
type contract struct {
	mu      sync.Mutex
	clients map[string]*contractClient
	groups  map[string]map[string]bool // by group: the ids of its members
	asked   map[string]*fakeConn       // by the id of an invocation: who has asked
	of      map[string]string          // by the id of an invocation: the client

	lastEcho int
	echoes   map[string]chan struct{}
}

type contractClient struct {
	server.Receiver
	at     *fakeConn     // of its server
	opened chan struct{} // closed when the hub has answered its handshake
	once   sync.Once
}

// A contractManager is the manager of one hub, whose clients are Receivers.
type contractManager struct {
	*service
	c  *contract
	at *fakeConn
}

func (m *contractManager) Connected(_ context.Context, r server.Receiver) error {
	cl := &contractClient{Receiver: r, at: m.at, opened: make(chan struct{})}
	m.c.mu.Lock()
	m.c.clients[r.ID()] = cl
	m.c.mu.Unlock()
	name := r.Codec().Name()
	open := &wire.OpenConnection{ConnectionID: r.ID(), Protocol: &name}
	if r.UserID() != "" {
		open.Claims = []wire.Claim{{Type: claimUserID, Value: r.UserID()}}
	}
	hello := fmt.Sprintf(`{"protocol":%q,"version":1}`+"\x1e", name)
	m.at.send(open, &wire.ConnectionData{ConnectionID: r.ID(), Payload: []byte(hello)})
	select {
	case <-cl.opened:
		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("%s was not connected", r.ID())
	}
}

func (m *contractManager) Disconnected(r server.Receiver) {
	m.c.mu.Lock()
	delete(m.c.clients, r.ID())
	for _, members := range m.c.groups {
		delete(members, r.ID())
	}
	for id, client := range m.c.of {
		if client == r.ID() {
			m.c.asked[id].send(&wire.ErrorCompletion{InvocationID: id, ConnectionID: client, Error: "Connection disconnected."})
		}
	}
	m.c.mu.Unlock()
	m.at.send(&wire.CloseConnection{ConnectionID: r.ID()})
	m.service.results.Disconnected(r.ID())
}

// SetResult implements server.ResultRouter. An answer of a client comes behind the
// word of the service that there will be one.
func (m *contractManager) SetResult(r server.Receiver, completion *protocol.Completion) (bool, error) {
	m.c.mu.Lock()
	m.c.lastEcho++
	id, back := fmt.Sprint(m.c.lastEcho), make(chan struct{})
	m.c.echoes[id] = back
	m.c.mu.Unlock()
	m.at.send(&wire.Ping{Messages: []string{pingEcho, id}})
	<-back
	return m.service.SetResult(r, completion)
}

// handle does what the service does with a message.
func (c *contract) handle(from *fakeConn, m wire.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m := m.(type) {
	case *wire.Ping:
		if len(m.Messages) == 2 && m.Messages[0] == pingEcho {
			close(c.echoes[m.Messages[1]])
		}
	case *wire.ConnectionData:
		if cl := c.clients[m.ConnectionID]; cl != nil && m.DataType == wire.DataHandshake {
			cl.once.Do(func() { close(cl.opened) })
		}
	case *wire.BroadcastData:
		c.deliver(m.Payloads, m.ExcludedList, func(*contractClient) int { return 1 })
	case *wire.MultiConnectionData:
		c.deliver(m.Payloads, nil, func(cl *contractClient) int { return times(m.ConnectionList, cl.ID()) })
	case *wire.UserData:
		c.deliver(m.Payloads, nil, func(cl *contractClient) int { return times([]string{m.UserID}, cl.UserID()) })
	case *wire.MultiUserData:
		c.deliver(m.Payloads, nil, func(cl *contractClient) int { return times(m.UserList, cl.UserID()) })
	case *wire.GroupBroadcastData:
		c.deliver(m.Payloads, m.ExcludedList, func(cl *contractClient) int { return c.memberships(cl, m.GroupName) })
	case *wire.MultiGroupBroadcastData:
		c.deliver(m.Payloads, nil, func(cl *contractClient) int { return c.memberships(cl, m.GroupList...) })
	case *wire.JoinGroupWithAck:
		status := wire.AckNotFound
		if c.clients[m.ConnectionID] != nil {
			status = wire.AckOK
			if c.groups[m.GroupName] == nil {
				c.groups[m.GroupName] = map[string]bool{}
			}
			c.groups[m.GroupName][m.ConnectionID] = true
		}
		from.send(&wire.Ack{AckID: m.AckID, Status: status})
	case *wire.LeaveGroupWithAck:
		delete(c.groups[wire.Text(m.GroupName)], m.ConnectionID)
		from.send(&wire.Ack{AckID: m.AckID, Status: wire.AckOK})
	case *wire.ClientInvocation:
		c.ask(from, m)
	case *wire.ClientCompletion:
		if to := c.asked[m.InvocationID]; to != nil && len(m.Payload) > 0 {
			to.send(m)
		}
		delete(c.asked, m.InvocationID)
		delete(c.of, m.InvocationID)
	}
}

// ask passes a question on, and tells the server of the client that it will be
// answered.
func (c *contract) ask(from *fakeConn, m *wire.ClientInvocation) {
	cl := c.clients[m.ConnectionID]
	if cl == nil {
		from.send(&wire.ErrorCompletion{InvocationID: m.InvocationID, ConnectionID: m.ConnectionID, Error: unknownClient})
		return
	}
	c.asked[m.InvocationID], c.of[m.InvocationID] = from, m.ConnectionID
	if cl.at != from {
		cl.at.send(&wire.ClientInvocation{InvocationID: m.InvocationID, ConnectionID: m.ConnectionID, CallerServerID: m.CallerServerID})
	}
	c.give(cl, m.Payloads)
}

func (c *contract) memberships(cl *contractClient, groups ...string) (n int) {
	for _, group := range groups {
		if c.groups[group][cl.ID()] {
			n++
		}
	}
	return n
}

func times(list []string, name string) (n int) {
	for _, one := range list {
		if one == name {
			return 1
		}
	}
	return 0
}

func (c *contract) deliver(payloads []wire.Payload, except []string, often func(*contractClient) int) {
	for id, cl := range c.clients {
		if times(except, id) > 0 {
			continue
		}
		for range often(cl) {
			c.give(cl, payloads)
		}
	}
}

func (c *contract) give(cl *contractClient, payloads []wire.Payload) {
	if b, ok := wire.PayloadOf(payloads, cl.Codec().Name()); ok {
		_ = cl.Send(server.NewEncodedMessage(server.Encoded{Protocol: cl.Codec().Name(), Bytes: b})) // one whose writes fail is part of the contract
	}
}

// Two servers of one hub behind a service keep the contract of lifetime managers.
func TestTheContractOfLifetimeManagers(t *testing.T) {
	lifetimetest.Run(t, func(t *testing.T) []server.LifetimeManager {
		c := &contract{clients: map[string]*contractClient{}, groups: map[string]map[string]bool{}, asked: map[string]*fakeConn{}, of: map[string]string{}, echoes: map[string]chan struct{}{}}
		return []server.LifetimeManager{c.manager(t), c.manager(t)}
	})
}

// manager returns the manager of one more hub.
func (c *contract) manager(t *testing.T) server.LifetimeManager {
	f := newFake(t)
	f.handle = c.handle
	h, err := NewHub(&Chat{}, &Options{ConnectionString: atService, InitialConnections: 1, Transport: f.transport},
		&server.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = h.Shutdown(ctx)
	})
	s := seam.RemoteOf(h).(*service)
	for until := time.Now().Add(time.Minute); s.health() != nil; runtime.Gosched() {
		if time.Now().After(until) {
			t.Fatal("the hub does not connect")
		}
	}
	return &contractManager{service: s, c: c, at: f.all()[0]}
}
