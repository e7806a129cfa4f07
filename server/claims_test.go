package server_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/server"
)

func TestRolesOfTokensOfEveryIssuer(t *testing.T) {
	for claims, want := range map[string][]string{
		`{}`:                        nil,
		`{"role":"admin"}`:          {"admin"},
		`{"role":["admin","user"]}`: {"admin", "user"},
		`{"roles":["admin"]}`:       {"admin"},
		`{"http://schemas.microsoft.com/ws/2008/06/identity/claims/role":"admin"}`: {"admin"},
		`{"realm_access":{"roles":["admin","user"]},"role":"x"}`:                   {"x", "admin", "user"},
		`{"role":1234567890123456789,"roles":[true,null,{"a":1},["deep"]]}`:        {"1234567890123456789", "true"},
		`{"realm_access":"admin","role":{"admin":true}}`:                           nil,
		`{"Role":"admin"}`: nil,
	} {
		if got := userOf(t, claims).Roles(); !slices.Equal(got, want) {
			t.Errorf("roles of %s = %q, want %q", claims, got, want)
		}
	}
	own := server.User{Claims: map[string]any{"role": []string{"a", "b"}, "level": 3}}
	if !slices.Equal(own.Roles(), []string{"a", "b"}) || !slices.Equal(own.ClaimValues("level"), []string{"3"}) {
		t.Errorf("claims of Go types: roles %q, level %q", own.Roles(), own.ClaimValues("level"))
	}
}

func userOf(t *testing.T, claims string) (u server.User) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(claims))
	d.UseNumber()
	if err := d.Decode(&u.Claims); err != nil {
		t.Fatal(err)
	}
	return u
}

// guarded has a method for each rule.
type guarded struct{}

func (guarded) Role() string  { return "done" }
func (guarded) Claim() string { return "done" }
func (guarded) Any() string   { return "done" }
func (guarded) None() string  { return "done" }

func TestMethodsThatNeedARoleOrAClaim(t *testing.T) {
	values := []string{"read", "write"}
	opts := server.Options{Methods: map[string]server.MethodOptions{
		"Role":  {Authorize: server.RequireRole("admin", "owner")},
		"Claim": {Authorize: server.RequireClaim("scope", values...)},
		"Any":   {Authorize: server.RequireClaim("scope")},
		"None":  {Authorize: server.RequireRole()},
	}}
	values[0] = "none" // the rule has a copy
	for claims, allowed := range map[string][]string{
		`{}`:                               nil,
		`{"role":"owner"}`:                 {"Role"},
		`{"role":"Admin"}`:                 nil,
		`{"role":"user","scope":"write"}`:  {"Claim", "Any"},
		`{"scope":["other","read"]}`:       {"Claim", "Any"},
		`{"scope":"read write"}`:           {"Any"},
		`{"roles":["admin"],"scope":null}`: {"Role", "Any"},
	} {
		user := userOf(t, claims)
		opts := opts
		opts.Authenticate = func(*http.Request) (server.User, error) { return user, nil }
		c := connect(t, serve(t, newHub(guarded{}, &opts)))
		for _, method := range []string{"Role", "Claim", "Any", "None"} {
			c.send(`{"type":1,"invocationId":"1","target":"` + method + `","arguments":[]}`)
			got := c.receive()
			if done := strings.Contains(got, `"result":"done"`); done != slices.Contains(allowed, method) {
				t.Errorf("%s of a user with %s: %s", method, claims, got)
			}
		}
	}
}
