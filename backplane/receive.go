package backplane

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/server"
)

// mostEncodings is how many protocols one message comes in at most. Nodes have
// two or three.
const mostEncodings = 64

// route handles one message from Redis. It never waits. A payload that cannot
// be read, or makes its reader panic, is dropped; the subscription lives on.
func (r *Redis) route(channel string, payload []byte) {
	err := r.guard("a message from Redis", func() error { return r.handle(channel, payload) })
	if err != nil {
		r.drop(slog.LevelWarn, "message from Redis dropped", "channel", channel, "error", err)
	}
}

// drop counts a lost message and logs it: at most once a second, since a peer
// may go on and on.
func (r *Redis) drop(level slog.Level, text string, args ...any) {
	r.stats.dropped.Add(1)
	if before, now := r.dropLogged.Load(), time.Now().UnixNano(); now-before >= int64(time.Second) && r.dropLogged.CompareAndSwap(before, now) {
		r.log.Log(context.Background(), level, text, append(args, "dropped", r.stats.dropped.Load())...)
	}
}

func (r *Redis) handle(channel string, payload []byte) error {
	if r.fleet != nil && r.fleet.Hears(channel) {
		r.fleet.Receive(channel, payload)
		return nil
	}
	if r.bus != nil {
		return r.bus.heard(channel, payload)
	}
	switch channel {
	case r.channels.Groups():
		c, err := wire.ReadGroupCommand(payload)
		if err != nil {
			return err
		}
		select {
		case r.commands <- c:
		default:
			r.drop(slog.LevelError, "group command dropped: too many wait", "from", c.Server, "limit", commandQueue)
		}
		return nil
	case r.channels.Ack(r.opts.ServerName):
		id, err := wire.ReadAck(payload)
		if err == nil {
			r.acknowledged(id)
		}
		return err
	case r.channels.Physical(r.channels.Return(r.opts.ServerName)):
		result, err := wire.ReadCompletion(payload)
		if err != nil {
			return err
		}
		return r.resultCame(result)
	}
	if s := r.sessions.Load(); s != nil && channel == s.channel {
		return r.heardOfUser(s, payload)
	}
	if p := r.presence; p != nil {
		switch channel {
		case p.events:
			return r.heardOfPresence(payload)
		case p.control:
			return r.heardToClose(p, payload)
		}
	}
	return r.deliver(channel, payload)
}

// deliver hands an invocation to the members of its channel. Its encodings are not
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
	if len(m.Encodings) > mostEncodings {
		return fmt.Errorf("message in %d protocols, the limit is %d", len(m.Encodings), mostEncodings)
	}
	encoded := make([]server.Encoded, len(m.Encodings))
	for i, encoding := range m.Encodings {
		encoded[i] = server.Encoded{Protocol: encoding.Protocol, Bytes: encoding.Bytes}
	}
	message := server.NewEncodedMessage(encoded...)
	r.waiting.tell(message, channel, payload)
	one := strings.HasPrefix(channel, r.channels.Connection(""))
	switch {
	case one && m.InvocationID != "":
		return r.invokeForPeer(strings.TrimPrefix(channel, r.channels.Connection("")), m, message)
	case channel == r.channels.All(), strings.HasPrefix(channel, r.channels.Group("")):
		s.send(message, m.Excluded)
	default:
		s.send(message, nil)
	}
	r.observeDelivered(m.Extension)
	return nil
}
