package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/hubwire/hubwire/backplane"
	busotel "github.com/hubwire/hubwire/backplane/otel"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/otel"
)

// metrics are those of one node. GET /metrics has them in Prometheus' form; a
// real app may as well send them to a collector, by another exporter.
type metrics struct {
	handler http.Handler
	hubs    *server.Observer
	bus     *backplane.Observer
}

// newMetrics panics where an instrument cannot be made, which only a wrong name
// in the program could bring about.
func newMetrics() *metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter := must(otelprometheus.New(otelprometheus.WithRegisterer(registry)))
	provider := metric.NewMeterProvider(metric.WithReader(exporter))
	return &metrics{
		handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}),
		hubs:    must(otel.New(&otel.Options{MeterProvider: provider, NoTraces: true, HubName: hubName})),
		bus:     must(busotel.New(&busotel.Options{MeterProvider: provider})),
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// hubName gives the hub the name that the backplane has for it, and that of an
// ASP.NET Core node would be.
func hubName(fullName string) string {
	if fullName == "blog.PostHub" {
		return "Demo.PostHub"
	}
	return fullName
}
