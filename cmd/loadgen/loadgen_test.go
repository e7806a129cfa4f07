//go:build linux

package main

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/server"
)

func TestMain(m *testing.M) {
	if os.Getenv(asPart) != "" { // this program is a part of a test's
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// played is what play reports for the flags.
func played(args []string) (*report, error) {
	c, err := parse(args)
	if err != nil {
		return nil, err
	}
	return play(c)
}

// testHub has the methods that loadgen calls.
type testHub struct{}

func (testHub) Echo(text string) string { return text }

func (testHub) EchoStream(items iter.Seq2[string, error]) iter.Seq2[string, error] { return items }

func (testHub) EchoPost(p post) post { return p }

// A post has a text that is echoed among other values.
type post struct {
	ID    int      `json:"id"`
	Title string   `json:"title"`
	Tags  []string `json:"tags"`
}

func (testHub) Broadcast(call *server.Call, text string) error {
	return call.Clients().All().Send(call.Context(), "receive", text)
}

func (testHub) JoinGroup(call *server.Call, group string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}

func (testHub) SendToGroup(call *server.Call, group, text string) error {
	return call.Clients().Group(group).Send(call.Context(), "receive", text)
}

// serveHub serves a hub for the test, and returns its URL.
func serveHub(t *testing.T) string {
	hub := server.MustHub(testHub{}, &server.Options{Logger: slog.New(slog.DiscardHandler)})
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", hub)
	node := httptest.NewServer(mux)
	t.Cleanup(func() {
		if err := hub.Shutdown(context.Background()); err != nil { // the test's context has ended
			t.Error(err)
		}
		node.Close()
	})
	return node.URL + "/hub"
}

func TestEveryModeEndsWithoutALossOnAHub(t *testing.T) {
	url := serveHub(t)
	for _, flags := range []string{
		"-mode echo -c 4 -depth 3",
		"-mode echo -c 4 -protocol messagepack",
		"-mode echo -c 4 -rate 500 -skip-negotiate",
		"-mode stream -c 3 -items 50",
		"-mode stream -c 3 -items 50 -protocol messagepack",
		"-mode broadcast -c 4 -depth 2",
		"-mode broadcast -c 4 -protocol messagepack -invoke",
		"-mode broadcast -c 4 -rate 100",
		"-mode groups -groups 3 -c 2",
		"-mode idle -c 4",
		"-mode connect -c 2",
		"-mode echo -c 4 -depth 3 -transport sse",
		"-mode stream -c 3 -items 50 -transport sse",
		"-mode broadcast -c 4 -depth 2 -transport sse",
		"-mode groups -groups 3 -c 2 -transport sse",
		"-mode idle -c 4 -transport sse",
		"-mode connect -c 2 -transport sse",
	} {
		t.Run(flags, func(t *testing.T) {
			rep, err := played(append(strings.Fields(flags), "-url", url, "-warmup", "0", "-settle", "0", "-duration", "50ms", "-stall", "1m"))
			if err != nil {
				t.Fatal(err)
			}
			if len(rep.Errors) > 0 || rep.Missing != 0 || len(rep.Notes) > 0 {
				t.Errorf("errors %v, missing %d, notes %q", rep.Errors, rep.Missing, rep.Notes)
			}
		})
	}
}

func TestLatencyIsReportedByPartsOfTheWindow(t *testing.T) {
	rep, err := played([]string{"-url", serveHub(t), "-mode", "echo", "-c", "2", "-rate", "1000", "-every", "100ms", "-warmup", "0", "-settle", "0", "-duration", "350ms", "-stall", "1m"})
	if err != nil || len(rep.Errors) > 0 || rep.Latency == nil {
		t.Fatalf("%+v, %v", rep, err)
	}
	var n uint64
	last := -0.1
	for _, part := range rep.Parts { // on a busy machine one may have no call, and the window may be longer
		n += part.N
		if ms := int(math.Round(part.From * 1000)); part.From <= last || part.From > rep.Seconds || ms%100 != 0 {
			t.Errorf("parts begin at %v and %v in a window of %v s, want one each 100 ms", last, part.From, rep.Seconds)
		}
		last = part.From
	}
	if n != rep.Latency.N {
		t.Errorf("%d parts have %d calls, want those of the window: %d", len(rep.Parts), n, rep.Latency.N)
	}
	if _, err := played([]string{"-every", "1us"}); err == nil || err.Error() != "-every: at most 10,000 parts of -duration" {
		t.Errorf("error %v", err)
	}
}

func TestACallBelongsToThePartInWhichItWasSent(t *testing.T) {
	const begin, end = 5 * time.Second, 6 * time.Second
	w := &worker{now: int64(end)}
	w.r = &run{config: &config{every: 100 * time.Millisecond}, from: int64(begin), workers: []*worker{w}}
	for _, sent := range []time.Duration{-time.Second, 0, 99 * time.Millisecond, 100 * time.Millisecond, 350 * time.Millisecond} {
		w.took(int64(begin + sent)) // the first one was sent before the window
	}
	var got strings.Builder
	for _, part := range w.r.latencyParts() {
		fmt.Fprintf(&got, "%v: %d up to %v ms; ", part.From, part.N, part.Max/1000)
	}
	if want := "0: 3 up to 2000 ms; 0.1: 1 up to 900 ms; 0.3: 1 up to 650 ms; "; got.String() != want {
		t.Errorf("parts %q, want %q", got.String(), want)
	}
}

func TestAnArgumentMayBeAnyJSON(t *testing.T) {
	load := func(argument string) (*report, error) {
		return played([]string{"-url", serveHub(t), "-mode", "echo", "-echo-method", "EchoPost", "-argument", argument, "-c", "2", "-warmup", "0", "-settle", "0", "-duration", "50ms", "-stall", "1m"})
	}
	rep, err := load(`{"id":1,"title":"$text","tags":["a","b"]}`)
	if err != nil || rep.Ops == 0 || len(rep.Errors) > 0 {
		t.Errorf("%+v, %v", rep, err)
	}
	if _, err := load(`{"id":1}`); err == nil || err.Error() != `-argument: only for echo with JSON, and it must hold "$text"` {
		t.Errorf("error %v", err)
	}
}

func TestManyConnectionsAreSharedByProcesses(t *testing.T) {
	for _, protocol := range []string{"json", "messagepack"} {
		args := []string{"-url", serveHub(t), "-mode", "scale", "-processes", "3", "-c", "20", "-protocol", protocol, "-source", "127.0.0.1", "-source", "127.0.0.2", "-settle", "0", "-duration", "10ms"}
		c, err := parse(args)
		if err != nil {
			t.Fatal(err)
		}
		rep, err := scale(c, args)
		if err != nil || len(rep.Errors) > 0 || len(rep.Notes) > 0 {
			t.Fatalf("%+v, %v", rep, err)
		}
		for name, s := range map[string]step{"connect": rep.Connect, "join": rep.Join, "broadcast": rep.Broadcast} {
			if s.Latency == nil || s.Latency.N != 20 {
				t.Errorf("%s: %s: %+v, want 20 of them", protocol, name, s.Latency)
			}
		}
	}
}

func TestWhatIsNoHubIsReported(t *testing.T) {
	node := httptest.NewServer(http.NotFoundHandler())
	defer node.Close()
	_, err := played([]string{"-url", node.URL + "/hub", "-c", "1"})
	if err == nil || !strings.Contains(err.Error(), "1 of 1 connections failed; first: negotiate: 404") {
		t.Errorf("error %v", err)
	}
	if _, err := played([]string{"-mode", "sleep"}); err == nil || err.Error() != `unknown mode "sleep"` {
		t.Errorf("error %v", err)
	}
}
