package gateway

import (
	"bytes"
	"cmp"
	"container/list"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
)

// Texts of client results that fail; callers see them.
const (
	textNoClient = "Connection does not exist."
	textGone     = "Connection is disconnected."
	textTooLate  = "The client did not answer in time."
	textFull     = "Too many client results are pending."
)

// errorDelay is how long a call waits that fails at once: the SDK knows of its own
// call only after it has written it, and would wait forever.
const errorDelay = 100 * time.Millisecond

// results are the client results of a hub that are pending. They are guarded by
// hub.mu.
type results struct {
	byID  map[string]*result
	order list.List // of *result, the oldest first: all have the same time
	of    map[*client]map[*result]struct{}
	timer *time.Timer // for the oldest; nil while there is none
}

// A result is one that an app server has asked a client for.
type result struct {
	id         string
	connection string  // id of the client
	client     *client // nil: another gateway has it
	caller     string  // id of the app server
	via        *serverConn
	ends       time.Time
	place      *list.Element

	owner  string // the gateway that has the client, once that is known; empty if it is this one
	origin string // the gateway that waits for the result; empty if it is this one

	// answers gets the one answer, if no app server asks: that holds 1.
	answers chan wire.Message
}

func newResults() results {
	return results{byID: map[string]*result{}, of: map[*client]map[*result]struct{}{}}
}

// invoke asks a client for a result. Where another app server has the client, that
// one is told first: its hub passes the result on then.
func (h *hub) invoke(s *serverConn, m *wire.ClientInvocation) {
	fail := func(text string) {
		no := &wire.ErrorCompletion{InvocationID: m.InvocationID, ConnectionID: m.ConnectionID, CallerServerID: m.CallerServerID, Error: text}
		time.AfterFunc(errorDelay, func() { s.send(no) })
	}
	h.mu.Lock()
	c := h.clients[m.ConnectionID]
	here := c != nil
	switch {
	case !here && h.g.fleet == nil:
		h.mu.Unlock()
		fail(textNoClient)
		return
	case len(h.results.byID) >= h.g.opts.MaximumResults:
		h.mu.Unlock()
		fail(textFull)
		return
	case !here:
		r := &result{id: m.InvocationID, connection: m.ConnectionID, caller: s.server, via: s, ends: time.Now().Add(resultTimeout)}
		h.addResultLocked(r)
		h.mu.Unlock()
		h.invokeAway(sender{s}, r, m)
		return
	}
	h.addResultLocked(&result{id: m.InvocationID, connection: m.ConnectionID, client: c, caller: s.server, via: s, ends: time.Now().Add(resultTimeout)})
	c.mu.Lock()
	router := c.server
	if away := router.server != s.server; away && !c.ended {
		router.queue(m)
		s.queue(&wire.ServiceMapping{InvocationID: m.InvocationID, ConnectionID: m.ConnectionID, InstanceID: h.g.opts.InstanceID})
	}
	c.mu.Unlock()
	h.mu.Unlock()
	router.conn.Relieve()
	h.deliver(&parcel{payloads: m.Payloads}, c)
}

func (h *hub) addResultLocked(r *result) {
	if old := h.results.byID[r.id]; old != nil { // the caller has given up the old one
		h.dropResultLocked(old)
	}
	h.results.byID[r.id] = r
	r.place = h.results.order.PushBack(r)
	if r.client != nil {
		if h.results.of[r.client] == nil {
			h.results.of[r.client] = map[*result]struct{}{}
		}
		h.results.of[r.client][r] = struct{}{}
	}
	if h.results.timer == nil {
		h.results.timer = time.AfterFunc(resultTimeout, h.expireResults)
	}
}

func (h *hub) dropResultLocked(r *result) {
	delete(h.results.byID, r.id)
	h.results.order.Remove(r.place)
	if of := h.results.of[r.client]; of != nil {
		if delete(of, r); len(of) == 0 {
			delete(h.results.of, r.client)
		}
	}
	if len(h.results.byID) == 0 && h.results.timer != nil {
		h.results.timer.Stop()
		h.results.timer = nil
	}
}

// failLocked tells the caller that there will be no result. The app server of the
// client knows by itself that the client is gone.
func (h *hub) failLocked(r *result, text string) {
	h.dropResultLocked(r)
	no := &wire.ErrorCompletion{InvocationID: r.id, ConnectionID: r.connection, CallerServerID: r.caller, Error: text}
	if r.origin != "" {
		h.g.fleet.tell(r.origin, letter{kind: letterComplete, hub: h.name, body: wire.Append(nil, no)})
	} else if r.answers != nil {
		r.answers <- no
	} else if to := h.connLocked(r.caller, r.via); to != nil {
		to.queue(no)
	}
}

// failResultsLocked is called when a client is gone.
func (h *hub) failResultsLocked(c *client) {
	for r := range h.results.of[c] {
		h.failLocked(r, textGone)
	}
}

// dropCallerLocked forgets what an app server waits for that is gone.
func (h *hub) dropCallerLocked(server string) {
	for _, r := range h.results.byID {
		if r.answers == nil && r.origin == "" && r.caller == server {
			h.dropResultLocked(r)
		}
	}
}

// expireResults fails results that have waited too long.
func (h *hub) expireResults() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for front := h.results.order.Front(); front != nil; front = h.results.order.Front() {
		r := front.Value.(*result)
		if r.ends.After(now) {
			h.results.timer = time.AfterFunc(r.ends.Sub(now), h.expireResults)
			return
		}
		h.failLocked(r, textTooLate)
	}
}

// completed is called for a result that an app server has of its client: of its
// own call, which is done then, or of another app server's, which gets it.
func (h *hub) completed(s *serverConn, id string, m wire.Message) {
	h.mu.Lock()
	r := h.results.byID[id]
	if r == nil || !r.mayAnswer(s) {
		h.mu.Unlock()
		return
	}
	h.dropResultLocked(r)
	other := cmp.Or(r.origin, r.owner)
	var to *serverConn
	switch {
	case r.origin != "":
	case r.answers != nil:
		r.answers <- ownResult(m)
	case s.server != r.caller:
		to = h.connLocked(r.caller, r.via)
	}
	h.mu.Unlock()
	if to != nil {
		to.send(m)
	}
	if other != "" {
		h.g.fleet.tell(other, letter{kind: letterComplete, hub: h.name, server: s.server, body: wire.Append(nil, m)})
	}
}

// ownResult is m with bytes of its own.
func ownResult(m wire.Message) wire.Message {
	if done, ok := m.(*wire.ClientCompletion); ok { // its bytes are the reader's
		done.Payload = bytes.Clone(done.Payload)
	}
	return m
}

// mayAnswer reports whether s is of the app server that has the client, or of the
// caller.
func (r *result) mayAnswer(s *serverConn) bool {
	if r.answers == nil && s.server == r.caller {
		return true
	}
	if r.client == nil {
		return false
	}
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	return r.client.server != nil && r.client.server.server == s.server
}
