package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/server"
)

func TestARefusedTokenIsNamedInTheChallenge(t *testing.T) {
	cause := errors.New("key 7 of 9")
	for _, test := range []struct {
		name   string
		err    error
		status int
		want   string
	}{
		{"no token", server.ErrUnauthorized, 401, "Bearer"},
		{"a token, without a description", server.InvalidToken("", cause), 401, `Bearer error="invalid_token"`},
		{"a token, with one", server.InvalidToken("The token expired at '11/26/2026 12:00:00'", cause), 401,
			`Bearer error="invalid_token", error_description="The token expired at '11/26/2026 12:00:00'"`},
		{"wrapped", fmt.Errorf("tenant 5: %w", server.InvalidToken("The signature is invalid", nil)), 401,
			`Bearer error="invalid_token", error_description="The signature is invalid"`},
		{"what a header cannot hold", server.InvalidToken("a\"b\\c\r\nX-Evil: d\x7fé", nil), 401,
			`Bearer error="invalid_token", error_description="abcX-Evil: d"`},
		{"only what a header cannot hold", server.InvalidToken("\"\n", nil), 401, `Bearer error="invalid_token"`},
		{"forbidden", server.ErrForbidden, 403, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			hub := server.MustHub(struct{}{}, &server.Options{
				Authenticate: func(*http.Request) (server.User, error) { return server.User{}, test.err },
			})
			for _, path := range []string{"/chat/negotiate", "/chat?id=x"} {
				w := httptest.NewRecorder()
				hub.ServeHTTP(w, httptest.NewRequest("POST", path, nil))
				if got := w.Header().Get("WWW-Authenticate"); w.Code != test.status || got != test.want {
					t.Errorf("%d, WWW-Authenticate %s, want %d, %s", w.Code, got, test.status, test.want)
				}
			}
		})
	}
	err := error(server.InvalidToken("The signature is invalid", cause))
	if !errors.Is(err, server.ErrUnauthorized) || !errors.Is(err, cause) {
		t.Errorf("%v wraps neither ErrUnauthorized nor its cause", err)
	}
	if !strings.Contains(err.Error(), "The signature is invalid") || !strings.Contains(err.Error(), cause.Error()) {
		t.Errorf("Error() = %q", err)
	}
}
