package server

import (
	"errors"
	"fmt"
)

// Errors of what a connection may have only so many of.
var (
	// ErrTooManyGroups is returned by Groups.Add for a connection that is in
	// Options.MaximumGroupsPerClient groups.
	ErrTooManyGroups = errors.New("server: the connection is in too many groups")
	// ErrGroupNameTooLong is returned by Groups.Add for a name of more than
	// Options.MaximumGroupNameLength bytes.
	ErrGroupNameTooLong = errors.New("server: the group name is too long")
	// ErrTooManyClientResults is returned by Invoke for a client that has not
	// answered Options.MaximumClientResultsPerClient calls.
	ErrTooManyClientResults = errors.New("server: the client has too many calls to answer")
)

// CheckJoin is for LifetimeManagers: it returns ErrGroupNameTooLong, or
// ErrTooManyGroups if c, which is in joined groups, may not join another one.
// Connections that are not those of a hub of this process have no bound.
func CheckJoin(c Receiver, group string, joined int) error {
	own, ok := c.(*connection)
	switch {
	case ok && len(group) > own.hub.opts.MaximumGroupNameLength:
		return ErrGroupNameTooLong
	case ok && joined >= own.hub.opts.MaximumGroupsPerClient:
		return ErrTooManyGroups
	}
	return nil
}

// CheckClientResult is for LifetimeManagers: it returns ErrTooManyClientResults
// if c, which has pending calls to answer, may not be asked for another result.
// Connections that are not those of a hub of this process have no bound.
func CheckClientResult(c Receiver, pending int) error {
	if c, ok := c.(*connection); ok && pending >= c.hub.opts.MaximumClientResultsPerClient {
		return ErrTooManyClientResults
	}
	return nil
}

// Texts of calls that are refused because the client has too many. ASP.NET Core
// has no such bounds; the form is that of its other refusals.
const (
	tooManyStreams = "Failed to invoke '%s' due to an error on the server. HubException: The client has too many open streams."
	tooManyCalls   = "Failed to invoke '%s' due to an error on the server. HubException: The client has too many calls that have not been answered."
)

// settle gives back what the call counts for in the bounds of its connection, and
// its ids: the client may use them again as soon as it has the answer.
func (inv *invocation) settle() {
	if inv.cancelable.Load() {
		inv.conn.freeID(inv)
	}
	inv.conn.closeUploads(inv)
	if inv.permit.Load() == permitReturned && inv.permit.CompareAndSwap(permitReturned, noPermit) { // to look costs nothing
		inv.conn.waiting.Add(-1)
	}
	if inv.rare != nil && inv.rare.streams > 0 {
		inv.conn.mu.Lock()
		inv.conn.streams -= int32(inv.rare.streams)
		inv.conn.mu.Unlock()
		inv.rare.streams = 0
	}
}

// reserveStreams counts the streams that inv is about to open, until it is
// over, or says why it may not.
func (c *connection) reserveStreams(inv *invocation, uploads int) (refusal string) {
	n := uploads
	if inv.streaming {
		n++
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > c.hub.opts.MaximumStreamsPerClient-int(c.streams) {
		return fmt.Sprintf(tooManyStreams, inv.method.name)
	}
	c.streams += int32(n)
	inv.rare.streams = n
	return ""
}
