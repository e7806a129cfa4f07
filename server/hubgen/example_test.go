package hubgen_test

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/hubgen"
)

// Board is a hub.
type Board struct{}

func (Board) Post(call *server.Call, title string, tags []string) (int, error) { return 1, nil }

// Posted is what the server calls at its clients.
var Posted = server.ClientMethod2[int, string]("Posted")

// What a Go program writes by itself, without go:generate and the command
// cmd/hubgen. A Source, made by ReadSource, would find the names of the
// parameters in the hub's own files.
func ExampleTypeScript() {
	var module strings.Builder
	if err := hubgen.TypeScript(&module, Board{}, nil, hubgen.Client(Posted, "id", "title")); err != nil {
		fmt.Println(err)
		return
	}
	for line := range strings.Lines(module.String()) { // its methods, which the compiler of the client checks
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "post(") || strings.HasPrefix(line, "onPosted(") {
			fmt.Println(line)
		}
	}
	// Output:
	// post(arg1: string, arg2: string[]): Promise<number> {
	// onPosted(handler: (id: number, title: string) => void): () => void {
}

// A document of the hub for readers and tools, at a route of its own. It names all
// methods of the hub, so mind who can reach it.
func ExampleAsyncAPIHandler() {
	document, err := hubgen.AsyncAPIHandler(Board{}, nil, hubgen.Info{Title: "The board", Version: "1.2.0", Path: "/board"},
		hubgen.Client(Posted, "id", "title"))
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /board/asyncapi.json", document)

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/board/asyncapi.json", nil))
	var got struct {
		AsyncAPI   string
		Info       struct{ Title, Version string }
		Operations map[string]struct{ Action string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.AsyncAPI, got.Info)
	fmt.Println(got.Operations)
	// Output:
	// 3.0.0 {The board 1.2.0}
	// map[Post:{receive} on-Posted:{send}]
}
