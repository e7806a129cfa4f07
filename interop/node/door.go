package main

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// A door is where the other nodes of a fleet reach one, on a port of its own.
type door struct {
	listener net.Listener
	web      *http.Server // nil until serve
	ended    chan struct{}
}

func listen() (*door, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &door{listener: l, ended: make(chan struct{})}, nil
}

func (d *door) url() string { return "http://" + d.listener.Addr().String() + "/nodes" }

// serve serves h until close.
func (d *door) serve(h http.Handler, c *config) {
	routes := http.NewServeMux()
	routes.Handle("/nodes", h)
	d.web = &http.Server{Handler: routes, ReadHeaderTimeout: 30 * time.Second, ErrorLog: slog.NewLogLogger(c.logger.Handler(), slog.LevelDebug)}
	go func() {
		defer close(d.ended)
		if err := d.web.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
			c.logger.Error("the other nodes cannot come any more", "error", err)
		}
	}()
}

func (d *door) close() error {
	switch {
	case d == nil:
		return nil
	case d.web == nil:
		return d.listener.Close()
	}
	err := d.web.Close()
	<-d.ended
	return err
}
