package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hubwire/hubwire/azure/internal/token"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/protocol"
)

// Times of the tokens that generateToken makes, in minutes. Azure's are good for
// five where nothing else is asked for.
const (
	tokenMinutes = 5
	longestToken = 365 * 24 * 60
)

// generateToken answers a token with which a client of the hub may connect.
func (c *restCall) generateToken() (int, error) {
	query, minutes := c.r.URL.Query(), tokenMinutes
	if text := query.Get("minutesToExpire"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > longestToken {
			return 0, badRequest("minutesToExpire is no number of minutes up to a year.")
		}
		minutes = n
	}
	now, scheme := time.Now(), "http://"
	if c.r.TLS != nil {
		scheme = "https://"
	}
	spec := token.Spec{
		Audience: token.Audience(scheme+hostOf(c.r.Host), "client", c.hub.name),
		IssuedAt: now, Expires: now.Add(time.Duration(minutes) * time.Minute),
	}
	if query.Has("userId") {
		spec.Claims = []wire.Claim{{Type: "asrs.s.uid", Value: query.Get("userId")}}
	}
	text, err := token.Make((*c.hub.g.keys.Load())[0], spec)
	if errors.Is(err, token.ErrTooLong) {
		return 0, badRequest("The userId is too long.")
	}
	if err != nil {
		return 0, err
	}
	return c.answer(map[string]string{"token": text})
}

// invoke asks a client for a result and waits for it as long as the caller does,
// and resultTimeout at most. What the client answers, an error of its method too,
// is 200 with its completion: the bytes, framing included, in base64.
func (c *restCall) invoke() (int, error) {
	payloads, err := c.payloads()
	if err != nil {
		return 0, err
	}
	id := "rest-" + randomID()
	if payloads, err = withInvocationID(payloads, id); err != nil {
		return 0, err
	}
	m, err := c.hub.ask(c.r.Context(), c.path[1], id, payloads)
	if err != nil {
		return 0, err
	}
	switch m := m.(type) {
	case *wire.ClientCompletion:
		return c.answer(struct {
			Result   []byte `json:"result"`
			Protocol string `json:"protocol"`
		}{m.Payload, wire.Text(m.Protocol)})
	case *wire.ErrorCompletion:
		if m.Error == textGone {
			return 0, notFound(goneAlready, textGone)
		}
		return 0, &restError{http.StatusGatewayTimeout, "InvocationFailed", m.Error}
	}
	return 0, fmt.Errorf("gateway: a result of type %T", m)
}

// withInvocationID makes calls of hub messages that wait for an answer.
func withInvocationID(payloads []wire.Payload, id string) ([]wire.Payload, error) {
	list := make([]wire.Payload, 0, len(payloads))
	for _, p := range payloads {
		var codec protocol.Codec
		switch strings.ToLower(p.Protocol) {
		case "json":
			codec = protocol.JSON{}
		case "messagepack":
			codec = protocol.MessagePack{}
		default:
			continue
		}
		m, rest, err := codec.Next(p.Bytes)
		call, ok := m.(*protocol.Invocation)
		if err != nil || !ok || len(rest) > 0 || call.ArgumentsErr != nil {
			return nil, badRequest("The hub messages are no calls.")
		}
		call.InvocationID = id
		b, err := codec.Append(nil, call)
		if err != nil {
			return nil, err
		}
		list = append(list, wire.Payload{Protocol: p.Protocol, Bytes: b})
	}
	if len(list) == 0 {
		return nil, badRequest("There is no hub message in a protocol that is known.")
	}
	return list, nil
}

// ask asks a client for a result, for a caller that is not an app server, and returns
// what answers it. Errors are *restError, and ctx.Err().
func (h *hub) ask(ctx context.Context, connectionID, id string, payloads []wire.Payload) (wire.Message, error) {
	h.mu.Lock()
	c := h.clients[connectionID]
	here := c != nil
	switch {
	case !here && (h.g.fleet == nil || h.g.opts.LocalREST):
		h.mu.Unlock()
		return nil, notFound(goneAlready, "There is no such connection.")
	case len(h.results.byID) >= h.g.opts.MaximumResults:
		h.mu.Unlock()
		return nil, &restError{http.StatusTooManyRequests, "TooManyRequests", textFull}
	}
	r := &result{id: id, connection: connectionID, ends: time.Now().Add(resultTimeout), answers: make(chan wire.Message, 1)}
	m := &wire.ClientInvocation{InvocationID: id, ConnectionID: connectionID, CallerServerID: h.g.opts.InstanceID, Payloads: payloads}
	if !here {
		h.addResultLocked(r)
		h.mu.Unlock()
		h.invokeAway(sender{}, r, m)
		return h.awaitAnswer(ctx, r)
	}
	if _, ok := wire.PayloadOf(payloads, c.codec.Name()); !ok {
		h.mu.Unlock()
		return nil, badRequest("There is no hub message in the protocol of the client.")
	}
	r.client = c
	h.addResultLocked(r)
	router := h.routeLocked(c, m)
	h.mu.Unlock()
	if router != nil {
		router.conn.Relieve()
	}
	h.deliver(&parcel{payloads: payloads}, c)
	return h.awaitAnswer(ctx, r)
}

// routeLocked tells the app server of a client, unless it is the one that asks, that
// its hub is to pass a result on.
func (h *hub) routeLocked(c *client, m *wire.ClientInvocation) (router *serverConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	router = c.server
	if router != nil && !c.ended && router.server != m.CallerServerID {
		router.queue(m)
	}
	return router
}

// awaitAnswer waits for the result that somebody wants who is no app server.
func (h *hub) awaitAnswer(ctx context.Context, r *result) (wire.Message, error) {
	select {
	case m := <-r.answers:
		return m, nil
	case <-ctx.Done():
		h.mu.Lock()
		if h.results.byID[r.id] == r {
			h.dropResultLocked(r)
		}
		h.mu.Unlock()
		return nil, ctx.Err()
	}
}

// answered is called for a completion of a client that the gateway serves itself.
func (h *hub) answered(c *client, m *protocol.Completion) {
	h.mu.Lock()
	r := h.results.byID[m.InvocationID]
	if r == nil || r.client != c || r.answers == nil && r.origin == "" {
		h.mu.Unlock()
		return // nobody has asked, or nobody waits any more
	}
	h.dropResultLocked(r)
	h.mu.Unlock()
	name := c.codec.Name()
	var answer wire.Message
	if b, err := c.codec.Append(nil, m); err != nil {
		answer = &wire.ErrorCompletion{InvocationID: r.id, ConnectionID: c.conn.ID(), Error: "The result cannot be read."}
	} else {
		answer = &wire.ClientCompletion{InvocationID: r.id, ConnectionID: c.conn.ID(), Protocol: &name, Payload: b}
	}
	if r.origin != "" {
		h.g.fleet.tell(r.origin, letter{kind: letterComplete, hub: h.name, body: wire.Append(nil, answer)})
		return
	}
	r.answers <- answer
}
