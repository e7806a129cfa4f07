package http2

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hubwire/hubwire/server"
)

// testHub has a method of each kind.
type testHub struct{}

// Protocol returns that of the request which made the connection.
func (testHub) Protocol(call *server.Call) string { return call.Request().Proto }

func (testHub) Echo(text string) string { return text }

// Letters streams to the client.
func (testHub) Letters(call *server.Call, count int) <-chan string {
	letters := make(chan string)
	go func() { // ends with the call at the latest
		defer close(letters)
		for i := range count {
			select {
			case letters <- string('a' + rune(i)):
			case <-call.Context().Done():
				return
			}
		}
	}()
	return letters
}

// Concat takes a stream of the client.
func (testHub) Concat(call *server.Call, words <-chan string) (string, error) {
	var all strings.Builder
	for word := range words {
		all.WriteString(word)
	}
	return all.String(), call.UploadError()
}

// Ask asks the client for a result.
func (testHub) Ask(call *server.Call, text string) (string, error) {
	return server.Invoke[string](call.Context(), call.Clients().Caller(), "Question", text)
}

// PushMe sends a message to the client, besides its result.
func (testHub) PushMe(call *server.Call, text string) error {
	return call.Clients().Caller().Send(call.Context(), "Push", text)
}

// A node is a hub with TLS that remembers which requests it got.
type node struct {
	server *httptest.Server

	mu       sync.Mutex
	requests map[string]bool // "HTTP/2.0 POST /hub/negotiate"
}

// startNode starts a node that speaks HTTP/2 or only HTTP/1.1, on a free port
// of 127.0.0.1. It ends with the test.
func startNode(t *testing.T, speaksHTTP2 bool) *node {
	t.Helper()
	// The client's large text does not fit into the default of 32 KiB.
	hub := server.MustHub(testHub{}, &server.Options{MaximumReceiveMessageSize: -1, EnableDetailedErrors: true})
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", hub)
	n := &node{requests: map[string]bool{}}
	n.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		n.requests[fmt.Sprintf("%s %s %s", r.Proto, r.Method, r.URL.Path)] = true
		n.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	n.server.EnableHTTP2 = speaksHTTP2
	n.server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that disconnect in the middle of the TLS handshake
	n.server.StartTLS()
	t.Cleanup(func() {
		if err := hub.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("Shutdown: %v", err)
		}
		n.server.CloseClientConnections()
		n.server.Close()
	})
	return n
}

// thumbprint names the node's certificate, in .NET's way.
func (n *node) thumbprint() string {
	return fmt.Sprintf("%X", sha256.Sum256(n.server.Certificate().Raw))
}

// seen returns each kind of request that has come, sorted.
func (n *node) seen() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.requests))
}
