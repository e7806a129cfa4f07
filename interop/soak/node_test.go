package soak

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A soakHub has a method of each kind.
type soakHub struct{}

func (soakHub) Echo(text string) string { return text }

func (soakHub) Join(call *server.Call, group string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}

func (soakHub) Leave(call *server.Call, group string) error {
	return call.Groups().Remove(call.Context(), call.ConnectionID(), group)
}

func (soakHub) Tell(call *server.Call, group, text string) error {
	return call.Clients().Group(group).Send(call.Context(), "Told", text)
}

// Count yields numbers until its client has had enough.
func (soakHub) Count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func (soakHub) Sum(numbers iter.Seq2[int, error]) (sum int, err error) {
	for n, err := range numbers {
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// Ask asks the caller, who may be on his way out.
func (soakHub) Ask(call *server.Call) (string, error) {
	ctx, cancel := context.WithTimeout(call.Context(), 3*time.Second)
	defer cancel()
	return server.Invoke[string](ctx, call.Clients().Caller(), "Answer")
}

func (soakHub) Kick(call *server.Call) { call.Abort() }

// poolSize is how many connections to Redis a node has for pipelines, and how many for
// other commands, beside that of its subscriptions.
const poolSize = 4

// A node serves the hub on a port of its own.
type node struct {
	hub   *server.Hub
	redis *redis.Client
	url   string
}

func newNode(t *testing.T, name, redisAddr string) *node {
	client := redis.NewClient(&redis.Options{Addr: redisAddr, PoolSize: poolSize, PipelinePoolSize: poolSize})
	quiet := slog.New(slog.DiscardHandler)
	manager, err := backplane.New(client, &backplane.Options{
		HubName: "Soak", ServerName: name, Logger: quiet, PublishTimeout: time.Second, AckTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	hub := server.MustHub(soakHub{}, &server.Options{
		LifetimeManager: manager, Logger: quiet,
		KeepAliveInterval: 2 * time.Second, ClientTimeoutInterval: 6 * time.Second, SlowClientTimeout: 2 * time.Second, HandshakeTimeout: 5 * time.Second,
		Endpoint: server.EndpointOptions{
			AllowStatefulReconnects: true, DisconnectTimeout: 3 * time.Second, TransportSendTimeout: 3 * time.Second, CloseTimeout: time.Second,
			Admission: server.NewAdmission(server.AdmissionOptions{Opening: 8, MaximumHold: 5 * time.Second}),
		},
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: hub, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(hub.Shutdown(ctx), web.Close(), manager.Close(), client.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		<-served
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := manager.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return &node{hub: hub, redis: client, url: "http://" + listener.Addr().String() + "/hub"}
}

// dial connects a plain client that gives what it is told to told.
func (n *node) dial(ctx context.Context, told func(string)) (*hubclient.Client, error) {
	return hubclient.Dial(ctx, hubclient.Options{
		ConnOptions: hubclient.ConnOptions{URL: n.url},
		Receive: func(m *protocol.Invocation) {
			var text string
			if raw, ok := firstArgument(m); ok && m.Target == "Last" && json.Unmarshal(raw, &text) == nil {
				told(text)
			}
		},
	})
}

func firstArgument(m *protocol.Invocation) (protocol.Raw, bool) {
	if len(m.RawArguments) == 0 {
		return nil, false
	}
	return m.RawArguments[0], true
}

// broadcast sends to everybody, and to groups of the other node, until ctx ends.
func (n *node) broadcast(ctx context.Context, b *book) {
	text := strings.Repeat("x", 8<<10)
	for i := 0; pause(ctx, 20*time.Millisecond); i++ {
		to := n.hub.Clients().All()
		if i%4 != 0 {
			to = n.hub.Clients().Group(groups[i%len(groups)])
		}
		sending, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := to.Send(sending, "News", text[:1+i*997%len(text)])
		cancel()
		if err != nil {
			b.add("broadcast failed")
		} else {
			b.add("broadcast")
		}
	}
}

var groups = []string{"red", "green", "blue"}
