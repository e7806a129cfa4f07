package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/server"
)

// emitted returns what GET /metrics of a node has once everything has happened
// that is measured: for each metric of ours its labels, without those of scopes.
func emitted(t *testing.T) map[string][]string {
	t.Helper()
	s, err := newSingle("127.0.0.1:0", "redis://"+miniredis.RunT(t).Addr())
	if err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(s.stop(ctx), s.client.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := s.bus.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	hubs, bus := s.metrics.hubs, s.metrics.bus
	hubs.ConnectionStarted("Hub", server.WebSockets)
	hubs.ConnectionEnded(server.ConnectionEnd{Hub: "Hub", Transport: server.WebSockets, Status: server.NormalClosure})
	hubs.HandshakeRefused("Hub", server.WebSockets, server.HandshakeTimedOut)
	hubs.ClientTooSlow("Hub", server.WebSockets)
	hubs.StreamStarted("Hub", "Stream")
	told := hubs.Calls("Hub", "Call")
	for _, e := range []server.CallEnd{{Outcome: server.CallSucceeded}, {Outcome: server.CallSucceeded, Stream: true}, {Outcome: server.CallUnauthorized}} {
		told(e)
	}
	bus.Published(s.bus, time.Second, nil)
	bus.Delivered(s.bus, time.Second, false)
	bus.Forwarded(s.bus, "group")
	c, err := hubclient.Dial(t.Context(), hubclient.Options{ConnOptions: hubclient.ConnOptions{URL: s.url + "/hub"}}) // traffic needs a client
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Invoke(t.Context(), nil, "JoinGroup", "readers"); err != nil {
		t.Error(err)
	}
	c.Close()

	w := httptest.NewRecorder()
	s.metrics.handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	families := map[string][]string{}
	family := regexp.MustCompile(`(?m)^# TYPE ((?:hubwire|signalr)_\S+) `)
	for _, m := range family.FindAllStringSubmatch(w.Body.String(), -1) {
		sample := regexp.MustCompile(`(?m)^` + m[1] + `(?:_count)?\{([^}]*)\}`).FindStringSubmatch(w.Body.String())
		if sample == nil {
			t.Fatalf("no sample of %s in\n%s", m[1], w.Body)
		}
		families[m[1]] = []string{}
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(sample[1], -1) {
			if !strings.HasPrefix(label[1], "otel_scope_") {
				families[m[1]] = append(families[m[1]], label[1])
			}
		}
	}
	return families
}

func TestDashboardAndAlertsNameMetricsThatThereAre(t *testing.T) {
	families := emitted(t)
	labels := map[string]bool{}
	for _, list := range families {
		for _, l := range list {
			labels[l] = true
		}
	}
	var dashboard any
	text, err := os.ReadFile("../../deploy/grafana/hubwire.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	alerts, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for where, queries := range map[string][]string{"the dashboard": expressions(dashboard), "the alerts": regexp.MustCompile(`(?m)expr: .*`).FindAllString(string(alerts), -1)} {
		if len(queries) < 7 {
			t.Errorf("%s: only %d queries", where, len(queries))
		}
		for _, q := range queries {
			for _, name := range regexp.MustCompile(`\b(?:hubwire|signalr)_\w+`).FindAllString(q, -1) {
				base := name
				for _, suffix := range []string{"_bucket", "_count", "_sum"} {
					if cut, ok := strings.CutSuffix(name, suffix); ok && strings.HasSuffix(cut, "_seconds") {
						base = cut
					}
				}
				used[base] = true
				if _, ok := families[base]; !ok && !labels[name] {
					t.Errorf("%s: %s is neither a metric nor a label: %s", where, name, q)
				}
			}
		}
	}
	for name := range families {
		if !used[name] && name != "hubwire_queue_limit_size_bytes" {
			t.Errorf("neither the dashboard nor an alert has %s", name)
		}
	}
}

// The name of the metric that the autoscaler asks for goes through the adapter's
// rule to the one that a node emits.
func TestTheAutoscalerAsksForAMetricThatThereIs(t *testing.T) {
	families := emitted(t)
	for _, where := range []struct{ file, pattern string }{
		{"kubernetes/components/autoscale/autoscaler.yaml", `metric: \{name: (\w+)\}`},
		{"prometheus/adapter.yaml", `name: \{as: (\w+)\}`},
		{"prometheus/adapter.yaml", `seriesQuery: (\w+)\{`},
	} {
		text, err := os.ReadFile("../../deploy/" + where.file)
		if err != nil {
			t.Fatal(err)
		}
		name := regexp.MustCompile(where.pattern).FindSubmatch(text)
		if name == nil || string(name[1]) != "signalr_server_active_connections" || families[string(name[1])] == nil {
			t.Errorf("%s: %q is not the number of connections that a node emits", where.file, name)
		}
	}
}

// expressions are the queries of a dashboard's panels.
func expressions(v any) (list []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if text, ok := inner.(string); ok && name == "expr" {
				list = append(list, text)
			}
			list = append(list, expressions(inner)...)
		}
	case []any:
		for _, inner := range v {
			list = append(list, expressions(inner)...)
		}
	}
	return list
}

func TestThePageAboutTelemetryHasEveryInstrument(t *testing.T) {
	page, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows, want []string
	for _, m := range regexp.MustCompile("(?m)^\\| `[a-z_.]+` \\| `((?:hubwire|signalr)_[a-z_]+)` \\| [^|]* \\| ([^|]*) \\|").FindAllStringSubmatch(string(page), -1) {
		attributes := regexp.MustCompile("`([a-z_.]+)`").FindAllStringSubmatch(m[2], -1)
		labels := []string{}
		for _, a := range attributes {
			labels = append(labels, strings.ReplaceAll(a[1], ".", "_"))
		}
		slices.Sort(labels)
		rows = append(rows, fmt.Sprint(m[1], labels))
	}
	for name, labels := range emitted(t) {
		slices.Sort(labels)
		want = append(want, fmt.Sprint(name, labels))
	}
	slices.Sort(rows)
	slices.Sort(want)
	for _, w := range want {
		if !slices.Contains(rows, w) {
			t.Errorf("docs/telemetry.md lacks %s", w)
		}
	}
	for _, r := range rows {
		if !slices.Contains(want, r) {
			t.Errorf("docs/telemetry.md has %s, which there is not", r)
		}
	}
}
