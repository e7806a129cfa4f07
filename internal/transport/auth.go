package transport

import (
	"net/http"
	"runtime/debug"
)

// authenticate asks who sent r. Browsers cannot set headers on WebSocket and
// SSE requests: there, and only there, the query may carry the token.
func (e *Endpoint) authenticate(r *http.Request, kind connectKind) (user any, no Refusal) {
	if e.opts.Authenticate == nil {
		return nil, Refusal{}
	}
	if kind.transport != LongPolling && r.Header.Get("Authorization") == "" {
		if token := queryValue(r.URL.RawQuery, "access_token"); token != "" {
			r = withToken(r, token)
		}
	}
	if !e.guard("Authenticate", func() { user, no = e.opts.Authenticate(r) }) {
		return nil, Refusal{Status: http.StatusInternalServerError}
	}
	return user, no
}

// withToken is a copy of r that carries token as other requests do.
func withToken(r *http.Request, token string) *http.Request {
	r = r.WithContext(r.Context())
	r.Header = r.Header.Clone()
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// refuse answers a request whose sender may not use the endpoint.
func (no Refusal) refuse(w http.ResponseWriter, r *http.Request) {
	if no.Status == http.StatusUnauthorized {
		challenge := no.Challenge
		if challenge == "" {
			challenge = "Bearer"
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	answer(w, r, no.Status, noType, "")
}

// sameUser reports whether user is the user of c: that of the newest request
// that was let through, which at first is the negotiate.
func (e *Endpoint) sameUser(c *Conn, user any) bool {
	if e.opts.SameUser == nil || e.opts.Authenticate == nil {
		return true
	}
	same := false
	if !c.foreign && e.guard("SameUser", func() { same = e.opts.SameUser(c.Latest(), user) }) && same {
		return true
	}
	e.log.Info("credentials refused", "reason", "they are of another user than the one who connected", "connection", c.ID())
	return false
}

const anotherUser = "The user associated with this connection changed."

// guard calls a hook of the user and reports whether it returned. A panic is
// logged.
func (e *Endpoint) guard(hook string, f func()) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			e.log.Error("panic in user code", "in", hook, "panic", v, "stack", string(debug.Stack()))
			ok = false
		}
	}()
	f()
	return true
}
