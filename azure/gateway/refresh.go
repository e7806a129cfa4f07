package gateway

import (
	"slices"
	"strconv"
	"time"

	"github.com/hubwire/hubwire/azure/internal/token"
	"github.com/hubwire/hubwire/azure/internal/wire"
)

// An app server refreshes the authentication of a client that has come to it with
// fresh credentials and its connection token. The client's user stays; its claims,
// and when its authentication ends, are those of the app server from then on.

// A refreshedAuth is what an app server has said of a client since it came.
type refreshedAuth struct {
	claims  []wire.Claim // by their long names
	closeAt time.Time
}

// byToken returns the client of the hub that has a connection token from negotiate,
// and whose handshake is done; nil for none.
func (h *hub) byToken(connectionToken string) *client {
	for _, e := range h.g.byMask {
		if conn := e.Lookup(connectionToken); conn != nil {
			h.mu.RLock()
			c := h.clients[conn.ID()]
			ready := c != nil && c.conn == conn && c.ready.Load()
			h.mu.RUnlock()
			if ready {
				return c
			}
		}
	}
	return nil
}

// claimsLocked are the client's claims as app servers see them. client.mu is held, or
// nobody else knows the client.
func (c *client) claimsLocked() []wire.Claim {
	if c.refreshed != nil {
		return slices.Clone(c.refreshed.claims)
	}
	return c.who.widened(c.conn.Request())
}

// closeAtLocked is when the client's authentication ends.
func (c *client) closeAtLocked() time.Time {
	if c.refreshed != nil {
		return c.refreshed.closeAt
	}
	return c.who.closeAt
}

// claimsOf returns the claims of a client, for an app server.
func (h *hub) claimsOf(connectionToken string) outcome {
	c := h.byToken(connectionToken)
	if c == nil {
		return outcome{status: wire.AckNotFound}
	}
	c.mu.Lock()
	claims := c.claimsLocked()
	c.mu.Unlock()
	return outcome{status: wire.AckOK, payload: wire.AppendClaims(nil, claims)}
}

// refresh gives a client new claims. They are refused (5) if they are of another
// user: who that is says whom sends reach. The app server that has the client is told
// if something has changed.
func (h *hub) refresh(m *wire.RefreshAuth) outcome {
	c := h.byToken(m.ConnectionToken)
	if c == nil {
		return outcome{status: wire.AckNotFound}
	}
	userID, hasUser := token.First(m.Claims, "asrs.s.uid")
	if userID != c.who.userID || hasUser != c.who.hasUser {
		h.g.often.Warn("authentication refresh refused", "hub", h.name, "connection", c.conn.ID(), "reason", "it is of another user")
		return outcome{status: wire.AckForbidden}
	}
	claims := widen(slices.Clone(m.Claims))
	c.mu.Lock()
	changed := !slices.Equal(withoutTimes(c.claimsLocked()), withoutTimes(claims))
	c.refreshed = &refreshedAuth{claims: claims, closeAt: closeAtOf(claims)}
	owner := c.server
	if changed && owner != nil && !c.ended {
		owner.queue(&wire.UpdateConnectionClaims{ConnectionID: c.conn.ID(), Claims: claims})
	}
	c.mu.Unlock()
	if owner != nil {
		owner.conn.Relieve()
	}
	return outcome{status: wire.AckOK, payload: wire.AppendClaims(nil, claims)}
}

// closeAtOf is when claims say that the client is to be closed, or far.
func closeAtOf(claims []wire.Claim) time.Time {
	if on, _ := token.First(claims, "asrs.s.coae"); on == "true" {
		text, _ := token.First(claims, "asrs.s.aeo")
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return time.Unix(min(n, far.Unix()), 0) // what is later would come round to the past
		}
	}
	return far
}

// widen gives claims their long names.
func widen(claims []wire.Claim) []wire.Claim {
	for i, c := range claims {
		if long, ok := longNames[c.Type]; ok {
			claims[i].Type = long
		}
	}
	return claims
}

// withoutTimes are the claims without those that a token has of its own.
func withoutTimes(claims []wire.Claim) []wire.Claim {
	return slices.DeleteFunc(slices.Clone(claims), func(c wire.Claim) bool {
		return slices.Contains([]string{"nbf", "exp", "iat", "iss", "aud"}, c.Type)
	})
}
