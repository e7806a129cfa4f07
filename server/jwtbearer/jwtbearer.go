// Package jwtbearer authenticates SignalR clients by JSON Web Tokens that they
// send as "Authorization: Bearer", or as access_token in the query of WebSocket
// and Server-Sent Events requests, as official clients do with their
// accessTokenFactory or AccessTokenProvider.
//
//	authenticate, err := jwtbearer.New(jwtbearer.Options{
//		HMACKey:  key,
//		Issuer:   "https://login.example",
//		Audience: "chat",
//	})
//	hub := server.NewHub(Chat{}, &server.Options{Authenticate: authenticate})
//
// It is a package of its own so that who does not use it does not link a JWT
// library.
package jwtbearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hubwire/hubwire/server"
)

// Options says which tokens are accepted. At least one key is needed; the
// algorithm follows from the key, never from the token alone.
type Options struct {
	// HMACKey verifies HS256 tokens. It must have at least 32 bytes.
	HMACKey []byte

	// PublicKeys verify RS256 (*rsa.PublicKey, 2048 bits or more) and ES256
	// (*ecdsa.PublicKey, P-256) tokens, by their key id. The key of the empty
	// id verifies tokens without one.
	PublicKeys map[string]crypto.PublicKey

	// JWKSFile is a JSON Web Key Set whose RSA, EC and oct keys are added. It
	// is read once, by New.
	JWKSFile string

	// Issuer and Audience must be in the token where they are not empty.
	Issuer, Audience string

	// Leeway is the difference between clocks that is forgiven. Zero means
	// none; ASP.NET Core forgives five minutes.
	Leeway time.Duration

	// UserIDClaim is the claim that becomes User.ID. Empty means the first of
	// ASP.NET Core's name-identifier claim and "sub" that is there.
	UserIDClaim string

	// AllowAnonymous lets requests without a token through, as an anonymous
	// user. A bad token is refused all the same.
	AllowAnonymous bool
}

// nameIdentifier is ClaimTypes.NameIdentifier of .NET.
const nameIdentifier = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"

// New returns a server.Options.Authenticate. Its errors wrap
// server.ErrUnauthorized and never quote the token. Tokens must expire.
func New(opts Options) (func(*http.Request) (server.User, error), error) {
	keys, err := newKeySet(opts)
	if err != nil {
		return nil, fmt.Errorf("jwtbearer: %w", err)
	}
	parse := []jwt.ParserOption{
		jwt.WithValidMethods([]string{"HS256", "RS256", "ES256"}),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(opts.Leeway),
	}
	if opts.Issuer != "" {
		parse = append(parse, jwt.WithIssuer(opts.Issuer))
	}
	if opts.Audience != "" {
		parse = append(parse, jwt.WithAudience(opts.Audience))
	}
	parser := jwt.NewParser(parse...)
	return func(r *http.Request) (server.User, error) {
		token, ok := bearer(r)
		if !ok {
			if opts.AllowAnonymous {
				return server.User{}, nil
			}
			return server.User{}, fmt.Errorf("%w: no bearer token", server.ErrUnauthorized)
		}
		claims := jwt.MapClaims{}
		if _, err := parser.ParseWithClaims(token, claims, keys.find); err != nil {
			return server.User{}, fmt.Errorf("%w: %w", server.ErrUnauthorized, err)
		}
		return user(claims, opts.UserIDClaim)
	}, nil
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}

func user(claims jwt.MapClaims, idClaim string) (server.User, error) {
	u := server.User{Claims: claims}
	u.Name, _ = claims["name"].(string)
	candidates := []string{nameIdentifier, "sub"}
	if idClaim != "" {
		candidates = []string{idClaim}
	}
	for _, name := range candidates {
		if id, ok := claims[name].(string); ok && id != "" {
			u.ID = id
			break
		}
	}
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil {
		return server.User{}, fmt.Errorf("%w: token without expiry", server.ErrUnauthorized)
	}
	u.Expires = expires.Time
	return u, nil
}

// A keySet finds the key that must have signed a token.
type keySet struct {
	hmac   map[string][]byte
	public map[string]crypto.PublicKey
}

func newKeySet(opts Options) (*keySet, error) {
	k := &keySet{hmac: map[string][]byte{}, public: map[string]crypto.PublicKey{}}
	if opts.HMACKey != nil {
		if err := k.addHMAC("", opts.HMACKey); err != nil {
			return nil, err
		}
	}
	for id, key := range opts.PublicKeys {
		if err := k.addPublic(id, key); err != nil {
			return nil, err
		}
	}
	if opts.JWKSFile != "" {
		if err := k.addFile(opts.JWKSFile); err != nil {
			return nil, err
		}
	}
	if len(k.hmac)+len(k.public) == 0 {
		return nil, errors.New("no key to verify tokens with")
	}
	return k, nil
}

func (k *keySet) addHMAC(id string, key []byte) error {
	if len(key) < 32 {
		return fmt.Errorf("HMAC key %q has %d bytes, needs at least 32", id, len(key))
	}
	k.hmac[id] = key
	return nil
}

func (k *keySet) addPublic(id string, key crypto.PublicKey) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 {
			return fmt.Errorf("RSA key %q has %d bits, needs at least 2048", id, key.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return fmt.Errorf("EC key %q is not of curve P-256", id)
		}
	default:
		return fmt.Errorf("key %q is a %T; RSA and EC public keys are supported", id, key)
	}
	k.public[id] = key
	return nil
}

// find is a jwt.Keyfunc. A token is verified only with a key of the kind that
// its algorithm needs: a public key is never taken for an HMAC secret.
func (k *keySet) find(token *jwt.Token) (any, error) {
	id, _ := token.Header["kid"].(string)
	if token.Method.Alg() == "HS256" {
		if key, ok := k.hmac[id]; ok {
			return key, nil
		}
		if key, ok := k.hmac[""]; ok {
			return key, nil
		}
		return nil, errors.New("no such key")
	}
	key, ok := k.public[id]
	if !ok {
		key, ok = k.public[""]
	}
	if !ok {
		return nil, errors.New("no such key")
	}
	switch key.(type) {
	case *rsa.PublicKey:
		ok = token.Method.Alg() == "RS256"
	case *ecdsa.PublicKey:
		ok = token.Method.Alg() == "ES256"
	}
	if !ok {
		return nil, errors.New("the key is not of the token's algorithm")
	}
	return key, nil
}
