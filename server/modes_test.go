package server_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// A mode is a way in which clients and their hub can be: what holds in one of
// them holds in all.
type mode struct {
	name     string
	options  []hubtest.Option // of clients
	parallel int              // MaximumParallelInvocationsPerClient
}

var modes = func() (all []mode) {
	for name, options := range map[string][]hubtest.Option{
		"WebSockets, json":           nil,
		"WebSockets, messagepack":    {hubtest.MessagePack()},
		"ServerSentEvents, json":     {hubtest.Over(server.ServerSentEvents)},
		"LongPolling, json":          {hubtest.Over(server.LongPolling)},
		"LongPolling, messagepack":   {hubtest.Over(server.LongPolling), hubtest.MessagePack()},
		"WebSockets, stateful, json": {hubtest.Stateful()},
	} {
		for _, parallel := range []int{1, 4} {
			all = append(all, mode{fmt.Sprintf("%s, %d parallel", name, parallel), options, parallel})
		}
	}
	return all
}()

// forEachMode runs a test in each mode, in a bubble of its own.
func forEachMode(t *testing.T, run func(t *testing.T, m mode)) {
	for _, m := range modes {
		inBubble(t, m.name, func(t *testing.T) { run(t, m) })
	}
}

// inBubble runs a subtest under a fake clock.
func inBubble(t *testing.T, name string, run func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, run) })
}

// node serves hub in the mode. Its log is silent, unless opts have one.
func (m mode) node(t *testing.T, hub any, opts *server.Options) *hubtest.Node {
	t.Helper()
	own := server.Options{}
	if opts != nil {
		own = *opts
	}
	if own.Logger == nil {
		own.Logger = slog.New(slog.DiscardHandler)
	}
	own.MaximumParallelInvocationsPerClient = m.parallel
	own.Endpoint.AllowStatefulReconnects = true
	return hubtest.New(t, hub, &own)
}

// connect connects a client in the mode.
func (m mode) connect(n *hubtest.Node, more ...hubtest.Option) *hubtest.Client {
	return n.Connect(append(m.options[:len(m.options):len(m.options)], more...)...)
}

// Texts that clients are told.
func threw(method, why string) string {
	text := "An unexpected error occurred invoking '" + method + "' on the server."
	if why != "" {
		text += " " + why
	}
	return text
}

func failedToInvoke(method, why string) string {
	text := "Failed to invoke '" + method + "' due to an error on the server."
	if why != "" {
		text += " " + why
	}
	return text
}

// wantError wants a call to be answered with an error of this text.
func wantError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if call, ok := errors.AsType[*hubtest.CallError](err); !ok || call.Text != want {
		t.Errorf("%s: %v\n want: %s", what, err, want)
	}
}

// wantResult wants a call to be answered with a result.
func wantResult[T comparable](t *testing.T, c *hubtest.Client, want T, method string, args ...any) {
	t.Helper()
	var got T
	if err := c.Invoke(&got, method, args...); err != nil || got != want {
		t.Errorf("%s(%s) = %v, %v; want %v", method, strings.Trim(fmt.Sprintf("%v", args), "[]"), got, err, want)
	}
}
