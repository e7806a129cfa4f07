package main

import (
	"html/template"
	"net/http"

	"github.com/hubwire/hubwire/cmd/demo/web"
)

var pageTemplate = template.Must(template.ParseFS(web.Files, "page.html"))

// signalrVersion is that of the official client in web/third-party.
const signalrVersion = "10.0.11"

// A page is what page.html shows, and the page of Angular: clients of the official
// JavaScript library.
type page struct {
	Backplane bool       `json:"backplane"`
	Angular   bool       `json:"-"`       // there is a page of Angular, too
	Here      string     `json:"here"`    // the node that serves the page
	AnyNode   string     `json:"anyNode"` // URL of the balancer in front of the nodes; empty if there is none
	Nodes     []pageNode `json:"nodes"`
	Panes     []pane     `json:"panes"`
}

// A pageNode is a node that the page knows. Where there are more than one, the page
// can stop the first one.
type pageNode struct {
	Name    string `json:"name"`
	URL     string `json:"url"` // empty for the one that serves the page
	Running bool   `json:"running"`
}

// A pane is one client.
type pane struct {
	Key  string `json:"key"`  // how the page calls it
	User string `json:"user"` // what the user is called at first
	Home int    `json:"home"` // its node, an index of page.Nodes
	Path string `json:"path"` // of the app: empty, or that of the other one
}

// Version is what the page says about the official client.
func (page) Version() string { return signalrVersion }

// Number is how many nodes there are, in a word.
func (p page) Number() string {
	return [...]string{"no", "one", "two", "three", "four", "five"}[len(p.Nodes)]
}

// Others are the numbers of the nodes after the first one.
func (p page) Others() (numbers []int) {
	for n := 2; n <= len(p.Nodes); n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

// policy lets the page load what its nodes serve, and connect to them.
const policy = "default-src 'self'; connect-src 'self' http: https: ws: wss:; img-src 'self' data:; frame-ancestors 'none'"

// addPage serves the page, as it is at that moment, and its files on a node.
func addPage(n *node, now func() page) {
	n.mux.Handle("GET /web/", http.StripPrefix("/web/", http.FileServerFS(web.Files)))
	n.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		// An error means that the browser has disconnected.
		_ = pageTemplate.Execute(w, now())
	})
}
