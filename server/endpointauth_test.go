package server_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// whoHub says who calls.
type whoHub struct{}

func (whoHub) Who(call *server.Call) string {
	role, _ := call.User().Claims["role"].(string)
	return call.UserID() + " " + role
}

func byToken(r *http.Request) (server.User, error) {
	id, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return server.User{}, server.ErrUnauthorized
	}
	return server.User{ID: id, Claims: map[string]any{"role": "guest"}}, nil
}

// byCookie takes the user and the role from a cookie.
func byCookie(r *http.Request) (server.User, error) {
	session, err := r.Cookie("session")
	if err != nil {
		return server.User{}, server.ErrUnauthorized
	}
	id, role, _ := strings.Cut(session.Value, "/")
	return server.User{ID: id, Claims: map[string]any{"role": role}}, nil
}

// twoDoors serves one hub at /chat for tokens, at /admin for cookies and at /open
// for everybody.
func twoDoors(t *testing.T) (*hubtest.Node, *server.Hub) {
	hub := newHub(whoHub{}, &server.Options{
		Authenticate: byToken,
		UserID:       func(_ *http.Request, user server.User) string { return "user " + user.ID },
	})
	mux := http.NewServeMux()
	server.Mount(mux, "/chat", hub)
	server.Mount(mux, "/admin", hub.Endpoint(server.EndpointOptions{Authenticate: byCookie, EnableAuthenticationRefresh: true}))
	server.Mount(mux, "/open", hub.Endpoint(server.EndpointOptions{
		Authenticate: func(*http.Request) (server.User, error) { return server.User{}, nil },
	}))
	n := hubtest.Serve(t, mux)
	t.Cleanup(func() { _ = hub.Shutdown(t.Context()) }) // the node's clients have gone by then, or the test has failed
	return n, hub
}

func TestEndpointsOfAHubAuthenticateInTheirOwnWay(t *testing.T) {
	token, cookie := hubtest.Header("Authorization", "Bearer alice"), hubtest.Header("Cookie", "session=bob/admin")
	for name, transport := range map[string]server.Transport{
		"WebSockets": server.WebSockets, "ServerSentEvents": server.ServerSentEvents, "LongPolling": server.LongPolling,
	} {
		t.Run(name, func(t *testing.T) {
			n, hub := twoDoors(t)
			for _, test := range []struct {
				path string
				with []hubtest.Option
				who  string // empty: refused
			}{
				{"/chat", []hubtest.Option{token}, "user alice guest"},
				{"/chat", []hubtest.Option{token, cookie}, "user alice guest"},
				{"/chat", []hubtest.Option{cookie}, ""},
				{"/admin", []hubtest.Option{cookie}, "user bob admin"},
				{"/admin", []hubtest.Option{token, cookie}, "user bob admin"},
				{"/admin", []hubtest.Option{token}, ""},
				{"/open", nil, "user  "},
				{"/open", []hubtest.Option{token, cookie}, "user  "},
			} {
				c, err := n.TryConnect(append(test.with, hubtest.At(test.path), hubtest.Over(transport))...)
				if test.who == "" {
					if err == nil || !strings.Contains(err.Error(), "401") {
						t.Errorf("%s: %v, want 401", test.path, err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", test.path, err)
				}
				if got := hubtest.Result[string](c, "Who"); got != test.who {
					t.Errorf("%s: Who() = %q, want %q", test.path, got, test.who)
				}
				if test.path == "/open" {
					continue
				}
				id, _, _ := strings.Cut(strings.TrimPrefix(test.who, "user "), " ")
				if err := hub.Clients().User("user "+id).Send(t.Context(), "M", test.path); err != nil {
					t.Fatal(err)
				}
				c.Expect("M", test.path)
				c.Close()
			}
		})
	}
}

// A door is an endpoint with a connection that was negotiated there.
type door struct {
	t    *testing.T
	http *http.Client
	url  string // of the route
	id   string // the query that names the connection
	key  string // the connection token
}

func (d *door) ask(method, url, body string, header ...string) (status int, said string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := d.http.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func negotiatedAt(t *testing.T, n *hubtest.Node, path string, header ...string) *door {
	t.Helper()
	d := &door{t: t, http: n.HTTPClient(), url: n.URL() + path}
	status, body := d.ask("POST", d.url+"/negotiate?negotiateVersion=1", "", header...)
	var answer struct{ ConnectionToken string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 {
		t.Fatalf("negotiate: %d %s", status, body)
	}
	d.id, d.key = "?id="+answer.ConnectionToken, answer.ConnectionToken
	return d
}

func TestAConnectionStaysWithItsEndpointAndItsUser(t *testing.T) {
	const bob, carol = "session=bob/admin", "session=carol/admin"
	const another = "The user associated with this connection changed."
	n, _ := twoDoors(t)
	d := negotiatedAt(t, n, "/admin", "Cookie", bob)
	socket := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	events := []string{"Accept", "text/event-stream"}
	for name, header := range map[string][]string{"a WebSocket": socket, "events": events} { // a refused one has chosen the transport
		d := negotiatedAt(t, n, "/admin", "Cookie", bob)
		if status, body := d.ask("GET", d.url+d.id, "", append([]string{"Cookie", carol}, header...)...); status != 403 || body != another {
			t.Errorf("%s of another user: %d %q, want 403 %q", name, status, body, another)
		}
	}
	for _, step := range []struct {
		name, method, path string
		header             []string
		status             int
		body               string
	}{
		{"a poll at the other endpoint", "GET", "/chat", []string{"Authorization", "Bearer bob"}, 404, "No Connection with that ID"},
		{"a send at the other endpoint", "POST", "/chat", []string{"Authorization", "Bearer bob"}, 404, "No Connection with that ID"},
		{"a poll of another user", "GET", "/admin", []string{"Cookie", carol}, 403, another},
		{"a poll with a token", "GET", "/admin", []string{"Authorization", "Bearer bob"}, 401, ""},
		{"the first poll", "GET", "/admin", []string{"Cookie", bob}, 200, ""},
		{"a send of another user", "POST", "/admin", []string{"Cookie", carol}, 403, another},
		{"a delete of another user", "DELETE", "/admin", []string{"Cookie", carol}, 403, another},
		{"a send without a cookie", "POST", "/admin", nil, 401, ""},
		{"a refresh of another user", "POST", "/admin/refresh", []string{"Cookie", carol, "X-SignalR-Connection-Token", d.key}, 403, `{"error":"user_changed"}`},
		{"a refresh with a token", "POST", "/admin/refresh", []string{"Authorization", "Bearer bob", "X-SignalR-Connection-Token", d.key}, 401, ""},
		{"the end", "DELETE", "/admin", []string{"Cookie", bob}, 202, ""},
	} {
		if status, body := d.ask(step.method, n.URL()+step.path+d.id, "", step.header...); status != step.status || body != step.body {
			t.Errorf("%s: %d %q, want %d %q", step.name, status, body, step.status, step.body)
		}
	}
}

func TestARefreshAsksTheEndpointsAuthenticate(t *testing.T) {
	n, _ := twoDoors(t)
	d := negotiatedAt(t, n, "/admin", "Cookie", "session=bob/admin")
	d.ask("GET", d.url+d.id, "", "Cookie", "session=bob/admin") // the first poll
	d.ask("POST", d.url+d.id, `{"protocol":"json","version":1}`+"\x1e", "Cookie", "session=bob/admin")
	var said string
	for _, role := range []string{"admin", "owner"} {
		cookie := "session=bob/" + role
		if status, body := d.ask("POST", d.url+"/refresh", "", "Cookie", cookie, "X-SignalR-Connection-Token", d.key); status != 200 {
			t.Fatalf("refresh: %d %s", status, body)
		}
		d.ask("POST", d.url+d.id, `{"type":1,"invocationId":"1","target":"Who","arguments":[]}`+"\x1e", "Cookie", cookie)
		for want := `"result":"user bob ` + role; !strings.Contains(said, want); {
			status, body := d.ask("GET", d.url+d.id, "", "Cookie", cookie)
			if status != 200 {
				t.Fatalf("poll: %d %s after %q, want %s", status, body, said, want)
			}
			said += body
		}
	}
	d.ask("DELETE", d.url+d.id, "", "Cookie", "session=bob/owner")
}

func TestARawEndpointHasItsOwnAuthenticate(t *testing.T) {
	h := server.NewConnectionHandler(func(*server.Connection) error { return nil }, &server.ConnectionOptions{
		Authenticate: byToken,
		Endpoint:     server.EndpointOptions{Authenticate: byCookie},
		Logger:       slog.New(slog.DiscardHandler),
	})
	defer func() { _ = h.Shutdown(t.Context()) }() // it has no connections that live
	n := hubtest.Serve(t, h)
	d := &door{t: t, http: n.HTTPClient()}
	for name, want := range map[string]int{"Authorization": 401, "Cookie": 200} {
		value := map[string]string{"Authorization": "Bearer bob", "Cookie": "session=bob"}[name]
		if status, _ := d.ask("POST", n.URL()+"/negotiate", "", name, value); status != want {
			t.Errorf("negotiate with %s: %d, want %d", name, status, want)
		}
	}
}
