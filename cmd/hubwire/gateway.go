package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/server"
	"github.com/redis/go-redis/v9"
)

// newKey makes an access key, as long as Azure's.
func newKey() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}

func runGateway(ctx context.Context, args []string, env func(string) string, again <-chan os.Signal, stdout, stderr io.Writer) int {
	s, err := readSettings(args, env, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "hubwire gateway: %v\n", err)
		return 2
	}
	if err := serveGateway(ctx, s, func() (*settings, error) { return readSettings(args, env, io.Discard) }, again, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "hubwire gateway: %v\n", err)
		return 1
	}
	return 0
}

// serveGateway serves until ctx is done, and then drains.
func serveGateway(ctx context.Context, s *settings, reread func() (*settings, error), again <-chan os.Signal, stdout, stderr io.Writer) error {
	log := s.logger(stderr)
	client, closeRedis, err := s.redis()
	if err != nil {
		return err
	}
	defer closeRedis()
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	g, err := gateway.New(s.options(log, client))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	web := &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	failed := make(chan error, 2)
	go func() {
		if s.tlsCert != "" {
			failed <- web.ServeTLS(server.TLSListener(listener), s.tlsCert, s.tlsKey)
			return
		}
		failed <- web.Serve(listener)
	}()
	watch, err := serveMetrics(s.metrics, g, failed)
	if err != nil {
		shutdown(g, 0, log)
		return errors.Join(err, web.Close())
	}
	users := "app servers"
	if s.serverless {
		users = "whoever calls REST and signs tokens"
	}
	fmt.Fprintf(stdout, "Connection string for %s:\n%s\n", users, s.connectionString(listener.Addr()))
	if s.made {
		fmt.Fprintln(stdout, "This key is new at each start; -key sets one that stays.")
	}
	log.Info("gateway listens", "address", listener.Addr().String())
	for {
		select {
		case <-again:
			reload(g, s, reread, log)
		case err := <-failed:
			shutdown(g, 0, log)
			return errors.Join(err, web.Close(), watch.Close())
		case <-ctx.Done():
			log.Info("gateway drains", "longest", s.drain)
			shutdown(g, s.drain, log)
			return errors.Join(web.Close(), watch.Close())
		}
	}
}

func shutdown(g *gateway.Gateway, longest time.Duration, log *slog.Logger) {
	over, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	if err := g.Shutdown(over); err != nil {
		log.Warn("clients were cut off", "error", err)
	}
}

// redis returns the client of -redis, or nil without that, and what closes it.
func (s *settings) redis() (client redis.UniversalClient, closeIt func(), err error) {
	if s.redisURL == "" {
		return nil, func() {}, nil
	}
	o, err := redis.ParseURL(s.redisURL)
	if err != nil {
		return nil, nil, withoutURL(err)
	}
	of := redis.NewClient(o)
	return of, func() { _ = of.Close() }, nil // it is not used any more
}

// reload takes the keys of changed settings over. What is wrong with them is
// logged, and changes nothing.
func reload(g *gateway.Gateway, old *settings, reread func() (*settings, error), log *slog.Logger) {
	fresh, err := reread()
	switch {
	case err != nil:
		log.Error("settings not taken over", "error", err)
		return
	case fresh.made: // and not by anybody's wish
		log.Error("settings not taken over", "error", "there is no key in them")
		return
	}
	if err := g.SetAccessKeys(fresh.keys()...); err != nil {
		log.Error("settings not taken over", "error", err)
		return
	}
	old.key, old.key2 = fresh.key, fresh.key2
	log.Info("keys taken over", "keys", len(fresh.keys()))
}

// serveMetrics serves the numbers of a gateway at an address; none if it is empty.
func serveMetrics(address string, g *gateway.Gateway, failed chan<- error) (*http.Server, error) {
	web := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write(metricsText(g.Stats())) // Prometheus asks again
	})}
	if address == "" {
		return web, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	go func() { failed <- web.Serve(listener) }()
	return web, nil
}

// metricsText is s in the text format of Prometheus.
func metricsText(s gateway.Stats) (text []byte) {
	for _, m := range []struct {
		name, kind, help string
		value            uint64
	}{
		{"hubs", "gauge", "Hubs that somebody has connected to.", uint64(s.Hubs)},
		{"clients", "gauge", "Clients that app servers have, or the gateway itself.", uint64(s.Clients)},
		{"servers", "gauge", "App servers, once for each hub.", uint64(s.Servers)},
		{"server_connections", "gauge", "Connections of app servers.", uint64(s.ServerConnections)},
		{"pending_results", "gauge", "Client results that are waited for.", uint64(s.PendingResults)},
		{"events_waiting_bytes", "gauge", "Bytes of events that upstreams have not taken.", uint64(s.EventsWaiting)},
		{"peers", "gauge", "Other gateways of the fleet.", uint64(s.Peers)},
		{"clients_opened_total", "counter", "Clients whose handshake was done.", s.ClientsOpened},
		{"clients_refused_total", "counter", "Clients refused in their handshake.", s.ClientsRefused},
		{"clients_migrated_total", "counter", "Clients moved to another app server.", s.ClientsMigrated},
		{"servers_lost_total", "counter", "Connections of app servers that ended with clients on them.", s.ServersLost},
		{"server_messages_total", "counter", "Messages of app servers.", s.MessagesIn},
		{"client_messages_total", "counter", "Hub messages queued at clients.", s.FramesOut},
		{"upstream_requests_total", "counter", "Events brought to upstreams, well or not.", s.UpstreamRequests},
		{"upstream_failures_total", "counter", "Events without a good answer.", s.UpstreamFailures},
		{"events_dropped_total", "counter", "Events that no upstream was told.", s.EventsDropped},
		{"fleet_sent_total", "counter", "Messages to other gateways that Redis has taken.", s.FleetSent},
		{"fleet_received_total", "counter", "Messages of other gateways.", s.FleetReceived},
		{"fleet_twice_total", "counter", "Messages of other gateways that their app server had sent here itself.", s.FleetTwice},
		{"fleet_dropped_total", "counter", "Messages to other gateways that are lost, or may be.", s.FleetDropped},
	} {
		text = fmt.Appendf(text, "# HELP hubwire_gateway_%s %s\n# TYPE hubwire_gateway_%[1]s %[3]s\nhubwire_gateway_%[1]s %[4]d\n", m.name, m.help, m.kind, m.value)
	}
	return text
}
