package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// Bounds of a balancer.
const (
	mostWatchers = 100 // pages that watch at a time; more are answered 503
	mostUnread   = 256 // passages that a page has not read; more end its stream
)

// A balancer stands in front of the nodes. It gives each request to the next node
// that runs, whichever has the connection, as nginx and haproxy do unless they are
// told to be sticky, and shows pages what becomes of their requests.
type balancer struct {
	nodes  func() []pageNode // all of them, as they are now
	proxy  *httputil.ReverseProxy
	ending chan struct{} // closed when the balancer stops

	mu       sync.Mutex
	next     int
	watchers map[string]*watcher // by the word with which a page marks its requests
}

// A passage is a request that has come through the balancer, as a page is shown it.
type passage struct {
	Number int    `json:"number"`
	Method string `json:"method"`
	What   string `json:"what"`
	Node   string `json:"node"`   // that got it
	Owner  string `json:"owner"`  // that has the connection; empty while none has
	Status int    `json:"status"` // of the answer; 0 while there is none
}

// A watcher is a page. Guarded by balancer.mu.
type watcher struct {
	passages chan passage
	count    int
	id       string // of the latest connection
	owner    string // of that
}

// addBalancer makes n a balancer of nodes.
func addBalancer(n *node, origins []string, nodes func() []pageNode) {
	transport := &http.Transport{MaxIdleConnsPerHost: 10}
	b := &balancer{nodes: nodes, ending: make(chan struct{}), watchers: map[string]*watcher{}}
	b.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(r.In.Context().Value(targetKey{}).(*url.URL))
			r.Out.Host = r.In.Host // the hub compares it with the page's origin
		},
		Transport:     transport,
		FlushInterval: -1, // event streams
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	n.web.RegisterOnShutdown(func() { close(b.ending) })
	n.closers = append(n.closers, closerFunc(transport.CloseIdleConnections))
	n.mux.Handle("/", b)
	n.mux.Handle("GET /requests", forPages(origins, http.HandlerFunc(b.watch)))
}

// closerFunc is an io.Closer that cannot fail.
type closerFunc func()

func (f closerFunc) Close() error { f(); return nil }

// targetKey is where the context of a request has the URL of its node.
type targetKey struct{}

// ServeHTTP passes a request on to the next node.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, ok := b.choose(r.Method != http.MethodOptions) // what a browser asks first is no request of the client
	target, err := url.Parse(n.URL)
	if !ok || err != nil {
		http.Error(w, "no node runs", http.StatusServiceUnavailable)
		return
	}
	query := r.URL.Query()
	told := func(int) {}
	if r.Method != http.MethodOptions {
		told = b.begins(query.Get("watch"), passage{Method: r.Method, What: what(r), Node: n.Name}, query.Get("id"))
	}
	b.proxy.ServeHTTP(&statusWriter{w, told}, r.WithContext(context.WithValue(r.Context(), targetKey{}, target)))
}

// choose returns the next node, or the one that was chosen last.
func (b *balancer) choose(next bool) (n pageNode, ok bool) {
	var run []pageNode
	for _, n := range b.nodes() {
		if n.Running {
			run = append(run, n)
		}
	}
	if len(run) == 0 {
		return pageNode{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if next {
		b.next++
	}
	return run[b.next%len(run)], true
}

// what says what a request of a SignalR client is for.
func what(r *http.Request) string {
	switch {
	case strings.HasSuffix(r.URL.Path, "/negotiate"):
		return "negotiate"
	case r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/event-stream"):
		return "event stream"
	case r.Method == http.MethodGet:
		return "poll"
	case r.Method == http.MethodDelete:
		return "end"
	}
	return "message"
}

// begins tells the page that calls itself name of a request for connection id, and
// returns what is to be told of its answer.
func (b *balancer) begins(name string, p passage, id string) (answered func(status int)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.watchers[name]
	if w == nil {
		return func(int) {}
	}
	if id != w.id {
		w.id, w.owner = id, ""
	}
	w.count++
	p.Number, p.Owner = w.count, w.owner
	b.tellLocked(name, w, p)
	return func(status int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.watchers[name] != w {
			return
		}
		// The first GET of a connection begins it, where it is.
		if p.Method == http.MethodGet && status == http.StatusOK && w.owner == "" && id == w.id {
			w.owner = p.Node
		}
		p.Status = status
		if id == w.id {
			p.Owner = w.owner
		}
		b.tellLocked(name, w, p)
	}
}

// tellLocked never waits: a page that does not read has its stream ended.
func (b *balancer) tellLocked(name string, w *watcher, p passage) {
	select {
	case w.passages <- p:
	default:
		delete(b.watchers, name)
		close(w.passages)
	}
}

// watch serves a page the passages of its requests, which have its word as the value of
// watch in their query, as an event stream.
func (b *balancer) watch(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("watch")
	own := &watcher{passages: make(chan passage, mostUnread)}
	b.mu.Lock()
	_, taken := b.watchers[name]
	if full := len(b.watchers) >= mostWatchers; name == "" || taken || full {
		b.mu.Unlock()
		http.Error(w, "the page needs a word of its own, and there is room for a hundred", http.StatusServiceUnavailable)
		return
	}
	b.watchers[name] = own
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.watchers[name] == own {
			delete(b.watchers, name)
		}
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	for text := ":\n\n"; ; {
		// An error means that the page has gone: its context ends, too.
		_, _ = fmt.Fprint(w, text)
		_ = rc.Flush()
		select {
		case p, more := <-own.passages:
			if !more {
				return
			}
			data, _ := json.Marshal(p) // texts and numbers
			text = fmt.Sprintf("data: %s\n\n", data)
		case <-r.Context().Done():
			return
		case <-b.ending:
			return
		}
	}
}

// A statusWriter tells the status of an answer when it begins.
type statusWriter struct {
	http.ResponseWriter
	told func(status int)
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.told(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
