package token_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hubwire/hubwire/azure/internal/recorded"
	"github.com/hubwire/hubwire/azure/internal/token"
	"github.com/hubwire/hubwire/azure/internal/wire"
)

const key, other = recorded.AccessKey, "another key, which signed nothing"

// recordedTokens are all tokens of the real SDK in azure.json, each once.
func recordedTokens(tb testing.TB) []string {
	tb.Helper()
	text, err := os.ReadFile("../../../testdata/azure/azure.json")
	if err != nil {
		tb.Fatal(err)
	}
	list := regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`).FindAllString(string(text), -1)
	slices.Sort(list)
	if list = slices.Compact(list); len(list) != 181 {
		tb.Fatalf("%d tokens, want 181", len(list))
	}
	return list
}

// made are the claims that Make adds.
var made = []string{"nbf", "exp", "iat", "iss", "aud"}

// specOf is what makes a token again.
func specOf(tb testing.TB, t *token.Token) token.Spec {
	tb.Helper()
	s := token.Spec{Algorithm: t.Algorithm, KeyID: t.KeyID, Expires: t.Expires}
	for _, c := range t.Claims {
		if !slices.Contains(made, c.Type) {
			s.Claims = append(s.Claims, c)
		}
	}
	s.Audience, _ = t.First("aud")
	issued, _ := t.First("iat")
	seconds, err := strconv.ParseInt(issued, 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	s.IssuedAt = time.Unix(seconds, 0)
	return s
}

func TestRecordedTokensVerifyAndAreMadeAgainByteForByte(t *testing.T) {
	roles, algorithms := map[string]int{}, map[string]int{}
	for _, raw := range recordedTokens(t) {
		unverified, err := token.Unverified(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		spec := specOf(t, unverified)
		keys := []string{other, key}
		switch { // two scenarios had keys of their own
		case unverified.KeyID == "key-1":
			keys[1] = strings.Repeat("K", 44)
		case strings.HasPrefix(spec.Audience, "http://service.example/"):
			keys[1] = strings.Repeat("A", 44)
		}
		got, err := token.Verify(raw, keys, spec.IssuedAt.Add(time.Second))
		if err != nil {
			t.Errorf("%v: %v", unverified, err)
			continue
		}
		for _, role := range []string{"client", "server"} {
			if strings.Contains(spec.Audience, "/"+role+"/?hub=") {
				roles[role]++
				hub := spec.Audience[strings.Index(spec.Audience, "hub=")+4:]
				if err := got.For(role, hub); err != nil {
					t.Errorf("%s is not for the %s of %s", spec.Audience, role, hub)
				}
			}
		}
		algorithms[got.Algorithm]++
		if again, err := token.Make(keys[1], spec); again != raw || err != nil {
			t.Errorf("made again: %s, %v\nwas         %s", payload(again), err, payload(raw))
		}
	}
	if roles["client"] < 40 || roles["server"] < 100 || algorithms["HS256"] < 100 || algorithms["HS512"] == 0 {
		t.Errorf("of roles %v, by algorithms %v", roles, algorithms)
	}
}

func payload(raw string) string {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return raw
	}
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	body, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return string(header) + string(body)
}

var now = time.Date(2026, 11, 27, 2, 0, 0, 0, time.UTC)

func mustMake(tb testing.TB, key string, s token.Spec) string {
	tb.Helper()
	raw, err := token.Make(key, s)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func spec(claims ...wire.Claim) token.Spec {
	return token.Spec{Claims: claims, Audience: token.Audience("http://localhost", "client", "chat"), IssuedAt: now, Expires: now.Add(time.Hour)}
}

func TestValuesOfOneTypeAreAnArrayInThePlaceOfTheFirst(t *testing.T) {
	raw := mustMake(t, key, spec(
		wire.Claim{Type: "role", Value: "b"}, wire.Claim{Type: "asrs.s.uid", Value: "u1"}, wire.Claim{Type: "role", Value: "a"},
		wire.Claim{Type: "x", Value: `"<&>'+größe` + "\n😀\xff"}, wire.Claim{Type: "role", Value: "b"}, wire.Claim{Type: "", Value: ""}))
	want := `{"role":["b","a","b"],"asrs.s.uid":"u1","x":"\"<&>'+größe\n😀` + "\uFFFD" + `","":"","nbf":1795744800,"exp":1795748400,"iat":1795744800,"iss":"azure-signalr","aud":"http://localhost/client/?hub=chat"}`
	if got := strings.TrimPrefix(payload(raw), `{"alg":"HS256","typ":"JWT"}`); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	verified, err := token.Verify(raw, []string{key}, now)
	if err != nil {
		t.Fatal(err)
	}
	var roles []string
	for _, c := range verified.Claims {
		if c.Type == "role" {
			roles = append(roles, c.Value)
		}
	}
	if first, _ := verified.First("role"); first != "b" || strings.Join(roles, " ") != "b a b" {
		t.Errorf("first %q of %q", first, roles)
	}
}

// handmade signs any payload.
func handmade(tb testing.TB, method jwt.SigningMethod, key any, header map[string]any, body string) string {
	tb.Helper()
	head, err := json.Marshal(header)
	if err != nil {
		tb.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64(head) + "." + b64([]byte(body))
	signature, err := method.Sign(signed, key)
	if err != nil {
		tb.Fatal(err)
	}
	return signed + "." + b64(signature)
}

func TestTokensThatAreNotGoodAreRefused(t *testing.T) {
	good := mustMake(t, key, spec())
	parts := strings.Split(good, ".")
	hs := func(body string) string {
		return handmade(t, jwt.SigningMethodHS256, []byte(key), map[string]any{"alg": "HS256"}, body)
	}
	for name, c := range map[string]struct {
		raw  string
		keys []string
		at   time.Time
		want error // nil: it is good
	}{
		"the first key":                   {raw: good, keys: []string{key, other}},
		"the second key":                  {raw: good, keys: []string{other, key}},
		"no key id, only exp and aud":     {raw: hs(`{"exp":1795748400,"aud":"http://x/client/?hub=chat"}`), keys: []string{key}},
		"a fraction of a second":          {raw: hs(`{"exp":1795748400.25}`), keys: []string{key}},
		"another key":                     {raw: good, keys: []string{other}, want: jwt.ErrTokenSignatureInvalid},
		"no key":                          {raw: good, want: jwt.ErrTokenUnverifiable},
		"an empty key":                    {raw: handmade(t, jwt.SigningMethodHS256, []byte{}, map[string]any{"alg": "HS256"}, `{"exp":1795748400}`), keys: []string{""}, want: jwt.ErrTokenUnverifiable},
		"an empty key beside one":         {raw: handmade(t, jwt.SigningMethodHS256, []byte{}, map[string]any{"alg": "HS256"}, `{"exp":1795748400}`), keys: []string{key, ""}, want: jwt.ErrTokenSignatureInvalid},
		"a changed payload":               {raw: parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1895748400}`)) + "." + parts[2], keys: []string{key}, want: jwt.ErrTokenSignatureInvalid},
		"no signature":                    {raw: parts[0] + "." + parts[1] + ".", keys: []string{key}, want: jwt.ErrTokenSignatureInvalid},
		"algorithm none":                  {raw: handmade(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, map[string]any{"alg": "none"}, `{"exp":1795748400}`), keys: []string{key}, want: jwt.ErrTokenSignatureInvalid},
		"HS384":                           {raw: handmade(t, jwt.SigningMethodHS384, []byte(key), map[string]any{"alg": "HS384"}, `{"exp":1795748400}`), keys: []string{key}, want: jwt.ErrTokenSignatureInvalid},
		"nothing":                         {keys: []string{key}, want: jwt.ErrTokenMalformed},
		"two parts":                       {raw: parts[0] + "." + parts[1], keys: []string{key}, want: jwt.ErrTokenMalformed},
		"a payload that is no object":     {raw: hs(`[1]`), keys: []string{key}, want: jwt.ErrTokenMalformed},
		"a payload that is cut":           {raw: hs(`{"exp":1795748400`), keys: []string{key}, want: jwt.ErrTokenMalformed},
		"exp that is no number":           {raw: hs(`{"exp":"soon"}`), keys: []string{key}, want: jwt.ErrTokenMalformed},
		"no exp":                          {raw: hs(`{"aud":"http://x/client/?hub=chat"}`), keys: []string{key}, want: jwt.ErrTokenRequiredClaimMissing},
		"expired within the leeway":       {raw: good, keys: []string{key}, at: now.Add(time.Hour + token.Leeway - time.Second)},
		"expired":                         {raw: good, keys: []string{key}, at: now.Add(time.Hour + token.Leeway + time.Second), want: jwt.ErrTokenExpired},
		"not valid yet within the leeway": {raw: good, keys: []string{key}, at: now.Add(-token.Leeway)},
		"not valid yet":                   {raw: good, keys: []string{key}, at: now.Add(-token.Leeway - time.Second), want: jwt.ErrTokenNotValidYet},
	} {
		t.Run(name, func(t *testing.T) {
			if c.at.IsZero() {
				c.at = now
			}
			got, err := token.Verify(c.raw, c.keys, c.at)
			if !errors.Is(err, c.want) || (err == nil) != (got != nil) {
				t.Errorf("%v, %v, want error %v", got, err, c.want)
			}
		})
	}
}

func TestAudiencesAreComparedByPathAndHub(t *testing.T) {
	for _, c := range []struct {
		aud, role, hub string
		ok             bool
	}{
		{"http://127.0.0.1/client/?hub=chat", "client", "chat", true},
		{"https://x.service.signalr.net:443/client/?hub=chat", "client", "chat", true},
		{"http://x/client?hub=CHAT", "client", "chat", true},
		{"http://x/client/?hub=chat&hub=other", "client", "chat", true},
		{"http://x/client/?hub=other&hub=chat", "client", "chat", false},
		{"http://x/server/?hub=chat", "client", "chat", false},
		{"http://x/client/?hub=chat", "server", "chat", false},
		{"http://x/client/?hub=chat", "client", "other", false},
		{"http://x/client/?hub=chat", "client", "", false},
		{"http://x/client/", "client", "", false},
		{"http://x/?hub=chat", "client", "chat", false},
		{"::not a URL", "client", "chat", false},
		{"", "client", "chat", false},
		{"http://x/client/?hub=a%5Fb", "client", "a_b", true},
	} {
		raw := mustMake(t, key, token.Spec{Audience: c.aud, IssuedAt: now, Expires: now.Add(time.Hour)})
		verified, err := token.Verify(raw, []string{key}, now)
		if err != nil {
			t.Fatal(err)
		}
		if err := verified.For(c.role, c.hub); (err == nil) != c.ok || err != nil && err != token.ErrAudience {
			t.Errorf("%q for the %s of %q: %v", c.aud, c.role, c.hub, err)
		}
	}
	raw := handmade(t, jwt.SigningMethodHS256, []byte(key), map[string]any{"alg": "HS256"}, `{"exp":1795748400,"aud":["http://x/other","http://x/client/?hub=chat","http://x/api/v1/hubs/Chat?application=a"]}`)
	verified, err := token.Verify(raw, []string{key}, now)
	if err != nil || verified.For("client", "chat") != nil || verified.ForPath("/api/v1/hubs/chat") != nil || verified.ForPath("/api/v1/hubs/chat/") != nil {
		t.Errorf("several audiences: %v, %v", verified, err)
	}
	if verified.ForPath("/api/v1/hubs/chat/users/u") != token.ErrAudience || verified.For("server", "chat") != token.ErrAudience {
		t.Error("is for what none of its audiences says")
	}
}

func TestATokenOf4096BytesIsTheLongest(t *testing.T) {
	for n := 2800; ; n++ {
		raw, err := token.Make(key, spec(wire.Claim{Type: "long", Value: strings.Repeat("x", n)}))
		if err != nil {
			if err != token.ErrTooLong || n < 2850 {
				t.Errorf("%v with a claim of %d", err, n)
			}
			return
		}
		if len(raw) > 4096 {
			t.Fatalf("a token of %d bytes", len(raw))
		}
	}
}

func FuzzVerify(f *testing.F) {
	for _, raw := range recordedTokens(f)[:20] {
		f.Add(payload(raw))
	}
	f.Add(`{"exp":1795748400,"aud":["a",1,null,{"b":[]}],"x":true,"exp":"1"}`)
	f.Fuzz(func(t *testing.T, body string) {
		raw := handmade(t, jwt.SigningMethodHS256, []byte(key), map[string]any{"alg": "HS256"}, body)
		got, err := token.Verify(raw, []string{key}, now)
		if err != nil {
			return
		}
		// what it says is what encoding/json reads
		var want map[string]any
		if err := json.Unmarshal([]byte(body), &want); err != nil {
			t.Fatalf("%q is no JSON, but a token", body)
		}
		for _, c := range got.Claims {
			if _, ok := want[c.Type]; !ok {
				t.Fatalf("%q says %v", body, c)
			}
		}
	})
}
