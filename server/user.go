package server

import (
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"time"
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

	// Claims is whatever else is known of the user; the package does not use it.
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

func authenticateStatus(authenticate func(*http.Request) (User, error), r *http.Request, log *slog.Logger) (any, int) {
	user, err := authenticate(r)
	switch {
	case err == nil:
		return user, 0
	case errors.Is(err, ErrUnauthorized):
		return nil, http.StatusUnauthorized
	case errors.Is(err, ErrForbidden):
		return nil, http.StatusForbidden
	}
	log.Error("authentication is broken", "error", err)
	return nil, http.StatusInternalServerError
}

func sameUser(old, new any) bool {
	a, _ := old.(User)
	b, _ := new.(User)
	return a.ID == b.ID && a.Anonymous() == b.Anonymous()
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
