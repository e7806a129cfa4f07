package server

import (
	"context"
	"sync/atomic"

	"github.com/hubwire/hubwire/protocol"
)

// A hubManager is the LifetimeManager of a hub as the hub calls it: a panic in
// one of its methods is an error, and once the hub is shut down every method
// that sends or changes groups returns ErrShutdown.
type hubManager struct {
	own      LifetimeManager
	codecs   []protocol.Codec // of the hub, in the order of Options.Protocols
	standard bool             // they are those of package protocol
	down     atomic.Bool      // Shutdown has returned
}

// do calls a method that is of no use after Shutdown.
func (m *hubManager) do(f func() error) error {
	if m.down.Load() {
		return ErrShutdown
	}
	return guard(f)
}

// send calls a method that sends msg.
func (m *hubManager) send(msg *Message, f func() error) error {
	if err := m.ready(msg); err != nil {
		return err
	}
	return guard(f)
}

// ready says why msg cannot be sent, to nobody.
func (m *hubManager) ready(msg *Message) error {
	if m.down.Load() {
		return ErrShutdown
	}
	return m.encodable(msg)
}

func (m *hubManager) Connected(ctx context.Context, c Receiver) error {
	return guard(func() error { return m.own.Connected(ctx, c) })
}

// Disconnected implements LifetimeManager; see disconnected.
func (m *hubManager) Disconnected(c Receiver) { _ = m.disconnected(c) }

// disconnected is Disconnected that reports a panic.
func (m *hubManager) disconnected(c Receiver) error {
	return guard(func() error {
		m.own.Disconnected(c)
		return nil
	})
}

func (m *hubManager) SendAll(ctx context.Context, msg *Message, except []string) error {
	return m.send(msg, func() error { return m.own.SendAll(ctx, msg, except) })
}

func (m *hubManager) SendConnection(ctx context.Context, connectionID string, msg *Message) error {
	return m.send(msg, func() error { return m.own.SendConnection(ctx, connectionID, msg) })
}

func (m *hubManager) SendConnections(ctx context.Context, connectionIDs []string, msg *Message) error {
	return m.send(msg, func() error { return m.own.SendConnections(ctx, connectionIDs, msg) })
}

func (m *hubManager) SendGroup(ctx context.Context, group string, msg *Message, except []string) error {
	return m.send(msg, func() error { return m.own.SendGroup(ctx, group, msg, except) })
}

func (m *hubManager) SendGroups(ctx context.Context, groups []string, msg *Message) error {
	return m.send(msg, func() error { return m.own.SendGroups(ctx, groups, msg) })
}

func (m *hubManager) SendUsers(ctx context.Context, userIDs []string, msg *Message) error {
	return m.send(msg, func() error { return m.own.SendUsers(ctx, userIDs, msg) })
}

func (m *hubManager) AddToGroup(ctx context.Context, connectionID, group string) error {
	return m.do(func() error { return m.own.AddToGroup(ctx, connectionID, group) })
}

func (m *hubManager) RemoveFromGroup(ctx context.Context, connectionID, group string) error {
	return m.do(func() error { return m.own.RemoveFromGroup(ctx, connectionID, group) })
}

func (m *hubManager) InvokeConnection(ctx context.Context, connectionID string, inv *protocol.Invocation) (result ClientResult, err error) {
	err = m.do(func() (err error) {
		result, err = m.own.InvokeConnection(ctx, connectionID, inv)
		return err
	})
	return result, err
}

func (m *hubManager) SetResult(c Receiver, completion *protocol.Completion) (known bool, err error) {
	err = guard(func() (err error) {
		known, err = m.own.SetResult(c, completion)
		return err
	})
	return known, err
}
