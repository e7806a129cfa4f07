package transport

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// highestVersion is the newest version of the negotiate answer.
const highestVersion = 1

const noInteger = "The client requested a non-integer protocol version."

// serveNegotiate answers which transports there are, and makes a connection
// that waits to be connected. Its errors are answers of status 200, too.
func (e *Endpoint) serveNegotiate(w http.ResponseWriter, r *http.Request, user any) {
	if e.opts.Elsewhere != nil {
		if !e.guard("Elsewhere", func() { e.opts.Elsewhere.Negotiate(w, r, user) }) {
			answer(w, r, http.StatusInternalServerError, noType, "")
		}
		return
	}
	version, problem := e.negotiateVersion(r.URL.RawQuery)
	if problem != "" {
		answerJSON(w, r, append(appendString([]byte(`{"error":`), problem), '}'))
		return
	}
	if e.opts.Redirect != nil {
		url, token, elsewhere := "", "", false
		if !e.guard("Redirect", func() { url, token, elsewhere = e.opts.Redirect(r) }) {
			answer(w, r, http.StatusInternalServerError, noType, "")
			return
		}
		if elsewhere {
			answerJSON(w, r, appendRedirect(version, url, token))
			return
		}
	}
	stateful := e.opts.AllowStatefulReconnects && e.wantsReconnect(r, user)
	ticket, ok := e.letIn(w, r)
	if !ok {
		return
	}
	if token, id, ok := e.sealed(r, version, stateful, user); ok {
		if ticket != nil {
			ticket.Opened() // whichever node gets the client does not know the ticket
		}
		if full := e.mayBegin(); full != nil {
			refuseBegin(w, r, full)
			return
		}
		answerJSON(w, r, e.appendNegotiated(version, token, id, stateful, user))
		return
	}
	c, full := e.newNegotiated(version, stateful, user)
	if full != nil {
		if ticket != nil {
			ticket.Opened()
		}
		refuseBegin(w, r, full)
		return
	}
	e.keepTicket(c, ticket)
	answerJSON(w, r, e.appendNegotiated(version, c.Token(), c.ID(), stateful, user))
}

// wantsReconnect reports whether a client that negotiates is to have stateful
// reconnect, if that is allowed.
func (e *Endpoint) wantsReconnect(r *http.Request, user any) bool {
	if e.opts.WantsReconnect != nil {
		return e.opts.WantsReconnect(r, user)
	}
	return strings.EqualFold(strings.TrimSpace(queryValue(r.URL.RawQuery, "useStatefulReconnect")), "true")
}

// negotiateVersion returns the version to answer with, or what is wrong.
func (e *Endpoint) negotiateVersion(query string) (version int, problem string) {
	if hasQuery(query, "negotiateVersion") {
		n, ok := parseInt(queryValue(query, "negotiateVersion"))
		if !ok {
			return 0, noInteger
		}
		version = n
	}
	if version < max(e.opts.MinimumProtocolVersion, 0) {
		return 0, "The client requested version '" + strconv.Itoa(version) + "', but the server does not support this version."
	}
	return min(version, highestVersion), ""
}

// parseInt reads an integer as .NET does: blanks around it, a sign, 32 bits, and
// zero bytes at the end.
func parseInt(s string) (int, bool) {
	s = strings.Trim(strings.TrimRight(s, "\x00"), " \t\n\v\f\r")
	n, err := strconv.ParseInt(s, 10, 32)
	return int(n), err == nil
}

// The order of the properties is ASP.NET Core's.
func (e *Endpoint) appendNegotiated(version int, token, id string, stateful bool, user any) []byte {
	b := make([]byte, 0, 384)
	b = append(b, '{')
	if stateful {
		b = append(b, `"useStatefulReconnect":true,`...)
	}
	b = append(b, `"negotiateVersion":`...)
	b = strconv.AppendInt(b, int64(version), 10)
	b = append(b, `,"connectionId":"`...)
	b = append(b, id...)
	if version > 0 {
		b = append(b, `","connectionToken":"`...)
		b = append(b, token...)
	}
	b = append(b, `",`...)
	if e.opts.EnableRefresh { // clients that see it refresh before it is over
		b = e.appendLifetime(b, user, ",")
	}
	b = append(b, `"availableTransports":[`...)
	comma := false
	for _, t := range []Transport{WebSockets, ServerSentEvents, LongPolling} {
		if e.opts.Transports&t == 0 {
			continue
		}
		if comma {
			b = append(b, ',')
		}
		comma = true
		b = append(b, `{"transport":"`...)
		b = append(b, t.String()...)
		b = append(b, `","transferFormats":["Text"`...)
		if t != ServerSentEvents {
			b = append(b, `,"Binary"`...)
		}
		b = append(b, `]}`...)
	}
	return append(b, `]}`...)
}

func appendRedirect(version int, url, token string) []byte {
	b := strconv.AppendInt([]byte(`{"negotiateVersion":`), int64(version), 10)
	b = appendString(append(b, `,"url":`...), url)
	if token != "" {
		b = appendString(append(b, `,"accessToken":`...), token)
	}
	return append(b, `,"availableTransports":[]}`...)
}

// appendString appends s as JSON, without escaping what HTML would need.
func appendString(b []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can always be encoded
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

func answerJSON(w http.ResponseWriter, r *http.Request, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body) // the client is gone; no reply is needed
}

// String returns the name of a single transport as clients know it.
func (t Transport) String() string {
	switch t {
	case WebSockets:
		return "WebSockets"
	case ServerSentEvents:
		return "ServerSentEvents"
	case LongPolling:
		return "LongPolling"
	}
	return "None"
}
