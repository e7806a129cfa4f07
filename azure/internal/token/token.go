// Package token makes and verifies the JSON Web Tokens of Azure SignalR: those of
// service connections, of clients and of the REST interface. They are signed with
// the text of an access key.
package token

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hubwire/hubwire/azure/internal/wire"
)

// MaxLength is how long a token may be, in bytes. Longer ones do not fit into
// headers everywhere.
const MaxLength = 4096

// Issuer is what the SDK says it is.
const Issuer = "azure-signalr"

// Leeway is how far clocks may differ.
const Leeway = time.Minute

// Algorithms of Spec.Algorithm.
const (
	HS256 = "HS256"
	HS512 = "HS512"
)

// Errors of this package. The errors of Verify are those of the jwt package:
// jwt.ErrTokenMalformed, ErrTokenSignatureInvalid, ErrTokenExpired,
// ErrTokenNotValidYet, ErrTokenRequiredClaimMissing (no exp), ErrTokenUnverifiable.
var (
	ErrTooLong  = errors.New("token: longer than 4096 bytes")
	ErrAudience = errors.New("token: made for something else")
)

// A Spec says what a token is to hold.
type Spec struct {
	Algorithm string // "" is HS256
	KeyID     string // left out if ""
	// Claims come first, in this order. Values of the same type become an array
	// in the place of the first.
	Claims []wire.Claim
	// Audience is what the token is for, as Audience returns it.
	Audience string
	// IssuedAt is also the moment from which the token is valid.
	IssuedAt, Expires time.Time
}

// Audience returns what tokens of an endpoint are made for. base is the endpoint's
// scheme and host, without a port; role is "client" or "server".
func Audience(base, role, hub string) string { return base + "/" + role + "/?hub=" + hub }

// Make returns a token as the SDK makes it, signed with key. The error is
// ErrTooLong, or says that the algorithm is unknown.
func Make(key string, s Spec) (string, error) {
	if s.Algorithm == "" {
		s.Algorithm = HS256
	}
	method := methods[s.Algorithm]
	if method == nil {
		return "", errors.New("token: unknown algorithm " + s.Algorithm)
	}
	header := object{}
	header.text("alg", s.Algorithm)
	header.text("typ", "JWT")
	if s.KeyID != "" {
		header.text("kid", s.KeyID)
	}
	var payload object
	payload.claims(s.Claims)
	payload.number("nbf", s.IssuedAt.Unix())
	payload.number("exp", s.Expires.Unix())
	payload.number("iat", s.IssuedAt.Unix())
	payload.text("iss", Issuer)
	payload.text("aud", s.Audience)

	signed := encode(header.end()) + "." + encode(payload.end())
	signature, err := method.Sign(signed, []byte(key))
	if err != nil {
		return "", err
	}
	if signed += "." + encode(signature); len(signed) > MaxLength {
		return "", ErrTooLong
	}
	return signed, nil
}

var methods = map[string]*jwt.SigningMethodHMAC{HS256: jwt.SigningMethodHS256, HS512: jwt.SigningMethodHS512}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// A Token is a token that was verified.
type Token struct {
	Algorithm string
	KeyID     string
	// Claims are all that it says, exp and the like too, in the order of the token
	// and one for each value of an array. Numbers and true are their JSON text.
	Claims  []wire.Claim
	Expires time.Time
}

// Verify returns what a token says if one of the keys signed it, with HS256 or
// HS512, and it is valid now, give or take Leeway. Which key a token names counts
// for nothing: the ids of access keys are new in every process. What the token is
// made for the caller asks by For.
func Verify(raw string, keys []string, now time.Time) (*Token, error) {
	set := jwt.VerificationKeySet{}
	for _, key := range keys {
		if key != "" {
			set.Keys = append(set.Keys, []byte(key))
		}
	}
	if len(set.Keys) == 0 {
		return nil, jwt.ErrTokenUnverifiable
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{HS256, HS512}), jwt.WithLeeway(Leeway), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return now }))
	parsed, err := parser.ParseWithClaims(raw, &claims{}, func(*jwt.Token) (any, error) { return set, nil })
	if err != nil {
		return nil, err
	}
	return newToken(parsed)
}

// Unverified returns what a token says, whoever made it: for what is to be known
// before, or again after, Verify. The error is jwt.ErrTokenMalformed or of that kind.
func Unverified(raw string) (*Token, error) {
	parsed, _, err := jwt.NewParser().ParseUnverified(raw, &claims{})
	if err != nil {
		return nil, err
	}
	return newToken(parsed)
}

func newToken(parsed *jwt.Token) (*Token, error) {
	t := &Token{Algorithm: parsed.Method.Alg(), Claims: *parsed.Claims.(*claims)}
	t.KeyID, _ = parsed.Header["kid"].(string)
	expires, err := parsed.Claims.GetExpirationTime()
	if err != nil {
		return nil, err
	}
	if expires != nil {
		t.Expires = expires.Time
	}
	return t, nil
}

// First returns the first value of a claim. It is the one that counts: a user's
// own claims of that name come behind it.
func (t *Token) First(name string) (value string, ok bool) { return First(t.Claims, name) }

// First returns the first value of a claim.
func First(list []wire.Claim, name string) (value string, ok bool) {
	for _, c := range list {
		if c.Type == name {
			return c.Value, true
		}
	}
	return "", false
}

// For returns ErrAudience unless the token is made for a role, "client" or
// "server", of a hub. Scheme, host and port are those of some connection string,
// which proxies may have changed: they count for nothing.
func (t *Token) For(role, hub string) error {
	return t.audience(func(u *url.URL) bool {
		given, ok := firstValue(u.RawQuery, "hub")
		return ok && hub != "" && strings.Trim(u.Path, "/") == role && strings.EqualFold(given, hub)
	})
}

// ForPath returns ErrAudience unless the token is made for a call of the REST
// interface by its path, such as "/api/v1/hubs/chat". What stands in the query
// counts for nothing.
func (t *Token) ForPath(path string) error {
	return t.audience(func(u *url.URL) bool {
		return strings.EqualFold(strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(path, "/"))
	})
}

func (t *Token) audience(good func(*url.URL) bool) error {
	for _, c := range t.Claims {
		if c.Type != "aud" {
			continue
		}
		if u, err := url.Parse(c.Value); err == nil && good(u) {
			return nil
		}
	}
	return ErrAudience
}

// firstValue returns the first value of a name in a query.
func firstValue(query, name string) (string, bool) {
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key != name {
			continue
		}
		value, err := url.QueryUnescape(value)
		return value, err == nil
	}
	return "", false
}
