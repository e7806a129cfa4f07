package server

import (
	"context"
	"fmt"
	"reflect"

	"github.com/hubwire/hubwire/protocol"
)

// Clients addresses the clients of a hub, on this node and, with a backplane,
// on all others.
type Clients struct{ manager LifetimeManager }

// All addresses every client.
func (c Clients) All() ClientProxy { return c.AllExcept() }

// AllExcept addresses every client but those with the given connection ids.
func (c Clients) AllExcept(connectionIDs ...string) ClientProxy {
	return proxy(func(ctx context.Context, m *Message) error { return c.manager.SendAll(ctx, m, connectionIDs) })
}

// Client addresses one connection. Unknown ids are no error when sending.
func (c Clients) Client(connectionID string) SingleClient {
	return SingleClient{
		ClientProxy: proxy(func(ctx context.Context, m *Message) error {
			return c.manager.SendConnection(ctx, connectionID, m)
		}),
		manager: c.manager,
		id:      connectionID,
	}
}

// Clients addresses several connections.
func (c Clients) Clients(connectionIDs ...string) ClientProxy {
	return proxy(func(ctx context.Context, m *Message) error {
		return c.manager.SendConnections(ctx, connectionIDs, m)
	})
}

// Group addresses the members of a group.
func (c Clients) Group(name string) ClientProxy { return c.GroupExcept(name) }

// GroupExcept addresses the members of a group but those with the given
// connection ids.
func (c Clients) GroupExcept(name string, connectionIDs ...string) ClientProxy {
	return proxy(func(ctx context.Context, m *Message) error {
		return c.manager.SendGroup(ctx, name, m, connectionIDs)
	})
}

// Groups addresses the members of several groups. Who is in two of them gets
// the message twice.
func (c Clients) Groups(names ...string) ClientProxy {
	return proxy(func(ctx context.Context, m *Message) error { return c.manager.SendGroups(ctx, names, m) })
}

// User addresses every connection of a user.
func (c Clients) User(id string) ClientProxy { return c.Users(id) }

// Users addresses every connection of several users.
func (c Clients) Users(ids ...string) ClientProxy {
	return proxy(func(ctx context.Context, m *Message) error { return c.manager.SendUsers(ctx, ids, m) })
}

// CallClients is Clients as seen from a hub call, which has a caller.
type CallClients struct {
	Clients
	call *Call
}

// Caller addresses the client that made the call. A send waits while more than
// EndpointOptions.TransportMaxBufferSize bytes are on their way to it.
func (c CallClients) Caller() SingleClient {
	client := c.Client(c.call.ConnectionID())
	client.send = c.call.inv.sendCaller
	return client
}

// Client addresses one connection. Unknown ids are no error when sending.
func (c CallClients) Client(connectionID string) SingleClient {
	client := c.Clients.Client(connectionID)
	client.call = c.call
	return client
}

// Others addresses every client but the caller.
func (c CallClients) Others() ClientProxy { return c.AllExcept(c.call.ConnectionID()) }

// OthersInGroup addresses the members of a group but the caller.
func (c CallClients) OthersInGroup(name string) ClientProxy {
	return c.GroupExcept(name, c.call.ConnectionID())
}

// A ClientProxy sends to the clients that it addresses.
type ClientProxy struct {
	send func(context.Context, *Message) error
}

func proxy(send func(context.Context, *Message) error) ClientProxy { return ClientProxy{send} }

// Send calls the method target of the clients without waiting for them. It
// returns once the message is on its way: clients that are gone or slow are no
// error. Messages that one goroutine sends to one target arrive in their
// order. After Hub.Shutdown it returns ErrShutdown.
//
// An argument that cannot be encoded in every protocol of the hub is an error,
// and nothing is sent, whoever listens. Arguments whose types do not tell that
// they can be (those with methods, interfaces or floats inside) are therefore
// encoded once in each protocol, however many clients there are; a hub whose
// Options.Protocols has only one saves that.
func (p ClientProxy) Send(ctx context.Context, target string, args ...any) error {
	return p.send(ctx, NewMessage(&protocol.Invocation{Target: target, Arguments: arguments(args)}))
}

// A SingleClient is a ClientProxy of exactly one connection. Only such a client
// can be asked for a result; see Invoke.
type SingleClient struct {
	ClientProxy
	manager LifetimeManager
	id      string
	call    *Call // nil: not from a hub call
}

// Invoke calls the method target of one client and returns what it answers. It
// waits without limit: use a ctx with a deadline. Errors: *ConnectionError if
// the connection does not exist or ends, *HubError for the client's error, an
// answer that does not fit T, or a ctx that was done first.
//
// In a hub method the call's permit is given back, so that the client may
// call the hub before it answers. Not in OnConnected.
func Invoke[T any](ctx context.Context, client SingleClient, target string, args ...any) (T, error) {
	var value T
	if client.call != nil {
		if err := client.call.inv.beforeClientResult(); err != nil {
			return value, err
		}
	}
	result, err := client.manager.InvokeConnection(ctx, client.id, &protocol.Invocation{Target: target, Arguments: arguments(args)})
	if err != nil {
		return value, err
	}
	if err := unmarshal(result.Codec, result.Value, &value); err != nil {
		return value, NewHubError("Error trying to deserialize result to %s. %s", typeName(reflect.TypeFor[T]()), describe(err).text)
	}
	return value, nil
}

// arguments makes sure that the encoders see a list, however short.
func arguments(args []any) []any {
	if args == nil {
		return []any{}
	}
	return args
}

// typeName names a Go type as .NET would, where there is such a name.
func typeName(t reflect.Type) string {
	names := map[reflect.Kind]string{
		reflect.Bool: "Boolean", reflect.Int8: "SByte", reflect.Int16: "Int16", reflect.Int32: "Int32",
		reflect.Int: "Int32", reflect.Int64: "Int64", reflect.Uint8: "Byte", reflect.Uint16: "UInt16",
		reflect.Uint32: "UInt32", reflect.Uint64: "UInt64", reflect.Uint: "UInt32",
		reflect.Float32: "Single", reflect.Float64: "Double", reflect.String: "String",
	}
	if name, ok := names[t.Kind()]; ok && t.PkgPath() == "" {
		return name
	}
	if t.Name() != "" {
		return t.Name()
	}
	return fmt.Sprint(t)
}
