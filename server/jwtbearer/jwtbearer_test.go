package jwtbearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hubwire/hubwire/server"
)

func TestTokens(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authenticate, err := New(Options{
		HMACKey:    secret,
		PublicKeys: map[string]crypto.PublicKey{"rsa": &rsaKey.PublicKey},
		JWKSFile:   writeKeySet(t, "ec", &ecKey.PublicKey),
		Issuer:     "https://login.test",
		Audience:   "chat",
	})
	if err != nil {
		t.Fatal(err)
	}
	soon := time.Now().Add(time.Hour).Unix()
	good := jwt.MapClaims{"iss": "https://login.test", "aud": "chat", "sub": "alice", "name": "Alice", "exp": soon}
	with := func(name string, value any) jwt.MapClaims {
		c := jwt.MapClaims{}
		for k, v := range good {
			c[k] = v
		}
		c[name] = value
		if value == nil {
			delete(c, name)
		}
		return c
	}
	publicAsSecret := rsaKey.N.Bytes()
	for _, test := range []struct {
		name   string
		method jwt.SigningMethod
		kid    string
		key    any
		claims jwt.MapClaims
		want   string // user id, or empty for a refusal
	}{
		{"HS256 is accepted", jwt.SigningMethodHS256, "", secret, good, "alice"},
		{"RS256 is accepted", jwt.SigningMethodRS256, "rsa", rsaKey, good, "alice"},
		{"ES256 from a key set is accepted", jwt.SigningMethodES256, "ec", ecKey, good, "alice"},
		{"the name identifier of .NET wins over sub", jwt.SigningMethodHS256, "", secret, with(nameIdentifier, "bob"), "bob"},
		{"another key is refused", jwt.SigningMethodHS256, "", []byte("another key of at least 32 bytes"), good, ""},
		{"an unknown key id is refused", jwt.SigningMethodRS256, "other", rsaKey, good, ""},
		{"an expired token is refused", jwt.SigningMethodHS256, "", secret, with("exp", time.Now().Add(-time.Minute).Unix()), ""},
		{"a token that never expires is refused", jwt.SigningMethodHS256, "", secret, with("exp", nil), ""},
		{"a token that is not valid yet is refused", jwt.SigningMethodHS256, "", secret, with("nbf", soon), ""},
		{"another issuer is refused", jwt.SigningMethodHS256, "", secret, with("iss", "https://evil.test"), ""},
		{"another audience is refused", jwt.SigningMethodHS256, "", secret, with("aud", "mail"), ""},
		{"other algorithms are refused", jwt.SigningMethodHS512, "", secret, good, ""},
		{"a public key is no secret", jwt.SigningMethodHS256, "rsa", publicAsSecret, good, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			token := jwt.NewWithClaims(test.method, test.claims)
			if test.kid != "" {
				token.Header["kid"] = test.kid
			}
			text, err := token.SignedString(test.key)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("GET", "/hub", nil)
			r.Header.Set("Authorization", "bearer "+text)
			user, err := authenticate(r)
			switch {
			case test.want == "" && !errors.Is(err, server.ErrUnauthorized):
				t.Errorf("authenticate = %v, %v, want ErrUnauthorized", user, err)
			case test.want != "" && (err != nil || user.ID != test.want || user.Expires.Unix() != soon):
				t.Errorf("authenticate = %+v, %v, want user %s", user, err, test.want)
			}
		})
	}
}

func TestRequestsWithoutToken(t *testing.T) {
	for _, allow := range []bool{false, true} {
		authenticate, err := New(Options{HMACKey: make([]byte, 32), AllowAnonymous: allow})
		if err != nil {
			t.Fatal(err)
		}
		user, err := authenticate(httptest.NewRequest("GET", "/hub", nil))
		if allow && (err != nil || !user.Anonymous()) || !allow && !errors.Is(err, server.ErrUnauthorized) {
			t.Errorf("AllowAnonymous %v: authenticate = %+v, %v", allow, user, err)
		}
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err == nil {
		if _, err := New(Options{PublicKeys: map[string]crypto.PublicKey{"": &small.PublicKey}}); err == nil {
			t.Error("New with an RSA key of 1024 bits: no error")
		}
	}
	for name, opts := range map[string]Options{
		"no key":       {},
		"short secret": {HMACKey: make([]byte, 31)},
		"no such file": {JWKSFile: filepath.Join(t.TempDir(), "none.json")},
	} {
		if _, err := New(opts); err == nil {
			t.Errorf("New with %s: no error", name)
		}
	}
}

func writeKeySet(t *testing.T, id string, key *ecdsa.PublicKey) string {
	t.Helper()
	point, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	text, err := json.Marshal(map[string]any{"keys": []jwk{{Type: "EC", ID: id, Curve: "P-256", X: b64(point[1:33]), Y: b64(point[33:])}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
