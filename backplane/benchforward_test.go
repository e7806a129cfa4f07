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
		r := benchmarkNode(b, s, Options{ServerName: nodeName(i), AnyNode: any})
		door.Config.Handler = r.NodeHandler()
		door.Start()
		hub := server.MustHub(&fleetHub{i}, &server.Options{
			LifetimeManager: r, Endpoint: server.EndpointOptions{DisconnectTimeout: time.Hour}, Logger: slog.New(slog.DiscardHandler),
		})
		web := httptest.NewServer(hub)
		b.Cleanup(web.Close)
		b.Cleanup(func() { _ = hub.Shutdown(b.Context()) })
		nodes, urls = append(nodes, r), append(urls, web.URL)
	}
	return nodes, urls
}

// request sends one and returns the body of its answer, whose status must be one of
// success.
func request(t testing.TB, client *http.Client, method, url, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s %q, %v", method, url, answer.Status, text, err)
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
			if err := json.Unmarshal([]byte(request(b, http.DefaultClient, "POST", urls[0]+"/chat/negotiate?negotiateVersion=1", "")), &negotiated); err != nil {
				b.Fatal(err)
			}
			path := "/chat?id=" + negotiated.ConnectionToken
			request(b, http.DefaultClient, "GET", urls[0]+path, "")
			request(b, http.DefaultClient, "POST", urls[0]+path, "{\"protocol\":\"json\",\"version\":1}\x1e")
			request(b, http.DefaultClient, "GET", urls[0]+path, "")
			for test.way == directly && nodes[1].Stats().ForwardedDirectly == 0 {
				request(b, http.DefaultClient, "POST", urls[1]+path, ping)
			}
			var took []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				request(b, http.DefaultClient, "POST", urls[test.node]+path, ping)
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
