package gateway

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/rescue"
	"github.com/hubwire/hubwire/protocol"
)

// Bodies and headers of events.
// Source: reference of the service protocol, section 17.

const (
	typeJSON   = "application/json"
	typePacked = "application/x-msgpack"
)

var bodyConnected = []byte(`{"type":10}`)

func bodyDisconnected(text string) []byte {
	b, _ := json.Marshal(struct { // texts always encode
		Type  int
		Error string
	}{11, text})
	return b
}

// bodyOf is a call without its framing.
func bodyOf(codec protocol.Codec, m *protocol.Invocation) (body []byte, kind string, err error) {
	b, err := codec.Append(nil, m)
	if err != nil {
		return nil, "", err
	}
	if !codec.Binary() {
		return b[:len(b)-1], typeJSON, nil
	}
	_, n := binary.Uvarint(b)
	return b[n:], typePacked, nil
}

// tell brings an event to its upstream, and the answer to the client.
func (w *webhooks) tell(c *client, e *event) {
	var answer []byte
	err := error(&upstreamError{textNoAnswer})
	defer func() {
		if e.invocationID != "" {
			c.completeCall(e.invocationID, answer, err)
		}
	}()
	answer, err = w.postGuarded(c, e)
	w.g.counts.requests.Add(1)
	w.report(c, e, err)
}

// An upstreamError is why an event has no good answer. The text may be seen by
// clients and has no address.
type upstreamError struct{ text string }

func (e *upstreamError) Error() string { return e.text }

// Texts that callers see. The first is that of Microsoft's emulator.
const (
	textStatus    = "Invocation failed, status code %d"
	textNobody    = "Invocation failed, no upstream takes it."
	textLate      = "Invocation failed, the upstream did not answer in time."
	textNoAnswer  = "Invocation failed, the upstream cannot be reached."
	textTooLong   = "Invocation failed, the answer of the upstream is too long."
	textNoResult  = "Invocation failed, the answer of the upstream is no completion of it."
	textNoStreams = "Invocation failed, there are no streams in serverless mode."
	textUnread    = "Invocation failed, its arguments cannot be read."
)

// stuckGrace is how long a transport may take to notice that its time is over.
const stuckGrace = time.Second

// errStuck is that Options.UpstreamTransport does not notice that.
var errStuck = fmt.Errorf("%w (Options.UpstreamTransport goes on when the context of its request has ended)", &upstreamError{textLate})

type posted struct {
	answer []byte
	err    error
}

// postGuarded is post with a transport that may be anybody's. What that does not
// give up at the end of its time goes on without us; once as many do so as requests
// may run at all, there are no new ones.
func (w *webhooks) postGuarded(c *client, e *event) ([]byte, error) {
	ctx, cancel := context.WithTimeout(w.ctx, w.g.opts.UpstreamTimeout)
	defer cancel()
	if w.g.opts.UpstreamTransport == nil {
		return w.post(ctx, c, e)
	}
	if w.requests.Load() >= int64(w.g.opts.MaximumUpstreamRequests) {
		return nil, errStuck
	}
	done := make(chan posted, 1)
	w.requests.Add(1)
	go func() {
		p := posted{err: &upstreamError{textNoAnswer}} // should the transport end the goroutine
		defer func() {
			w.requests.Add(-1)
			done <- p
		}()
		if caught := rescue.Call(w.g.log, "Options.UpstreamTransport", func() error { p.answer, p.err = w.post(ctx, c, e); return nil }); caught != nil {
			p.err = fmt.Errorf("%w (%w)", p.err, caught)
		}
	}()
	select {
	case p := <-done:
		return p.answer, p.err
	case <-ctx.Done():
	}
	grace := time.NewTimer(stuckGrace)
	defer grace.Stop()
	select {
	case p := <-done:
		return p.answer, p.err
	case <-grace.C:
		return nil, errStuck
	}
}

// post returns the body of a good answer; empty is a result without a value.
func (w *webhooks) post(ctx context.Context, c *client, e *event) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.address, bytes.NewReader(e.body))
	if err != nil {
		return nil, &upstreamError{textNoAnswer}
	}
	w.describe(r.Header, c, e)
	got, err := w.web.Do(r)
	if err != nil {
		return nil, reached(ctx, err)
	}
	defer got.Body.Close()
	switch got.StatusCode {
	case http.StatusNoContent:
		return nil, nil
	case http.StatusOK:
	default:
		_, _ = io.CopyN(io.Discard, got.Body, 4<<10) // so that the connection may serve again
		return nil, &upstreamError{fmt.Sprintf(textStatus, got.StatusCode)}
	}
	most := int64(w.g.opts.MaximumUpstreamBody)
	body, err := io.ReadAll(io.LimitReader(got.Body, most+1))
	switch {
	case err != nil:
		return nil, reached(ctx, err)
	case int64(len(body)) > most:
		return nil, &upstreamError{textTooLong}
	}
	return body, nil
}

// reached is an error of the network without the address, which url.Error has.
func reached(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &upstreamError{textLate}
	}
	var with *url.Error
	if errors.As(err, &with) {
		err = with.Err
	}
	return fmt.Errorf("%w (%w)", &upstreamError{textNoAnswer}, err)
}

// describe sets the headers of a request.
func (w *webhooks) describe(h http.Header, c *client, e *event) {
	opened := c.conn.Request()
	h.Set("Content-Type", e.kind)
	h.Set("User-Agent", "Hubwire")
	h.Set("X-ASRS-Connection-Id", c.conn.ID())
	h.Set("X-ASRS-Hub", c.hub.name)
	h.Set("X-ASRS-Category", e.category)
	h.Set("X-ASRS-Event", e.name)
	if c.who.hasUser {
		h.Set("X-ASRS-User-Id", c.who.userID)
	}
	for _, claim := range usersOwn(c.who.widened(opened)) {
		if text := claim.Type + ": " + claim.Value; isPlain(text) {
			h.Add("X-ASRS-User-Claims", text)
		}
	}
	if query := withoutSecrets(opened.URL.RawQuery); query != "" {
		h.Set("X-ASRS-Client-Query", "?"+query)
	}
	h.Set("X-ASRS-Signature", signatures(*w.g.keys.Load(), c.conn.ID()))
}

// signatures prove, with each key, that an event comes from its holder.
func signatures(keys []string, connectionID string) string {
	all := make([]string, 0, len(keys))
	for _, key := range keys {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(connectionID))
		all = append(all, fmt.Sprintf("sha256=%X", mac.Sum(nil)))
	}
	return strings.Join(all, ",")
}

// usersOwn are the claims of a user without those of the token, as app servers see
// them.
// Source: reference of the service protocol, section 4.
func usersOwn(claims []wire.Claim) []wire.Claim {
	own := make([]wire.Claim, 0, len(claims))
	for _, claim := range claims {
		if name, renamed := strings.CutPrefix(claim.Type, "asrs.u."); renamed {
			claim.Type = name
		} else if strings.HasPrefix(claim.Type, "asrs.s.") || ofTokens[claim.Type] {
			continue
		}
		own = append(own, claim)
	}
	return own
}

var ofTokens = map[string]bool{
	"aud": true, "exp": true, "iat": true, "nbf": true, "iss": true, "actort": true, longNames["actort"]: true,
	"acr": true, longNames["acr"]: true, "azp": true, "c_hash": true, "jti": true, "nonce": true,
}

// report logs that an upstream has begun to fail, and that it has recovered; each
// single failure only at Debug.
func (w *webhooks) report(c *client, e *event, err error) {
	w.mu.Lock()
	changed := e.to.failing != (err != nil)
	e.to.failing = err != nil
	w.mu.Unlock()
	if err != nil {
		w.g.counts.failures.Add(1)
		w.g.log.Debug("upstream failed", "upstream", e.to.number, "hub", c.hub.name, "connection", c.conn.ID(), "category", e.category, "error", err)
	}
	switch {
	case changed && err != nil:
		w.g.log.Warn("upstream fails", "upstream", e.to.number, "hub", c.hub.name, "category", e.category, "error", err)
	case changed:
		w.g.log.Info("upstream answers again", "upstream", e.to.number, "hub", c.hub.name)
	}
}
