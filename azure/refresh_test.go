package azure

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/internal/recorded"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/internal/seam"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// The requests to /refresh that the SDK's app of .NET 11 was sent are sent to a hub:
// what it asks the service, and what it answers, must be what the SDK did. The
// service answers as it did then.
func TestRefreshDoesWhatTheSDKDoes(t *testing.T) {
	answered := 0
	comparedUsers = 0
	for _, sc := range scenarios(t) {
		if !strings.HasPrefix(sc.Name, ".NET 11, authentication refresh") && sc.Name != ".NET 11, refresh not enabled" {
			continue
		}
		t.Run(sc.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { answered += refreshes(t, sc) })
		})
	}
	if answered != 51 || comparedUsers != 10 {
		t.Errorf("%d requests were answered, want 51; %d users were compared, want 10", answered, comparedUsers)
	}
}

// startOf is when the first service connection of a scenario was opened.
func startOf(t *testing.T, sc recorded.Scenario) time.Time {
	for _, e := range sc.Events {
		if e.Upgrade != "" {
			var says struct{ Nbf int64 }
			if err := json.Unmarshal(e.Token.Payload, &says); err != nil {
				t.Fatal(err)
			}
			return time.Unix(says.Nbf, 0)
		}
	}
	t.Fatal("no service connection")
	return time.Time{}
}

// refreshes plays the requests of a scenario.
func refreshes(t *testing.T, sc recorded.Scenario) (answered int) {
	time.Sleep(time.Until(startOf(t, sc))) // the tokens and claims are of that time
	lastAck.Store(0)
	f, hub := negotiatingHubAt(t, sc)
	h := http.NewServeMux()
	server.Mount(h, "/chat", hub)
	c := f.conn(0)
	c.take()
	begin := time.Now()
	var request map[string]any
	var answer chan *httptest.ResponseRecorder
	var asked []string
	for _, e := range sc.Events {
		if q, ok := e.All["http"].(map[string]any); ok {
			time.Sleep(time.Duration(e.T)*time.Millisecond - time.Since(begin))
			request, answer = q, make(chan *httptest.ResponseRecorder, 1)
			r := httptest.NewRequest(q["method"].(string), q["path"].(string), nil)
			for name, value := range q["headers"].(map[string]any) {
				r.Header.Set(name, fmt.Sprint(value))
			}
			go func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				answer <- w
			}()
			synctest.Wait()
		}
		switch {
		case e.From == "app" && (e.Name == "RefreshAuth" || e.Name == "GetConnectionClaims"):
			asked = append(asked, asks(c)...)
			want, got := askedLine(e.Name, e.Members), "nothing"
			if len(asked) > 0 {
				got, asked = asked[0], asked[1:]
			}
			if got != want {
				t.Errorf("%s: the hub asks\n%s\nthe SDK\n%s", request["path"], got, want)
			}
		case e.From == "service" && e.Name != "Ping" && e.Name != "HandshakeResponse" && e.Hex != "":
			c.raw(unhex(t, e.Hex))
			synctest.Wait()
		case e.All["refreshed"] != nil:
			compareUser(t, seam.RemoteOf(hub).(*service), e)
		}
		if then, ok := e.All["answer"].(map[string]any); ok {
			answered += compareRefresh(t, request, <-answer, then, e, sc)
		}
	}
	for _, line := range append(asked, asks(c)...) {
		t.Errorf("the hub also asks %s", line)
	}
	return answered
}

// asks are the questions that have come.
func asks(c *fakeConn) (lines []string) {
	for _, g := range c.take() {
		switch g.m.(type) {
		case *wire.RefreshAuth, *wire.GetConnectionClaims:
			lines = append(lines, askedLine(strings.TrimPrefix(fmt.Sprintf("%T", g.m), "*wire."), recorded.Members(g.m)))
		}
	}
	return lines
}

// compareUser compares the user of a client that was refreshed with that of the SDK.
func compareUser(t *testing.T, s *service, e recorded.Event) {
	id := e.All["refreshed"].(string)
	user, _ := s.client(id).conn.Load().User().(server.User)
	if got := s.receiverOf(id).UserID(); got != e.All["user"] {
		t.Errorf("%s: the user is %q, with the SDK %v", id, got, e.All["user"])
	}
	claims := e.All["claims"].([]any)
	for _, one := range claims {
		pair := one.([]any)
		if !slices.Contains(user.ClaimValues(pair[0].(string)), pair[1].(string)) {
			t.Errorf("%s: there is no claim %v, as with the SDK: %v", id, pair, user.Claims)
		}
	}
	if len(claims) == 0 && !user.Anonymous() {
		t.Errorf("%s is %+v, with the SDK nobody", id, user)
	}
	comparedUsers++
}

var comparedUsers int // by TestRefreshDoesWhatTheSDKDoes

// askedLine is what a hub asks the service. The time when an authentication ends is
// that of the recording; the SDK says more of the kind of authentication.
func askedLine(name string, members map[string]any) string {
	members = maps.Clone(members)
	if text, ok := members["expireTime"].(string); ok && !strings.HasPrefix(text, "9999") {
		members["expireTime"] = "some time"
	}
	if list, ok := members["claims"].([]any); ok {
		members["claims"] = slices.DeleteFunc(slices.Clone(list), func(one any) bool { return one.([]any)[0] == claimAuthType })
		for _, one := range members["claims"].([]any) {
			if pair := one.([]any); pair[0] == claimExpires {
				pair[1] = "some time"
			}
		}
	}
	return name + " " + recorded.JSON(members)
}

// compareRefresh compares the answer to a request with that of the SDK.
func compareRefresh(t *testing.T, request map[string]any, w *httptest.ResponseRecorder, then map[string]any, e recorded.Event, sc recorded.Scenario) int {
	path := request["path"].(string)
	if got, want := fmt.Sprint(w.Code), fmt.Sprint(then["status"]); got != want {
		t.Errorf("%s: status %s, the SDK: %s", path, got, want)
		return 0
	}
	if w.Code == http.StatusMethodNotAllowed {
		return 1 // with a text of its own, as all endpoints
	}
	body, _ := then["body"].(string)
	body = strings.ReplaceAll(body, fmt.Sprintf("127.0.0.1:%v/", sc.IDs["port"]), "127.0.0.1:18900/")
	body = strings.ReplaceAll(body, `"tokenLifetimeSeconds":599`, `"tokenLifetimeSeconds":600`) // here no time passes
	got := strings.ReplaceAll(w.Body.String(), `"tokenLifetimeSeconds":599`, `"tokenLifetimeSeconds":600`)
	if w.Code == http.StatusOK {
		compareAnswers(t, path, got, body, e, "")
	} else if got != body {
		t.Errorf("%s: %q, the SDK: %q", path, got, body)
	}
	if headers := then["headers"].(map[string]any); body != "" && w.Header().Get("Content-Type") != headers["Content-Type"] {
		t.Errorf("%s: Content-Type %q, the SDK: %v", path, w.Header().Get("Content-Type"), headers["Content-Type"])
	}
	return 1
}

// policyOf is what the app of a scenario says to refreshes.
func policyOf(app map[string]any) server.EndpointOptions {
	o := server.EndpointOptions{EnableAuthenticationRefresh: app["refresh"] == true}
	if answer, ok := app["refreshCallback"].(string); ok {
		o.OnAuthenticationRefresh = func(context.Context, server.AuthenticationRefresh) (bool, error) { return answer == "yes", nil }
	}
	return o
}

// refresh asks the app i to refresh a client, and returns what it answers.
func (b *backed) refresh(i int, c *hubclient.Client, query string) string {
	b.Helper()
	r, err := http.NewRequestWithContext(b.ctx, "POST", fmt.Sprintf("http://app%d/chat/refresh?%s", i, query), nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("X-SignalR-Connection-Token", c.Token())
	transport := &http.Transport{DialContext: b.dial}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Sprint(answer.StatusCode, " ", string(tokens.ReplaceAll(text, []byte(`"accessToken":""`))))
}

var tokens = regexp.MustCompile(`"accessToken":"[^"]+"`)

func TestAClientOfTheGatewayIsRefreshedByTheAppOfAnyServer(t *testing.T) {
	for _, transport := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
		t.Run(transport, func(t *testing.T) {
			behindGateway(t, func(b *backed) {
				told := make(chan string, 10)
				c := b.dialWith(0, "user=u1&role=reader&expires=60&tell=1", transport, protocol.JSON{}, func(m *protocol.Invocation) { told <- m.Target })
				want := func(want string, got any) {
					b.Helper()
					if got != want {
						b.Errorf("got %v, want %s", got, want)
					}
				}
				want("u1 reader", b.invoke(c, "Who"))
				// Tokens have whole seconds, and a shard that is busy may have paused for a part of one.
				time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
				want(`200 {"accessToken":"","tokenLifetimeSeconds":120}`, b.refresh(1, c, "user=u1&role=writer&expires=120"))
				want("Refreshed u1 writer", <-told)
				want("u1 writer", b.invoke(c, "Who"))
				want(`403 {"error":"permission_change_rejected"}`, b.refresh(0, c, "user=u2&role=writer"))
				want(`401 {"error":"invalid_token"}`, b.refresh(0, c, "expires=60"))
				time.Sleep(90 * time.Second) // fake: its first token has ended
				want("u1 writer", b.invoke(c, "Who"))
				if err := b.hubs[1].Clients().User("u1").Send(b.ctx, "hello"); err != nil {
					b.Error(err)
				}
				want("hello", <-told)
				<-c.Done() // and now its second one
				want(`404 {"error":"connection_not_found"}`, b.refresh(0, c, "user=u1&role=writer"))
			})
		})
	}
}
