package backplane

import (
	"strings"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/server"
)

// route handles one message from Redis. It never waits. A payload that cannot
// be read is dropped; the subscription lives on.
func (r *Redis) route(channel string, payload []byte) {
	var err error
	switch channel {
	case r.channels.Groups():
		var c wire.GroupCommand
		if c, err = wire.ReadGroupCommand(payload); err == nil {
			select {
			case r.commands <- c:
			default:
				r.stats.dropped.Add(1)
				r.log.Error("group command dropped: too many wait", "from", c.Server, "limit", commandQueue)
			}
		}
	case r.channels.Ack(r.opts.ServerName):
		var id int32
		if id, err = wire.ReadAck(payload); err == nil {
			r.acknowledged(id)
		}
	case r.channels.Physical(r.channels.Return(r.opts.ServerName)):
		var answer wire.Blob
		if answer, err = wire.ReadCompletion(payload); err == nil {
			err = r.answered(answer)
		}
	default:
		err = r.deliver(channel, payload)
	}
	if err != nil {
		r.stats.dropped.Add(1)
		r.log.Warn("message from Redis dropped", "channel", channel, "error", err)
	}
}

// deliver hands an invocation to the members of its channel. Its blobs are not
// decoded: they go to the clients as they came.
func (r *Redis) deliver(channel string, payload []byte) error {
	r.mu.Lock()
	s := r.subscribed[channel]
	r.mu.Unlock()
	if s == nil {
		return nil // left meanwhile
	}
	m, err := wire.ReadInvocation(payload)
	if err != nil {
		return err
	}
	encoded := make([]server.Encoded, len(m.Blobs))
	for i, blob := range m.Blobs {
		encoded[i] = server.Encoded{Protocol: blob.Protocol, Bytes: blob.Bytes}
	}
	message := server.NewEncodedMessage(encoded...)
	one := strings.HasPrefix(channel, r.channels.Connection(""))
	switch {
	case one && m.InvocationID != "":
		r.ask(strings.TrimPrefix(channel, r.channels.Connection("")), m, message)
	case channel == r.channels.All(), strings.HasPrefix(channel, r.channels.Group("")):
		s.send(message, m.Excluded)
	default:
		s.send(message, nil)
	}
	return nil
}
