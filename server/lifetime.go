package server

import (
	"context"

	"github.com/hubwire/hubwire/protocol"
)

// A LifetimeManager knows the connections of one hub and their groups, and
// delivers messages to them: NewLifetimeManager to those of this process, a
// backplane to those of every node. Its contract is the test suite in package
// lifetimetest. All methods are safe for concurrent use.
//
// Sends return once the message is on its way, not once it has arrived: a
// receiver that is unknown, gone or slow is no error. Messages sent one after
// the other by one goroutine to the same target reach each receiver in that
// order. A message that cannot be encoded is an error, and nobody gets it.
type LifetimeManager interface {
	// Connected makes c known, after its handshake and before the hub's
	// OnConnected. An error ends the connection.
	Connected(ctx context.Context, c Receiver) error

	// Disconnected forgets c, its groups and what it was asked. It is called
	// once for every c that Connected was called with, even if that failed.
	Disconnected(c Receiver)

	// SendAll delivers m to every connection but those in except.
	SendAll(ctx context.Context, m *Message, except []string) error

	// SendConnection delivers m to one connection.
	SendConnection(ctx context.Context, connectionID string, m *Message) error

	// SendConnections delivers m to each of several connections.
	SendConnections(ctx context.Context, connectionIDs []string, m *Message) error

	// SendGroup delivers m to the members of group but those in except. Group
	// names are compared byte by byte.
	SendGroup(ctx context.Context, group string, m *Message, except []string) error

	// SendGroups delivers m group by group: a member of two of them gets it
	// twice, as in ASP.NET Core. As there, an empty name is an error in one
	// process and is skipped by a backplane.
	SendGroups(ctx context.Context, groups []string, m *Message) error

	// SendUsers delivers m to every connection of each user. Empty names are
	// skipped where there are several.
	SendUsers(ctx context.Context, userIDs []string, m *Message) error

	// AddToGroup makes the connection a member of group. When it returns nil,
	// a later send to the group by the caller reaches the connection. Adding
	// twice has no further effect. Unknown connections are no error in
	// process; across nodes nobody answers for them, see the implementation.
	// For a connection of this process it returns what CheckJoin does.
	AddToGroup(ctx context.Context, connectionID, group string) error

	// RemoveFromGroup ends a membership; to remove what is no member is no error.
	RemoveFromGroup(ctx context.Context, connectionID, group string) error

	// InvokeConnection asks the client of one connection for a result and
	// waits for it. It sets inv.InvocationID. For a connection of this process it
	// returns what CheckClientResult does. Other errors: *ConnectionError where
	// there is no such connection, or none any more; *HubError for the
	// client's own error, and for a ctx that is done before the answer came.
	InvokeConnection(ctx context.Context, connectionID string, inv *protocol.Invocation) (ClientResult, error)

	// SetResult hands over a completion that c sent. It reports false if
	// nobody waits for that id. An error means that c was not the one asked;
	// it ends c, and the call goes on waiting. The completion's raw values are
	// copied if they are kept.
	SetResult(c Receiver, completion *protocol.Completion) (known bool, err error)
}

// A Receiver is a connection as its LifetimeManager sees it.
type Receiver interface {
	// ID is the public connection id.
	ID() string
	// UserID is empty for anonymous users.
	UserID() string
	// Codec is the hub protocol that the client chose.
	Codec() protocol.Codec
	// Send queues m for the client and never waits. An error means that this
	// connection has ended, or is being ended because it cannot take m; others
	// are not affected.
	Send(m *Message) error
	// Context is done when the connection ends.
	Context() context.Context
}

// A ClientResult is what a client answered, not yet decoded.
type ClientResult struct {
	Codec protocol.Codec
	Value protocol.Raw
}
