package transport

import (
	"context"
	"errors"
	"net/http"

	"github.com/hubwire/hubwire/internal/admission"
)

// A client that begins a connection is held back while others begin theirs, if
// Options.Admission says so: at its negotiate, or at the upgrade of one that
// skips it. Official clients wait for these answers without a word to their
// users. A negotiate that is refused costs them one of four tries, and an
// upgrade that is refused makes them fall back to SSE for good: so one is
// refused late, and an upgrade with a token, whose client was let in at its
// negotiate, is neither held nor refused.
// Source: docs/reference/transports.md, section 12.3.

// errBusy is what clients are told that were held and cannot be let in.
var errBusy = errors.New("The server is busy.")

// letIn holds the client that has sent r until it may begin a connection. It
// returns false after it has answered r itself. The ticket, which is nil without
// Options.Admission, is that of the connection.
func (e *Endpoint) letIn(w http.ResponseWriter, r *http.Request) (*admission.Ticket, bool) {
	if e.opts.Admission == nil {
		return nil, true
	}
	if full := e.mayBegin(); full != nil { // it would wait for nothing
		refuseBegin(w, r, full)
		return nil, false
	}
	from := r.RemoteAddr
	if e.opts.ClientAddress != nil && !e.guard("ClientAddress", func() { from = e.opts.ClientAddress(r) }) {
		answer(w, r, http.StatusInternalServerError, noType, "")
		return nil, false
	}
	if !skipBody(r) { // net/http sees that a client has left only after the body
		w.Header().Set("Connection", "close")
		answer(w, r, http.StatusBadRequest, textPlain, "")
		return nil, false
	}
	e.clearDeadlines(w, r, http.NewResponseController(w))
	ticket, err := e.opts.Admission.Enter(r.Context(), e.refusing, from)
	switch {
	case err == nil:
		return ticket, true
	case errors.Is(err, admission.ErrClosed):
		refuseBegin(w, r, errRefuses)
	case errors.Is(err, admission.ErrFull), errors.Is(err, admission.ErrTooLong):
		e.log.Info("client refused", "reason", err.Error(), "address", from)
		answer(w, r, http.StatusServiceUnavailable, textPlain, errBusy.Error())
	case errors.Is(err, context.DeadlineExceeded): // of a middleware
		answer(w, r, http.StatusServiceUnavailable, textPlain, errBusy.Error())
	default: // it has left; nobody reads an answer
		answer(w, r, http.StatusServiceUnavailable, noType, "")
	}
	return nil, false
}

// refuseBegin answers a client that may not begin a connection.
func refuseBegin(w http.ResponseWriter, r *http.Request, why error) {
	if why == errRefuses { // over another TCP connection the client may reach another node
		w.Header().Set("Connection", "close")
	}
	answer(w, r, http.StatusServiceUnavailable, textPlain, why.Error())
}

// mayBegin says why a new connection cannot begin now.
func (e *Endpoint) mayBegin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.refuses.Load():
		return errRefuses
	case e.fullLocked():
		return errFull
	}
	return nil
}

// keepTicket makes c the connection of a client that was let in.
func (e *Endpoint) keepTicket(c *Conn, ticket *admission.Ticket) {
	if ticket == nil {
		return
	}
	e.mu.Lock()
	known := e.table[c.Token()] == c
	if known {
		if e.tickets == nil {
			e.tickets = map[*Conn]*admission.Ticket{}
		}
		e.tickets[c] = ticket
	}
	e.mu.Unlock()
	if !known { // it is gone already
		ticket.Opened()
	}
}

// Opened says that the App has begun to serve its client, or that the connection
// is gone: it is no longer one that opens.
func (c *Conn) Opened() {
	e := c.endpoint
	if e.opts.Admission == nil {
		return
	}
	e.mu.Lock()
	ticket := e.tickets[c]
	delete(e.tickets, c)
	e.mu.Unlock()
	if ticket != nil {
		ticket.Opened()
	}
}
