package transport

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Codes of refused refreshes. Source: docs/reference/aspnet11.md, "The answer".
const (
	missingToken       = "missing_connection_token"
	connectionUnknown  = "connection_not_found"
	unsupportedVersion = "unsupported_negotiate_version"
	userIsAnother      = "user_changed"
	permissionRejected = "permission_change_rejected"
	refreshRequired    = "authentication_refresh_required"
)

// tokenHeader is where POST <route>/refresh carries the connection token.
const tokenHeader = "X-SignalR-Connection-Token"

// A Refresher is an App that takes part in refreshes of the authentication.
type Refresher interface {
	App

	// SameUser reports whether the fresh credentials that r brings are still
	// those of the connection's user. decided is false where the App has no
	// opinion: then Options.SameUser decides, as for every other request.
	SameUser(r *http.Request, old, fresh any) (same, decided bool)

	// Refreshed is called after the connection's user was replaced by r. It must
	// not block.
	Refreshed(r *http.Request)
}

// serveRefresh takes fresh credentials for a live connection. The connection
// token says which one; before negotiate version 1 there was none.
func (e *Endpoint) serveRefresh(w http.ResponseWriter, r *http.Request, user any) {
	if r.Method != http.MethodPost {
		answer(w, r, http.StatusMethodNotAllowed, textPlain, "")
		return
	}
	token := strings.Join(r.Header[http.CanonicalHeaderKey(tokenHeader)], ",")
	if token == "" {
		refused(w, http.StatusBadRequest, missingToken)
		return
	}
	if e.opts.Elsewhere != nil {
		if !e.guard("Elsewhere", func() { e.opts.Elsewhere.Refresh(w, r, user, token) }) {
			answer(w, r, http.StatusInternalServerError, noType, "")
		}
		return
	}
	c, answered := e.lookupAnywhere(w, r, token, user)
	switch {
	case answered:
		return
	case c == nil:
		refused(w, http.StatusNotFound, connectionUnknown)
		return
	}
	if c.Token() == c.ID() {
		refused(w, http.StatusBadRequest, unsupportedVersion)
		return
	}
	switch e.refresh(r, c, user) {
	case userReplaced, userKept:
		answerJSON(w, r, append(e.appendLifetime([]byte{'{'}, user, ""), '}'))
	case userChanged:
		refused(w, http.StatusForbidden, userIsAnother)
	case refreshRejected:
		refused(w, http.StatusForbidden, permissionRejected)
	case refreshFailed:
		answer(w, r, http.StatusInternalServerError, noType, "")
	}
}

// What came of fresh credentials.
type refreshOutcome uint8

const (
	userReplaced    refreshOutcome = iota
	userKept                       // they are not newer, or too late
	userChanged                    // they are another user's
	refreshRejected                // Options.OnRefresh does not want them
	refreshFailed                  // Options.OnRefresh has failed
)

// refresh makes user, who has authenticated just now, the user of c. One whose
// credentials end earlier than those that c has changes nothing: requests
// overtake each other.
func (e *Endpoint) refresh(r *http.Request, c *Conn, user any) refreshOutcome {
	c.mu.Lock()
	old, generation := c.latestLocked(), c.rarelyLocked().refreshes
	var app Refresher
	if c.app.live() {
		app, _ = c.handler.(Refresher)
	}
	c.mu.Unlock()
	same, decided := false, false
	if app != nil && !e.guard("SameUser", func() { same, decided = app.SameUser(r, old, user) }) {
		return userChanged
	}
	if !decided {
		same = e.sameUser(c, user)
	}
	switch {
	case !same:
		return userChanged
	case e.endsEarlier(user, old):
		return userKept
	}
	if e.opts.OnRefresh != nil {
		accepted, err := false, error(nil)
		if !e.guard("OnAuthenticationRefresh", func() { accepted, err = e.opts.OnRefresh(r, old, user) }) {
			return refreshFailed
		}
		if err != nil {
			e.log.Error("user code failed", "in", "OnAuthenticationRefresh", "connection", c.ID(), "error", err)
			return refreshFailed
		}
		if !accepted {
			e.log.Info("credentials refused", "reason", "OnAuthenticationRefresh does not accept them", "connection", c.ID())
			return refreshRejected
		}
	}
	c.mu.Lock()
	if c.rare.refreshes != generation || c.link.over() || c.app.over() {
		c.mu.Unlock()
		return userKept // another refresh was faster, or the connection has ended
	}
	c.rare.refreshes++
	c.user, c.rare.latest = user, nil
	c.wakeLocked()
	c.mu.Unlock()
	if app != nil {
		app.Refreshed(r)
	}
	return userReplaced
}

// endsEarlier reports whether the credentials of fresh end before those of old.
// Credentials without an end are neither earlier nor later.
func (e *Endpoint) endsEarlier(fresh, old any) bool {
	before, now := e.expires(old), e.expires(fresh)
	return !before.IsZero() && !now.IsZero() && now.Before(before)
}

// expires is when the credentials of user end; the zero time means never.
func (e *Endpoint) expires(user any) time.Time {
	if e.opts.Expires == nil {
		return time.Time{}
	}
	return e.opts.Expires(user)
}

// appendLifetime appends the member that says how long the credentials of user
// are good for, if they end: whole seconds, rounded down.
func (e *Endpoint) appendLifetime(b []byte, user any, tail string) []byte {
	end := e.expires(user)
	if end.IsZero() {
		return b
	}
	seconds := max(int64(time.Until(end)/time.Second), 0)
	b = append(b, `"tokenLifetimeSeconds":`...)
	return append(strconv.AppendInt(b, min(seconds, math.MaxInt32), 10), tail...)
}

func refused(w http.ResponseWriter, status int, code string) {
	body := `{"error":"` + code + `"}`
	w.Header()["Content-Type"] = []string{"application/json"}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // the client is gone; no reply is needed
}

// mayServe reports whether a request of user that begins or serves a transport may
// go on, and counts its connection then; else it has answered.
func (e *Endpoint) mayServe(w http.ResponseWriter, r *http.Request, c *Conn, t Transport, user any) bool {
	if !e.isOfItsUser(w, r, c, t, user) {
		return false
	}
	if full := e.admit(c, t); full != nil {
		answer(w, r, http.StatusServiceUnavailable, textPlain, full.Error())
		return false
	}
	return true
}

// isOfItsUser reports whether a request of user may serve c; else it has
// answered. All requests of a connection must be of the user that negotiated.
// Where refreshes are enabled, other credentials of that user are a refresh;
// elsewhere the hub keeps the user it has, and only the end of the
// authentication moves.
// Source: docs/reference/aspnet11.md, "Other requests of the connection".
func (e *Endpoint) isOfItsUser(w http.ResponseWriter, r *http.Request, c *Conn, t Transport, user any) bool {
	same := e.sameUser(c, user)
	c.mu.Lock()
	began, old := c.app != appNone, c.latestLocked()
	if same && (!began || !e.opts.EnableRefresh) {
		c.setLatestLocked(user)
		c.wakeLocked() // its end may be another one
	}
	c.mu.Unlock()
	switch {
	case same && (!began || !e.opts.EnableRefresh):
		return true
	case began && e.opts.EnableRefresh && (same || t == LongPolling && e.opts.LegacyPollRefresh):
		if e.opts.Unchanged != nil && e.opts.Unchanged(old, user) {
			return true
		}
		return e.admitRefresh(w, r, c, user)
	case began && e.opts.EnableRefresh && t == LongPolling && !e.endsEarlier(user, old):
		refused(w, http.StatusConflict, refreshRequired)
		return false
	}
	answer(w, r, http.StatusForbidden, textPlain, anotherUser)
	return false
}

// admitRefresh takes a poll or a stateful reconnect with other credentials as a
// refresh.
func (e *Endpoint) admitRefresh(w http.ResponseWriter, r *http.Request, c *Conn, user any) bool {
	switch e.refresh(r, c, user) {
	case userReplaced, userKept:
		return true
	case refreshRejected:
		refused(w, http.StatusForbidden, permissionRejected)
		c.Abort(ErrForbidden)
	case refreshFailed:
		clear(w.Header()) // the host's answer, not the transport's
		answer(w, r, http.StatusInternalServerError, noType, "")
	default:
		answer(w, r, http.StatusForbidden, textPlain, anotherUser)
	}
	return false
}
