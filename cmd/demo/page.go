package main

import (
	_ "embed"
	"html/template"
	"net/http"
	"os"
	"path/filepath"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// A page is what page.html shows: clients of the official JavaScript library.
type page struct {
	Script    string // where signalr.js comes from
	Integrity string // of a script from elsewhere
	Backplane bool
	Angular   bool // there is a page of Angular, too
	Node1     string
	Panes     []pane
}

// A pane is one client.
type pane struct{ Name, Hub string }

// The official client, where npm has not installed it.
const (
	cdnScript    = "https://cdn.jsdelivr.net/npm/@microsoft/signalr@10.0.11/dist/browser/signalr.min.js"
	cdnIntegrity = "sha384-N+pL/4qXZHZcvsa6hVMd5/7cdF3lC59ZMNHeQyRo5q9jmC7yw0hcJILPjUDSU7ZS"
)

// localScripts are where npm puts it, seen from the root of the repository.
var localScripts = []string{"node_modules", "interop/demo/node_modules", "interop/js/node_modules"}

// serve adds the page to a node.
func (p page) serve(n *node) {
	p.Script, p.Integrity = cdnScript, cdnIntegrity
	for _, folder := range localScripts {
		file := filepath.Join(folder, "@microsoft", "signalr", "dist", "browser", "signalr.min.js")
		if _, err := os.Stat(file); err != nil {
			continue
		}
		p.Script, p.Integrity = "/signalr.js", ""
		n.mux.HandleFunc("GET /signalr.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
		break
	}
	n.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		// An error means that the browser has disconnected.
		_ = pageTemplate.Execute(w, p)
	})
}
