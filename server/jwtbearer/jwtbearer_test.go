package jwtbearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hubwire/hubwire/server"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testKeys has one private key of every kind, made once.
var testKeys = sync.OnceValue(func() map[string]crypto.Signer {
	keys := map[string]crypto.Signer{}
	var err error
	add := func(name string, key crypto.Signer, e error) {
		keys[name], err = key, errors.Join(err, e)
	}
	r, e := rsa.GenerateKey(rand.Reader, 2048)
	add("rsa", r, e)
	for name, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		k, e := ecdsa.GenerateKey(curve, rand.Reader)
		add(name, k, e)
	}
	_, ed, e := ed25519.GenerateKey(rand.Reader)
	add("ed", ed, e)
	if err != nil {
		panic(err)
	}
	return keys
})

func publicKeys() map[string]crypto.PublicKey {
	public := map[string]crypto.PublicKey{}
	for name, key := range testKeys() {
		public[name] = key.Public()
	}
	return public
}

var secret = []byte(strings.Repeat("0123456789abcdef", 4))

var algorithms = map[string]string{ // algorithm: key
	"HS256": "", "HS384": "", "HS512": "",
	"RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "PS256": "rsa", "PS384": "rsa", "PS512": "rsa",
	"ES256": "p256", "ES384": "p384", "ES512": "p521", "EdDSA": "ed",
}

func soon() int64 { return time.Now().Add(time.Hour).Unix() }

func goodClaims() jwt.MapClaims {
	return jwt.MapClaims{"iss": "https://login.test", "aud": "chat", "sub": "alice", "name": "Alice", "exp": soon()}
}

// with returns the good claims with one changed, or removed if value is nil.
func with(name string, value any) jwt.MapClaims {
	c := maps.Clone(goodClaims())
	c[name] = value
	if value == nil {
		delete(c, name)
	}
	return c
}

// sign returns a token; key "" is the secret. More headers come in pairs.
func sign(t *testing.T, alg, key string, claims jwt.Claims, header ...any) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(alg), claims)
	var with any = secret
	if key != "" {
		with = testKeys()[key]
		token.Header["kid"] = key
	}
	for i := 0; i < len(header); i += 2 {
		token.Header[header[i].(string)] = header[i+1]
	}
	text, err := token.SignedString(with)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func segment(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// handmade is a token of the secret with any header and payload.
func handmade(t *testing.T, header, payload string, key []byte) string {
	t.Helper()
	text := segment(header) + "." + segment(payload)
	signature, err := jwt.SigningMethodHS256.Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func requestWith(token string) *http.Request {
	r := httptest.NewRequest("GET", "/hub", nil)
	r.Header.Set("Authorization", "bearer "+token)
	return r
}

func mustNew(t *testing.T, opts Options) func(*http.Request) (server.User, error) {
	t.Helper()
	authenticate, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return authenticate
}

func TestEveryAlgorithmIsTiedToItsKindOfKey(t *testing.T) {
	authenticate := mustNew(t, Options{HMACKey: secret, PublicKeys: publicKeys(), Issuer: "https://login.test", Audience: "chat"})
	for alg, key := range algorithms {
		user, err := authenticate(requestWith(sign(t, alg, key, goodClaims())))
		if err != nil || user.ID != "alice" || user.Name != "Alice" || user.Expires.Unix() < time.Now().Unix() {
			t.Errorf("%s: user %+v, error %v, want alice", alg, user, err)
		}
		for other := range testKeys() {
			if other == key {
				continue
			}
			// The right signature, and the key id of another kind of key.
			token := sign(t, alg, key, goodClaims(), "kid", other)
			if user, err := authenticate(requestWith(token)); !errors.Is(err, server.ErrUnauthorized) && key != "" {
				t.Errorf("%s with the key id of %s: user %+v, error %v", alg, other, user, err)
			}
		}
	}
	only := mustNew(t, Options{PublicKeys: publicKeys(), HMACKey: secret, Algorithms: []string{"RS256"}})
	if _, err := only(requestWith(sign(t, "PS256", "rsa", goodClaims()))); !errors.Is(err, server.ErrUnauthorized) {
		t.Errorf("an algorithm that is not among Options.Algorithms: error %v", err)
	}
	if _, err := only(requestWith(sign(t, "RS256", "rsa", goodClaims()))); err != nil {
		t.Errorf("an algorithm of Options.Algorithms: error %v", err)
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	public := publicKeys()
	public[""] = public["rsa"]
	authenticate := mustNew(t, Options{HMACKey: secret[:32], PublicKeys: public, Issuer: "https://login.test", Audience: "chat"})
	good, err := json.Marshal(goodClaims())
	if err != nil {
		t.Fatal(err)
	}
	h, payload := `{"alg":"HS256"}`, string(good)
	made := func(header, payload string, key []byte) string { return handmade(t, header, payload, key) }
	ofClaims := func(c jwt.MapClaims) string {
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return made(h, string(b), secret[:32])
	}
	fine := made(h, payload, secret[:32])
	modulus := testKeys()["rsa"].Public().(*rsa.PublicKey).N.Bytes()
	past, future := time.Now().Add(-6*time.Minute), time.Now().Add(6*time.Minute)
	date := func(t time.Time) string { return time.Unix(t.Unix(), 0).UTC().Format("01/02/2006 15:04:05") }
	if _, err := authenticate(requestWith(fine)); err != nil {
		t.Fatalf("the good token: %v", err)
	}
	for name, test := range map[string]struct{ token, want string }{
		"another secret": {made(h, payload, []byte(strings.Repeat("x", 32))), "The signature is invalid"},
		"a secret shorter than the hash": {func() string {
			token := jwt.NewWithClaims(jwt.SigningMethodHS384, goodClaims())
			s, _ := token.SignedString(secret[:32])
			return s
		}(), "The signature key was not found"},
		"no algorithm":               {segment(`{"alg":"none"}`) + "." + segment(payload) + ".", "The signature is invalid"},
		"None":                       {segment(`{"alg":"None"}`) + "." + segment(payload) + ".", ""},
		"an algorithm in lower case": {made(`{"alg":"hs256"}`, payload, secret[:32]), ""},
		"a header without alg":       {made(`{}`, payload, secret[:32]), ""},
		"the modulus as a secret":    {made(`{"alg":"HS256","kid":"rsa"}`, payload, modulus), "The signature key was not found"},
		"the empty secret":           {made(`{"alg":"HS256","kid":"rsa"}`, payload, nil), "The signature key was not found"},
		"the modulus as the secret":  {made(h, payload, modulus), "The signature is invalid"},
		"the key id of another key":  {sign(t, "RS256", "rsa", goodClaims(), "kid", "p256"), "The signature key was not found"},
		"an unknown key id":          {sign(t, "ES256", "p256", goodClaims(), "kid", "other"), "The signature key was not found"},
		"a key of the token's own":   {made(`{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}`, payload, []byte{0}), "The signature is invalid"},
		"crit":                       {made(`{"alg":"HS256","crit":["x"],"x":1}`, payload, secret[:32]), ""},
		"crit b64":                   {made(`{"alg":"HS256","crit":["b64"],"b64":false}`, payload, secret[:32]), ""},
		"an empty crit":              {made(`{"alg":"HS256","crit":null}`, payload, secret[:32]), ""},
		"expired":                    {ofClaims(with("exp", past.Unix())), "The token expired at '" + date(past) + "'"},
		"exp of 0":                   {ofClaims(with("exp", 0)), "The token expired at '01/01/1970 00:00:00'"},
		"exp as text":                {ofClaims(with("exp", fmt.Sprint(soon()))), ""},
		"no exp":                     {ofClaims(with("exp", nil)), "The token has no expiration"},
		"not valid yet":              {ofClaims(with("nbf", future.Unix())), "The token is not valid before '" + date(future) + "'"},
		"nbf as text":                {ofClaims(with("nbf", "x")), ""},
		"another issuer":             {ofClaims(with("iss", "https://evil.test")), "The issuer 'https://evil.test' is invalid"},
		"no issuer":                  {ofClaims(with("iss", nil)), "The issuer '(null)' is invalid"},
		"another audience":           {ofClaims(with("aud", []string{"mail", "files"})), "The audience 'mail, files' is invalid"},
		"no audience":                {ofClaims(with("aud", nil)), "The audience '(null)' is invalid"},
		"JSON behind the payload":    {made(h, payload+"{}", secret[:32]), ""},
		"a signature cut short":      {fine[:len(fine)-4], "The signature is invalid"},
		"four parts":                 {fine + ".x", ""},
		"padding":                    {fine + "=", ""},
		"longer than .NET takes":     {made(h, `{"x":"`+strings.Repeat("x", maxTokenSize)+`"}`, secret[:32]), ""},
		"nests deep":                 {made(h, strings.Repeat("[", 100_000), secret[:32]), ""},
		"no token at all":            {strings.Repeat(".", 1000), ""},
	} {
		user, err := authenticate(requestWith(test.token))
		if !errors.Is(err, server.ErrUnauthorized) {
			t.Errorf("%s: user %+v, error %v, want ErrUnauthorized", name, user, err)
			continue
		}
		if got := description(err); got != test.want {
			t.Errorf("%s: description %q, want %q", name, got, test.want)
		}
		if parts := strings.Split(test.token, "."); len(parts) > 1 && len(parts[1]) > 8 && strings.Contains(err.Error(), parts[1]) || len(err.Error()) > 1000 {
			t.Errorf("%s: the error quotes the token: %v", name, err)
		}
	}
}

func TestClocksMayDiffer(t *testing.T) {
	for _, test := range []struct {
		leeway  time.Duration
		claims  jwt.MapClaims
		refused bool
	}{
		{0, with("exp", time.Now().Add(-4*time.Minute).Unix()), false},
		{0, with("nbf", time.Now().Add(4*time.Minute).Unix()), false},
		{0, with("iat", time.Now().Add(24*time.Hour).Unix()), false}, // as in .NET, nobody asks for iat
		{0, with("exp", time.Now().Add(-6*time.Minute).Unix()), true},
		{-1, with("exp", time.Now().Add(-4*time.Minute).Unix()), true},
		{time.Hour, with("exp", time.Now().Add(-50*time.Minute).Unix()), false},
	} {
		authenticate := mustNew(t, Options{HMACKey: secret, Leeway: test.leeway})
		user, err := authenticate(requestWith(sign(t, "HS256", "", test.claims)))
		if refused := errors.Is(err, server.ErrUnauthorized); refused != test.refused || !refused && (err != nil || user.Expires.Unix() != test.claims["exp"]) {
			t.Errorf("leeway %v, claims %v: user %+v, error %v, want refused %v", test.leeway, test.claims, user, err, test.refused)
		}
	}
}

func TestUserIDIsWhatASPNETTakesForTheNameIdentifier(t *testing.T) {
	for payload, want := range map[string]string{
		`"sub":"alice"`:                              "alice",
		`"sub":42`:                                   "42",
		`"sub":12345678901234567890123`:              "12345678901234567890123",
		`"nameid":"u1"`:                              "u1",
		`"` + nameIdentifier + `":"bob"`:             "bob",
		`"sub":"a","nameid":"b"`:                     "a",
		`"nameid":"b","sub":"a"`:                     "b",
		`"` + nameIdentifier + `":"c","sub":"a"`:     "c",
		`"x":{"sub":"no"},"nameid":7,"sub":"a"`:      "7",
		`"sub":"","nameid":"b"`:                      "b",
		`"sub":["first","second"]`:                   "first",
		`"sub":{"a":1}`:                              "",
		`"sub":[]`:                                   "",
		`"sub":null`:                                 "",
		`"name":"Alice"`:                             "",
		`"email":"a@b.test","oid":"1","upn":"a@b.c"`: "",
	} {
		authenticate := mustNew(t, Options{HMACKey: secret})
		token := handmade(t, `{"alg":"HS256"}`, fmt.Sprintf(`{%s,"exp":%d}`, payload, soon()), secret)
		if user, err := authenticate(requestWith(token)); err != nil || user.ID != want {
			t.Errorf("claims %s: user id %q, error %v, want %q", payload, user.ID, err, want)
		}
	}
	byMail := mustNew(t, Options{HMACKey: secret, UserIDClaim: "email"})
	if user, err := byMail(requestWith(sign(t, "HS256", "", with("email", "a@b.test")))); err != nil || user.ID != "a@b.test" {
		t.Errorf("Options.UserIDClaim: user %+v, error %v", user, err)
	}
}

func TestRequestsWithoutToken(t *testing.T) {
	for _, allow := range []bool{false, true} {
		authenticate := mustNew(t, Options{HMACKey: secret, AllowAnonymous: allow})
		user, err := authenticate(httptest.NewRequest("GET", "/hub", nil))
		if allow && (err != nil || !user.Anonymous()) || !allow && !errors.Is(err, server.ErrUnauthorized) {
			t.Errorf("AllowAnonymous %v: authenticate = %+v, %v", allow, user, err)
		}
		if _, err := authenticate(requestWith("bad")); !errors.Is(err, server.ErrUnauthorized) {
			t.Errorf("AllowAnonymous %v: a bad token: error %v", allow, err)
		}
	}
}

func TestKeysOfAFunctionMustFit(t *testing.T) {
	keys := publicKeys()
	authenticate := mustNew(t, Options{Keyfunc: func(token *jwt.Token) (any, error) {
		switch token.Header["kid"] {
		case "all":
			return jwt.VerificationKeySet{Keys: []jwt.VerificationKey{keys["ed"], keys["p256"], keys["rsa"]}}, nil
		case "none":
			return jwt.UnsafeAllowNoneSignatureType, nil
		case "broken":
			return nil, errors.New("no such key")
		}
		return keys[token.Header["kid"].(string)], nil
	}})
	for kid, alg := range map[string]string{"rsa": "RS256", "all": "ES256", "none": "", "broken": "", "p384": ""} {
		token := segment(`{"alg":"none","kid":"`+kid+`"}`) + "." + segment(fmt.Sprintf(`{"exp":%d}`, soon())) + "."
		if alg != "" {
			token = sign(t, alg, algorithms[alg], goodClaims(), "kid", kid)
		} else if kid != "none" {
			token = sign(t, "RS256", "rsa", goodClaims(), "kid", kid)
		}
		if _, err := authenticate(requestWith(token)); alg != "" && err != nil || alg == "" && !errors.Is(err, server.ErrUnauthorized) {
			t.Errorf("key id %s: error %v", kid, err)
		}
	}
}

// description is what the client would be told of a refusal.
func description(err error) string {
	var invalid *server.InvalidTokenError
	if errors.As(err, &invalid) {
		return invalid.Description
	}
	return ""
}
