package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
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

func TestAuthenticationRefresh(t *testing.T) {
	hub := newHub(roleHub{}, &server.Options{
		Authenticate: tokenUser(time.Now()),
		Endpoint: server.EndpointOptions{
			EnableAuthenticationRefresh: true,
			AcceptRefresh:               func(_, fresh server.User) bool { return fresh.Claims["role"] != "admin" },
		},
	})
	url := serve(t, hub)
	n := negotiate(t, url, "alice/reader/1800")
	if n.TokenLifetimeSeconds == nil || *n.TokenLifetimeSeconds != 1800 {
		t.Errorf("tokenLifetimeSeconds %v, want 1800", n.TokenLifetimeSeconds)
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
	old := negotiate(t, url, "alice/reader/0").ConnectionToken // never connected
	_, _, body := ask(t, "POST", url+"/hub/negotiate", "alice/reader/0")
	var v0 struct{ ConnectionID string }
	if err := json.Unmarshal([]byte(body), &v0); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, method, query, token string
		status                     int
		body                       string
		role                       string
	}{
		{"another method", "GET", "?id=" + n.ConnectionToken, "alice/writer/1800", 405, "", "reader"},
		{"no id", "POST", "", "alice/writer/1800", 400, `{"error":"missing_connection_token"}`, "reader"},
		{"an unknown id", "POST", "?id=x", "alice/writer/1800", 404, `{"error":"connection_not_found"}`, "reader"},
		{"the public id", "POST", "?id=" + n.ConnectionID, "alice/writer/1800", 404, `{"error":"connection_not_found"}`, "reader"},
		{"a connection that nobody has opened", "POST", "?id=" + old, "alice/writer/1800", 404, `{"error":"connection_not_found"}`, "reader"},
		{"negotiate version 0, which has no secret", "POST", "?id=" + v0.ConnectionID, "alice/writer/1800", 400, `{"error":"unsupported_negotiate_version"}`, "reader"},
		{"another user", "POST", "?id=" + n.ConnectionToken, "bob/writer/1800", 403, `{"error":"user_changed"}`, "reader"},
		{"permissions that are not accepted", "POST", "?id=" + n.ConnectionToken, "alice/admin/3600", 403, `{"error":"permission_change_rejected"}`, "reader"},
		{"no credentials", "POST", "?id=" + n.ConnectionToken, "nonsense", 401, "", "reader"},
		{"a token that ends later", "POST", "?ID=" + n.ConnectionToken, "alice/writer/3600", 200, `{"tokenLifetimeSeconds":3600}`, "writer"},
		{"a token that ends earlier", "POST", "?id=" + n.ConnectionToken, "alice/reader/1800", 200, `{"tokenLifetimeSeconds":3600}`, "writer"},
		{"a token that does not end", "POST", "?id=" + n.ConnectionToken, "alice/guest/0", 200, `{}`, "guest"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, contentType, body := ask(t, test.method, url+"/hub/refresh"+test.query, test.token)
			// A second may end between two clocks.
			body = strings.Replace(body, "3599", "3600", 1)
			if status != test.status || body != test.body {
				t.Errorf("%d %s, want %d %s", status, body, test.status, test.body)
			}
			if test.body != "" && contentType != "application/json" {
				t.Errorf("content type %q", contentType)
			}
			role(test.role)
		})
	}
}

func TestWithoutRefreshThereIsNoSuchRoute(t *testing.T) {
	hub := newHub(roleHub{}, &server.Options{Authenticate: tokenUser(time.Now())})
	url := serve(t, hub)
	if n := negotiate(t, url, "alice/reader/1800"); n.TokenLifetimeSeconds != nil {
		t.Errorf("tokenLifetimeSeconds %d without a route to refresh", *n.TokenLifetimeSeconds)
	}
	if status, _, body := ask(t, "POST", url+"/hub/refresh?id=x", "alice/reader/1800"); status != 404 || body != "" {
		t.Errorf("%d %q, want an empty 404", status, body)
	}
}

func TestAPollBringsFreshCredentials(t *testing.T) {
	hub := newHub(roleHub{}, &server.Options{
		Authenticate: tokenUser(time.Now()),
		Endpoint: server.EndpointOptions{
			EnableAuthenticationRefresh: true,
			AcceptRefresh:               func(_, fresh server.User) bool { return fresh.Claims["role"] != "admin" },
		},
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
