package jwtbearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// jwkOf is a public key as an entry of a key set.
func jwkOf(t *testing.T, id string) string {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	switch k := testKeys()[id].Public().(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf(`{"kty":"RSA","kid":%q,"n":%q,"e":%q}`, id, b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes()))
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		return fmt.Sprintf(`{"kty":"EC","kid":%q,"crv":%q,"x":%q,"y":%q}`, id, k.Curve.Params().Name, b64(x), b64(y))
	case ed25519.PublicKey:
		return fmt.Sprintf(`{"kty":"OKP","kid":%q,"crv":"Ed25519","x":%q}`, id, b64(k))
	default:
		t.Fatalf("a %T", k)
		return ""
	}
}

// oddKeys are entries of key sets that verify nothing.
func oddKeys() []string {
	b64 := base64.RawURLEncoding.EncodeToString
	n := testKeys()["rsa"].Public().(*rsa.PublicKey).N
	even := new(big.Int).Lsh(big.NewInt(1), 2047)
	return []string{
		`{}`, `null`, `1`, `"x"`, `{"kty":7}`, `{"kid":{}}`,
		`{"kty":"unknown"}`,
		`{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}`,
		`{"kty":"EC","crv":"P-256","x":"!!","y":"AA"}`,
		`{"kty":"EC","crv":"P-256","x":"` + b64(make([]byte, 32)) + `","y":"` + b64(make([]byte, 32)) + `"}`,
		`{"kty":"EC","crv":"P-256","x":"` + b64(append([]byte{1}, make([]byte, 32)...)) + `","y":"AA"}`,
		`{"kty":"EC","crv":"P-521"}`,
		`{"kty":"RSA"}`,
		`{"kty":"oct"}`,
		`{"kty":"OKP","crv":"Ed448","x":"AA"}`,
		`{"kty":"OKP","crv":"Ed25519","x":"AA"}`,
		`{"kty":"OKP","crv":"X25519","x":"` + b64(make([]byte, 32)) + `"}`,
		`{"kty":"RSA","n":"AQAB","e":"AQAB"}`,
		`{"kty":"RSA","n":"` + b64(even.Bytes()) + `","e":"AQAB"}`,
		`{"kty":"RSA","n":"` + b64(n.Bytes()) + `","e":"AQ"}`,
		`{"kty":"RSA","n":"` + b64(n.Bytes()) + `","e":"BA"}`,
		`{"kty":"RSA","n":"` + b64(n.Bytes()) + `","e":"` + b64(make([]byte, 1)) + `"}`,
		`{"kty":"RSA","n":"` + b64(n.Bytes()) + `","e":"` + b64(append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, 3)) + `"}`,
		`{"kty":"RSA","n":"` + b64(append([]byte{1}, make([]byte, 20_000)...)) + `","e":"AQAB"}`,
		`{"kty":"RSA","use":"enc","n":"` + b64(n.Bytes()) + `","e":"AQAB"}`,
		`{"kty":"oct","k":"AAAA"}`,
	}
}

func TestOneOddKeyDoesNotSpoilTheSet(t *testing.T) {
	for _, odd := range oddKeys() {
		path := filepath.Join(t.TempDir(), "keys.json")
		text := `{"keys":[` + odd + "," + jwkOf(t, "rsa") + "," + jwkOf(t, "p384") + "," + jwkOf(t, "ed") + `]}`
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		authenticate, err := New(Options{JWKSFile: path})
		if err != nil {
			t.Errorf("beside %.80s: %v", odd, err)
			continue
		}
		for alg, key := range map[string]string{"RS256": "rsa", "PS512": "rsa", "ES384": "p384", "EdDSA": "ed"} {
			if user, err := authenticate(requestWith(sign(t, alg, key, goodClaims()))); err != nil || user.ID != "alice" {
				t.Errorf("%s beside %.80s: user %+v, error %v", alg, odd, user, err)
			}
		}
		if set, err := parseSet([]byte(`{"keys":[`+odd+`]}`), true); err == nil {
			t.Errorf("%.80s alone: %d keys", odd, len(set))
		}
	}
}

// Padding, zeros that are missing in front, and what is not asked for change
// nothing. Source of the keys: RFC 7517, appendices A.1 and A.2; RFC 8037,
// appendix A.1.
func TestKeysOfTheStandardsAreRead(t *testing.T) {
	for _, tt := range []struct{ entry, alg string }{
		{`{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"sig","kid":"1"}`, "ES256"},
		{`{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4=","y":"AOBLZekkVtmIi1Kzeb371R7oae8fD8ZbZllpW2zOCBcj","kid":"1","x5c":["none"],"key_ops":["verify"],"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}`, "ES256"},
		{`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"1"}`, "RS256"},
		{`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"1"}`, "EdDSA"},
	} {
		set, err := parseSet([]byte(`{"keys":[`+tt.entry+`]}`), false)
		if err != nil || len(set.find("1", tt.alg)) != 1 {
			t.Errorf("%s: %d keys, error %v", tt.entry, len(set.find("1", tt.alg)), err)
		}
	}
}

func TestAlgorithmOfAKeyCounts(t *testing.T) {
	entry := strings.Replace(jwkOf(t, "rsa"), `"kty"`, `"alg":"RS512","kty"`, 1)
	set, err := parseSet([]byte(`{"keys":[`+entry+`]}`), false)
	if err != nil || len(set.find("rsa", "RS512")) != 1 || len(set.find("rsa", "RS256")) != 0 {
		t.Errorf("a key for RS512: set %v, error %v", set, err)
	}
}

func TestTokenWithoutKeyIDIsTriedWithEveryKey(t *testing.T) {
	set, err := parseSet([]byte(`{"keys":[`+jwkOf(t, "p256")+`,`+jwkOf(t, "rsa")+`]}`), false)
	if err != nil || len(set.find("", "ES256")) != 1 || len(set.find("", "RS256")) != 1 || len(set.find("x", "RS256")) != 0 {
		t.Errorf("set %v, error %v", set, err)
	}
	many, err := parseSet([]byte(`{"keys":[`+strings.Repeat(jwkOf(t, "ed")+",", 1000)+jwkOf(t, "ed")+`]}`), false)
	if err != nil || len(many) != maxKeys {
		t.Errorf("a set of 1001 keys: %d are used, error %v, want %d", len(many), err, maxKeys)
	}
}

func TestSecretsOfAPublicSetDoNotCount(t *testing.T) {
	text := []byte(`{"keys":[{"kty":"oct","k":"` + base64.RawURLEncoding.EncodeToString(secret) + `"}]}`)
	if set, err := parseSet(text, false); err == nil {
		t.Errorf("a secret at a URL: %v", set)
	}
	if set, err := parseSet(text, true); err != nil || len(set.find("any", "HS512")) != 1 {
		t.Errorf("a secret in a file: %v, error %v", set, err)
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	var none *rsa.PublicKey
	for name, opts := range map[string]Options{
		"no key":              {},
		"short secret":        {HMACKey: make([]byte, 31)},
		"small RSA key":       {PublicKeys: map[string]crypto.PublicKey{"": &small.PublicKey}},
		"nil key":             {PublicKeys: map[string]crypto.PublicKey{"": none}},
		"private key":         {PublicKeys: map[string]crypto.PublicKey{"": testKeys()["ed"]}},
		"no such file":        {JWKSFile: filepath.Join(t.TempDir(), "none.json")},
		"URL without host":    {JWKSURL: "keys.json"},
		"URL of another kind": {Authority: "ftp://login.test"},
		"http without asking": {Authority: "http://login.test"},
		"unknown algorithm":   {HMACKey: secret, Algorithms: []string{"HS1"}},
		"algorithm none":      {HMACKey: secret, Algorithms: []string{"none"}},
	} {
		if _, err := New(opts); err == nil {
			t.Errorf("New with %s: no error", name)
		}
	}
}
