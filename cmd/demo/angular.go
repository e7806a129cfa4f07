package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"

	"github.com/hubwire/hubwire/cmd/demo/angular"
)

// An angularPage is the app of the folder angular, which both nodes serve at /app/
// once npm has built it.
type angularPage struct {
	files atomic.Pointer[http.Handler] // nil until it is built
	stop  context.CancelFunc           // nil until the build has begun
	ended chan struct{}                // closed when the build has ended
}

// newAngularPage returns the page, or nil and the tool that is missing to build it.
func newAngularPage() (p *angularPage, missing string) {
	for _, tool := range []string{"npm", "node"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, tool
		}
	}
	return &angularPage{}, ""
}

// addTo serves the page on n, and what it shows at that moment. A nil *angularPage
// is none.
func (p *angularPage) addTo(n *node, now func() page) {
	if p == nil {
		return
	}
	n.mux.Handle("GET /app/", http.StripPrefix("/app", http.HandlerFunc(p.serve)))
	n.mux.HandleFunc("GET /app/config.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store") // a node may have stopped since
		// An error means that the browser has disconnected.
		_ = json.NewEncoder(w).Encode(now())
	})
}

// build builds the page while the demo goes on, and says so on the screen.
// A nil *angularPage is none.
func (p *angularPage) build(ctx context.Context, urls []string, screen *screen) {
	if p == nil {
		return
	}
	ctx, p.stop = context.WithCancel(ctx)
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		dist, err := angular.Build(ctx, func(step string) { screen.printf("Angular page: %s ...", step) })
		switch {
		case ctx.Err() != nil:
		case err != nil:
			screen.printf("Angular page: not built; the plain page needs nothing. %v", err)
		default:
			files := http.FileServer(http.Dir(dist))
			p.files.Store(&files)
			screen.printf("Angular page: %s", strings.Join(urls, " and "))
		}
	}()
}

// close stops the build if it runs. A nil *angularPage is none.
func (p *angularPage) close() {
	if p != nil && p.stop != nil {
		p.stop()
		<-p.ended
	}
}

func (p *angularPage) serve(w http.ResponseWriter, r *http.Request) {
	files := p.files.Load()
	if files == nil {
		w.Header().Set("Refresh", "2")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `<!doctype html><meta name="color-scheme" content="light dark"><title>Soon</title><p>Angular is building this page; the terminal says how far it is. It appears by itself.`)
		return
	}
	(*files).ServeHTTP(w, r)
}
