package jwtbearer_test

import (
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/jwtbearer"
)

// Editor is a hub with a method for some users only.
type Editor struct{}

func (Editor) Publish(id int) {}

// Tokens of an OpenID Connect issuer, whose keys are found by its configuration;
// a method asks for a role. User.Roles has those of the claims "role" and "roles"
// and of .NET's long name.
func ExampleNew_roles() {
	authenticate, err := jwtbearer.New(jwtbearer.Options{
		Authority: "https://login.example/tenant",
		Audience:  "chat",
	})
	if err != nil {
		panic(err)
	}
	server.MustHub(Editor{}, &server.Options{
		Authenticate: authenticate,
		Methods: map[string]server.MethodOptions{
			"Publish": {Authorize: server.RequireRole("editor", "admin")},
		},
	})
}

// An application that issues its own tokens, for instance where its users log
// in, and gives them to their SignalR client as the result of its
// accessTokenFactory.
func ExampleNew() {
	key := []byte("a secret of 32 bytes or more, kept out of the code")
	issue := func(userID string, roles ...string) (string, error) {
		return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"iss":  "https://shop.example",
			"aud":  "chat",
			"sub":  userID,
			"role": roles,
			"exp":  time.Now().Add(time.Hour).Unix(),
		}).SignedString(key)
	}

	authenticate, err := jwtbearer.New(jwtbearer.Options{HMACKey: key, Issuer: "https://shop.example", Audience: "chat"})
	if err != nil {
		panic(err)
	}
	token, err := issue("alice", "admin")
	if err != nil {
		panic(err)
	}

	r := httptest.NewRequest("GET", "/chat", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	user, err := authenticate(r) // what a hub with this Options.Authenticate does
	fmt.Println(user.ID, user.Claims["role"], err)
	// Output: alice [admin] <nil>
}
