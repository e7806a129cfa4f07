package main

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/hubwire/hubwire/server"
)

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// becomes waits for an answer.
func becomes(t *testing.T, url string, status int, body string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		gotStatus, gotBody := get(t, url)
		if gotStatus == status && gotBody == body {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s answers %d %q, want %d %q", url, gotStatus, gotBody, status, body)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestSingleNodesShareARedisAndSayWhetherTheyAreReady(t *testing.T) {
	bus := miniredis.RunT(t)
	var nodes []*single
	for range 2 {
		s := startSingle(t, "redis://"+bus.Addr())
		nodes = append(nodes, s)
		becomes(t, s.url+"/healthz", 200, "ok\n")
		becomes(t, s.url+"/readyz", 200, "ready\n")
	}
	if status, body := get(t, nodes[0].url+"/"); status != 200 || len(body) < 100 {
		t.Errorf("the page is %d %q", status, body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), storyTime)
	defer cancel()
	screen := &screen{out: io.Discard}
	c, err := connect(ctx, "client of node 2", screen, nodes[1].url+"/hub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Invoke(ctx, nil, "JoinGroup", "readers"); err != nil { // its answer shows that the node knows the client
		t.Fatal(err)
	}
	if err := nodes[0].publish(ctx, "", 42, screen); err != nil {
		t.Fatal(err)
	}
	if err := c.expect(ctx, "post 42"); err != nil {
		t.Error(err)
	}
	bus.Close()
	becomes(t, nodes[0].url+"/readyz", 503, "backplane: degraded\n")
	becomes(t, nodes[0].url+"/healthz", 200, "ok\n")
}

// startSingle starts a node that ends with the test.
func startSingle(t *testing.T, redisURL string) *single {
	t.Helper()
	s, err := newSingle("127.0.0.1:0", redisURL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx, 0) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestASingleNodeDrains(t *testing.T) {
	s := startSingle(t, "")
	becomes(t, s.url+"/readyz", 200, "ready\n")
	ctx, cancel := context.WithCancel(t.Context())
	drained := make(chan error, 1)
	go func() { drained <- s.hubs[0].Drain(ctx, server.DrainOptions{Notice: time.Hour}) }()
	becomes(t, s.url+"/readyz", 503, "draining\n")
	becomes(t, s.url+"/healthz", 200, "ok\n")
	cancel()
	<-drained
	if err := runSingle(ctx, "127.0.0.1:0", "", 0, io.Discard); err != nil {
		t.Error(err)
	}
	if err := runSingle(ctx, "127.0.0.1:0", "nonsense", 0, io.Discard); err == nil {
		t.Error("a URL that is none was taken")
	}
}
