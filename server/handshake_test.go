package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hubwire/hubwire/server"
)

// slowManager takes until release is closed to make a connection known.
type slowManager struct {
	server.LifetimeManager
	release chan struct{}
	early   bool // others can send to the connection meanwhile
}

func (m *slowManager) Connected(ctx context.Context, c server.Receiver) error {
	if !m.early {
		<-m.release
		return m.LifetimeManager.Connected(ctx, c)
	}
	err := m.LifetimeManager.Connected(ctx, c)
	<-m.release
	return err
}

// slowHello takes until release is closed in OnConnected.
type slowHello struct{ release chan struct{} }

func (h slowHello) OnConnected(*server.Call) error { <-h.release; return nil }

// A client whose start has succeeded misses nothing that is sent from then on,
// whatever of the server is slow, and gets nothing before its handshake.
func TestAClientIsKnownBeforeItsHandshakeIsAnswered(t *testing.T) {
	for name, test := range map[string]struct {
		slow  bool // OnConnected, not the manager
		early bool
	}{
		"while OnConnected runs":                  {slow: true},
		"by a slow manager":                       {},
		"by a manager that tells of it too early": {early: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				var hub *server.Hub
				if test.slow {
					hub = newHub(slowHello{release}, nil)
				} else {
					manager := &slowManager{server.NewLifetimeManager(), release, test.early}
					hub = newHub(struct{}{}, &server.Options{LifetimeManager: manager})
				}
				p := polling(t, hub)
				poll := p.request("GET", "")
				p.request("POST", `{"protocol":"json","version":1}`+"\x1e")
				if poll.Flushed != test.slow {
					t.Fatalf("the handshake is answered: %v", poll.Flushed)
				}
				if err := hub.Clients().All().Send(t.Context(), "Sent"); err != nil {
					t.Error(err)
				}
				want := "{}\x1e"
				var next string
				if test.slow {
					want += `{"type":1,"target":"Sent","arguments":[]}` + "\x1e"
					next = p.request("GET", "").Body.String()
				}
				close(release)
				synctest.Wait()
				if got := poll.Body.String() + next; got != want {
					t.Errorf("received %q, want %q", got, want)
				}
				poll = p.request("GET", "")
				if err := hub.Clients().All().Send(t.Context(), "Late"); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				if got, want := poll.Body.String(), `{"type":1,"target":"Late","arguments":[]}`+"\x1e"; got != want {
					t.Errorf("received %q, want %q", got, want)
				}
				p.request("DELETE", "")
				if err := hub.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A lifeCycle is a hub or a handler of raw connections.
type lifeCycle interface {
	http.Handler
	Shutdown(context.Context) error
}

// A pollingClient makes the requests of one long polling connection, by itself.
type pollingClient struct {
	t   *testing.T
	h   http.Handler
	url string
}

// polling opens a connection and makes its first poll.
func polling(t *testing.T, h http.Handler) *pollingClient {
	t.Helper()
	p := &pollingClient{t, h, "/hub/negotiate?negotiateVersion=1"}
	var negotiated struct{ ConnectionToken string }
	if err := json.Unmarshal(p.request("POST", "").Body.Bytes(), &negotiated); err != nil {
		t.Fatal(err)
	}
	p.url = "/hub?id=" + negotiated.ConnectionToken
	p.request("GET", "")
	return p
}

// request makes a request and returns once it is answered, which is when its
// Flushed is true, or waits.
func (p *pollingClient) request(method, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	go func() {
		p.h.ServeHTTP(w, httptest.NewRequestWithContext(p.t.Context(), method, p.url, strings.NewReader(body)))
		w.Flushed = true
	}()
	synctest.Wait()
	return w
}
