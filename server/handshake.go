package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// Texts of refused handshakes. Source: docs/reference/hub-protocol.md, section 1.3.
const (
	handshakeCanceled = "Handshake was canceled."
	handshakeFailed   = "An unexpected error occurred during connection handshake."
	maximumVersion    = 2
)

// handshake reads the handshake request from data and answers it. It returns
// what follows the request, the connection's first hub messages. While the request
// is incomplete it returns data, and nothing once it is refused.
func (c *connection) handshake(data []byte) (rest []byte, accepted bool) {
	limit := c.hub.opts.MaximumReceiveMessageSize
	window := data[:min(len(data), limit)]
	req, after, err := protocol.ParseHandshakeRequest(window)
	switch {
	case errors.Is(err, protocol.ErrIncomplete):
		if len(data) > limit {
			c.refuse(HandshakeTooLong, handshakeCanceled)
			return nil, false
		}
		return data, false
	case err != nil:
		c.refuse(HandshakeMalformed, errorText(handshakeFailed, err, c.hub.opts.EnableDetailedErrors))
		return nil, false
	}
	rest = data[len(window)-len(after):]
	codec, why, text := c.choose(req)
	if text == "" {
		why, text = HandshakeUserID, c.identify()
	}
	if text != "" {
		c.refuse(why, text)
		return nil, false
	}
	if !c.state.CompareAndSwap(handshaking, opening) {
		return nil, false // refused meanwhile: too late, or shutting down
	}
	if c.handshakeTimer != nil {
		c.handshakeTimer.Stop()
		c.handshakeTimer = nil
	}
	if c.bytes.Stateful() && req.Version >= 2 {
		c.reliable = newReliable(c.bytes, codec, c.hub.opts.StatefulReconnectBufferSize)
	} else {
		c.bytes.DisableReconnect()
	}
	c.setSlowPolicy(c.hub.opts.SlowClients)
	c.codec, c.opened = codec, time.Now().UnixNano()
	if c.watch != nil {
		c.watch.traffic = c.hub.traffic.cell(codec, c.Transport())
	}
	return rest, true
}

// answerHandshake tells the client that it is connected, once the manager knows
// of it: what is sent after the client has seen the answer reaches it. What was
// sent before is dropped, as nothing may come before the answer.
func (c *connection) answerHandshake() {
	if c.openAndAnswer() {
		c.bytes.Relieve()
	}
}

// openAndAnswer is answerHandshake without Conn.Relieve, which may call user code.
func (c *connection) openAndAnswer() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Load() != opening {
		return false
	}
	c.heard()
	// From now on others may look at what was set before. It is not later: the
	// client may have its answer, and lose its socket, before Queue returns.
	c.state.Store(open)
	_ = c.bytes.Queue(handshakeFrame("", c.codec.Binary())) // best effort: the client may be gone
	c.mute.Store(false)
	return true
}

// drops reports whether what is sent is dropped: the connection is not open yet,
// or no longer. It waits for an answer to the handshake that is being queued: the
// client may know of it already.
func (c *connection) drops() bool {
	if !c.mute.Load() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mute.Load()
}

// register makes the connection known, and its hub where each has its own, and
// calls OnConnected.
func (c *connection) register() {
	defer c.bytes.Opened()
	failed := ending{cause: errGoexit, allowReconnect: true, connectFailed: true}
	defer func() {
		c.answerHandshake() // also if user code has ended the goroutine
		if !c.connected {
			c.end(failed)
		}
	}()
	c.logOpened()
	err := c.connectManager()
	c.answerHandshake()
	if err != nil {
		failed = c.unregistered(err)
		return
	}
	failed.allowReconnect = false
	if failed.cause = c.callOnConnected(); failed.cause == nil {
		c.connected = true
		c.hubMade()
	}
}

// unregistered is how a connection ends that the manager does not know, which has said err.
func (c *connection) unregistered(err error) ending {
	_, panicked := asError[*panicError](err)
	switch {
	case c.Context().Err() != nil && isError(err, context.Canceled): // its client has left meanwhile, which is no error
		return ending{allowReconnect: true, how: endedUnknown}
	case panicked:
		c.logFailure("LifetimeManager.Connected", err)
	default:
		c.hub.log.Error("connection cannot be registered", "type", fmt.Sprintf("%T", err), "connection", c.ID(), "error", describe(err).text)
	}
	return ending{cause: err, allowReconnect: true, connectFailed: true}
}

// callOnConnected calls what the hub does for a new connection.
func (c *connection) callOnConnected() error {
	create, hook := c.hub.methods.create, c.hub.chain.onConnected
	if create == nil && hook == nil && !c.hub.traces() {
		return nil
	}
	call := c.invocationOf(nil)
	defer call.endContext()
	call.connecting.Store(true)
	if create != nil {
		var hub any
		err := guard(func() (err error) {
			hub, err = create(&call.call)
			return err
		})
		if err != nil {
			c.logFailure("NewHubFunc", err)
			return err
		}
		c.instance.Store(&hub)
	}
	if hook == nil {
		hook = func(*Call) error { return nil }
	}
	if err := call.traced(OperationConnected, nil, func() error { return hook(&call.call) }); err != nil {
		c.logFailure("OnConnected", err)
		return err
	}
	call.connecting.Store(false)
	return nil
}

// choose finds the codec that the client asks for, or says why not.
func (c *connection) choose(req protocol.HandshakeRequest) (codec protocol.Codec, why HandshakeRefusal, refusal string) {
	codec, ok := c.hub.codecs[strings.ToLower(req.Protocol)]
	switch {
	case !ok:
		return nil, HandshakeUnknownProtocol, fmt.Sprintf("The protocol '%s' is not supported.", req.Protocol)
	case req.Version > maximumVersion:
		return nil, HandshakeUnknownVersion, fmt.Sprintf("The server does not support version %d of the '%s' protocol.", req.Version, req.Protocol)
	case codec.Binary() && c.bytes.TextOnly():
		return nil, HandshakeNeedsBinary, fmt.Sprintf("Cannot use the '%s' protocol on the current transport. The transport does not support 'Binary' transfer format.", codec.Name())
	}
	return codec, "", ""
}

// identify asks for the user's id.
func (c *connection) identify() (refusal string) {
	defer func() { c.rates.identify(c.userID) }()
	own := c.hub.opts.UserID
	if own == nil { // the request stays packed
		c.userID = c.User().ID
		return ""
	}
	c.bytes.BeforeWait() // others read the clients that are parked with this one
	err := guard(func() error {
		c.userID = own(c.Request(), c.User())
		return nil
	})
	if err != nil {
		c.logFailure("Options.UserID", err)
		return errorText(handshakeFailed, err, c.hub.opts.EnableDetailedErrors)
	}
	return ""
}

// refuse ends a connection whose handshake cannot be accepted. Nothing else
// knows of it, so there is no Close message and no OnDisconnected. It reports
// false if the handshake was accepted before.
func (c *connection) refuse(why HandshakeRefusal, text string) bool {
	if !c.state.CompareAndSwap(handshaking, refused) {
		return c.state.Load() == refused
	}
	if c.hub.log.Enabled(c.Context(), slog.LevelInfo) {
		c.hub.log.Info("handshake refused", "connection", c.ID(), "transport", c.Transport().String(), "error", short(text))
	}
	c.observeRefusal(why)
	c.end(ending{handshake: text})
	return true
}

// handshakeFrame is the answer to the handshake; errText is empty where it is
// accepted.
func handshakeFrame(errText string, binary bool) transport.Frame {
	buf := protocol.AppendHandshakeResponse(transport.NewFrameBuffer(64), errText)
	return transport.BuildFrame(buf, binary).As(transport.KindHandshake)
}
