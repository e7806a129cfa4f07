package gateway

import (
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
)

// invokeAway has the gateway that has a client ask it for a result.
func (h *hub) invokeAway(by sender, r *result, m *wire.ClientInvocation) {
	h.g.fleet.askFor(h, by, m, outcome{status: wire.AckNotFound}, func(o outcome, owner string) {
		fail := func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.results.byID[r.id] == r {
				h.failLocked(r, textNoClient)
			}
		}
		switch {
		case owner != "": // even if another gateway has not answered
			h.mu.Lock()
			r.owner = owner
			over := h.results.byID[r.id] != r
			h.mu.Unlock()
			if over { // nobody has told it so
				done := &wire.ErrorCompletion{InvocationID: r.id, ConnectionID: r.connection}
				h.g.fleet.tell(owner, letter{kind: letterComplete, hub: h.name, body: wire.Append(nil, done)})
			}
		case by.conn == nil:
			fail()
		default:
			time.AfterFunc(errorDelay, fail)
		}
	})
}

// invokeFor asks a client of this gateway for a result that another gateway waits
// for. It returns the status of an answer.
func (h *hub) invokeFor(origin string, m *wire.ClientInvocation) int {
	h.mu.Lock()
	c := h.clients[m.ConnectionID]
	if c == nil || len(h.results.byID) >= h.g.opts.MaximumResults {
		h.mu.Unlock()
		return wire.AckNotFound
	}
	h.addResultLocked(&result{
		id: m.InvocationID, connection: m.ConnectionID, client: c, caller: m.CallerServerID, origin: origin,
		ends: time.Now().Add(resultTimeout),
	})
	router := h.routeLocked(c, m)
	h.mu.Unlock()
	if router != nil {
		router.conn.Relieve()
	}
	h.deliver(&parcel{payloads: m.Payloads}, c)
	return wire.AckOK
}

// completedAway is called for the result that another gateway has of its client, or
// when its app server waits no longer for that of a client of this one.
func (h *hub) completedAway(l letter, m wire.Message) {
	id := ""
	switch m := m.(type) {
	case *wire.ClientCompletion:
		id = m.InvocationID
	case *wire.ErrorCompletion:
		id = m.InvocationID
	}
	h.mu.Lock()
	r := h.results.byID[id]
	if r == nil || r.origin != l.from && !(r.client == nil && (r.owner == l.from || r.owner == "")) {
		h.mu.Unlock()
		return
	}
	h.dropResultLocked(r)
	var to *serverConn
	switch {
	case r.origin != "":
	case r.answers != nil:
		r.answers <- ownResult(m)
	case l.server != r.caller: // else it has the result, as the client's app server
		to = h.connLocked(r.caller, r.via)
	}
	h.mu.Unlock()
	if to != nil {
		to.send(m)
	}
}

// failResultsAt is called when a gateway is gone.
func (h *hub) failResultsAt(instance string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.results.byID {
		switch instance {
		case r.owner:
			h.failLocked(r, textGone)
		case r.origin:
			h.dropResultLocked(r)
		}
	}
}
