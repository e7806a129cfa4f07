// Node does in Go what the reference node does in ASP.NET Core: the same hub
// methods, events, routes and flags, so that every test of interop, the load
// generator and the recorders of conformance drive either of the two.
//
//	node --urls http://127.0.0.1:0 [--redis 127.0.0.1:6379] [--redis-wait-ms 60000]
//	     [--prefix BlogApp:SignalR:] [--detailed true] [--log Information]
//	     [--max-message 32768] [--parallel 1] [--client-timeout-ms N]
//	     [--keepalive-ms N] [--handshake-timeout-ms N] [--poll-timeout-ms N]
//	     [--disconnect-timeout-ms N] [--stateful-buffer BYTES] [--stamps true]
//	     [--nodes 1] [--direct true] [--metrics true] [--refusals FILE]
//	     [--azure "Endpoint=...;AccessKey=...;Version=1.0;" [--application NAME] [--connections 2]
//	     [--shutdown Off|WaitForClientsClose|MigrateClients] [--sticky Preferred|Required]]
//
// With --stamps, which the reference node does not have, messages on Redis carry
// the time when they were sent, and GET /api/deliveries says how many of those have
// come, from this node and from others. With --nodes, which needs --redis, a random
// one of so many nodes gets each request; with --direct they pass requests on
// directly, and not over Redis. GET /api/forwards says how many they have passed on,
// and how many of those directly. With --metrics it measures what server/otel does.
// With --refusals it adds a byte to a file for each answer of 503.
//
// It prints "READY <url>" for each address when it accepts connections, with --redis
// once it has Redis or has waited for it in vain, and ends with status 0 on SIGTERM,
// after five seconds at the latest. With --azure the service has the clients, and may
// take a minute to move them; the flags are those of interop/azure/node.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/hubwire/hubwire/azure"
	"github.com/hubwire/hubwire/interop/internal/refusals"
)

// shutdownTime is how long clients and methods have to end by themselves, and
// serviceTime how long they have where a service moves the clients to other nodes, or
// waits for them.
const (
	shutdownTime = 5 * time.Second
	serviceTime  = time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	config, err := parseConfig(args)
	if err != nil {
		return err
	}
	n, err := newFleet(ctx, config)
	if err != nil {
		return err
	}
	var handler http.Handler = n
	if config.refusals != "" {
		handler = refusals.Handler(n, func() {
			if err := refusals.Note(config.refusals); err != nil {
				config.logger.Error("an answer of 503 is not noted", "error", err)
			}
		})
	}
	web := &http.Server{Handler: handler, ReadHeaderTimeout: 30 * time.Second, ErrorLog: n[0].httpLog}
	var listeners []net.Listener
	for _, address := range config.addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return errors.Join(err, n.shutdown(context.Background()), closeAll(listeners))
		}
		listeners = append(listeners, l)
	}
	failed := make(chan error, len(listeners))
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() { failed <- web.Serve(l) })
		fmt.Fprintf(stdout, "READY http://%s\n", l.Addr())
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	limit := shutdownTime
	if config.azure.Shutdown.Mode != azure.ShutdownOff {
		limit = serviceTime
	}
	end, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	// The hubs first: http.Server does not know of WebSockets, and long polling
	// has to be served to the end.
	stopErr := n.shutdown(end)
	if web.Shutdown(end) != nil {
		// An error means that a connection was closed already.
		_ = web.Close()
	}
	serving.Wait()
	if errors.Is(stopErr, context.DeadlineExceeded) {
		n[0].log.Warn("some clients or methods did not end in time", "error", stopErr)
		stopErr = nil
	}
	return errors.Join(err, stopErr)
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
