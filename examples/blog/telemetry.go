package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/otel"
)

// telemetry measures the hub. GET /metrics has it in the form of Prometheus.
func telemetry(mux *http.ServeMux) (*server.Observer, error) {
	registry := prometheus.NewRegistry() // of this node
	reader, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return otel.New(&otel.Options{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader)), NoTraces: true})
}
