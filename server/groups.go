package server

import "context"

// Groups adds connections to groups and removes them. A group exists as long
// as it has members, on this node or another; names are compared byte by byte.
// Membership ends with the connection, unless Options.Sessions keeps it.
type Groups struct {
	manager *hubManager
	longest int // bytes of a name
}

// Add makes a connection, of any node, a member of group. When it returns nil,
// what the caller sends to the group from then on reaches the connection.
// Errors are ErrTooManyGroups, ErrGroupNameTooLong, and those of the
// LifetimeManager. With a backplane the bounds are kept by the connection's own
// node: for a connection of another node the error is that no node answers for
// it.
//
// A connection that does not exist is no error in one process. With a backplane
// Add and Remove then wait for an answer until ctx is done, or for
// backplane.Options.AckTimeout, 30 seconds, and return backplane.ErrNoAck.
func (g Groups) Add(ctx context.Context, connectionID, group string) error {
	if len(group) > g.longest {
		return ErrGroupNameTooLong
	}
	return g.manager.AddToGroup(ctx, connectionID, group)
}

// Remove ends a membership. A connection that is no member is no error; of one
// that does not exist see Add.
func (g Groups) Remove(ctx context.Context, connectionID, group string) error {
	return g.manager.RemoveFromGroup(ctx, connectionID, group)
}
