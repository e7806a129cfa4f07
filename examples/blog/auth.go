package main

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/jwtbearer"
)

const (
	audience   = "blog"
	authorRole = "author"
)

// authentication takes the tokens of an identity provider (AUTHORITY) or, to try
// things out, those of the flag -token (JWT_KEY). Readers need none.
func authentication(getenv func(string) string) (func(*http.Request) (server.User, error), error) {
	opts := jwtbearer.Options{Audience: audience, AllowAnonymous: true}
	switch authority, key := getenv("AUTHORITY"), getenv("JWT_KEY"); {
	case authority != "":
		opts.Authority = authority
	case key != "":
		opts.HMACKey, opts.Issuer = []byte(key), audience
	default:
		return nil, errors.New("set AUTHORITY, or JWT_KEY to 32 bytes or more")
	}
	return jwtbearer.New(opts)
}

// newToken signs a token for -token and for tests.
func newToken(key, user string, roles ...string) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": audience, "aud": audience, "sub": user, "role": roles, "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte(key))
}

// forAuthors lets only authors through to next.
func (a *app) forAuthors(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, err := a.authenticate(r)
		switch {
		case err != nil || user.Anonymous():
			http.Error(w, "who are you?", http.StatusUnauthorized)
		case !slices.Contains(user.Roles(), authorRole):
			http.Error(w, "only authors publish", http.StatusForbidden)
		default:
			next(w, r)
		}
	}
}
