package hubgen_test

import (
	"fmt"
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
