package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// User is the identity of a client, as Options.Authenticate found it. The zero
// value is an anonymous user.
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

	capped bool // Expires is that of MaximumAuthenticationExpiration
	packed bool // it came from another node: see packUser
}

// Anonymous reports whether nothing is known of the user.
func (u User) Anonymous() bool {
	return u.ID == "" && u.Name == "" && len(u.Claims) == 0
}

// Errors that Options.Authenticate returns; they may be wrapped.
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
// of RFC 6750. An empty description is left out; clients do not see cause.
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
func askWho(authenticate func(*http.Request) (User, error), r *http.Request, limit time.Duration, log *slog.Logger) (any, transport.Refusal) {
	user, err := authenticate(r)
	if err != nil {
		return nil, refusal(err, r, log)
	}
	return kept(capExpires(user, limit)), transport.Refusal{}
}

// refusal is how r is answered, of which authenticate has said err. It is no part of askWho,
// whose frame is on the stack of each request while user code runs.
func refusal(err error, r *http.Request, log *slog.Logger) transport.Refusal {
	no := transport.Refusal{Status: http.StatusInternalServerError}
	var invalid *InvalidTokenError
	switch {
	case errors.As(err, &invalid):
		no = transport.Refusal{Status: http.StatusUnauthorized, Challenge: invalid.challenge()}
	case errors.Is(err, ErrUnauthorized):
		no.Status = http.StatusUnauthorized
	case errors.Is(err, ErrForbidden):
		no.Status = http.StatusForbidden
	}
	level, message := slog.LevelInfo, "credentials refused"
	if no.Status == http.StatusInternalServerError {
		level, message = slog.LevelError, "authentication is broken"
	}
	if log.Enabled(r.Context(), level) {
		log.Log(r.Context(), level, message, "type", fmt.Sprintf("%T", err), "status", no.Status, "remote", r.RemoteAddr,
			"error", withoutSecrets(describe(err).text, r))
	}
	return no
}

// nobody is a User of whom nothing is known, as the transport keeps it.
var nobody any = User{}

// kept is user as the transport keeps it: where nobody signs in, all connections
// have one.
func kept(user User) any {
	if user.Anonymous() && user.Claims == nil && user.Expires.IsZero() && !user.capped && !user.packed {
		return nobody
	}
	return user
}

// withoutSecrets removes the credentials of r from text, in which an error may
// quote them.
func withoutSecrets(text string, r *http.Request) string {
	for _, secret := range slices.Concat(r.Header["Authorization"], r.Header["Cookie"], []string{r.URL.RawQuery}) {
		if secret == "" {
			continue
		}
		text = strings.ReplaceAll(text, secret, "[secret]")
		// The scheme of Authorization, and the names of cookies and parameters,
		// are no secrets.
		for _, part := range strings.FieldsFunc(secret, func(r rune) bool { return strings.ContainsRune(" ;,&", r) }) {
			_, value, named := strings.Cut(part, "=")
			if !named || value == "" || strings.Trim(value, "=") == "" {
				value = part
			}
			for _, value := range []string{part, value} {
				if len(value) >= leastSecret {
					text = strings.ReplaceAll(text, value, "[secret]")
				}
			}
		}
	}
	return text
}

// leastSecret is how long a word of credentials is at least for it to be
// removed: shorter ones are words like Bearer.
const leastSecret = 8

// sameUser reports whether two requests are from one user: they have the first
// of these that is not empty in common, the claim sub, the id, the claim upn.
// Users that have none are one if both are anonymous or all their claims are
// equal.
// Source: docs/reference/aspnet11.md, "Who is the same user".
func sameUser(old, fresh any) bool {
	a, _ := old.(User)
	b, _ := fresh.(User)
	kind, id := a.identity()
	otherKind, otherID := b.identity()
	if kind != "" || otherKind != "" {
		return kind == otherKind && id == otherID
	}
	if a.packed != b.packed {
		a, b = packedAgain(a), packedAgain(b)
	}
	return a.Name == b.Name && len(a.Claims) == len(b.Claims) &&
		(len(a.Claims) == 0 || reflect.DeepEqual(a.Claims, b.Claims))
}

func (u User) identity() (kind, value string) {
	for _, one := range [...]struct{ kind, value string }{
		{"sub", claimText(u.Claims["sub"])},
		{"id", u.ID}, {"id", claimText(u.Claims[nameIdentifierClaim])},
		{"upn", claimText(u.Claims["upn"])}, {"upn", claimText(u.Claims[upnClaim])},
	} {
		if one.value != "" {
			return one.kind, one.value
		}
	}
	return "", ""
}

// claimText is a claim as text; numbers are written as in their token.
func claimText(claim any) string {
	if claim == nil {
		return ""
	}
	return fmt.Sprint(claim)
}

func expires(user any) time.Time {
	u, _ := user.(User)
	return u.Expires
}
