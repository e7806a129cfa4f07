//go:build linux

package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testHub has the methods that loadgen calls.
type testHub struct{}

func (testHub) Echo(text string) string { return text }

func (testHub) Broadcast(call *server.Call, text string) error {
	return call.Clients().All().Send(call.Context(), "receive", text)
}

func (testHub) JoinGroup(call *server.Call, group string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}

func (testHub) SendToGroup(call *server.Call, group, text string) error {
	return call.Clients().Group(group).Send(call.Context(), "receive", text)
}

func TestEveryModeEndsWithoutALossOnAHub(t *testing.T) {
	hub := server.MustHub(testHub{}, &server.Options{Logger: slog.New(slog.DiscardHandler)})
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", hub)
	node := httptest.NewServer(mux)
	defer node.Close()
	defer func() {
		if err := hub.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	for _, flags := range []string{
		"-mode echo -c 4 -depth 3",
		"-mode echo -c 4 -protocol messagepack",
		"-mode echo -c 4 -rate 500 -skip-negotiate",
		"-mode broadcast -c 4 -depth 2",
		"-mode broadcast -c 4 -protocol messagepack -invoke",
		"-mode broadcast -c 4 -rate 100",
		"-mode groups -groups 3 -c 2",
		"-mode idle -c 4",
		"-mode connect -c 2",
	} {
		t.Run(flags, func(t *testing.T) {
			rep, err := play(append(strings.Fields(flags), "-url", node.URL+"/hub", "-warmup", "0", "-settle", "0", "-duration", "50ms", "-stall", "1m"))
			if err != nil {
				t.Fatal(err)
			}
			if len(rep.Errors) > 0 || rep.Missing != 0 || len(rep.Notes) > 0 {
				t.Errorf("errors %v, missing %d, notes %q", rep.Errors, rep.Missing, rep.Notes)
			}
		})
	}
}

func TestWhatIsNoHubIsReported(t *testing.T) {
	node := httptest.NewServer(http.NotFoundHandler())
	defer node.Close()
	_, err := play([]string{"-url", node.URL + "/hub", "-c", "1"})
	if err == nil || !strings.Contains(err.Error(), "1 of 1 connections failed; first: negotiate: 404") {
		t.Errorf("error %v", err)
	}
	if _, err := play([]string{"-mode", "sleep"}); err == nil || err.Error() != `unknown mode "sleep"` {
		t.Errorf("error %v", err)
	}
}
