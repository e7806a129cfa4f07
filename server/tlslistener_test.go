package server_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/server"
)

// What TLSListener saves, and that what comes from it is parked: see internal/transport.
func TestANodeServesTLSByTLSListener(t *testing.T) {
	certificates := httptest.NewUnstartedServer(nil)
	certificates.StartTLS()
	defer certificates.Close()
	hub := newHub(roomHub{}, nil)
	under := make(chan net.Conn, 10)
	node := &server.Node{Hubs: []server.Drainer{hub}, Logger: slog.New(slog.DiscardHandler), Drain: server.DrainOptions{Notice: never, Spread: never}, Server: &http.Server{
		TLSConfig: &tls.Config{Certificates: certificates.TLS.Certificates},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			under <- c.(*tls.Conn).NetConn()
			return ctx
		},
	}}
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", hub)
	node.Server.Handler = mux
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- node.Serve(ctx, l) }()
	dialer := &tls.Dialer{Config: certificates.Client().Transport.(*http.Transport).TLSClientConfig}
	c, err := hubclient.Dial(t.Context(), hubclient.Options{ConnOptions: hubclient.ConnOptions{
		URL: "http://" + l.Addr().String() + "/hub", DialContext: dialer.DialContext}})
	if err != nil {
		t.Fatal(err)
	}
	if _, bare := (<-under).(*net.TCPConn); bare {
		t.Error("the Node serves TLS over a bare connection")
	}
	c.Close()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
