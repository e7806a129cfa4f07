package otel_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/backplane/otel"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

func TestEveryInstrumentOfTheBackplaneMeasuresWhatItSays(t *testing.T) {
	reader := metric.NewManualReader()
	observer, err := otel.New(&otel.Options{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		t.Fatal(err)
	}
	measured, measure := make(chan struct{}), observer.Delivered
	observer.Delivered = func(r *backplane.Redis, latency time.Duration, own bool) {
		measure(r, latency, own)
		close(measured)
	}
	bus := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: bus.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	r, err := backplane.New(client, &backplane.Options{HubName: "App.Hub", Observer: observer, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if err := r.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Send(t.Context(), server.Audience{Kind: server.ToAll}, server.NewMessage(&protocol.Invocation{Target: "M"})); err != nil {
		t.Fatal(err)
	}
	<-measured // with this Redis in memory, the message may come after the send has returned
	ended, end := context.WithCancel(t.Context())
	end()
	_ = r.AddToGroup(ended, "nobody", "g") // the command is on its way, or not; it is counted
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			add := func(set attribute.Set, n any) {
				got = append(got, fmt.Sprintf("%s %s [%s] {%s} %v", scope.Scope.Name, m.Name, m.Unit, set.Encoded(attribute.DefaultEncoder()), n))
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Count)
				}
			}
		}
	}
	const hub = "hubwire.hub=App.Hub"
	for _, want := range []string{
		"hubwire hubwire.backplane.latency [s] {hubwire.backplane.origin=own," + hub + "} 1",
		"hubwire hubwire.backplane.publish.duration [s] {" + hub + ",hubwire.outcome=ok} 1",
		"hubwire hubwire.backplane.state [{backplane}] {hubwire.backplane.state=ready," + hub + "} 1",
		"hubwire hubwire.backplane.state [{backplane}] {hubwire.backplane.state=degraded," + hub + "} 0",
		"hubwire hubwire.backplane.subscriptions [{channel}] {" + hub + "} 4",
		"hubwire hubwire.backplane.waiting [{message}] {" + hub + "} ",
		"hubwire hubwire.backplane.received [{message}] {" + hub + "} ",
		"hubwire hubwire.backplane.dropped [{message}] {" + hub + "} 0",
		"hubwire hubwire.backplane.losses [{error}] {" + hub + "} 0",
		"hubwire hubwire.forwards [{request}] {hubwire.forward.way=redis," + hub + "} 0",
		"hubwire hubwire.forwards [{request}] {hubwire.forward.way=direct," + hub + "} 0",
		"hubwire hubwire.forwards.served [{request}] {" + hub + "} 0",
		"hubwire hubwire.forwarded [{request}] {hubwire.forwarded.kind=group," + hub + "} 1",
	} {
		if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("missing: %s", want)
		}
	}
	if t.Failed() {
		t.Logf("measured:\n%s", strings.Join(got, "\n"))
	}
}
