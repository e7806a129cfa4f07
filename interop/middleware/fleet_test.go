package middleware

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/interop/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitTime bounds what a test waits for.
const waitTime = 2 * time.Minute

// A fleet is nodes of both kinds that share a Redis.
type fleet struct {
	redis   string
	goNodes []string // URLs
}

// startFleet starts two processes of Go nodes, each with two nodes of which each
// request gets a random one.
func startFleet(t *testing.T) *fleet {
	t.Helper()
	harness.Long(t, "starts nodes of two kinds")
	harness.NeedOwnNode(t)
	harness.Dotnet(t)
	command, f := harness.NodeCommand(t), &fleet{redis: harness.Redis(t)}
	for range 2 {
		f.goNodes = append(f.goNodes, harness.StartNode(t, command, "--nodes", "2", "--redis", f.redis).URL)
	}
	return f
}

// aspNode starts an ASP.NET Core node with the middleware.
func (f *fleet) aspNode(t *testing.T, release harness.Release, args ...string) string {
	t.Helper()
	args = append([]string{"--redis", f.redis, "--go", strings.Join(f.goNodes, " ")}, args...)
	return harness.StartNode(t, nodeCommand(t, release), args...).URL
}

// reference starts an ASP.NET Core node as it is.
func (f *fleet) reference(t *testing.T, release harness.Release) string {
	t.Helper()
	return harness.StartNode(t, harness.ReferenceNode(t, release), "--redis", f.redis).URL
}

func nodeCommand(t *testing.T, release harness.Release) string {
	t.Helper()
	return "dotnet " + harness.DotnetProgram(t, ".", release.Property())
}

// A kind is what a request of a client is for.
type kind string

const (
	negotiate   kind = "negotiate"
	refresh     kind = "refresh"
	webSocket   kind = "WebSocket"
	eventStream kind = "event stream"
	poll        kind = "poll"
	post        kind = "POST"
	del         kind = "DELETE"
)

func kindOf(r *http.Request) kind {
	switch {
	case strings.HasSuffix(r.URL.Path, "/negotiate"):
		return negotiate
	case strings.HasSuffix(r.URL.Path, "/refresh"):
		return refresh
	case r.Header.Get("Upgrade") != "":
		return webSocket
	case r.Method == http.MethodPost:
		return post
	case r.Method == http.MethodDelete:
		return del
	case r.Header.Get("Accept") == "text/event-stream":
		return eventStream
	}
	return poll
}

// An answered request is what a balancer has seen.
type answered struct {
	node   string
	kind   kind
	status int
}

// A balancer gives each request to the node that route names. It is safe for
// concurrent use.
type balancer struct {
	url string

	mu   sync.Mutex
	seen []answered
}

func newBalancer(t *testing.T, route func(r *http.Request) (node string)) *balancer {
	t.Helper()
	b := &balancer{}
	transport := &http.Transport{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		node, what := route(r), kindOf(r)
		target, err := url.Parse(node)
		if err != nil {
			t.Error(err)
		}
		(&httputil.ReverseProxy{
			Transport:     transport,
			FlushInterval: -1,
			Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(target); p.Out.Host = p.In.Host; p.SetXForwarded() },
			ModifyResponse: func(answer *http.Response) error {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.seen = append(b.seen, answered{node, what, answer.StatusCode})
				return nil
			},
			// A client that has left; who has not sees the status.
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		}).ServeHTTP(w, r)
	}))
	b.url = server.URL
	t.Cleanup(func() { server.CloseClientConnections(); server.Close(); transport.CloseIdleConnections() })
	return b
}

// count says how many requests of a kind one of these nodes has answered well.
func (b *balancer) count(what kind, nodes ...string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.seen {
		if a.kind == what && a.status < 400 && slices.Contains(nodes, a.node) {
			n++
		}
	}
	return n
}

// refused returns the statuses of 400 and above, each once.
func (b *balancer) refused() (statuses []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.seen {
		if a.status >= 400 {
			statuses = append(statuses, a.status)
		}
	}
	slices.Sort(statuses)
	return slices.Compact(statuses)
}
