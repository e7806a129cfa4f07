// Package jwtbearer authenticates SignalR clients by JSON Web Tokens that they
// send as "Authorization: Bearer", or as access_token in the query of WebSocket
// and Server-Sent Events requests, as official clients do with their
// accessTokenFactory or AccessTokenProvider.
//
// Tokens of an OpenID Connect issuer (Entra, Auth0, Keycloak, ...):
//
//	authenticate, err := jwtbearer.New(jwtbearer.Options{
//		Authority: "https://login.example",
//		Audience:  "chat",
//	})
//	hub := server.MustHub(Chat{}, &server.Options{Authenticate: authenticate})
//
// Tokens that the application issues itself need only Options.HMACKey; see the
// example of New.
//
// It is a package of its own so that programs that do not use it do not link a
// JWT library.
package jwtbearer

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hubwire/hubwire/server"
)

// Options says which tokens are accepted. At least one source of keys is
// needed: HMACKey, PublicKeys, JWKSFile, JWKSURL, Authority or Keyfunc. Keys of
// all of them are used.
//
// The algorithm follows from the key, never from the token alone: secrets
// verify HS256, HS384 and HS512 (as far as they are as long as the hash), RSA
// keys RS256 to RS512 and PS256 to PS512, EC keys the ES algorithm of their
// curve, Ed25519 keys EdDSA. A token without signature is never accepted, nor
// one whose header has "crit".
type Options struct {
	// HMACKey verifies HS256 tokens, and HS384 and HS512 tokens if it has 48
	// and 64 bytes. It must have at least 32 bytes.
	HMACKey []byte

	// PublicKeys verify tokens, by their key id: *rsa.PublicKey of 2048 to
	// 8192 bits, *ecdsa.PublicKey of P-256, P-384 or P-521, ed25519.PublicKey.
	// The key of the empty id verifies tokens whose key id is not known.
	PublicKeys map[string]crypto.PublicKey

	// JWKSFile is a JSON Web Key Set in a file. It is read once, by New. A key
	// in it that cannot be used is passed over.
	JWKSFile string

	// JWKSURL is where a JSON Web Key Set is found. It is read with the first
	// token, again every 12 hours, and when a token names a key that it does
	// not have, then at most once per KeyRefreshInterval. While it cannot be
	// read the keys of before stay.
	JWKSURL string

	// Authority is the issuer as a URL, as "https://login.example/tenant".
	// Its OpenID configuration (Authority + "/.well-known/openid-configuration")
	// says where its keys are, which are read as those of JWKSURL, and, if
	// Issuer is empty, what the issuer of every token must be.
	Authority string

	// KeyRefreshInterval is the shortest time between two readings of JWKSURL
	// or Authority. Zero means 5 minutes. Negative means none. After a failure
	// it is at most 10 seconds.
	KeyRefreshInterval time.Duration

	// InsecureHTTP lets JWKSURL and Authority be http instead of https: anybody
	// on the network path can then supply keys of their own. It is for tests,
	// and for networks that nobody else can reach.
	InsecureHTTP bool

	// HTTPClient reads JWKSURL and Authority. Nil means one like
	// http.DefaultClient. One reading takes at most 10 seconds and 1 MiB.
	HTTPClient *http.Client

	// Keyfunc finds keys in another way, for instance that of the module
	// github.com/MicahParks/keyfunc/v3. Keys that do not fit the algorithm of
	// the token are not used. It may be called concurrently.
	Keyfunc jwt.Keyfunc

	// Algorithms are the algorithms that are accepted, as "RS256". Nil means
	// all that fit a key.
	Algorithms []string

	// Issuer and Audience must be in the token where they are not empty. A
	// token for several audiences is accepted if Audience is one of them.
	Issuer, Audience string

	// Leeway is the difference between clocks that is forgiven in "exp" and
	// "nbf". Zero means 5 minutes, as in ASP.NET Core (ClockSkew). Negative
	// means none. User.Expires is "exp" itself.
	Leeway time.Duration

	// UserIDClaim is the claim that becomes User.ID. Empty means what ASP.NET
	// Core takes for the name identifier: the first in the token of "sub",
	// "nameid" and the claim type of .NET that ends in "/nameidentifier".
	UserIDClaim string

	// AllowAnonymous lets requests without a token through, as an anonymous
	// user. A bad token is refused all the same.
	AllowAnonymous bool
}

// maxTokenSize is what .NET's token handler accepts, in bytes.
const maxTokenSize = 250 << 10

// New returns a server.Options.Authenticate. Its errors wrap
// server.ErrUnauthorized and never quote the token; an issuer that was never
// reached is an error that does not wrap it. Tokens must expire.
//
// User.Claims are those of the token; numbers among them are json.Number.
func New(opts Options) (func(*http.Request) (server.User, error), error) {
	v, err := newVerifier(opts)
	if err != nil {
		return nil, fmt.Errorf("jwtbearer: %w", err)
	}
	return v.authenticate, nil
}

type verifier struct {
	opts    Options
	static  keySet
	remotes []*remoteKeys
}

func newVerifier(opts Options) (*verifier, error) {
	v := &verifier{opts: opts}
	for _, name := range opts.Algorithms {
		if method := jwt.GetSigningMethod(name); method == nil || name == "none" {
			return nil, fmt.Errorf("algorithm %q is not known", name)
		}
	}
	if err := v.static.addOptions(opts); err != nil {
		return nil, err
	}
	for i, address := range []string{opts.JWKSURL, opts.Authority} {
		if address == "" {
			continue
		}
		remote, err := newRemoteKeys(address, i == 1, opts)
		if err != nil {
			return nil, err
		}
		v.remotes = append(v.remotes, remote)
	}
	if len(v.static) == 0 && len(v.remotes) == 0 && opts.Keyfunc == nil {
		return nil, errors.New("no key to verify tokens with")
	}
	switch {
	case opts.Leeway == 0:
		v.opts.Leeway = 5 * time.Minute
	case opts.Leeway < 0:
		v.opts.Leeway = 0
	}
	return v, nil
}

func (v *verifier) authenticate(r *http.Request) (server.User, error) {
	text, ok := bearer(r)
	if !ok {
		if v.opts.AllowAnonymous {
			return server.User{}, nil
		}
		return server.User{}, fmt.Errorf("%w: no bearer token", server.ErrUnauthorized)
	}
	if len(text) > maxTokenSize {
		return server.User{}, refuse("", errors.New("token is too long"))
	}
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(v.parserOptions()...)
	token, err := parser.ParseWithClaims(text, claims, v.keyfunc(r.Context()))
	var unreachable *unreachableError
	switch {
	case errors.As(err, &unreachable):
		return server.User{}, fmt.Errorf("jwtbearer: %w", unreachable)
	case err != nil:
		return server.User{}, refuse(v.describe(err, claims), err)
	}
	if !v.issuedByAuthority(claims) {
		return server.User{}, refuse(badIssuer(claims), jwt.ErrTokenInvalidIssuer)
	}
	payload, err := parser.DecodeSegment(strings.Split(token.Raw, ".")[1])
	if err != nil || !json.Valid(payload) { // the parser reads no further than the first value
		return server.User{}, refuse("", jwt.ErrTokenMalformed)
	}
	return v.user(claims, payload)
}

func (v *verifier) parserOptions() []jwt.ParserOption {
	options := []jwt.ParserOption{
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(v.opts.Leeway),
		jwt.WithJSONNumber(), // a big number as user id must not lose digits
	}
	if v.opts.Algorithms != nil {
		options = append(options, jwt.WithValidMethods(v.opts.Algorithms))
	}
	if v.opts.Issuer != "" {
		options = append(options, jwt.WithIssuer(v.opts.Issuer))
	}
	if v.opts.Audience != "" {
		options = append(options, jwt.WithAudience(v.opts.Audience))
	}
	return options
}

// keyfunc finds the keys that may have signed a token: those of its key id, or
// else those that verify any.
func (v *verifier) keyfunc(ctx context.Context) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) {
		// RFC 7515, section 4.1.11: extensions that are not understood. We
		// understand none.
		if _, ok := token.Header["crit"]; ok {
			return nil, errors.New("critical header parameters are not supported")
		}
		if token.Method == jwt.SigningMethodNone {
			return nil, jwt.ErrTokenSignatureInvalid
		}
		id, _ := token.Header["kid"].(string)
		keys, err := v.candidates(ctx, id, token)
		if err != nil {
			return nil, err
		}
		var fitting []jwt.VerificationKey
		for _, key := range keys {
			if fits(token.Method.Alg(), key) {
				fitting = append(fitting, key)
			}
		}
		if len(fitting) == 0 {
			return nil, errNoKey
		}
		return jwt.VerificationKeySet{Keys: fitting}, nil
	}
}

// errNoKey says that no key has the token's id, or that it is not one for the
// token's algorithm.
var errNoKey = errors.New("no key for the algorithm and key id of the token")

func (v *verifier) candidates(ctx context.Context, id string, token *jwt.Token) ([]any, error) {
	alg := token.Method.Alg()
	keys := v.static.find(id, alg)
	var failure error
	for _, remote := range v.remotes {
		found, err := remote.find(ctx, id, alg)
		if err != nil {
			failure = err
		}
		keys = append(keys, found...)
	}
	if v.opts.Keyfunc != nil {
		found, err := v.opts.Keyfunc(token)
		set, many := found.(jwt.VerificationKeySet)
		switch {
		case err != nil:
			failure = err
		case many:
			for _, key := range set.Keys {
				keys = append(keys, key)
			}
		default:
			keys = append(keys, found)
		}
	}
	if len(keys) == 0 {
		return nil, failure
	}
	return keys, nil
}

// issuedByAuthority reports whether the issuer of the token is the one that the
// authority has named, where Options.Issuer names none.
func (v *verifier) issuedByAuthority(claims jwt.MapClaims) bool {
	if v.opts.Issuer != "" || v.opts.Authority == "" {
		return true
	}
	got, _ := claims["iss"].(string)
	return got != "" && got == v.remotes[len(v.remotes)-1].issuerName()
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}
