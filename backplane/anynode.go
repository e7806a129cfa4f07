package backplane

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/internal/fleet"
	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/server"
)

// AnyNode makes a fleet of Go nodes of which each serves any request: negotiate
// gives out tokens that every node can open, and what belongs to a connection of
// another node, a POST of Server-Sent Events or a poll, is passed on, over Redis or
// to the URL of that node. So are those of raw endpoints, with Redis.Nodes.
// All nodes must have it, or none. Connections of ASP.NET Core nodes stay with
// their node. docs/fleet.md says what it costs, and what becomes of it while Redis
// is away.
type AnyNode struct {
	// Keys are secrets that all nodes of the fleet share, of 32 bytes or more. The
	// first one signs tokens and messages, all are accepted: to change a key, add
	// the new one at the end on every node, then put it first on every node, then
	// remove the old one. Nil means that the nodes agree on a key over Redis, which
	// anyone with read access to Redis knows.
	Keys [][]byte

	// NodeURL is where the other nodes reach Redis.NodeHandler of this node, and of
	// no other: "http://10.0.0.1:8080/hubwire". They then pass requests on directly,
	// except the first one for a connection, which goes over Redis and returns the
	// URL. Its scheme is http or https; each hub of a node needs its own. Empty means
	// that this node is reached over Redis only, as it also is while the URL cannot
	// be reached.
	NodeURL string

	// NodeTLS is how this node connects to https URLs of other nodes: which authorities
	// it trusts, and its own certificate if they ask for one. It must not be changed
	// after New. Nil means the system's certificates. A node that is not trusted is
	// reached over Redis.
	NodeTLS *tls.Config

	// dial connects to the URLs of other nodes; nil outside of tests.
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// NodeHandler serves the other nodes at AnyNode.NodeURL: mount it there, on a
// listener for HTTP/1.1 that clients cannot reach. It refuses every request without
// the key of the fleet; without Options.AnyNode, and after Close, it refuses all. It
// is safe for concurrent use.
func (r *Redis) NodeHandler() http.Handler {
	if r.fleet == nil {
		return http.NotFoundHandler()
	}
	return r.fleet.Handler()
}

// check returns what is wrong with the options.
func (a *AnyNode) check() error {
	for _, key := range a.Keys {
		if len(key) < shortestKey {
			return fmt.Errorf("backplane: Options.AnyNode.Keys has a key of %d bytes, shorter than %d", len(key), shortestKey)
		}
	}
	if a.NodeURL == "" {
		return nil
	}
	u, err := url.Parse(a.NodeURL)
	switch {
	case err != nil:
		return fmt.Errorf("backplane: Options.AnyNode.NodeURL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.User != nil, u.Fragment != "":
		return fmt.Errorf("backplane: Options.AnyNode.NodeURL %q is not as http://host:port/path", u.Redacted())
	case len(a.NodeURL) > fleet.MostURL:
		return fmt.Errorf("backplane: Options.AnyNode.NodeURL has %d bytes, more than %d", len(a.NodeURL), fleet.MostURL)
	}
	return nil
}

// shortestKey is how long a key must be, in bytes.
const shortestKey = 32

// keyPause is the time between two checks of the key that the nodes agreed on.
const keyPause = 30 * time.Second

// Cluster is for package server: it returns the other nodes, or nil without
// Options.AnyNode.
func (r *Redis) Cluster() transport.Cluster {
	if r.fleet == nil {
		return nil // and not a nil *fleet.Fleet
	}
	return r.fleet
}

// Nodes returns the nodes of the fleet for ConnectionOptions.Nodes of a raw endpoint,
// which needs no hub, nor a Redis of its own beside one: Ready, Check, Stats and
// NodeHandler are for both, and Close comes after its Shutdown. Every node has the
// endpoint on the same route, under the same name, which may be empty. A connection
// token is worth nothing at an endpoint of another name or another route, nor at the
// hub, and the hub's is worth nothing here. Without Options.AnyNode it returns nil.
func (r *Redis) Nodes(name string) server.Nodes {
	if r.fleet == nil {
		return nil
	}
	return endpointNodes{r.fleet.Endpoint(name)}
}

// endpointNodes implements server.Nodes.
type endpointNodes struct{ cluster transport.Cluster }

// EndpointCluster implements server.Nodes.
func (n endpointNodes) EndpointCluster() transport.Cluster { return n.cluster }

// openFleet is called by New.
func (r *Redis) openFleet() {
	if r.opts.AnyNode == nil {
		return
	}
	var keys []fleet.Key
	for _, key := range r.opts.AnyNode.Keys {
		keys = append(keys, fleet.Key(key))
	}
	r.fleet = fleet.New(fleetBus{r}, fleet.Options{
		Node: r.opts.ServerName, Base: r.channels.Extra("any:"), Keys: keys, URL: r.opts.AnyNode.NodeURL, Dial: r.opts.AnyNode.dial, TLS: r.opts.AnyNode.NodeTLS, Log: r.log,
	})
	r.base = append(r.base, r.fleet.NodeChannel())
}

// agree finds out which key the nodes use, and proposes one if there is none. It
// checks again from time to time: Redis may have lost the key.
func (r *Redis) agree() {
	name := r.channels.Extra("any:key")
	own := make([]byte, shortestKey)
	_, _ = rand.Read(own) // it never fails
	var known []fleet.Key
	for r.state.wait(r.ctx) == nil {
		ctx, cancel := context.WithTimeout(r.ctx, max(r.opts.PublishTimeout, time.Second))
		key, err := r.agreeOnce(ctx, name, own)
		cancel()
		pause := keyPause
		switch {
		case err != nil:
			pause = lastPause
		case len(known) == 0 || string(known[0]) != string(key):
			first := len(known) == 0
			known = append([]fleet.Key{key}, known...)
			known = known[:min(len(known), 2)]
			own = key // what this node proposes if Redis loses it
			r.fleet.SetKeys(known)
			if first {
				close(r.keyed)
			}
		}
		sleep(r.ctx, pause)
	}
}

func (r *Redis) agreeOnce(ctx context.Context, name string, own []byte) (fleet.Key, error) {
	if err := r.client.SetNX(ctx, name, base64.StdEncoding.EncodeToString(own), 0).Err(); err != nil {
		return nil, err
	}
	text, err := r.client.Get(ctx, name).Result()
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err == nil && len(key) < shortestKey {
		err = fmt.Errorf("key of %d bytes", len(key))
	}
	if err != nil {
		r.log.Error("the key of the fleet on Redis is unusable", "key", name, "error", err)
		return nil, err
	}
	return key, nil
}

// fleetBus is Redis as a fleet.Bus.
type fleetBus struct{ r *Redis }

// reachable returns ErrUnavailable while this node is not subscribed. Shortly after
// a loss it waits.
func (b fleetBus) reachable(ctx context.Context) error {
	b.r.expectReady(ctx)
	if !b.r.state.ready() {
		return ErrUnavailable
	}
	return nil
}

// Counts implements fleet.Bus: in a Redis Cluster PUBLISH does not count the
// subscribers of other nodes.
func (b fleetBus) Counts() bool { return !b.r.cluster }

// Heard implements fleet.Bus.
func (b fleetBus) Heard(ctx context.Context, channel string) (heard bool, err error) {
	if err := b.reachable(ctx); err != nil {
		return false, err
	}
	if heard, err = Fleet(b).subscribed(ctx, channel); heard {
		return true, nil // though another node of Redis may be away
	}
	return false, err
}

// Publish implements fleet.Bus. It goes past the queue of sends: a request need not
// wait for them, nor they for it. A message that go-redis publishes twice does no
// harm.
func (b fleetBus) Publish(ctx context.Context, channel string, payload []byte) (int64, error) {
	var n int64
	err := b.try(ctx, func() (err error) {
		publish := newPublishCmd(ctx, channel, payload)
		_ = b.r.client.Process(ctx, publish) // the command has its error
		n, err = publish.Result()
		return err
	})
	if b.r.cluster {
		n = 1
	}
	return n, err
}

// try calls f until it succeeds: connections of the pool may be broken. Each f must
// be idempotent.
func (b fleetBus) try(ctx context.Context, f func() error) error {
	for {
		if err := b.reachable(ctx); err != nil {
			return err
		}
		err := f()
		var answered redis.Error
		if err == nil || errors.As(err, &answered) || ctx.Err() != nil {
			return err
		}
		sleep(ctx, firstPause)
	}
}

// Subscribe implements fleet.Bus.
func (b fleetBus) Subscribe(ctx context.Context, channel string) error {
	s := b.r.hold(channel)
	if err := b.reachable(ctx); err != nil {
		return err
	}
	return b.r.await(ctx, s, true)
}

// Unsubscribe implements fleet.Bus.
func (b fleetBus) Unsubscribe(channel string) {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	if s := b.r.subscribed[channel]; s != nil {
		s.held = false
		b.r.markLocked(s)
	}
}

// hold subscribes to a channel that has no members.
func (r *Redis) hold(channel string) *subscription {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.subscribed[channel]
	if s == nil {
		s = &subscription{channel: channel}
		r.subscribed[channel] = s
	}
	s.held, s.refused = true, nil
	r.markLocked(s)
	return s
}

// Claim implements fleet.Bus.
func (b fleetBus) Claim(ctx context.Context, key string, d time.Duration) (mine bool, err error) {
	own := rand.Text()
	err = b.try(ctx, func() (err error) {
		mine, err = b.r.client.SetNX(ctx, key, own, d).Result()
		if err != nil || mine {
			return err
		}
		found, err := b.r.client.Get(ctx, key).Result()
		mine = found == own // it was written twice
		if errors.Is(err, redis.Nil) {
			return nil // it has just ended
		}
		return err
	})
	return mine, err
}

// Exists implements fleet.Bus.
func (b fleetBus) Exists(ctx context.Context, key string) (bool, error) {
	var n int64
	err := b.try(ctx, func() (err error) {
		n, err = b.r.client.Exists(ctx, key).Result()
		return err
	})
	return n > 0, err
}

// Since implements fleet.Bus.
func (b fleetBus) Since() time.Time { return b.r.Health().Since }
