// Philippseith is a hub of github.com/philippseith/signalr with the methods that
// loadgen calls.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/go-kit/log"
	"github.com/philippseith/signalr"

	"github.com/hubwire/hubwire/interop/peers/internal/node"
)

type hub struct{ signalr.Hub }

func (h *hub) Echo(text string) string        { return text }
func (h *hub) Broadcast(text string)          { h.Clients().All().Send("receive", text) }
func (h *hub) JoinGroup(group string)         { h.Groups().AddToGroup(group, h.ConnectionID()) }
func (h *hub) SendToGroup(group, text string) { h.Clients().Group(group).Send("receive", text) }

func main() {
	server, err := signalr.NewServer(context.Background(), signalr.UseHub(&hub{}),
		signalr.Logger(log.NewNopLogger(), false), signalr.InsecureSkipVerify(true))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	mux := http.NewServeMux()
	server.MapHTTP(signalr.WithHTTPServeMux(mux), "/hub")
	node.Main(mux)
}
