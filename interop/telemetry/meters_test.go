package telemetry

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
)

// meters is a MeterProvider of which the recorder sees each measurement, and next
// as well.
type meters struct {
	embedded.MeterProvider
	next metric.MeterProvider
	to   *recorder
}

// Meter implements metric.MeterProvider.
func (m meters) Meter(name string, opts ...metric.MeterOption) metric.Meter {
	return meter{m.next.Meter(name, opts...), m.to}
}

type meter struct {
	metric.Meter
	to *recorder
}

// Int64UpDownCounter implements metric.Meter.
func (m meter) Int64UpDownCounter(name string, opts ...metric.Int64UpDownCounterOption) (metric.Int64UpDownCounter, error) {
	i, err := m.Meter.Int64UpDownCounter(name, opts...)
	return upDown{i, name, m.to}, err
}

// Float64Histogram implements metric.Meter.
func (m meter) Float64Histogram(name string, opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	i, err := m.Meter.Float64Histogram(name, opts...)
	return histogram{i, name, m.to}, err
}

type upDown struct {
	metric.Int64UpDownCounter
	name string
	to   *recorder
}

// Add implements metric.Int64UpDownCounter.
func (i upDown) Add(ctx context.Context, n int64, opts ...metric.AddOption) {
	i.Int64UpDownCounter.Add(ctx, n, opts...)
	c := metric.NewAddConfig(opts)
	i.to.measured(i.name, fmt.Sprint(n), c.Attributes())
}

type histogram struct {
	metric.Float64Histogram
	name string
	to   *recorder
}

// Record implements metric.Float64Histogram.
func (i histogram) Record(ctx context.Context, v float64, opts ...metric.RecordOption) {
	i.Float64Histogram.Record(ctx, v, opts...)
	c := metric.NewRecordConfig(opts)
	i.to.measured(i.name, "<seconds>", c.Attributes())
}

func (r *recorder) measured(instrument, value string, set attribute.Set) {
	if !strings.HasPrefix(instrument, "signalr.") {
		return
	}
	var tags []tag
	for _, a := range set.ToSlice() { // in the order of their keys, as in the recording
		tags = append(tags, r.tag(a))
	}
	r.change(func() { r.measurements = append(r.measurements, measurementLine(instrument, value, tags)) })
}
