package server_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hubwire/hubwire/server"
)

type lengthHub struct{}

func (lengthHub) Length(text string) int { return len(text) }

// A message that is longer than what may wait undispatched comes in steps with
// a POST; the step after the first 64 KiB must not wait for space that only it
// can make.
func TestAPostedMessageMayBeLongerThanTheInbox(t *testing.T) {
	node := serve(t, newHub(lengthHub{}, &server.Options{MaximumReceiveMessageSize: -1}))
	url := node + "/hub?id=" + negotiate(t, node, "").ConnectionToken
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	events, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	client := http.Client{Timeout: patience}
	for _, body := range []string{
		`{"protocol":"json","version":1}` + "\x1e",
		`{"type":1,"invocationId":"1","target":"Length","arguments":["` + strings.Repeat("x", 300_000) + `"]}` + "\x1e",
	} {
		answer, err := client.Post(url, "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
	for lines := bufio.NewScanner(events.Body); lines.Scan(); {
		if strings.Contains(lines.Text(), `"result":300000`) {
			return
		}
	}
	t.Error("no result came")
}

type abortingHub struct{}

func (abortingHub) Leave(call *server.Call) { call.Abort() }

// Stay returns when its client is gone.
func (abortingHub) Stay(call *server.Call) { <-call.Context().Done() }

// A POST is answered by what became of its bytes: those that were taken are a
// 200, though they end the connection, and those that waited for space when it
// ended are a 404, as in ASP.NET Core.
func TestAPostIsAnsweredByWhetherItWasTaken(t *testing.T) {
	const record = "\x1e"
	handshake := `{"protocol":"json","version":1}` + record
	full := strings.Repeat(`{"type":6}`+record, 6000)[:64<<10] // as much as may wait
	raw := func() lifeCycle {
		return server.NewConnectionHandler(func(c *server.Connection) error { <-c.Context().Done(); return nil }, nil)
	}
	hub := func() lifeCycle { return newHub(abortingHub{}, &server.Options{MaximumReceiveMessageSize: -1}) }
	for name, test := range map[string]struct {
		endpoint func() lifeCycle
		posts    []string
		last     int // the status of the last POST
	}{
		"what ends the connection":      {hub, []string{handshake, `{"type":1,"target":"Leave","arguments":[]}` + record}, 200},
		"what may wait behind a call":   {hub, []string{handshake, `{"type":1,"target":"Stay","arguments":[]}` + record, full}, 200},
		"what waits behind a call":      {hub, []string{handshake, `{"type":1,"target":"Stay","arguments":[]}` + record, full, "x"}, 404},
		"what waits behind raw bytes":   {raw, []string{full, "x"}, 404},
		"what a raw handler never read": {raw, []string{full}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := test.endpoint()
				p := polling(t, h)
				var last *httptest.ResponseRecorder
				for i, body := range test.posts {
					if last = p.request("POST", body); i < len(test.posts)-1 && (last.Code != 200 || !last.Flushed) {
						t.Fatalf("POST %d: status %d, answered %v", i, last.Code, last.Flushed)
					}
				}
				if waits := test.last == 404; last.Flushed == waits {
					t.Fatalf("the last POST: answered %v", last.Flushed)
				}
				p.request("DELETE", "")
				if last.Code != test.last || !last.Flushed {
					t.Errorf("the last POST: status %d, answered %v, want %d", last.Code, last.Flushed, test.last)
				}
				if err := h.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
