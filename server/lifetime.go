package server

import (
	"context"

	"github.com/hubwire/hubwire/protocol"
)

// A LifetimeManager knows the connections of one hub and their groups, and
// delivers messages to them: NewLifetimeManager to those of this process, a
// backplane to those of every node. A manager that can also ask clients for
// results is a ResultRouter. The contract of both is the test suite in package
// lifetimetest. All methods are safe for concurrent use.
type LifetimeManager interface {
	// Connected makes c known, after its handshake has been accepted and before
	// the hub's OnConnected. The handshake is answered when it returns: what is
	// sent later reaches the client, what was sent before is dropped. An error
	// ends the connection.
	Connected(ctx context.Context, c Receiver) error

	// Disconnected forgets c, its groups and its pending invocations. It is
	// called once for every c that Connected was called with, even if that
	// failed.
	Disconnected(c Receiver)

	// Send delivers m to the connections that to addresses. It returns once the
	// message is on its way, not once it has arrived: a receiver that is
	// unknown, gone or slow is no error. Messages sent one after the other by
	// one goroutine to the same audience reach each receiver in that order. A
	// message that cannot be encoded is an error, and nobody gets it.
	Send(ctx context.Context, to Audience, m *Message) error

	// AddToGroup makes the connection a member of group. Names of groups are
	// compared byte by byte. When it returns nil, a later send to the group by
	// the caller reaches the connection. Adding twice has no further effect.
	// Unknown connections are no error in process; across nodes no node answers
	// for them, see the implementation. For a connection of this process it
	// returns what CheckJoin does.
	AddToGroup(ctx context.Context, connectionID, group string) error

	// RemoveFromGroup ends a membership; to remove what is no member is no error.
	RemoveFromGroup(ctx context.Context, connectionID, group string) error
}

// A ResultRouter is a LifetimeManager that can ask a client for a result and
// finds the pending invocation of an answer. In a hub whose manager is none,
// Invoke returns ErrNoClientResults. A manager that wraps another one keeps
// this by embedding both interfaces; see the example of LifetimeManager.
type ResultRouter interface {
	// InvokeConnection asks the client of one connection for a result and
	// waits for it. It sets inv.InvocationID. For a connection of this process it
	// returns what CheckClientResult does. Other errors: *ConnectionError where
	// there is no such connection, or none any more; *HubError for the
	// client's own error, and for a ctx that is done before the answer came.
	InvokeConnection(ctx context.Context, connectionID string, inv *protocol.Invocation) (ClientResult, error)

	// SetResult hands over a completion that c sent. It reports false if no
	// invocation with that id is pending. An error means that the invocation is
	// for another client than c; it ends c, and the call goes on waiting. The
	// completion's raw values are copied if they are kept.
	SetResult(c Receiver, completion *protocol.Completion) (known bool, err error)
}

// A GroupLister is a LifetimeManager that knows the groups of the connections
// of this process. With another one ConnectionInfo.Groups knows none. A manager
// that wraps another one keeps this by embedding the interface, too.
type GroupLister interface {
	// GroupsOf returns the groups that a connection of this process is in, in any
	// order; none where there is no such connection. It does not wait. The slice
	// is the caller's.
	GroupsOf(connectionID string) []string
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

// A ClientResult is what a client answered, not yet decoded: Unmarshal of Codec
// decodes Value.
type ClientResult struct {
	Codec protocol.Codec // the hub protocol that Value is encoded in
	Value protocol.Raw
}
