package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/hubwire/hubwire/internal/members"
	"github.com/hubwire/hubwire/internal/replay"
	"github.com/hubwire/hubwire/internal/transport"
)

// This file is the way of a message from a ClientProxy to the queue of each
// client: through the in-process LifetimeManager, which finds the connections,
// and through each connection, which has the message in the form of its protocol.

// sendTo delivers to every member of set but those in except. It encodes first: a
// message that cannot be encoded reaches nobody.
func sendTo(set *memberSet, m *Message, except []string) error {
	list, codecs := set.All()
	for _, codec := range codecs {
		if _, err := m.Bytes(codec); err != nil {
			return err
		}
	}
	if len(except) == 0 {
		for _, c := range list {
			_ = c.Send(m) // a client that is gone or too slow is no error of the send
		}
		return nil
	}
	excepted := members.Except(except)
	for _, c := range list {
		if !excepted(c.ID()) {
			_ = c.Send(m)
		}
	}
	return nil
}

// set returns the set name of sets, which is m.groups or m.users, or nil.
func (m *localManager) set(sets map[string]*memberSet, name string) *memberSet {
	m.mu.Lock()
	defer m.mu.Unlock()
	return sets[name]
}

func (m *localManager) Send(_ context.Context, to Audience, msg *Message) error {
	switch to.Kind {
	case ToAll:
		return sendTo(&m.all, msg, to.Except)
	case ToConnections:
		return m.sendConnections(to.Names, msg)
	case ToGroups:
		return m.sendGroups(to, msg)
	case ToUsers:
		return m.sendUsers(to.Names, msg)
	}
	return fmt.Errorf("server: send to an unknown audience: %v", to.Kind)
}

func (m *localManager) sendConnections(ids []string, msg *Message) error {
	if len(ids) == 1 {
		return m.sendConnection(ids[0], msg)
	}
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		if err := m.sendConnection(id, msg); err != nil {
			return err
		}
	}
	return nil
}

func (m *localManager) sendConnection(id string, msg *Message) error {
	c := m.all.Get(id)
	if c == nil {
		return nil
	}
	if _, err := msg.Bytes(c.Codec()); err != nil {
		return err
	}
	_ = c.Send(msg) // a client that is gone or too slow is no error of the send
	return nil
}

func (m *localManager) sendGroups(to Audience, msg *Message) error {
	for _, group := range to.Names {
		if group == "" && len(to.Names) > 1 {
			return NewHubError("Cannot send to an empty group name.")
		}
		if set := m.set(m.groups, group); set != nil {
			if err := sendTo(set, msg, to.Except); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *localManager) sendUsers(ids []string, msg *Message) error {
	for _, id := range ids {
		if set := m.set(m.users, id); set != nil {
			if err := sendTo(set, msg, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// Send implements Receiver.
func (c *connection) Send(m *Message) error {
	if c.drops() {
		return ErrConnectionClosed
	}
	frame, err := m.frame(c.codec)
	if err != nil {
		if errors.Is(err, errProtocolMissing) {
			c.hub.log.Error("message from another node lacks this connection's protocol", "connection", c.ID(), "protocol", c.codec.Name())
			c.end(ending{cause: err, allowReconnect: true})
		}
		return err
	}
	if err = c.queue().Send(frame); err != nil {
		return sendError(err)
	}
	if m.behind != nil && c.queue().WouldWait() {
		m.behind.add(c)
	}
	c.watch.sent(frame)
	return nil
}

// sendError translates errors of the transport.
func sendError(err error) error {
	switch {
	case errors.Is(err, transport.ErrTooSlow):
		return ErrTooSlow
	case errors.Is(err, transport.ErrClosed):
		return ErrConnectionClosed
	}
	return err
}

// sendWait is Send that waits while too much is on its way to the client.
func (c *connection) sendWait(ctx context.Context, m *Message) error {
	if c.drops() {
		return ErrConnectionClosed
	}
	frame, err := m.frame(c.codec)
	if err != nil {
		return err
	}
	return c.queueWait(ctx, frame)
}

// queueWait queues f once not too much is on its way to the client.
func (c *connection) queueWait(ctx context.Context, f transport.Frame) error {
	err := c.queue().SendWait(ctx, f)
	if err == nil {
		c.watch.sent(f)
		return nil
	}
	if errors.Is(err, replay.ErrNoAck) {
		c.end(ending{cause: err, allowReconnect: true})
	}
	return sendError(err)
}
