package proxies

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/server"
)

// A proxy on the same machine may reach the node by a Unix socket, which the transport
// reads and writes as it does TCP.
func TestClientsGetThroughProxiesToAUnixSocket(t *testing.T) {
	modules := harness.Modules(t, ".")
	for _, test := range []struct{ tool, config, node string }{
		{"nginx", strings.ReplaceAll(nginx, "SETTINGS", recommended), "unix:"},
		{"haproxy", strings.ReplaceAll(haproxy, "SETTINGS", "\n  timeout tunnel 1h"), "unix@"},
	} {
		t.Run(test.tool, func(t *testing.T) {
			url := start(t, test.tool, test.config, test.node+listenOnUnixSocket(t))
			for _, transport := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
				harness.Prints(t, harness.Script(t, modules, "anynode.mjs", url, transport), callTime, transport+allOfChat)
			}
		})
	}
}

// listenOnUnixSocket serves a chat until the test ends, and returns the socket's path.
func listenOnUnixSocket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hub") // t.TempDir may be longer than such a path can be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	hub := server.MustHub(chat{}, &server.Options{Logger: slog.New(slog.DiscardHandler)})
	web := &httptest.Server{Listener: listener, Config: &http.Server{Handler: hub, ReadHeaderTimeout: time.Minute}}
	web.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		web.Close()
	})
	return path
}
