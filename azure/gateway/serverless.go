package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// Serverless mode: for clients the gateway itself takes the place of an app server's
// hub. It answers handshakes, pings, and times out; calls of clients become events.

// Times of a hub, as in ASP.NET Core.
const (
	keepAlive     = 15 * time.Second
	clientTimeout = 30 * time.Second
)

// Texts of a Close, as in ASP.NET Core without detailed errors.
const textClosedWithError = "Connection closed with an error."

// textUpstream refuses clients while too many events of others are pending.
const textUpstream = "The upstream of this hub is behind. Try again later."

// maxVersion is the newest version of the hub protocols.
const maxVersion = 2

// served is what a client has whose hub is the gateway.
type served struct {
	queue  eventQueue
	pinged atomic.Bool
	heard  atomic.Int64 // when something came last, in Unix nanoseconds
	held   atomic.Bool  // it is not read, so it cannot be heard

	lastPing time.Time // owned by Tick
}

// refusalOf is why a gateway without app servers refuses a handshake; empty if it
// does not.
func (c *client) refusalOf(req protocol.HandshakeRequest, codec protocol.Codec) string {
	switch codec.(type) {
	case protocol.JSON, protocol.MessagePack:
	default:
		return fmt.Sprintf("The protocol '%s' is not supported.", req.Protocol)
	}
	switch {
	case req.Version > maxVersion:
		return fmt.Sprintf("The server does not support version %d of the '%s' protocol.", req.Version, req.Protocol)
	case c.hub.g.hooks.full():
		return textUpstream
	}
	return ""
}

// welcome accepts the handshake of a client, and makes it one that sends reach.
func (h *hub) welcome(c *client) {
	now := time.Now()
	s := &served{lastPing: now}
	s.heard.Store(now.UnixNano())
	s.queue.client = c
	h.mu.Lock()
	c.mu.Lock()
	if !c.ended { // else its time was over just now
		c.served = s
		c.ready.Store(true)
		// Before anybody can find it, and while nobody can miss it.
		_ = c.conn.Queue(frameFor(c.codec, protocol.AppendHandshakeResponse(nil, "")))
		h.clients[c.conn.ID()] = c
		h.addLocked(c)
		h.g.counts.opened.Add(1)
		h.g.hooks.begin(&s.queue)
	}
	c.mu.Unlock()
	h.mu.Unlock()
	c.conn.Relieve()
	c.conn.Opened()
}

// receive takes bytes of a client whose hub is the gateway. It reports false once
// the client has ended.
func (c *client) receive(p []byte) bool {
	s := c.served
	if s == nil {
		return false // it ended in its handshake
	}
	s.heard.Store(time.Now().UnixNano())
	alive := true
	_, err := c.whole(p, func(m protocol.Message, _ []byte) bool {
		alive = c.dispatch(m)
		return alive
	})
	if err != nil {
		return c.fail(err.Error())
	}
	return alive
}

var errTooLong = errors.New("a message of the client is longer than MaximumClientMessage")

// whole calls each with the messages that are whole in what has come from the client, as
// long as it returns true, and keeps what is not. In an error rest is what it is about.
func (c *client) whole(p []byte, each func(m protocol.Message, raw []byte) bool) (rest []byte, err error) {
	most := c.hub.g.opts.MaximumClientMessage
	buf, kept := p, len(c.early) > 0
	if kept {
		buf = append(c.early, p...)
	}
	rest = buf
	for len(rest) > 0 {
		missing, _ := protocol.Missing(c.codec, rest, c.seen)
		if c.seen = 0; missing > 0 {
			if len(rest)+missing > most {
				return rest, errTooLong
			}
			c.seen = len(rest)
			break
		}
		m, after, err := c.codec.Next(rest)
		switch {
		case errors.Is(err, protocol.ErrIncomplete) && len(rest) < most:
		case errors.Is(err, protocol.ErrIncomplete):
			return rest, errTooLong
		case err != nil:
			return rest, err
		case len(rest)-len(after) > most:
			return rest, errTooLong
		}
		if err != nil {
			break
		}
		if !each(m, rest[:len(rest)-len(after)]) {
			return nil, nil
		}
		rest = after
	}
	switch {
	case len(rest) == 0:
		c.early = nil
	case kept && len(rest) == len(buf):
		c.early = buf
	default:
		c.early = bytes.Clone(rest)
	}
	return nil, nil
}

// fail ends a client that violates the protocol. It returns false.
func (c *client) fail(reason string) bool {
	c.hub.g.often.Info("client closed", "hub", c.hub.name, "connection", c.conn.ID(), "reason", reason)
	c.leave(textClosedWithError, true)
	return false
}

// dispatch does what a message says. It waits while too many events of the client
// wait, or while the client does not read.
func (c *client) dispatch(m protocol.Message) bool {
	switch m := m.(type) {
	case *protocol.Invocation:
		return c.call(m)
	case *protocol.StreamInvocation:
		c.failCall(m.InvocationID, textNoStreams)
	case *protocol.Completion:
		c.hub.answered(c, m)
	case *protocol.Ping:
		c.served.pinged.Store(true)
	case *protocol.Close:
		if c.end(m.Error, true) {
			c.conn.Finish()
		}
		return false
	}
	return true // nothing else means anything here
}

// call makes an event of a call.
func (c *client) call(m *protocol.Invocation) bool {
	e, ok := c.hub.g.hooks.newEvent(c.hub.name, categoryMessages, m.Target)
	e.invocationID = m.InvocationID
	text := ""
	switch {
	case m.ArgumentsErr != nil:
		text = textUnread
	case len(m.StreamIDs) > 0:
		text = textNoStreams
	case !ok:
		text = textNobody
	default:
		var err error
		if e.body, e.kind, err = bodyOf(c.codec, m); err != nil {
			text = textUnread
		}
	}
	if text != "" {
		c.failCall(m.InvocationID, text)
		return true
	}
	wait := func() {
		c.served.held.Store(true)
		c.beforeWait()
	}
	defer func() {
		c.served.heard.Store(time.Now().UnixNano())
		c.served.held.Store(false)
	}()
	if c.conn.WouldWait() {
		wait()
		if c.conn.AwaitSpace(until{c.hub.g.hooks.ctx, c.conn.Done()}) != nil {
			return false
		}
	}
	return c.hub.g.hooks.add(&c.served.queue, e, wait, c.conn.Done())
}

// completeCall answers a call with what its upstream has answered: a completion as
// it is, and nothing as a result without a value.
func (c *client) completeCall(id string, answer []byte, err error) {
	var failed *upstreamError
	switch {
	case errors.As(err, &failed):
		c.failCall(id, failed.text)
		return
	case len(answer) == 0:
		c.send(&protocol.Completion{InvocationID: id, Kind: protocol.ResultVoid})
		return
	}
	if !c.codec.Binary() && answer[len(answer)-1] != recordSeparator {
		answer = append(answer, recordSeparator) // calls have none, so answers may have none
	}
	m, rest, err := c.codec.Next(answer)
	if completion, ok := m.(*protocol.Completion); err != nil || !ok || len(rest) > 0 || completion.InvocationID != id {
		c.failCall(id, textNoResult)
		return
	}
	c.sendFrame(frameFor(c.codec, answer))
}

func (c *client) failCall(id, text string) {
	if id != "" {
		c.send(&protocol.Completion{InvocationID: id, Kind: protocol.ResultError, Error: text})
	}
}

func (c *client) send(m protocol.Message) {
	if b, err := c.codec.Append(transport.NewFrameBuffer(64), m); err == nil { // nothing of a user's is in it
		c.sendFrame(transport.BuildFrame(b, c.codec.Binary()))
	}
}

func (c *client) sendFrame(f transport.Frame) {
	if c.conn.Send(f) == nil {
		c.hub.g.counts.out.Add(1)
	}
}

// tick pings a client, and ends one that has gone silent: as a hub does, only one
// that has pinged before.
func (s *served) tick(c *client, now time.Time) {
	if now.Sub(s.lastPing) >= keepAlive && c.conn.Transport() != transport.LongPolling {
		s.lastPing = now
		c.send(&protocol.Ping{})
	}
	if s.pinged.Load() && !s.held.Load() && now.Sub(time.Unix(0, s.heard.Load())) > clientTimeout {
		c.leave(textClosedWithError, true)
	}
}
