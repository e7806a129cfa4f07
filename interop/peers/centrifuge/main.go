// Centrifuge answers the RPC echo, and publishes what it is sent to all, who are
// subscribed by the server: loadgen's protocol centrifuge. It sends no pings.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/centrifugal/centrifuge"

	"github.com/hubwire/hubwire/interop/peers/internal/node"
)

const all = "all"

func main() {
	n, err := centrifuge.New(centrifuge.Config{})
	if err == nil {
		prepare(n)
		err = n.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	mux := http.NewServeMux()
	mux.Handle("/hub", centrifuge.NewWebsocketHandler(n, centrifuge.WebsocketConfig{
		CheckOrigin:    func(*http.Request) bool { return true },
		PingPongConfig: centrifuge.PingPongConfig{PingInterval: -1},
	}))
	node.Main(mux)
}

func prepare(n *centrifuge.Node) {
	n.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials:   &centrifuge.Credentials{},
			Subscriptions: map[string]centrifuge.SubscribeOptions{all: {}},
		}, nil
	})
	n.OnConnect(func(c *centrifuge.Client) {
		c.OnRPC(func(e centrifuge.RPCEvent, answer centrifuge.RPCCallback) {
			answer(centrifuge.RPCReply{Data: e.Data}, nil)
		})
		c.OnMessage(func(e centrifuge.MessageEvent) {
			if _, err := n.Publish(all, e.Data); err != nil {
				c.Disconnect(centrifuge.DisconnectServerError)
			}
		})
	})
}
