package harness

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/hubwire/hubwire/azure/gateway"
)

// AccessKey is the access key of gateways.
const AccessKey = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH"

// A Gateway is an azure/gateway in the process of the test, on a loopback port. Its
// methods are for one goroutine.
type Gateway struct {
	address string
	log     *Tail
	kill    func()
}

// StartGateway starts a gateway on a free port. It ends with the test, whose log has
// that of the gateway if it fails.
func StartGateway(t testing.TB) *Gateway {
	t.Helper()
	g := &Gateway{address: "127.0.0.1:0", log: &Tail{}}
	t.Cleanup(func() {
		g.Kill()
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", g.log)
		}
	})
	g.StartAgain(t)
	return g
}

// URL is where it listens, without a slash at the end.
func (g *Gateway) URL() string { return "http://" + g.address }

// ConnectionString is what app servers are given.
func (g *Gateway) ConnectionString() string {
	return "Endpoint=" + g.URL() + ";AccessKey=" + AccessKey + ";Version=1.0;"
}

// Kill ends the gateway as if its process had ended. Twice is allowed.
func (g *Gateway) Kill() {
	if g.kill != nil {
		g.kill()
	}
}

// StartAgain starts a new gateway where the old one was.
func (g *Gateway) StartAgain(t testing.TB) {
	t.Helper()
	handler, err := gateway.New(&gateway.Options{AccessKeys: []string{AccessKey}, Logger: slog.New(slog.NewTextHandler(g.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	g.address = listener.Addr().String()
	server := &http.Server{Handler: handler}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ErrServerClosed
	}()
	g.kill = sync.OnceFunc(func() {
		_ = server.Close()
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = handler.Shutdown(now) // cuts what the server has left to it
		<-served
	})
}
