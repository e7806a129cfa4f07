package main

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/otel"
)

// metrics are those of one node. GET /metrics has them in Prometheus' form; a
// real app may as well send them to a collector, by another exporter.
type metrics struct {
	provider *metric.MeterProvider
	handler  http.Handler
	hubs     *server.Observer
}

func newMetrics() (*metrics, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	m := &metrics{
		provider: metric.NewMeterProvider(metric.WithReader(exporter)),
		handler:  promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}),
	}
	m.hubs, err = otel.New(&otel.Options{MeterProvider: m.provider, NoTraces: true, HubName: hubName})
	return m, err
}

// hubName gives the hub the name that ASP.NET Core nodes have for it.
func hubName(fullName string) string {
	if fullName == "blog.PostHub" {
		return "Demo.PostHub"
	}
	return fullName
}

// close ends what measures; it waits for nothing.
func (m *metrics) close() error { return m.provider.Shutdown(context.Background()) }
