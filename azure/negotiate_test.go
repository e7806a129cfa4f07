package azure

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/internal/recorded"
	"github.com/hubwire/hubwire/azure/internal/token"
	"github.com/hubwire/hubwire/server"
)

const atService = "Endpoint=http://127.0.0.1;Port=18900;AccessKey=" + testKey + ";Version=1.0;"

// connectionStrings are those of the scenarios that have another one.
var connectionStrings = map[string]string{
	"negotiate: ClientEndpoint with path":           atService + "ClientEndpoint=https://front.example/path",
	"negotiate: ClientEndpoint with path and slash": atService + "ClientEndpoint=https://front.example/path/",
	"negotiate: ClientEndpoint with port":           atService + "ClientEndpoint=http://front.example:7777",
	"negotiate: ServerEndpoint":                     "Endpoint=http://service.example;AccessKey=" + testKey + ";Version=1.0;ServerEndpoint=http://127.0.0.1:18900/",
}

// notOurs are claims that hubs in Go have no use for: the kind of authentication,
// and the claims that .NET asks for name and roles.
var notOurs = map[string]bool{claimAuthType: true, system + "nt": true, system + "rt": true, "nbf": true, "exp": true, "iat": true}

func TestNegotiateAnswersAsTheSDKDoes(t *testing.T) {
	checked := 0
	for _, sc := range scenarios(t) {
		if !strings.HasPrefix(sc.Name, "negotiate") {
			continue
		}
		t.Run(sc.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { checked += negotiates(t, sc) })
		})
	}
	if checked < 40 {
		t.Errorf("%d answers compared, want more", checked)
	}
}

// negotiates plays the requests of a scenario.
func negotiates(t *testing.T, sc recorded.Scenario) (checked int) {
	h := negotiatingHub(t, sc)
	serverID, _ := sc.IDs["server id"].(string)
	var request map[string]any
	for _, e := range sc.Events {
		if q, ok := e.All["http"].(map[string]any); ok {
			request = q
		}
		answer, ok := e.All["answer"].(map[string]any)
		path, _ := request["path"].(string)
		method, _ := request["method"].(string)
		if !ok || e.Step != "" || strings.Contains(path, "second") || strings.Contains(path, "negotiate") && method != http.MethodPost {
			continue // another hub; and ours answers POST only, with CORS
		}
		r := httptest.NewRequest(method, path, nil)
		for name, value := range request["headers"].(map[string]any) {
			if r.Header.Set(name, fmt.Sprint(value)); name == "Host" {
				r.Host = fmt.Sprint(value)
			}
		}
		w := httptest.NewRecorder()
		http.StripPrefix(strings.TrimSuffix(fmt.Sprint(sc.Apps[0]["pathbase"]), "<nil>"), h).ServeHTTP(w, r)
		if got, want := w.Code, fmt.Sprint(answer["status"]); strconv.Itoa(got) != want {
			t.Errorf("%s %s: status %d, the SDK: %s", method, path, got, want)
			continue
		}
		checked++
		body, _ := answer["body"].(string)
		body = strings.ReplaceAll(body, fmt.Sprintf("127.0.0.1:%v/", sc.IDs["port"]), "127.0.0.1:18900/")
		if w.Code != http.StatusOK {
			if w.Body.String() != body {
				t.Errorf("%s: %q, the SDK: %q", path, w.Body, body)
			}
			continue
		}
		compareAnswers(t, path, strings.ReplaceAll(w.Body.String(), process().serverID, serverID), body, e, serverID)
	}
	return checked
}

var requestIDs = regexp.MustCompile(`asrs_request_id=[0-9A-Z]{13}-[0-9A-F]{8}-[0-9A-F]{8}"`)

// compareAnswers compares bodies, and what their tokens say.
func compareAnswers(t *testing.T, path, got, want string, e recorded.Event, serverID string) {
	t.Helper()
	tokens := regexp.MustCompile(`"accessToken":"([^"]*)"`)
	plain := func(body string) string {
		return requestIDs.ReplaceAllString(tokens.ReplaceAllString(body, `"accessToken":""`), `asrs_request_id="`)
	}
	if plain(got) != plain(want) {
		t.Errorf("%s:\n    got %s\nthe SDK: %s", path, plain(got), plain(want))
	}
	raw := tokens.FindStringSubmatch(got)[1]
	tok, err := token.Verify(raw, []string{testKey}, time.Now())
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	answer, _ := json.Marshal(e.All["answer"].(map[string]any)["token"])
	var then struct {
		Header  struct{ Alg string }
		Payload map[string]any
	}
	_ = json.Unmarshal(answer, &then)
	if tok.Algorithm != then.Header.Alg {
		t.Errorf("%s: signed with %s, the SDK: %s", path, tok.Algorithm, then.Header.Alg)
	}
	wantRaw := tokens.FindStringSubmatch(want)[1]
	have, then2 := strings.ReplaceAll(claimsOf(t, raw), process().serverID, serverID), claimsOf(t, wantRaw)
	if have != then2 {
		t.Errorf("%s:\n    got %s\nthe SDK: %s", path, have, then2)
	}
}

// claimsOf are the claims of a token in their order, and how long it is good for.
func claimsOf(t *testing.T, raw string) string {
	t.Helper()
	parts := strings.Split(raw, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var times struct{ Nbf, Exp, Iat int64 }
	_ = json.Unmarshal(payload, &times)
	lines := fmt.Sprintf("%d s, from %d s on", times.Exp-times.Nbf, times.Nbf-times.Iat)
	d := json.NewDecoder(bytes.NewReader(payload))
	_, _ = d.Token()
	for d.More() {
		name, _ := d.Token()
		var value json.RawMessage
		_ = d.Decode(&value)
		var v any
		_ = json.Unmarshal(value, &v)
		if name == claimExpires {
			v = "some time"
		}
		if !notOurs[name.(string)] {
			lines += fmt.Sprintf("\n\t%s: %q", name, v)
		}
	}
	return lines
}

// negotiatingHub is the app of a scenario: who asks is said by the query.
func negotiatingHub(t *testing.T, sc recorded.Scenario) *server.Hub {
	_, h := negotiatingHubAt(t, sc)
	return h
}

// negotiatingHubAt also returns the service.
func negotiatingHubAt(t *testing.T, sc recorded.Scenario) (*fakeService, *server.Hub) {
	o, opts := optionsOf(t, sc)
	app := sc.Apps[0]
	number := func(name string) int {
		n, _ := strconv.Atoi(fmt.Sprint(app[name]))
		return n
	}
	o.ConnectionString = connectionStrings[sc.Name]
	o.ApplicationName, _ = app["application"].(string)
	o.Sticky = map[any]StickyMode{"Required": StickyRequired, "Preferred": StickyPreferred}[app["sticky"]]
	o.AccessTokenLifetime = time.Duration(number("lifetime")) * time.Second
	if app["algorithm"] == "HS512" {
		o.AccessTokenAlgorithm = HS512
	}
	o.MaximumPollInterval = time.Duration(number("poll")) * time.Second
	if app["diagnostic"] == "on" {
		o.DiagnosticClient = func(*http.Request) bool { return true }
	}
	o.Claims = func(r *http.Request, user server.User) []Claim { return claimsOfQuery(r, user, app["claims"]) }
	opts.Endpoint = policyOf(app)
	opts.Endpoint.AllowedTransports = server.Transport(number("transports"))
	opts.Endpoint.CloseOnAuthenticationExpiration = app["closeOnExpiration"] == true
	opts.EnableDetailedErrors = app["detailed"] != false
	opts.Authenticate = func(r *http.Request) (server.User, error) {
		q := r.URL.Query()
		if !q.Has("user") {
			if app["authorize"] == "on" {
				return server.User{}, server.ErrUnauthorized
			}
			return server.User{}, nil
		}
		user := server.User{ID: q.Get("user"), Claims: map[string]any{"known": true}}
		if seconds, err := strconv.Atoi(q.Get("expires")); err == nil {
			user.Expires = time.Now().Add(time.Duration(seconds) * time.Second)
		}
		return user, nil
	}
	f := newFake(t)
	h := f.hub(o, opts)
	f.conn(0)
	return f, h
}

// claimsOfQuery are those that the app's authentication gives a user, or the
// option's.
func claimsOfQuery(r *http.Request, user server.User, option any) (claims []Claim) {
	if text, ok := option.(string); ok {
		for one := range strings.SplitSeq(text, "|") {
			name, value, _ := strings.Cut(one, "=")
			claims = append(claims, Claim{name, value})
		}
		return claims
	}
	if user.Anonymous() {
		return nil
	}
	claims = []Claim{{dotnetNameID, user.ID}, {dotnetName, user.ID}}
	for _, one := range r.URL.Query()["claim"] {
		name, value, _ := strings.Cut(one, ":")
		claims = append(claims, Claim{strings.ReplaceAll(name, "~", ":"), value})
	}
	return claims
}

func TestATokenThatIsTooLongIsAnswered413(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		h := f.hub(Options{Claims: func(r *http.Request, _ server.User) []Claim {
			return []Claim{{"long", strings.Repeat("x", len(r.URL.RawQuery))}}
		}}, server.Options{})
		f.conn(0)
		for length, want := range map[int]string{2000: "200 application/json", 3100: "413  " + tokenTooLong} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("POST", "/chat/negotiate?"+strings.Repeat("x", length), nil))
			got := fmt.Sprintf("%d %s", w.Code, w.Header().Get("Content-Type"))
			if w.Code != http.StatusOK {
				got += " " + w.Body.String()
			}
			if got != want {
				t.Errorf("a claim of %d bytes: %q, want %q", length, got, want)
			}
		}
	})
}

func TestNegotiateSaysThatTheServiceIsNotConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.status = func(int) int { return http.StatusUnauthorized }
		h := f.hub(Options{InitialConnections: 1}, server.Options{})
		synctest.Wait()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/chat/negotiate?negotiateVersion=1", nil))
		if w.Code != http.StatusInternalServerError || w.Body.String() != notConnected || Health(h) == nil {
			t.Errorf("%d %q, health %v", w.Code, w.Body, Health(h))
		}
	})
}

func TestNoClientConnectsToTheHubItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		h := f.hub(Options{}, server.Options{})
		f.conn(0)
		for _, header := range []string{"websocket", ""} {
			r := httptest.NewRequest("GET", "/chat", nil)
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", header)
			r.Header.Set("Sec-WebSocket-Version", "13")
			r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
			w := httptest.NewRecorder()
			h.ServeHTTP(hijackable{w}, r)
			if w.Code != http.StatusBadRequest || w.Body.String() != "Connection ID required" {
				t.Errorf("upgrade %q: %d %q", header, w.Code, w.Body)
			}
		}
	})
}

// A hijackable could be upgraded.
type hijackable struct{ *httptest.ResponseRecorder }

func (hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("a connection was taken for a WebSocket")
}

func TestSecondaryEndpointsGetClientsWhileNoOtherIsOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		primary, secondary := "Endpoint=http://primary;AccessKey=a;Version=1.0;", "Endpoint=http://secondary;AccessKey=b;Version=1.0;"
		f := newFake(t)
		h := f.hub(Options{InitialConnections: 1, Endpoints: []Endpoint{{ConnectionString: primary}, {ConnectionString: secondary, Secondary: true}}}, server.Options{})
		where := func() string {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("POST", "/chat/negotiate", nil))
			var answer struct{ URL string }
			_ = json.Unmarshal(w.Body.Bytes(), &answer)
			u, _ := url.Parse(answer.URL)
			return u.Host
		}
		f.conn(1)
		if got := where(); got != "primary" {
			t.Errorf("with both online clients go to %q", got)
		}
		f.answer(http.StatusServiceUnavailable)
		for _, c := range f.all() {
			if strings.HasPrefix(c.host, "primary") {
				c.close(1006)
			}
		}
		synctest.Wait()
		if got := where(); got != "secondary" {
			t.Errorf("with the primary one offline clients go to %q", got)
		}
	})
}

// Each endpoint of a hub has options of its own: which transports its clients may have,
// whether they are closed when their authentication ends, and whether they may refresh it.
func TestEveryEndpointOfAHubNegotiatesWithItsOwnOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		h := f.hub(Options{InitialConnections: 1}, server.Options{Authenticate: userOfQuery})
		f.conn(0)
		for name, test := range map[string]struct {
			at                           http.Handler
			transports, closes, lifetime string
		}{
			"the hub's": {h, "none", "none", "none"},
			"another": {h.Endpoint(server.EndpointOptions{
				AllowedTransports: server.LongPolling, CloseOnAuthenticationExpiration: true, EnableAuthenticationRefresh: true,
			}), "4", "true", "60"},
		} {
			w := httptest.NewRecorder()
			test.at.ServeHTTP(w, httptest.NewRequest("POST", "/chat/negotiate?user=u1&expires=60", nil))
			var answer struct {
				AccessToken          string
				TokenLifetimeSeconds json.Number
			}
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			tok, err := token.Verify(answer.AccessToken, []string{testKey}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			claim := func(name string) string {
				if value, ok := tok.First(name); ok {
					return value
				}
				return "none"
			}
			if answer.TokenLifetimeSeconds == "" {
				answer.TokenLifetimeSeconds = "none"
			}
			if got := claim(claimTransports); got != test.transports {
				t.Errorf("%s: transports %s, want %s", name, got, test.transports)
			}
			if got := claim(claimClose); got != test.closes {
				t.Errorf("%s: closes %s, want %s", name, got, test.closes)
			}
			if got := answer.TokenLifetimeSeconds.String(); got != test.lifetime {
				t.Errorf("%s: good for %s seconds, want %s", name, got, test.lifetime)
			}
		}
	})
}
