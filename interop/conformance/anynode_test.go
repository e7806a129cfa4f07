package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// Reasons of scenarios that may differ where each request goes to a random one of
// three nodes: docs/fleet.md has them, too.
const (
	noneOfItsBusiness = "the owner of a plain WebSocket does not listen for requests from other nodes: they answer 404"
	neverPassedOn     = "a WebSocket is passed on for stateful reconnect only: another node than the owner answers 404"
	notNamed          = "a WebSocket without negotiation has no token by which other nodes know it"
	justBegun         = "a node that has found Redis less than two seconds ago asks again before it believes that nobody has a connection"
	otherIDs          = "over Redis the ids of client results are longer, and the script does not find them"
	allOrNothing      = "what a client has sent of a body that it breaks off is executed by the owner only"
	closeFirst        = "the Close and the answer to the POST that has called Abort come by way of different nodes, in any order: a client that has the Close first has not sent its own when it ends the connection"
	moreTime          = "the answer to a POST that is passed on takes longer, so that the script sees more of the stream"
	firstPolls        = "a first poll that comes to another node while the owner has only begun to listen is answered 404"
)

// onAnyNode are these scenarios, by recorder. The others must not differ.
var onAnyNode = map[string]map[string]string{
	"http": {
		"WebSocket upgrade / good":                                        noneOfItsBusiness,
		"WebSocket upgrade / versions 8, 13":                              noneOfItsBusiness,
		"WebSocket upgrade / Upgrade: h2c, websocket":                     noneOfItsBusiness,
		"WebSocket upgrade / Connection: keep-alive, Upgrade":             noneOfItsBusiness,
		"WebSocket upgrade / compression and subprotocol offered":         noneOfItsBusiness,
		"WebSocket upgrade / foreign origin":                              noneOfItsBusiness,
		"one connection, a second request / WebSocket, then WebSocket":    noneOfItsBusiness,
		"one connection, a second request / WebSocket, then SSE":          noneOfItsBusiness,
		"one connection, a second request / WebSocket, then poll":         noneOfItsBusiness,
		"one connection, a second request / WebSocket, then POST":         noneOfItsBusiness,
		"one connection, a second request / WebSocket, then DELETE":       noneOfItsBusiness,
		"one connection, a second request / SSE, then WebSocket":          neverPassedOn,
		"one connection, a second request / long polling, then WebSocket": neverPassedOn,
		"one connection, a second request / SSE, then POST":               moreTime,
		"long polling / first poll while a first poll runs":               firstPolls,
		"POST / body cut off by the client":                               allOrNothing,
	},
	"dialogues": {
		"aborted by the server / js LongPolling json":        closeFirst,
		"aborted by the server / js LongPolling messagepack": closeFirst,
	},
	"refresh": {
		"POST /refresh: requests / good":                                      justBegun,
		"POST /refresh: requests / WebSocket without negotiate":               notNamed,
		"cancelling, json, 1 parallel / client result awaited with the token": otherIDs,
	},
}

// notOnAnyNode are words of scenarios that are not played: they end the node, which is
// all three, or take long.
var notOnAnyNode = []string{dotnetHalf, "SIGTERM", "server stops", "default times"}

// TestOnAnyNode plays what has several requests of a connection.
func TestOnAnyNode(t *testing.T) {
	harness.Long(t, "takes minutes")
	t.Parallel()
	for recorder, races := range onAnyNode {
		t.Run(recorder, func(t *testing.T) {
			t.Parallel()
			suite{recorder: recorder, without: notOnAnyNode, command: anyNodeCommand(t), races: races}.conform(t, 4)
		})
	}
}

// anyNodeCommand returns the command line of three nodes of which each serves any
// request. Whenever it is started, its nodes have channels of their own on the Redis
// of the test: recorders start several.
func anyNodeCommand(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "anynode.sh")
	text := fmt.Sprintf("exec %s %s --prefix $$: \"$@\"\n", harness.NodeCommand(t), strings.Join(harness.AnyNode(t), " "))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return harness.Tool(t, "sh") + " " + file
}
