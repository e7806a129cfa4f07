package otel_test

import (
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/otel"
)

type PostHub struct{}

// Metrics of all hubs of a program, for Prometheus to read at /metrics. Other
// exporters of OpenTelemetry send them to a collector.
func Example() {
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		log.Fatal(err)
	}
	observer, err := otel.New(&otel.Options{
		MeterProvider: metric.NewMeterProvider(metric.WithReader(reader)),
		NoTraces:      true, // without it: spans, by the global TracerProvider
	})
	if err != nil {
		log.Fatal(err)
	}
	hub := server.MustHub(PostHub{}, &server.Options{Observer: observer})
	server.Mount(http.DefaultServeMux, "/posts", hub)
	http.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
}
