package server

import (
	"context"
	"fmt"
	"reflect"

	"github.com/hubwire/hubwire/protocol"
)

// A ClientProxy sends to the clients that it addresses. It is safe for
// concurrent use.
type ClientProxy interface {
	// Send calls the method target of the clients without waiting for them. It
	// returns once the message is on its way: clients that are gone or slow are
	// no error. Messages that one goroutine sends to one target arrive in their
	// order. After Hub.Shutdown it returns ErrShutdown.
	//
	// An argument that cannot be encoded in every protocol of the hub is an
	// error, and nothing is sent, whichever clients are connected. Arguments
	// whose types do not show that they can be (those with methods, interfaces
	// or floats inside) are therefore encoded once in each protocol, however
	// many clients there are; a hub whose Options.Protocols has only one saves
	// that.
	Send(ctx context.Context, target string, args ...any) error

	// Waiting returns a proxy to the same clients whose sends are held back,
	// for senders that never stop: Send returns when the clients of this node
	// that were behind (EndpointOptions.TransportMaxBufferSize) have caught up
	// to half of that, or ctx is done, whose error it then returns; the message
	// is on its way in any case. It never waits for a client that makes no
	// progress: nothing was written to it for a second or two. Without a
	// deadline in ctx the slowest client that still reads sets the pace.
	Waiting() ClientProxy
}

// A SingleClient is a ClientProxy of exactly one connection. Only such a client
// can be asked for a result.
type SingleClient interface {
	ClientProxy

	// Invoke calls the method target of the client, and decodes what it answers
	// into what result points to; a nil result drops it. The function Invoke
	// returns the value instead, and says which errors there are.
	Invoke(ctx context.Context, result any, target string, args ...any) error
}

// Invoke calls the method target of one client and returns what it answers. It
// waits until ctx is done; with a backplane, for a client of another node, at
// most backplane.Options.ClientResultTimeout. Errors: *ConnectionError if
// the connection does not exist or ends, *HubError for the client's error, an
// answer that does not fit T, or a ctx that was done first,
// ErrTooManyClientResults, ErrNoClientResults, and after Hub.Shutdown
// ErrShutdown.
//
// In a hub method the call's permit is given back, so that the client may
// call the hub before it answers. Not in OnConnected, nor in the Authorize of a
// method that streams: it is an error there, as the client is not read.
func Invoke[T any](ctx context.Context, client SingleClient, target string, args ...any) (T, error) {
	var value T
	err := client.Invoke(ctx, &value, target, args...)
	return value, err
}

// Clients addresses the clients of a hub, on this node and, with a backplane,
// on all others.
type Clients struct{ manager *hubManager }

// All addresses every client.
func (c Clients) All() ClientProxy { return c.AllExcept() }

// AllExcept addresses every client but those with the given connection ids.
func (c Clients) AllExcept(connectionIDs ...string) ClientProxy {
	return &proxy{manager: c.manager, to: Audience{Except: connectionIDs}}
}

// Client addresses one connection. Unknown ids are no error when sending.
func (c Clients) Client(connectionID string) SingleClient {
	return c.one(ToConnections, connectionID)
}

// Clients addresses several connections.
func (c Clients) Clients(connectionIDs ...string) ClientProxy {
	return &proxy{manager: c.manager, to: Audience{Kind: ToConnections, Names: connectionIDs}}
}

// Group addresses the members of a group.
func (c Clients) Group(name string) ClientProxy { return c.one(ToGroups, name) }

// GroupExcept addresses the members of a group but those with the given
// connection ids.
func (c Clients) GroupExcept(name string, connectionIDs ...string) ClientProxy {
	p := c.one(ToGroups, name)
	p.to.Except = connectionIDs
	return p
}

// Groups addresses the members of several groups. A member of two of them gets
// the message twice.
func (c Clients) Groups(names ...string) ClientProxy {
	if len(names) == 1 && names[0] == "" {
		names = []string{"", ""} // an empty name of a list, not the group of that name
	}
	return &proxy{manager: c.manager, to: Audience{Kind: ToGroups, Names: names}}
}

// User addresses every connection of a user.
func (c Clients) User(id string) ClientProxy { return c.one(ToUsers, id) }

// Users addresses every connection of several users.
func (c Clients) Users(ids ...string) ClientProxy {
	return &proxy{manager: c.manager, to: Audience{Kind: ToUsers, Names: ids}}
}

// one addresses a single name.
func (c Clients) one(kind AudienceKind, name string) *proxy {
	return &proxy{manager: c.manager, to: Audience{Kind: kind}, name: name, single: true}
}

// CallClients is Clients as seen from a hub call, which has a caller. It has all
// methods of Clients.
type CallClients struct {
	fromOutside
	call *Call
}

// fromOutside is Clients by a name that hides none of its methods.
type fromOutside = Clients

// Caller addresses the client that made the call. A send waits while more than
// EndpointOptions.TransportMaxBufferSize bytes are on their way to it.
func (c CallClients) Caller() SingleClient {
	p := c.one(ToConnections, c.call.ConnectionID())
	p.call, p.caller = c.call.inv, true
	return p
}

// Client addresses one connection. Unknown ids are no error when sending.
func (c CallClients) Client(connectionID string) SingleClient {
	p := c.one(ToConnections, connectionID)
	p.call = c.call.inv
	return p
}

// Others addresses every client but the caller.
func (c CallClients) Others() ClientProxy { return c.AllExcept(c.call.ConnectionID()) }

// OthersInGroup addresses the members of a group but the caller.
func (c CallClients) OthersInGroup(name string) ClientProxy {
	return c.GroupExcept(name, c.call.ConnectionID())
}

// A proxy is every ClientProxy and SingleClient of this package.
type proxy struct {
	manager *hubManager
	to      Audience
	name    string      // in place of to.Names
	single  bool        // there is name
	call    *invocation // of a SingleClient, in a hub call
	caller  bool        // it is the caller of call
	waiting bool
}

func (p *proxy) Send(ctx context.Context, target string, args ...any) (err error) {
	m := newSend(target, arguments(args))
	if err := p.manager.ready(m); err != nil {
		return err
	}
	if p.waiting {
		m.behind = &behind{}
		defer func() {
			if err == nil {
				err = m.behind.wait(ctx)
			}
		}()
	}
	if p.caller && !p.manager.remote { // else what the call sends to others would overtake it
		return p.call.sendCaller(ctx, m)
	}
	to := p.to
	if p.single { // the list is part of m, which is on the heap anyway
		m.names[0] = p.name
		to.Names = m.names[:]
	}
	defer catch(&err) // the manager may be the application's
	return p.manager.own.Send(ctx, to, m)
}

func (p *proxy) Waiting() ClientProxy {
	waiting := *p
	waiting.waiting = true
	return &waiting
}

func (p *proxy) Invoke(ctx context.Context, result any, target string, args ...any) error {
	t := reflect.TypeOf(result)
	if t != nil && t.Kind() != reflect.Pointer {
		return fmt.Errorf("server: the result of Invoke is a %T, must be a pointer", result)
	}
	if p.call != nil {
		if err := p.call.beforeClientResult(); err != nil {
			return err
		}
	}
	answer, err := p.manager.InvokeConnection(ctx, p.name, &protocol.Invocation{Target: target, Arguments: arguments(args)})
	if err != nil || result == nil {
		return err
	}
	if err := unmarshal(answer.Codec, answer.Value, result); err != nil {
		return NewHubError("Error trying to deserialize result to %s. %s", typeName(t.Elem()), describe(err).text)
	}
	return nil
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
