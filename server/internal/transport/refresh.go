package transport

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// Codes of refused refreshes.
// Source: transports reference, section 17.
const (
	missingToken       = "missing_connection_token"
	connectionUnknown  = "connection_not_found"
	unsupportedVersion = "unsupported_negotiate_version"
	userIsAnother      = "user_changed"
	permissionRejected = "permission_change_rejected"
)

// serveRefresh takes fresh credentials for a live connection. The secret token
// says which one; before version 1 there was none.
func (e *Endpoint) serveRefresh(w http.ResponseWriter, r *http.Request, user any) {
	if r.Method != http.MethodPost {
		answer(w, r, http.StatusMethodNotAllowed, textPlain, "")
		return
	}
	token := queryValue(r.URL.RawQuery, "id")
	if token == "" {
		refused(w, r, http.StatusBadRequest, missingToken)
		return
	}
	c := e.lookup(token)
	if c == nil {
		refused(w, r, http.StatusNotFound, connectionUnknown)
		return
	}
	if c.token == c.id {
		refused(w, r, http.StatusBadRequest, unsupportedVersion)
		return
	}
	if status, code := e.refresh(c, user); code != "" {
		refused(w, r, status, code)
		return
	}
	b := append(e.appendLifetime([]byte{'{'}, c.User(), ""), '}')
	answerJSON(w, r, b)
}

// refresh makes user, who has authenticated just now, the user of c. One whose
// credentials end earlier than those that c has changes nothing: requests
// overtake each other.
func (e *Endpoint) refresh(c *Conn, user any) (status int, code string) {
	old, known := c.firstUser()
	switch {
	case !known:
		return http.StatusNotFound, connectionUnknown
	case !e.sameUser(c, user):
		return http.StatusForbidden, userIsAnother
	}
	if before, ok := e.lifetime(old); ok {
		if now, ends := e.lifetime(user); ends && now < before {
			return 0, ""
		}
	}
	if e.opts.AcceptRefresh != nil {
		accepted := false
		if !e.guard("AcceptRefresh", func() { accepted = e.opts.AcceptRefresh(old, user) }) || !accepted {
			return http.StatusForbidden, permissionRejected
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == disposed {
		return http.StatusNotFound, connectionUnknown
	}
	c.user = user
	return 0, ""
}

func (e *Endpoint) lifetime(user any) (time.Duration, bool) {
	if e.opts.Lifetime == nil {
		return 0, false
	}
	return e.opts.Lifetime(user)
}

// appendLifetime appends the member that says how long the credentials of user
// are good for, if they end: whole seconds, at least one.
func (e *Endpoint) appendLifetime(b []byte, user any, tail string) []byte {
	d, ends := e.lifetime(user)
	if seconds := int64(d / time.Second); ends && seconds > 0 {
		b = append(b, `"tokenLifetimeSeconds":`...)
		b = append(strconv.AppendInt(b, min(seconds, math.MaxInt32), 10), tail...)
	}
	return b
}

func refused(w http.ResponseWriter, r *http.Request, status int, code string) {
	body := `{"error":"` + code + `"}`
	w.Header()["Content-Type"] = []string{"application/json"}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // a client that is gone needs no answer
}

// mayGoOn reports whether a poll or a WebSocket of user may serve c; else it has
// answered. Fresh credentials that come with it count like a refresh.
func (e *Endpoint) mayGoOn(w http.ResponseWriter, r *http.Request, c *Conn, user any) bool {
	if !e.sameUser(c, user) {
		answer(w, r, http.StatusForbidden, textPlain, userChanged)
		return false
	}
	if _, known := c.firstUser(); !known || !e.opts.EnableRefresh {
		return true
	}
	if status, code := e.refresh(c, user); code == permissionRejected {
		refused(w, r, status, code)
		c.Abort(ErrForbidden)
		return false
	}
	return true
}
