package proxies

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/interop/harness"
)

const callTime = time.Minute // for a client

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nginx is a configuration; SETTINGS are those of the location.
var nginx = harness.NginxConfig(`  server {
    listen ADDR;
    location / {
      proxy_pass http://NODE;SETTINGS
    }
  }
`)

const recommended = `
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Host $http_host;
      proxy_read_timeout 100s;
      proxy_buffering off;`

// haproxy is a configuration; SETTINGS are more defaults.
const haproxy = `defaults
  mode http
  timeout connect 5s
  timeout client 100s
  timeout server 100sSETTINGS
frontend hub
  bind ADDR
  default_backend nodes
backend nodes
  server node NODE
`

func TestClientsGetThroughProxies(t *testing.T) {
	modules, node := harness.Modules(t, "."), harness.StartNode(t, harness.NodeCommand(t))
	for _, test := range []struct {
		name, tool, config, settings string
		sockets                      bool
	}{
		{"nginx with proxy_pass alone", "nginx", nginx, "", false},
		{"nginx as recommended", "nginx", nginx, recommended, true},
		{"haproxy with timeouts alone", "haproxy", haproxy, "", true},
		{"haproxy as recommended", "haproxy", haproxy, "\n  timeout tunnel 1h", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := start(t, test.tool, strings.ReplaceAll(test.config, "SETTINGS", test.settings), node.URL)
			wants := map[string]string{"": "WebSockets", "WebSockets": "WebSockets", "ServerSentEvents": "ServerSentEvents", "LongPolling": "LongPolling"}
			if !test.sockets { // the client falls back
				wants[""], wants["WebSockets"] = "ServerSentEvents", "failed"
			}
			for asked, want := range wants {
				if want != "failed" {
					want += " 3 0,1,2"
				}
				harness.Prints(t, harness.Script(t, modules, "call.mjs", url, asked), callTime, want)
			}
		})
	}
}

// start starts a proxy in front of the node and returns its URL.
func start(t *testing.T, tool, config, node string) string {
	t.Helper()
	return harness.Proxy(t, tool, strings.ReplaceAll(config, "NODE", strings.TrimPrefix(node, "http://")))
}
