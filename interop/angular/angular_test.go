package angular_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/hubwire/hubwire/cmd/demo/angular"
	"github.com/hubwire/hubwire/interop/harness"
)

// app is where the page is.
const app = "../../cmd/demo/angular"

const (
	buildTime = 5 * time.Minute
	clickTime = 3 * time.Minute
)

func TestPagesOnTwoNodesShowWhatIsPublishedOnOne(t *testing.T) {
	chromium := harness.Tool(t, "chromium")
	modules := harness.Modules(t, app)
	redis := harness.Redis(t)
	dist := build(t)
	own := harness.NodeCommand(t)
	for _, tt := range []struct {
		name, folder string
		backplane    bool
		second       func(t *testing.T) string
	}{
		{name: "two nodes with a backplane", folder: "backplane", backplane: true, second: func(*testing.T) string { return own }},
		{name: "two nodes without a backplane", folder: "no-backplane", second: func(*testing.T) string { return own }},
		{name: "a node of ASP.NET Core as the second", folder: "aspnet", backplane: true, second: func(t *testing.T) string {
			harness.Dotnet(t)
			return harness.ReferenceNode(t, harness.Net11)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			second := tt.second(t)
			flags := func(prefix string) []string {
				if !tt.backplane {
					return nil
				}
				return []string{"--redis", redis, "--prefix", prefix}
			}
			first := harness.StartNode(t, own, flags("BlogApp:SignalR:")...)
			other := flags("OtherApp:SignalR:")
			site := serve(t, dist, tt.backplane, map[string]string{
				"/n1":       first.URL,
				"/n2":       harness.StartNode(t, second, flags("BlogApp:SignalR:")...).URL,
				"/n2/other": harness.StartNode(t, own, other...).URL,
			}, first.Kill) // it sends its clients no Close
			click(t, modules, site, chromium, tt.backplane, harness.Screenshots(t, filepath.Join("angular", tt.folder)))
		})
	}
}

func TestABuildThatIsStoppedLeavesNothing(t *testing.T) {
	harness.Need(t, "node", "npm")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	steps := 0
	dist, err := angular.Build(ctx, func(string) { steps++ })
	if dist != "" || !errors.Is(err, context.Canceled) || steps != 1 {
		t.Errorf("Build = %q, %v after %d steps; want context.Canceled after 1", dist, err, steps)
	}
}

// click plays scenario.mjs.
func click(t *testing.T, modules, site, chromium string, backplane bool, shots string) {
	t.Helper()
	mode := "off"
	if backplane {
		mode = "on"
	}
	harness.Prints(t, harness.Script(t, modules, "scenario.mjs", site, chromium, mode, shots), clickTime, "ok")
}

// build builds the page, once for all tests.
func build(t *testing.T) string {
	t.Helper()
	var dist string
	err := harness.Fetch(func() (err error) {
		ctx, cancel := context.WithTimeout(t.Context(), buildTime)
		defer cancel()
		dist, err = angular.Build(ctx, func(step string) { t.Log(step) })
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dist
}

// config is what the page shows. The three are a node each.
const config = `{"backplane": %v, "here": "a test",
	"nodes": [{"name": "node 1", "url": "/n1", "running": true}, {"name": "node 2", "url": "/n2", "running": true}],
	"panes": [{"key": "A", "user": "Ada", "home": 0, "path": ""}, {"key": "B", "user": "Grace", "home": 1, "path": ""}, {"key": "C", "user": "Linus", "home": 1, "path": "/other"}]}`

// serve serves the page, and each node under its path, as the web server in
// front of a real app does; so the browser needs no CORS. The page's button
// kills the first node.
func serve(t *testing.T, dist string, backplane bool, nodes map[string]string, kill func()) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(dist)))
	mux.HandleFunc("GET /config.json", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, config, backplane) })
	mux.HandleFunc("POST /n2/api/nodes/1/stop", func(w http.ResponseWriter, _ *http.Request) {
		kill()
		w.WriteHeader(http.StatusNoContent)
	})
	for path, node := range nodes {
		target, err := url.Parse(node)
		if err != nil {
			t.Fatal(err)
		}
		mux.Handle(path+"/", http.StripPrefix(path, &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.SetXForwarded() },
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
				w.WriteHeader(http.StatusBadGateway) // the node was killed, as the test intends
			},
		}))
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}
