// Package peer lets servers built on github.com/philippseith/signalr share a
// Redis with Hubwire and ASP.NET Core nodes: it offers a backplane as their
// HubLifetimeManager.
//
//	bus, err := backplane.New(client, &backplane.Options{HubName: "BlogApp.Hubs.PostHub"})
//	server, err := signalr.NewServer(ctx, signalr.UseHub(&hub), signalr.WithHubLifetimeManager(
//		func(signalr.Server) (signalr.HubLifetimeManager, error) { return peer.New(bus, nil), nil }))
//
// What that interface lacks is not available: such a node cannot send to users,
// in the except forms or the plural forms, nor ask for client results, though
// its clients get what other nodes send to all, to a group or to a connection.
// The interface's methods return nothing, so errors only reach the log. It does
// not say which protocol a client speaks and takes no encoded messages, so each
// message is decoded from JSON and encoded again for each of its clients: byte
// slices arrive as base64 text, and dates as text, also for MessagePack clients.
package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/philippseith/signalr"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// queue is how many messages wait for one client. A client for which more wait
// is closed, so that no sender waits for it.
const queue = 256

// Manager is a signalr.HubLifetimeManager. It is safe for concurrent use.
type Manager struct {
	bus *backplane.Redis
	log *slog.Logger

	mu          sync.Mutex
	connections map[string]*connection
}

var _ signalr.HubLifetimeManager = (*Manager)(nil)

// New returns the manager of one server. The caller closes bus after the server
// has ended. A nil log means slog.Default().
func New(bus *backplane.Redis, log *slog.Logger) *Manager {
	if log == nil {
		log = slog.Default()
	}
	return &Manager{bus: bus, log: log, connections: map[string]*connection{}}
}

// connection is a client of the other library's server as a Receiver.
type connection struct {
	signalr.HubConnection
	messages chan *server.Message
	log      *slog.Logger
}

func (c *connection) ID() string            { return c.ConnectionID() }
func (c *connection) UserID() string        { return "" }
func (c *connection) Codec() protocol.Codec { return protocol.JSON{} }

// errSlow means that a client does not read its messages fast enough.
var errSlow = errors.New("peer: too many messages wait for the client")

// Send queues m. A client that lets the queue run full is ended.
func (c *connection) Send(m *server.Message) error {
	select {
	case c.messages <- m:
		return nil
	case <-c.Context().Done():
		return server.ErrConnectionClosed
	default:
		c.log.Warn("client closed: it does not read", "connection", c.ID())
		c.Abort()
		return errSlow
	}
}

// write hands the messages to the other library, one after the other.
func (c *connection) write() {
	for {
		select {
		case m := <-c.messages:
			if err := c.deliver(m); err != nil {
				c.log.Warn("message not delivered", "connection", c.ID(), "error", err)
			}
		case <-c.Context().Done():
			return
		}
	}
}

func (c *connection) deliver(m *server.Message) error {
	encoded, err := m.Bytes(c.Codec())
	if err != nil {
		return err
	}
	decoded, _, err := c.Codec().Next(encoded)
	if err != nil {
		return err
	}
	inv, ok := decoded.(*protocol.Invocation)
	if !ok {
		return fmt.Errorf("peer: a %T cannot be delivered", decoded)
	}
	args := make([]any, len(inv.RawArguments))
	for i, raw := range inv.RawArguments {
		if args[i], err = value(raw); err != nil {
			return err
		}
	}
	return c.SendInvocation(inv.InvocationID, inv.Target, args)
}

// value reads JSON so that both protocols can write it: whole numbers stay whole.
func value(raw []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	return plain(v), nil
}

func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // as far as it goes
		return f
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}

// OnConnected implements signalr.HubLifetimeManager.
func (m *Manager) OnConnected(conn signalr.HubConnection) {
	c := &connection{HubConnection: conn, messages: make(chan *server.Message, queue), log: m.log}
	m.mu.Lock()
	m.connections[c.ID()] = c
	m.mu.Unlock()
	go c.write() // ends with the connection
	m.report("connect", m.bus.Connected(conn.Context(), c))
}

// OnDisconnected implements signalr.HubLifetimeManager.
func (m *Manager) OnDisconnected(conn signalr.HubConnection) {
	m.mu.Lock()
	c := m.connections[conn.ConnectionID()]
	delete(m.connections, conn.ConnectionID())
	m.mu.Unlock()
	if c != nil {
		m.bus.Disconnected(c)
	}
}

// InvokeAll implements signalr.HubLifetimeManager.
func (m *Manager) InvokeAll(target string, args []any) {
	m.report("send to all", m.bus.Send(context.Background(), server.Audience{}, message(target, args)))
}

// InvokeClient implements signalr.HubLifetimeManager.
func (m *Manager) InvokeClient(connectionID, target string, args []any) {
	m.report("send to a client", m.bus.Send(context.Background(), server.Audience{Kind: server.ToConnections, Names: []string{connectionID}}, message(target, args)))
}

// InvokeGroup implements signalr.HubLifetimeManager.
func (m *Manager) InvokeGroup(group, target string, args []any) {
	m.report("send to a group", m.bus.Send(context.Background(), server.Audience{Kind: server.ToGroups, Names: []string{group}}, message(target, args)))
}

// AddToGroup implements signalr.HubLifetimeManager. The connection may be on
// any node; when it returns, the join holds, unless the log says otherwise.
func (m *Manager) AddToGroup(group, connectionID string) {
	m.report("add to group", m.bus.AddToGroup(context.Background(), connectionID, group))
}

// RemoveFromGroup implements signalr.HubLifetimeManager; see AddToGroup.
func (m *Manager) RemoveFromGroup(group, connectionID string) {
	m.report("remove from group", m.bus.RemoveFromGroup(context.Background(), connectionID, group))
}

func (m *Manager) report(what string, err error) {
	if err != nil {
		m.log.Error("backplane: "+what, "error", err)
	}
}

func message(target string, args []any) *server.Message {
	if args == nil {
		args = []any{}
	}
	return server.NewMessage(&protocol.Invocation{Target: target, Arguments: args})
}
