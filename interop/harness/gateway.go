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
	*gateway.Gateway // the one that runs, or ran last

	address string
	options gateway.Options
	log     *Tail
	kill    func()
}

// StartGateway starts a gateway on a free port. It ends with the test, whose log has
// that of the gateway if it fails.
func StartGateway(t testing.TB) *Gateway {
	t.Helper()
	return StartGatewayWith(t, gateway.Options{})
}

// StartGatewayWith is StartGateway with options beside AccessKeys and Logger.
func StartGatewayWith(t testing.TB, o gateway.Options) *Gateway {
	t.Helper()
	g := &Gateway{address: "127.0.0.1:0", options: o, log: &Tail{}}
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
func (g *Gateway) ConnectionString() string { return ConnectionString(g.URL()) }

// ConnectionString is what app servers are given that reach gateways by url.
func ConnectionString(url string) string {
	return "Endpoint=" + url + ";AccessKey=" + AccessKey + ";Version=1.0;"
}

// Kill ends the gateway as if its process had ended. Twice is allowed.
func (g *Gateway) Kill() {
	if g.kill != nil {
		g.kill()
	}
}

// StartAgain starts a new gateway where the old one was. A connection of another program
// may have got its port meanwhile: then it is tried again.
func (g *Gateway) StartAgain(t testing.TB) {
	t.Helper()
	o := g.options
	o.AccessKeys, o.Logger = []string{AccessKey}, slog.New(slog.NewTextHandler(g.log, nil))
	handler, err := gateway.New(&o)
	if err != nil {
		t.Fatal(err)
	}
	g.Gateway = handler
	var listener net.Listener
	Await(t, "the port of "+g.address, listenTime, func() (err error) {
		listener, err = net.Listen("tcp", g.address)
		return err
	})
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
