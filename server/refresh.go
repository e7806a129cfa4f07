package server

import (
	"context"
	"net/http"
	"reflect"
	"time"
)

// An AuthenticationRefresh is what EndpointOptions.OnAuthenticationRefresh
// decides about: a client's request with fresh credentials.
type AuthenticationRefresh struct {
	Request *http.Request // POST <route>/refresh, a poll, or a stateful reconnect
	User    User          // who the connection's user is so far
	NewUser User          // who the credentials of Request say it is
}

// A refreshPolicy is EndpointOptions.OnAuthenticationRefresh, or what
// Call.OnAuthenticationRefresh was given.
type refreshPolicy = func(context.Context, AuthenticationRefresh) (bool, error)

// onRefresh is the endpoint's policy as the transports call it.
func onRefresh(policy refreshPolicy) func(r *http.Request, old, fresh any) (bool, error) {
	if policy == nil {
		return nil
	}
	return func(r *http.Request, old, fresh any) (bool, error) {
		a, _ := old.(User)
		b, _ := fresh.(User)
		return policy(r.Context(), AuthenticationRefresh{Request: r, User: a, NewUser: b})
	}
}

// unchanged reports whether a poll or reconnect of the same user brings nothing
// new. An end that EndpointOptions.MaximumAuthenticationExpiration has set counts
// from each request and says nothing.
func unchanged(old, fresh any) bool {
	a, _ := old.(User)
	b, _ := fresh.(User)
	if a.capped && b.capped {
		a.Expires = b.Expires
	}
	if a.packed != b.packed {
		a, b = packedAgain(a), packedAgain(b)
		if a.Expires.Equal(b.Expires) { // one clock reading may have a time zone by name
			a.Expires = b.Expires
		}
	}
	return reflect.DeepEqual(a, b)
}

// capExpires brings the end of a user's authentication to at most d from now.
// An anonymous user has nothing that could end.
func capExpires(u User, d time.Duration) User {
	if d <= 0 || u.Anonymous() {
		return u
	}
	if limit := time.Now().Add(d); u.Expires.IsZero() || u.Expires.After(limit) {
		u.Expires, u.capped = limit, true
	}
	return u
}

// SameUser implements transport.Refresher. After the handshake it is the user's
// id that counts, as the hub has computed it, and no claim; before, and where
// there is none, it is the identity that all requests must have in common.
// Source: docs/reference/aspnet11.md, "Who is the same user".
func (a *hubApp) SameUser(r *http.Request, old, fresh any) (same, decided bool) {
	c := (*connection)(a)
	if c.state.Load() != open {
		return false, false
	}
	user, _ := fresh.(User)
	if policy := c.acceptRefresh.Load(); policy != nil {
		known, _ := old.(User)
		err := guard(func() (err error) {
			same, err = (*policy)(r.Context(), AuthenticationRefresh{Request: r, User: known, NewUser: user})
			return err
		})
		if err != nil {
			c.logFailure("OnAuthenticationRefresh of a call", err)
			return false, true
		}
		return same, true
	}
	if c.userID == "" {
		return false, false
	}
	own := c.hub.opts.UserID
	if own == nil {
		return user.ID == c.userID, true
	}
	err := guard(func() error {
		same = own(r, user) == c.userID
		return nil
	})
	if err != nil {
		c.logFailure("Options.UserID", err)
		return false, true
	}
	return same, true
}

// maximumRefreshes bounds the calls of OnAuthenticationRefreshed that wait for
// their turn. A refresh beyond that takes effect without one: those that wait
// see the newest user anyway.
const maximumRefreshes = 16

// Refreshed implements transport.Refresher. OnAuthenticationRefreshed takes a
// permit like a call: it waits for those that run, and those that come later wait
// for it. The answer to the client does not.
func (a *hubApp) Refreshed(r *http.Request) {
	c := (*connection)(a)
	hook := c.hub.methods.onAuthenticationRefreshed
	if hook == nil || c.state.Load() != open || c.Context().Err() != nil { // nothing follows OnDisconnected
		return
	}
	if c.refreshing.Add(1) > maximumRefreshes {
		c.refreshing.Add(-1)
		return
	}
	turn, request := c.permits.enqueue(), context.WithoutCancel(r.Context())
	made := c.whenMade()
	c.hub.running.Go(func() {
		defer c.survive()
		defer c.refreshing.Add(-1)
		if !c.permits.await(turn, c.Context().Done()) {
			return
		}
		defer c.permits.release()
		select {
		case <-made: // the hub is there, which was being made for the user before
		case <-c.Context().Done():
		}
		if c.Context().Err() != nil {
			return // its turn had come, too
		}
		defer c.bytes.Uncork()
		call := c.invocationOf(nil)
		call.connecting.Store(true) // it may not wait for client results
		defer call.endContext()
		if err := call.traced(OperationRefreshed, request, func() error { return hook(&call.call) }); err != nil {
			c.logFailure("OnAuthenticationRefreshed", err)
		}
	})
}

// whenMade returns a channel that is closed once the connection has a hub. Where each
// has its own, one that was not made yet is told after its OnConnected.
func (c *connection) whenMade() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hub.methods.create == nil || c.instance.Load() != nil {
		already := make(chan struct{})
		close(already)
		return already
	}
	rare := c.rarelyLocked()
	if rare.made == nil {
		rare.made = make(chan struct{})
	}
	return rare.made
}

// hubMade lets refreshes go on that have waited; see whenMade.
func (c *connection) hubMade() {
	if c.hub.methods.create == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rare != nil && c.rare.made != nil {
		close(c.rare.made)
	}
}

// OnAuthenticationRefresh replaces the rule that a refresh must be of the same
// user by accept: from now on it alone decides who may take the connection
// over. Call it in OnConnected. UserID, and with it whom Clients().User
// reaches, stays that of the first user, and
// EndpointOptions.OnAuthenticationRefresh is still called. accept may be called
// concurrently; an error or a panic refuses.
func (c *Call) OnAuthenticationRefresh(accept func(context.Context, AuthenticationRefresh) (bool, error)) {
	c.inv.conn.acceptRefresh.Store(&accept)
}

// LatestUser is who the newest request of the connection says the client is. It
// differs from User while a call runs that began before a refresh, and where
// polls bring other claims without refreshes being enabled.
func (c *Call) LatestUser() User {
	user, _ := c.inv.conn.bytes.Latest().(User)
	return user
}
