package server_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/hubwire/hubwire/server"
)

// A protocol of one's own, over the transports of SignalR: what a client sends
// comes back to it. Clients are HttpConnections, without a HubConnection.
func ExampleNewConnectionHandler() {
	echo := server.NewConnectionHandler(func(c *server.Connection) error {
		_, err := io.Copy(c, c) // until the client ends, or the server
		return err
	}, nil)
	server.Mount(http.DefaultServeMux, "/echo", echo)
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}

// A client is held once its request was read. So that ten thousand who come in one
// moment are not accepted, and read, before anything else, connections are accepted
// at a pace, too. Health checks have a listener of their own, where nobody waits.
func ExampleAdmission_Listener() {
	admission := server.NewAdmission(server.AdmissionOptions{PerSecond: 900, ConnectionsPerSecond: 2000})
	hub := server.MustHub(Chat{}, &server.Options{Endpoint: server.EndpointOptions{Admission: admission}})
	server.Mount(http.DefaultServeMux, "/chat", hub)
	node := &server.Node{Server: &http.Server{}, Hubs: []server.Drainer{hub}}
	go func() { log.Fatal(http.ListenAndServe("127.0.0.1:8081", node.Ready())) }()
	listener, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(node.Serve(context.Background(), admission.Listener(listener)))
}

// A client may write any address into X-Forwarded-For. What the proxies of
// 10.0.0.0/8 have added behind it counts.
func ExampleAddressBehindProxies() {
	address := server.AddressBehindProxies(netip.MustParsePrefix("10.0.0.0/8"))
	r := httptest.NewRequest(http.MethodPost, "/chat/negotiate", nil)
	r.RemoteAddr = "10.0.0.7:40000" // the proxy
	r.Header.Set("X-Forwarded-For", "192.0.2.66, 203.0.113.5")
	fmt.Println(address(r))
	// Output: 203.0.113.5
}

// When a node fails all of its clients come to this one at once. They are let in
// twenty at a time; the others wait for their turn, and see nothing of it.
func ExampleNewAdmission() {
	admission := server.NewAdmission(server.AdmissionOptions{Opening: 20})
	hub := server.MustHub(Chat{}, &server.Options{Endpoint: server.EndpointOptions{Admission: admission}})
	server.Mount(http.DefaultServeMux, "/chat", hub)
	http.HandleFunc("GET /waiting", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, admission.Stats().Waiting)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}
