package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// Both sides of a connection may say that it has ended: here Shutdown cuts it,
// whose hub has finished, and after that the request notices that still writes to
// a client that does not read.
func TestAnObserverIsToldOnceOfAConnectionThatEndsOnBothSides(t *testing.T) {
	text := strings.Repeat("x", 1<<20)
	events := &eventList{}
	hub := newHub(watchedHub{}, watchedOptions(events.observer()))
	handler := server.NewConnectionHandler(func(c *server.Connection) error {
		_, _ = c.Write([]byte(text)) // the client does not read
		return nil
	}, &server.ConnectionOptions{Observer: events.observer()})
	type app interface {
		http.Handler
		Shutdown(context.Context) error
	}
	for name, one := range map[string]struct {
		app
		fill func() error
	}{
		"hub":     {hub, func() error { return hub.Clients().All().Send(t.Context(), "M", text) }},
		"handler": {handler, func() error { return nil }},
	} {
		synctest.Test(t, func(t *testing.T) {
			node := hubtest.Serve(t, one.app)
			client := node.HTTPClient()
			ask := func(method, path, body string) *http.Response {
				r, err := http.NewRequest(method, node.URL()+"/hub"+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Accept", "text/event-stream")
				answer, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				return answer
			}
			var negotiated struct{ ConnectionToken string }
			answer := ask("POST", "/negotiate?negotiateVersion=1", "")
			if err := json.NewDecoder(answer.Body).Decode(&negotiated); err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			stream := ask("GET", "?id="+negotiated.ConnectionToken, "")
			defer stream.Body.Close()
			_ = ask("POST", "?id="+negotiated.ConnectionToken, `{"protocol":"json","version":1}`+"\x1e").Body.Close()
			synctest.Wait()
			if err := one.fill(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := one.Shutdown(ctx); err == nil {
				t.Errorf("%s: nobody had to be cut", name)
			}
			time.Sleep(time.Minute)
		})
		ends := slices.DeleteFunc(events.take(), func(e string) bool { return !strings.Contains(e, "ended") })
		if len(ends) != 1 {
			t.Errorf("the observer of a %s is told of the end %d times: %q", name, len(ends), ends)
		}
	}
}
