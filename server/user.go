package server

import (
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/hubwire/hubwire/server/internal/transport"
)

// User is who is at the other end of a connection, as Options.Authenticate
// found it out. The zero value is an anonymous user.
type User struct {
	// ID is what Clients().User addresses, compared byte by byte. Where Go and
	// ASP.NET Core nodes share a Redis it must be the string that ASP.NET's
	// IUserIdProvider gives, by default the name-identifier claim.
	ID string

	// Name is for people and logs; the package does not use it.
	Name string

	// Claims is whatever else is known of the user, by the names of the claims.
	// RequireRole and RequireClaim look here.
	Claims map[string]any

	// Expires is when the authentication ends. Zero means never.
	Expires time.Time
}

// Anonymous reports whether nothing is known of the user.
func (u User) Anonymous() bool {
	return u.ID == "" && u.Name == "" && len(u.Claims) == 0
}

// Errors that Options.Authenticate answers with; they may be wrapped.
var (
	ErrUnauthorized = errors.New("server: unauthorized") // 401: who are you?
	ErrForbidden    = errors.New("server: forbidden")    // 403: not you
)

// An InvalidTokenError is an ErrUnauthorized for a token that is there and not
// good: clients are told so in WWW-Authenticate, as by ASP.NET Core's
// JwtBearerHandler. See InvalidToken.
type InvalidTokenError struct {
	// Description is for the client, as "The token expired at '...'". It must
	// hold nothing secret. Empty means none.
	Description string

	// Err is the cause, for the server's log. It may be nil.
	Err error
}

// InvalidToken returns an error for Options.Authenticate that refuses a token
// with 401 and the challenge
//
//	Bearer error="invalid_token", error_description="..."
//
// of RFC 6750. An empty description is left out; cause is not told to clients.
func InvalidToken(description string, cause error) *InvalidTokenError {
	return &InvalidTokenError{Description: description, Err: cause}
}

func (e *InvalidTokenError) Error() string {
	text := "server: invalid token"
	if e.Description != "" {
		text += ": " + e.Description
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns ErrUnauthorized and the cause.
func (e *InvalidTokenError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrUnauthorized}
	}
	return []error{ErrUnauthorized, e.Err}
}

// challenge is the value of WWW-Authenticate. What a quoted string cannot hold
// is left out of the description.
func (e *InvalidTokenError) challenge() string {
	text := `Bearer error="invalid_token"`
	description := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, e.Description)
	if description != "" {
		text += `, error_description="` + description + `"`
	}
	return text
}

// askWho asks authenticate who has sent r.
func askWho(authenticate func(*http.Request) (User, error), r *http.Request, log *slog.Logger) (any, transport.Refusal) {
	user, err := authenticate(r)
	var invalid *InvalidTokenError
	switch {
	case err == nil:
		return user, transport.Refusal{}
	case errors.As(err, &invalid):
		return nil, transport.Refusal{Status: http.StatusUnauthorized, Challenge: invalid.challenge()}
	case errors.Is(err, ErrUnauthorized):
		return nil, transport.Refusal{Status: http.StatusUnauthorized}
	case errors.Is(err, ErrForbidden):
		return nil, transport.Refusal{Status: http.StatusForbidden}
	}
	log.Error("authentication is broken", "error", err)
	return nil, transport.Refusal{Status: http.StatusInternalServerError}
}

// sameUser reports whether new may use what old has opened. Users with an id
// are known by it and nothing else. Without one, the claims that name a user
// decide, and if there are none, all claims: two users of whom nothing is known
// but that they have authenticated are not the same.
// Source: captures of ASP.NET Core 11, "Who is the same user".
func sameUser(old, new any) bool {
	a, _ := old.(User)
	b, _ := new.(User)
	switch {
	case a.ID != "" || b.ID != "":
		return a.ID == b.ID
	case a.Anonymous() || b.Anonymous():
		return a.Anonymous() && b.Anonymous()
	}
	for _, name := range []string{"sub", nameIdentifierClaim, upnClaim} {
		x, known := a.Claims[name]
		y, also := b.Claims[name]
		if known || also {
			return known && also && reflect.DeepEqual(x, y)
		}
	}
	return a.Name == b.Name && reflect.DeepEqual(a.Claims, b.Claims)
}

// acceptRefresh asks accept only about what has changed.
func acceptRefresh(accept func(old, fresh User) bool) func(old, fresh any) bool {
	if accept == nil {
		return nil
	}
	return func(old, fresh any) bool {
		a, _ := old.(User)
		b, _ := fresh.(User)
		return reflect.DeepEqual(a, b) || accept(a, b)
	}
}

func lifetime(user any) (time.Duration, bool) {
	u, _ := user.(User)
	return time.Until(u.Expires), !u.Expires.IsZero()
}
