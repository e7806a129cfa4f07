package js

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/server"
)

// echoHub answers.
type echoHub struct{}

// Echo returns what it is given.
func (echoHub) Echo(text string) string { return text }

func TestInABrowserPagesOfTheServersOwnOriginAloneUseAHub(t *testing.T) {
	chromium := harness.Tool(t, "chromium")
	modules := harness.Modules(t, ".")
	pages := http.NewServeMux()
	pages.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>page</title><script src=signalr.js></script>")) // a browser that has ended fails the test
	})
	pages.HandleFunc("/signalr.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(modules, "node_modules/@microsoft/signalr/dist/browser/signalr.js"))
	})
	hub := server.MustHub(echoHub{}, nil)
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	server.Mount(mux, "/chat", hub)
	own, elsewhere := httptest.NewServer(mux), httptest.NewServer(pages)
	defer own.Close()
	defer elsewhere.Close()
	defer func() { _ = hub.Shutdown(context.Background()) }() // the browser has left by then

	const all = "WebSockets, WebSockets at once, ServerSentEvents, LongPolling"
	wants := []struct{ page, works string }{
		{own.URL + "/page", all},
		{elsewhere.URL + "/page", "none"}, // another port: the same site
		{strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1) + "/page", "none"},
	}
	words := []string{own.URL + "/chat", chromium}
	var want strings.Builder
	for _, w := range wants {
		words = append(words, w.page)
		want.WriteString(w.page + " " + w.works + "\n")
	}
	harness.Prints(t, harness.Script(t, modules, "origins.mjs", words...), browserTime, want.String())
}
