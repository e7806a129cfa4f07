// Package node serves a peer as interop/node serves a hub.
package node

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Main serves h at the address that --urls says until SIGTERM, and ends the process.
func Main(h http.Handler) {
	if err := serve(h); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(h http.Handler) error {
	urls := flag.String("urls", "http://127.0.0.1:0", "address to listen on")
	flag.Parse()
	u, err := url.Parse(*urls)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", u.Host)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	web := &http.Server{Handler: h, ReadHeaderTimeout: 30 * time.Second}
	context.AfterFunc(ctx, func() { _ = web.Close() }) // clients of a measurement have gone
	fmt.Printf("READY http://%s\n", listener.Addr())
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
