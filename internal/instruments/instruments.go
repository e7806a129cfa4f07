// Package instruments makes the instruments of server/otel and backplane/otel. It
// needs OpenTelemetry's API only.
package instruments

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// A Maker makes instruments of one meter. It keeps the errors, so that a list of
// instruments needs one check at its end; an instrument that could not be made is
// not to be used. It is for one goroutine.
type Maker struct {
	meter metric.Meter
	errs  []error
}

// Of returns a Maker for a meter.
func Of(meter metric.Meter) *Maker { return &Maker{meter: meter} }

// Err returns what has failed, joined, or nil.
func (m *Maker) Err() error { return errors.Join(m.errs...) }

// Histogram makes a histogram in seconds with the upper bounds of its buckets.
func (m *Maker) Histogram(name, text string, buckets []float64) metric.Float64Histogram {
	i, err := m.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(text), metric.WithExplicitBucketBoundaries(buckets...))
	m.errs = append(m.errs, err)
	return i
}

// Counter makes a counter that is added to.
func (m *Maker) Counter(name, unit, text string) metric.Int64Counter {
	i, err := m.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(text))
	m.errs = append(m.errs, err)
	return i
}

// UpDownCounter makes a counter that goes up and down.
func (m *Maker) UpDownCounter(name, unit, text string) metric.Int64UpDownCounter {
	i, err := m.meter.Int64UpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
	m.errs = append(m.errs, err)
	return i
}

// ObservableCounter makes a counter whose value Observe asks for.
func (m *Maker) ObservableCounter(name, unit, text string) metric.Int64ObservableCounter {
	i, err := m.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
	m.errs = append(m.errs, err)
	return i
}

// ObservableSeconds is ObservableCounter for a sum of times, in seconds.
func (m *Maker) ObservableSeconds(name, text string) metric.Float64ObservableCounter {
	i, err := m.meter.Float64ObservableCounter(name, metric.WithUnit("s"), metric.WithDescription(text))
	m.errs = append(m.errs, err)
	return i
}

// ObservableGauge makes a value that goes up and down and can be added up, which
// Observe asks for.
func (m *Maker) ObservableGauge(name, unit, text string) metric.Int64ObservableUpDownCounter {
	i, err := m.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
	m.errs = append(m.errs, err)
	return i
}

// Observe calls f for the values of instruments whenever they are read. If one of
// the Maker's instruments could not be made, it returns Err, and f is never called.
func (m *Maker) Observe(f metric.Callback, instruments ...metric.Observable) error {
	if err := m.Err(); err != nil {
		return err
	}
	_, err := m.meter.RegisterCallback(f, instruments...)
	m.errs = append(m.errs, err)
	return err
}
