package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubwire/hubwire/server"
)

// tokenUser reads tokens as "alice/reader/3600": name, role, seconds until the
// end (0: never), counted from start.
func tokenUser(start time.Time) func(r *http.Request) (server.User, error) {
	return func(r *http.Request) (server.User, error) {
		words := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "/")
		if len(words) != 3 {
			return server.User{}, server.ErrUnauthorized
		}
		seconds, err := strconv.Atoi(words[2])
		if err != nil {
			return server.User{}, server.ErrUnauthorized
		}
		user := server.User{ID: words[0], Claims: map[string]any{"role": words[1]}}
		if seconds > 0 {
			user.Expires = start.Add(time.Duration(seconds)*time.Second + 500*time.Millisecond)
		}
		return user, nil
	}
}

type roleHub struct{}

// Fill gives the next poll something to bring.
func (roleHub) Fill(call *server.Call) error {
	return call.Clients().Caller().Send(call.Context(), "M")
}

func (roleHub) Role(call *server.Call) string { return call.User().Claims["role"].(string) }

func ask(t *testing.T, method, url, token string) (status int, contentType, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return exchange(t, r)
}

func exchange(t *testing.T, r *http.Request) (status int, contentType, body string) {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header.Get("Content-Type"), string(text)
}

func negotiate(t *testing.T, url, token string) (answer struct {
	ConnectionID, ConnectionToken string
	TokenLifetimeSeconds          *int
}) {
	t.Helper()
	status, _, body := ask(t, "POST", url+"/hub/negotiate?negotiateVersion=1", token)
	if status != 200 {
		t.Fatalf("negotiate: %d %s", status, body)
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// refresh asks for a refresh with a connection token and a bearer token.
func refresh(t *testing.T, method, url, connectionToken, token string) (status int, contentType, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url+"/hub/refresh", nil)
	if err != nil {
		t.Fatal(err)
	}
	if connectionToken != "" {
		r.Header.Set("X-SignalR-Connection-Token", connectionToken)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return exchange(t, r)
}

func noAdmins(_ context.Context, refresh server.AuthenticationRefresh) (bool, error) {
	if refresh.NewUser.Claims["role"] == "broken" {
		return true, errors.New("no database")
	}
	return refresh.NewUser.Claims["role"] != "admin", nil
}

// sinceThen takes away what a lifetime in an answer has lost since start, at which it was
// of so many seconds.
func sinceThen(start time.Time, body string) string {
	passed := int(time.Since(start)/time.Second) + 1
	for _, seconds := range []int{3600, 1800, 900} {
		for less := range passed {
			body = strings.Replace(body, ":"+strconv.Itoa(seconds-less-1)+"}", ":"+strconv.Itoa(seconds)+"}", 1)
		}
	}
	return body
}

func TestAuthenticationRefresh(t *testing.T) {
	start := time.Now()
	hub := newHub(roleHub{}, &server.Options{
		Authenticate: tokenUser(start),
		Endpoint:     server.EndpointOptions{EnableAuthenticationRefresh: true, OnAuthenticationRefresh: noAdmins},
	})
	url := serve(t, hub)
	n := negotiate(t, url, "alice/reader/1800")
	if s := n.TokenLifetimeSeconds; s == nil || sinceThen(start, fmt.Sprintf(":%d}", *s)) != ":1800}" {
		t.Errorf("tokenLifetimeSeconds %v, want 1800", s)
	}
	if n := negotiate(t, url, "alice/reader/0"); n.TokenLifetimeSeconds != nil {
		t.Errorf("tokenLifetimeSeconds %v for a token that does not end", *n.TokenLifetimeSeconds)
	}
	c := dial(t, url, "?id="+n.ConnectionToken+"&access_token=alice/reader/1800")
	c.handshake()
	role := func(want string) {
		t.Helper()
		c.send(`{"type":1,"invocationId":"1","target":"Role","arguments":[]}`)
		c.expect(`{"type":3,"invocationId":"1","result":"` + want + `"}`)
	}
	role("reader")
	waiting := negotiate(t, url, "alice/reader/0").ConnectionToken // never connected
	_, _, body := ask(t, "POST", url+"/hub/negotiate", "alice/reader/0")
	var v0 struct{ ConnectionID string }
	if err := json.Unmarshal([]byte(body), &v0); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, method, connection, token string
		status                          int
		body                            string
		role                            string
	}{
		{"another method", "GET", n.ConnectionToken, "alice/writer/1800", 405, "", "reader"},
		{"no connection token", "POST", "", "alice/writer/1800", 400, `{"error":"missing_connection_token"}`, "reader"},
		{"an unknown one", "POST", "x", "alice/writer/1800", 404, `{"error":"connection_not_found"}`, "reader"},
		{"the public id", "POST", n.ConnectionID, "alice/writer/1800", 404, `{"error":"connection_not_found"}`, "reader"},
		{"a connection that nobody has opened", "POST", waiting, "alice/writer/900", 200, `{"tokenLifetimeSeconds":900}`, "reader"},
		{"negotiate version 0, which has no secret", "POST", v0.ConnectionID, "alice/writer/1800", 400, `{"error":"unsupported_negotiate_version"}`, "reader"},
		{"another user", "POST", n.ConnectionToken, "bob/writer/1800", 403, `{"error":"user_changed"}`, "reader"},
		{"permissions that are not accepted", "POST", n.ConnectionToken, "alice/admin/3600", 403, `{"error":"permission_change_rejected"}`, "reader"},
		{"a policy that fails", "POST", n.ConnectionToken, "alice/broken/3600", 500, "", "reader"},
		{"no credentials", "POST", n.ConnectionToken, "nonsense", 401, "", "reader"},
		{"a token that ends later", "POST", n.ConnectionToken, "alice/writer/3600", 200, `{"tokenLifetimeSeconds":3600}`, "writer"},
		{"a token that ends earlier", "POST", n.ConnectionToken, "alice/reader/1800", 200, `{"tokenLifetimeSeconds":1800}`, "writer"},
		{"another user's that ends earlier", "POST", n.ConnectionToken, "bob/reader/1800", 403, `{"error":"user_changed"}`, "writer"},
		{"a token that does not end", "POST", n.ConnectionToken, "alice/guest/0", 200, `{}`, "guest"},
		{"and one that does", "POST", n.ConnectionToken, "alice/reader/900", 200, `{"tokenLifetimeSeconds":900}`, "reader"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, contentType, body := refresh(t, test.method, url, test.connection, test.token)
			body = sinceThen(start, body)
			if status != test.status || body != test.body {
				t.Errorf("%d %s, want %d %s", status, body, test.status, test.body)
			}
			if test.body != "" && contentType != "application/json" {
				t.Errorf("content type %q", contentType)
			}
			role(test.role)
		})
	}
	if status, _, body := ask(t, "POST", url+"/hub/refresh?id="+n.ConnectionToken, "alice/writer/3600"); status != 400 {
		t.Errorf("the connection token in the query: %d %s, want 400", status, body)
	}
}

const unknownMethod = `"error":"Failed to invoke 'Nope' due to an error on the server. HubException: Method does not exist."`

// refreshedHub tells what it sees of a refresh.
type refreshedHub struct{ hold chan struct{} }

func (refreshedHub) describe(call *server.Call) string {
	return call.User().Claims["role"].(string) + "/" + call.LatestUser().Claims["role"].(string)
}

func (h refreshedHub) Who(call *server.Call) string { return h.describe(call) }

func (h refreshedHub) Hold(call *server.Call) string {
	<-h.hold
	return h.describe(call)
}

func (h refreshedHub) OnAuthenticationRefreshed(call *server.Call) error {
	if call.User().Claims["role"] == "throws" {
		panic("in OnAuthenticationRefreshed")
	}
	return call.Clients().Caller().Send(call.Context(), "Refreshed", h.describe(call))
}

// refreshable connects alice, a reader, to a hub whose authentication can be
// refreshed.
func refreshable(t *testing.T, h any) (url, connectionToken string, c *client) {
	t.Helper()
	url = serve(t, newHub(h, &server.Options{
		Authenticate: tokenUser(time.Now()),
		Endpoint:     server.EndpointOptions{EnableAuthenticationRefresh: true},
	}))
	n := negotiate(t, url, "alice/reader/0")
	c = dial(t, url, "?id="+n.ConnectionToken+"&access_token=alice/reader/0")
	c.handshake()
	return url, n.ConnectionToken, c
}

// TestARefreshIsACallOfItsOwn: a call that runs keeps its user, the hub's hook
// waits for it, and calls after the hook wait for that.
func TestARefreshIsACallOfItsOwn(t *testing.T) {
	h := refreshedHub{hold: make(chan struct{})}
	url, token, c := refreshable(t, h)
	c.send(`{"type":1,"invocationId":"1","target":"Hold","arguments":[]}`)
	to := func(role string) {
		t.Helper()
		if status, _, body := refresh(t, "POST", url, token, "alice/"+role+"/0"); status != 200 {
			t.Fatalf("refresh: %d %s", status, body)
		}
	}
	c.call("ping", "Nope", "[]", unknownMethod) // the call before it has begun
	to("writer")
	to("throws") // costs nobody anything
	to("guest")
	c.send(`{"type":1,"invocationId":"2","target":"Who","arguments":[]}`)
	close(h.hold)
	c.expect(`{"type":3,"invocationId":"1","result":"reader/guest"}`,
		`{"type":1,"target":"Refreshed","arguments":["guest/guest"]}`,
		`{"type":1,"target":"Refreshed","arguments":["guest/guest"]}`,
		`{"type":1,"target":"Refreshed","arguments":["guest/guest"]}`,
		`{"type":3,"invocationId":"2","result":"guest/guest"}`)
	to("throws")
	c.call("3", "Who", "[]", `"result":"throws/throws"`)
}

// TestRefreshesThatWaitAreBounded: however often a client refreshes while a call
// runs, only so many calls of the hub's hook wait.
func TestRefreshesThatWaitAreBounded(t *testing.T) {
	h := refreshedHub{hold: make(chan struct{})}
	url, token, c := refreshable(t, h)
	c.send(`{"type":1,"invocationId":"1","target":"Hold","arguments":[]}`)
	c.call("ping", "Nope", "[]", unknownMethod)
	for range 50 {
		if status, _, _ := refresh(t, "POST", url, token, "alice/writer/0"); status != 200 {
			t.Fatalf("refresh: %d", status)
		}
	}
	close(h.hold)
	c.expect(`{"type":3,"invocationId":"1","result":"reader/writer"}`)
	for range 16 {
		c.expect(`{"type":1,"target":"Refreshed","arguments":["writer/writer"]}`)
	}
	c.call("2", "Who", "[]", `"result":"writer/writer"`)
}

// leavingHub notes what comes behind OnDisconnected.
type leavingHub struct {
	left, over chan struct{}
	late       atomic.Int32
}

func (h *leavingHub) Leave(call *server.Call) { call.Abort() }

func (h *leavingHub) OnDisconnected(*server.Call, error) {
	close(h.left)
	<-h.over
}

func (h *leavingHub) OnAuthenticationRefreshed(*server.Call) error {
	h.late.Add(1)
	return nil
}

// A refresh may still find a connection that is about to go: the client is told that it
// has come, but the hub has said goodbye.
func TestNoRefreshIsToldOnceOnDisconnectedHasBegun(t *testing.T) {
	for range 10 {
		h := &leavingHub{left: make(chan struct{}), over: make(chan struct{})}
		url, token, c := refreshable(t, h)
		c.send(`{"type":1,"target":"Leave","arguments":[]}`)
		<-h.left
		for range 4 {
			if status, _, body := refresh(t, "POST", url, token, "alice/writer/0"); status != 200 {
				t.Errorf("refresh: %d %s", status, body)
			}
		}
		close(h.over)
		c.expect(`{"type":7}`, "close 1000")
		if n := h.late.Load(); n > 0 {
			t.Fatalf("OnAuthenticationRefreshed was called %d times after OnDisconnected", n)
		}
	}
}

// An ownRefreshedHub is the hub of one connection.
type ownRefreshedHub struct{ log []string }

func (h *ownRefreshedHub) note(what string, call *server.Call) {
	h.log = append(h.log, what+" "+call.User().Claims["role"].(string))
}

func (h *ownRefreshedHub) OnConnected(call *server.Call) error {
	h.note("connected", call)
	return nil
}

func (h *ownRefreshedHub) OnAuthenticationRefreshed(call *server.Call) error {
	h.note("refreshed", call)
	return nil
}

func (h *ownRefreshedHub) Log() string { return strings.Join(h.log, ", ") }

// A refresh that comes while the hub of its connection is being made, which is for the
// user before, is told to that hub.
func TestARefreshWhileItsHubIsMadeIsToldToIt(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	hub, err := server.NewHubFunc(func(call *server.Call) (*ownRefreshedHub, error) {
		close(begun)
		<-goOn
		h := &ownRefreshedHub{}
		h.note("made", call)
		return h, nil
	}, &server.Options{
		Logger:       slog.New(slog.DiscardHandler),
		Authenticate: tokenUser(time.Now()),
		Endpoint:     server.EndpointOptions{EnableAuthenticationRefresh: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, hub)
	n := negotiate(t, url, "alice/reader/0")
	c := dial(t, url, "?id="+n.ConnectionToken+"&access_token=alice/reader/0")
	c.handshake()
	<-begun
	for _, role := range []string{"writer", "guest"} {
		if status, _, body := refresh(t, "POST", url, n.ConnectionToken, "alice/"+role+"/0"); status != 200 {
			t.Errorf("refresh: %d %s", status, body)
		}
	}
	c.send(`{"type":1,"invocationId":"1","target":"Log","arguments":[]}`)
	close(goOn)
	c.expect(`{"type":3,"invocationId":"1","result":"made reader, connected reader, refreshed guest, refreshed guest"}`)
}

type anyoneHub struct{}

func (anyoneHub) OnConnected(call *server.Call) error {
	call.OnAuthenticationRefresh(func(_ context.Context, r server.AuthenticationRefresh) (bool, error) {
		if r.NewUser.ID == "mallory" {
			panic("in the hub's own policy")
		}
		return r.User.ID != r.NewUser.ID, nil
	})
	return nil
}

func (anyoneHub) Who(call *server.Call) string { return call.UserID() + "/" + call.User().ID }

func TestTheHubsOwnPolicyTakesThePlaceOfTheRule(t *testing.T) {
	url, token, c := refreshable(t, anyoneHub{})
	c.call("0", "Who", "[]", `"result":"alice/alice"`) // OnConnected has returned
	for _, step := range []struct {
		token string
		want  int
		who   string
	}{{"mallory/x/0", 403, "alice/alice"}, {"alice/x/0", 403, "alice/alice"}, {"bob/x/0", 200, "alice/bob"}} {
		if status, _, body := refresh(t, "POST", url, token, step.token); status != step.want {
			t.Errorf("%s: %d %s, want %d", step.token, status, body, step.want)
		}
		c.call("1", "Who", "[]", `"result":"`+step.who+`"`)
	}
}

// TestOneUserMakesAllRequestsOfAConnection, with and without refreshes.
func TestOneUserMakesAllRequestsOfAConnection(t *testing.T) {
	for _, enabled := range []bool{false, true} {
		t.Run(strconv.FormatBool(enabled), func(t *testing.T) {
			hub := newHub(roleHub{}, &server.Options{
				Authenticate: tokenUser(time.Now()),
				Endpoint:     server.EndpointOptions{EnableAuthenticationRefresh: enabled},
			})
			url := serve(t, hub)
			at := url + "/hub?id=" + negotiate(t, url, "alice/reader/1800").ConnectionToken
			const changed = "The user associated with this connection changed."
			poll, pollBody := 403, changed
			if enabled {
				poll, pollBody = 409, `{"error":"authentication_refresh_required"}`
			}
			for _, step := range []struct {
				method, token string
				status        int
				body          string
			}{
				{"GET", "bob/reader/1800", 403, changed}, // the first one
				{"GET", "alice/reader/1800", 200, ""},
				{"GET", "bob/reader/1800", poll, pollBody},
				{"GET", "bob/reader/900", 403, changed}, // it ends earlier
				{"POST", "bob/reader/1800", 403, changed},
				{"DELETE", "bob/reader/1800", 403, changed},
				{"DELETE", "alice/reader/1800", 202, ""},
			} {
				status, _, body := ask(t, step.method, at, step.token)
				want := step.body
				if step.token == "bob/reader/900" && !enabled {
					want = changed
				}
				if status != step.status || body != want {
					t.Errorf("%s as %s: %d %q, want %d %q", step.method, step.token, status, body, step.status, want)
				}
			}
		})
	}
}

func TestMaximumAuthenticationExpirationIsAnUpperLimit(t *testing.T) {
	start := time.Now()
	hub := newHub(roleHub{}, &server.Options{
		Authenticate: tokenUser(start),
		Endpoint: server.EndpointOptions{
			EnableAuthenticationRefresh: true, MaximumAuthenticationExpiration: 100*time.Second + 500*time.Millisecond,
		},
	})
	url := serve(t, hub)
	for token, want := range map[string]int{"alice/reader/0": 100, "alice/reader/1800": 100, "alice/reader/50": 50} {
		n := negotiate(t, url, token)
		passed := int(time.Since(start)/time.Second) + 1
		if got := n.TokenLifetimeSeconds; got == nil || *got > want || *got < want-passed {
			t.Errorf("%s: tokenLifetimeSeconds %v, want %d", token, got, want)
		}
	}
}

func TestWithoutRefreshThereIsNoSuchRoute(t *testing.T) {
	hub := newHub(roleHub{}, &server.Options{Authenticate: tokenUser(time.Now())})
	url := serve(t, hub)
	if n := negotiate(t, url, "alice/reader/1800"); n.TokenLifetimeSeconds != nil {
		t.Errorf("tokenLifetimeSeconds %d without a route to refresh", *n.TokenLifetimeSeconds)
	}
	if status, _, body := refresh(t, "POST", url, "x", "alice/reader/1800"); status != 404 || body != "" {
		t.Errorf("%d %q, want an empty 404", status, body)
	}
}

func TestAPollBringsFreshCredentials(t *testing.T) {
	hub := newHub(roleHub{}, &server.Options{
		Authenticate: tokenUser(time.Now()),
		Endpoint:     server.EndpointOptions{EnableAuthenticationRefresh: true, OnAuthenticationRefresh: noAdmins},
	})
	url := serve(t, hub)
	at := url + "/hub?id=" + negotiate(t, url, "alice/reader/1800").ConnectionToken
	for _, step := range []struct {
		method, token, post string
		status              int
		body                string
	}{
		{"GET", "alice/reader/1800", "", 200, ""},
		{"POST", "alice/reader/1800", `{"protocol":"json","version":1}`, 200, ""},
		{"GET", "alice/reader/1800", "", 200, "{}\x1e"},
		{"POST", "alice/reader/1800", `{"type":1,"invocationId":"1","target":"Role","arguments":[]}`, 200, ""},
		{"GET", "alice/reader/1800", "", 200, `{"type":3,"invocationId":"1","result":"reader"}` + "\x1e"},
		{"POST", "alice/reader/1800", `{"type":1,"target":"Fill","arguments":[]}`, 200, ""},
		{"GET", "alice/writer/3600", "", 200, `{"type":1,"target":"M","arguments":[]}` + "\x1e"},
		{"POST", "alice/writer/3600", `{"type":1,"invocationId":"2","target":"Role","arguments":[]}`, 200, ""},
		{"GET", "alice/writer/3600", "", 200, `{"type":3,"invocationId":"2","result":"writer"}` + "\x1e"},
		{"GET", "alice/admin/7200", "", 403, `{"error":"permission_change_rejected"}`},
		{"GET", "alice/writer/3600", "", 404, "No Connection with that ID"},
	} {
		var body io.Reader
		if step.post != "" {
			body = strings.NewReader(step.post + "\x1e")
		}
		r, err := http.NewRequestWithContext(t.Context(), step.method, at, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+step.token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if step.status == 404 {
			text = []byte(step.body) // depends on how far its end has come
		}
		if err != nil || answer.StatusCode != step.status || string(text) != step.body {
			t.Errorf("%s as %s: %d %q, %v; want %d %q", step.method, step.token, answer.StatusCode, text, err, step.status, step.body)
		}
	}
}
