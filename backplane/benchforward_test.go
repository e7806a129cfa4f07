package backplane

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/server"
)

// benchmarkFleet is two nodes on a redis-server of the benchmark, and their URLs.
func benchmarkFleet(b *testing.B, w way) (nodes []*Redis, urls []string) {
	s := startRedis(b)
	for i := range 2 {
		any := &AnyNode{}
		door := httptest.NewUnstartedServer(nil)
		b.Cleanup(door.Close)
		if w == directly {
			any.NodeURL = "http://" + door.Listener.Addr().String()
		}
		client := s.client()
		r, err := New(client, &Options{HubName: "App.Hub", ServerName: nodeName(i), AnyNode: any, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			_ = r.Close()
			_ = client.Close()
		})
		door.Config.Handler = r.NodeHandler()
		door.Start()
		hub := server.MustHub(&fleetHub{i}, &server.Options{
			LifetimeManager: r, Endpoint: server.EndpointOptions{DisconnectTimeout: time.Hour}, Logger: slog.New(slog.DiscardHandler),
		})
		web := httptest.NewServer(hub)
		b.Cleanup(web.Close)
		b.Cleanup(func() { _ = hub.Shutdown(b.Context()) })
		if err := r.Ready(b.Context()); err != nil {
			b.Fatal(err)
		}
		nodes, urls = append(nodes, r), append(urls, web.URL)
	}
	return nodes, urls
}

// request sends one and returns the body of its answer, which must be 200.
func request(b *testing.B, method, url, body string) string {
	r, err := http.NewRequestWithContext(b.Context(), method, url, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		b.Fatalf("%s: %d %q, %v", method, answer.StatusCode, text, err)
	}
	return string(text)
}

// BenchmarkForward sends a POST to the node that has its connection, and to another
// one that passes it on. Its time is that of client, both nodes and Redis; p50 is
// what half of the requests took at most.
func BenchmarkForward(b *testing.B) {
	const ping = "{\"type\":6}\x1e"
	for _, test := range []struct {
		name string
		node int
		way  way
	}{{"own", 0, overRedis}, {"redis", 1, overRedis}, {"direct", 1, directly}} {
		b.Run(test.name, func(b *testing.B) {
			defer http.DefaultClient.CloseIdleConnections()
			nodes, urls := benchmarkFleet(b, test.way)
			var negotiated struct{ ConnectionToken string }
			if err := json.Unmarshal([]byte(request(b, "POST", urls[0]+"/chat/negotiate?negotiateVersion=1", "")), &negotiated); err != nil {
				b.Fatal(err)
			}
			path := "/chat?id=" + negotiated.ConnectionToken
			request(b, "GET", urls[0]+path, "")
			request(b, "POST", urls[0]+path, "{\"protocol\":\"json\",\"version\":1}\x1e")
			request(b, "GET", urls[0]+path, "")
			for test.way == directly && nodes[1].Stats().ForwardedDirectly == 0 {
				request(b, "POST", urls[1]+path, ping)
			}
			var took []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				request(b, "POST", urls[test.node]+path, ping)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2])/float64(time.Millisecond), "p50-ms")
			if s := nodes[1].Stats(); (s.Forwarded > 0) != (test.node == 1) || (s.ForwardedDirectly > 0) != (test.way == directly) {
				b.Errorf("stats of the node that was asked: %+v", s)
			}
		})
	}
}
