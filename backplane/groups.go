package backplane

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/server"
)

// commandQueue bounds the group commands of other nodes that wait here. More are
// dropped with a line in the log; the node that has sent one gets no ack, and its
// caller ErrNoAck after its AckTimeout.
const commandQueue = 4096

// AddToGroup implements server.LifetimeManager. For a connection of another
// node it waits until that node has joined; ErrNoAck says that none answered.
func (r *Redis) AddToGroup(ctx context.Context, id, group string) error {
	if c := r.local(id); c != nil {
		return r.addLocal(ctx, c, group)
	}
	return r.command(ctx, wire.ActionAdd, id, group)
}

// RemoveFromGroup implements server.LifetimeManager; see AddToGroup.
func (r *Redis) RemoveFromGroup(ctx context.Context, id, group string) error {
	if c := r.local(id); c != nil {
		return r.removeLocal(ctx, c, group)
	}
	return r.command(ctx, wire.ActionRemove, id, group)
}

// GroupsOf implements server.GroupLister.
func (r *Redis) GroupsOf(connectionID string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.connections[connectionID]
	if c == nil {
		return nil
	}
	return slices.Collect(maps.Keys(c.groups))
}

func (r *Redis) addLocal(ctx context.Context, c *connection, group string) error {
	if c.Context().Err() != nil {
		return nil
	}
	r.mu.Lock()
	if _, member := c.groups[group]; !member {
		if err := server.CheckJoin(c.Receiver, group, len(c.groups)+len(c.joining)); err != nil {
			r.mu.Unlock()
			return err
		}
	}
	c.joining = append(c.joining, group)
	number := r.changing(c, group, false)
	r.mu.Unlock()
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	channel := r.channels.Group(group)
	err := r.join(ctx, channel, c, group)
	r.mu.Lock()
	for err == nil && r.connections[c.ID()] == c {
		s, added := r.enterLocked(channel, c.Receiver)
		if !added {
			break
		}
		r.mu.Unlock() // a Remove came in between, which counts as the one before
		err = r.await(ctx, s, false)
		r.mu.Lock()
	}
	i := slices.Index(c.joining, group)
	if c.joining = slices.Delete(c.joining, i, i+1); len(c.joining) == 0 {
		c.joining = nil
	}
	gone := r.connections[c.ID()] != c
	if _, member := c.groups[group]; err != nil && (gone || !member && !slices.Contains(c.joining, group)) {
		r.leaveLocked(channel, c.ID()) // no other join has made it a member, or may
	}
	if err == nil && !gone {
		c.groups[group] = struct{}{}
		if c.kept != nil {
			delete(c.kept.granted, group) // from now on it is the connection's own
		}
	}
	if number > 0 {
		r.changedLocked(c, group, number, err == nil || errors.Is(err, server.ErrTooManyGroups)) // that changes nothing
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	r.present(c, group, true)
	if gone { // it has disconnected meanwhile, without this group in its list
		r.leave(channel, c.ID())
	}
	return nil
}

// removeLocal ends a membership at once. An error is of the session, which may
// bring the connection back into the group until Redis was told.
func (r *Redis) removeLocal(ctx context.Context, c *connection, group string) error {
	r.mu.Lock()
	_, member := c.groups[group]
	if member = member && r.connections[c.ID()] == c; member {
		delete(c.groups, group)
		if c.kept != nil {
			delete(c.kept.granted, group)
		}
	}
	number := r.changing(c, group, true)
	r.mu.Unlock()
	if member {
		r.leave(r.channels.Group(group), c.ID())
		r.present(c, group, true)
	}
	if number == 0 {
		return nil
	}
	return r.saveLeave(ctx, c, group, number)
}

// command sends a group command to the node that owns a connection, and waits
// for its ack.
func (r *Redis) command(ctx context.Context, action uint8, id, group string) error {
	ack := r.expectAcks() // before the command is published: the ack may be quick
	defer r.forgetAcks(ack)
	r.wantAcks(ack, 1)
	r.observeForwarded(ForwardedGroup)
	payload := wire.AppendGroupCommand(nil, wire.GroupCommand{ID: ack.id, Server: r.opts.ServerName, Action: action, Group: group, ConnectionID: id})
	if _, err := r.publish(ctx, r.channels.Groups(), payload); err != nil {
		return err
	}
	return r.awaitAcks(ctx, ack)
}

// runGroupCommands executes the commands of all nodes, in their order, for the
// connections of this one. It acknowledges a join once that is confirmed, not
// before, and, as ASP.NET Core does, also a command that changed nothing, even
// an unknown action. Commands for connections of other nodes are not
// acknowledged here.
func (r *Redis) runGroupCommands() {
	for {
		var command wire.GroupCommand
		select {
		case command = <-r.commands:
		case <-r.ctx.Done():
			return
		}
		_ = r.guard("a group command", func() error { r.runCommand(command); return nil })
	}
}

func (r *Redis) runCommand(command wire.GroupCommand) {
	c := r.local(command.ConnectionID)
	if c == nil {
		return
	}
	var err error
	switch command.Action {
	case wire.ActionAdd:
		err = r.addLocal(r.ctx, c, command.Group)
	case wire.ActionRemove:
		err = r.removeLocal(r.ctx, c, command.Group)
	}
	if err != nil {
		r.drop(slog.LevelWarn, "group command of another node failed", "from", command.Server, "error", err)
		return
	}
	r.post(r.channels.Ack(command.Server), wire.AppendAck(nil, command.ID))
}
