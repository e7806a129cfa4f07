package rolling

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// The settings of the proxies are those of docs/rolling-restart.md. But here a check may
// take longer than the time between two: a node that answers late on a busy machine is
// not down.

// haproxy asks the nodes whether they are ready, each INTER. SERVERS are the nodes.
const haproxy = `defaults
  mode http
  timeout connect 2s
  timeout client 100s
  timeout server 100s
  timeout tunnel 1h
  timeout check 5s
  # Else an event of Server-Sent Events may wait for 200 ms for the next one.
  option http-no-delay
frontend hub
  bind ADDR
  default_backend nodes
backend nodes
  balance leastconn
  # All requests of a connection go to the node that answered its negotiate ...
  cookie NODE insert indirect nocache
  # ... also while that drains: polls fetch their farewell, and POSTs are served.
  option persist
  # A new connection begins anywhere: without its old cookie it gets a new one.
  http-request replace-header Cookie (^|.*;\s*)NODE=[^;]*;?\s*(.*) \1\2 if { path_end /negotiate }
  # A negotiate that a node refuses is tried at another one.
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response 503
  option httpchk GET /readyz
  default-server check inter INTER fall 2 rise 1 SERVERS
`

// balanced is haproxy for nodes with backplane.Options.AnyNode.
const balanced = `defaults
  mode http
  timeout connect 2s
  timeout client 100s
  timeout server 100s
  timeout tunnel 1h
  timeout check 5s
  option http-no-delay
frontend hub
  bind ADDR
  default_backend nodes
backend nodes
  # Any node serves any request.
  balance roundrobin
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response 503
  # What was sent to the hub may have arrived: it is not sent twice.
  http-request disable-l7-retry unless METH_GET or { path_end /negotiate }
  option httpchk GET /readyz
  default-server check inter INTER fall 2 rise 1 SERVERS
`

// nginx has no health checks. SERVERS are the nodes; COOKIES, too, for the map.
var nginx = harness.NginxConfig(`  upstream nodes { SERVERS
  }
  # The node that a connection has begun at; any other value of the cookie is ignored.
  map $cookie_hubnode $node {
    default nodes; COOKIES
  }
  # The node that has answered, after those that have refused.
  map $upstream_addr $answered { default ''; ~(?<last>[^,\s]+)$ $last; }
  proxy_http_version 1.1;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  proxy_set_header Host $http_host;
  proxy_read_timeout 100s;
  proxy_buffering off;
  server {
    listen ADDR;
    # A new connection begins anywhere, at a node that takes it.
    location ~ /negotiate$ {
      proxy_pass http://nodes;
      proxy_next_upstream error timeout http_503 non_idempotent;
      add_header Set-Cookie "hubnode=$answered; Path=/; HttpOnly; SameSite=Lax";
    }
    # All its other requests go to the same node.
    location / {
      proxy_pass http://$node;
      proxy_next_upstream error timeout non_idempotent;
    }
  }
`)

// configOf returns the configuration of a proxy for the nodes at addresses.
func configOf(proxy string, addresses []string, inter string) string {
	var servers, cookies strings.Builder
	config := map[string]string{"haproxy": haproxy, "haproxy without affinity": balanced, "nginx": nginx}[proxy]
	for i, a := range addresses {
		if proxy == "nginx" {
			fmt.Fprintf(&servers, "\n    server %s max_fails=0;", a)
			fmt.Fprintf(&cookies, "\n    %s %s;", a, a)
			continue
		}
		fmt.Fprintf(&servers, "\n  server node%d %s cookie node%d", i, a, i)
	}
	return strings.NewReplacer("SERVERS", servers.String(), "COOKIES", cookies.String(), "INTER", inter).Replace(config)
}

// What the page recommends is what the tests play, but for the addresses.
func TestThePageRecommendsWhatIsTested(t *testing.T) {
	page, err := os.ReadFile("../../docs/rolling-restart.md")
	if err != nil {
		t.Fatal(err)
	}
	for title, config := range map[string]string{"### haproxy": strings.ReplaceAll(haproxy, "INTER", "1s"), "### nginx": nginx, "### haproxy, any node": strings.ReplaceAll(balanced, "INTER", "1s")} {
		_, rest, found := strings.Cut(string(page), title+"\n")
		_, rest, opened := strings.Cut(rest, "\n```\n")
		block, _, closed := strings.Cut(rest, "\n```\n")
		if !found || !opened || !closed {
			t.Fatalf("the page has no block below %q", title)
		}
		for line := range strings.Lines(block) {
			line = strings.TrimSpace(line)
			if strings.Contains(line, "10.0.0.") || strings.HasPrefix(line, "location / ") {
				continue
			}
			if !strings.Contains(config, line) {
				t.Errorf("below %q the page has the line %q, which is not tested", title, line)
			}
		}
	}
}
