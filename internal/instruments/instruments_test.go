package instruments

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// A meter makes no instrument whose name begins with "bad".
type meter struct {
	noop.Meter
	registered int
}

var errBad = errors.New("a bad name")

func check(name string) error {
	if strings.HasPrefix(name, "bad") {
		return errBad
	}
	return nil
}

func (m *meter) Float64Histogram(name string, o ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return noop.Float64Histogram{}, check(name)
}

func (m *meter) Int64Counter(name string, o ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return noop.Int64Counter{}, check(name)
}

func (m *meter) Int64UpDownCounter(name string, o ...metric.Int64UpDownCounterOption) (metric.Int64UpDownCounter, error) {
	return noop.Int64UpDownCounter{}, check(name)
}

func (m *meter) Int64ObservableCounter(name string, o ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return noop.Int64ObservableCounter{}, check(name)
}

func (m *meter) Float64ObservableCounter(name string, o ...metric.Float64ObservableCounterOption) (metric.Float64ObservableCounter, error) {
	return noop.Float64ObservableCounter{}, check(name)
}

func (m *meter) Int64ObservableUpDownCounter(name string, o ...metric.Int64ObservableUpDownCounterOption) (metric.Int64ObservableUpDownCounter, error) {
	return noop.Int64ObservableUpDownCounter{}, check(name)
}

func (m *meter) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	m.registered++
	return noop.Registration{}, nil
}

func TestAnInstrumentThatCannotBeMadeIsAnErrorAndNothingIsObserved(t *testing.T) {
	for kind, make := range map[string]func(m *Maker, name string){
		"histogram":           func(m *Maker, name string) { m.Histogram(name, "", nil) },
		"counter":             func(m *Maker, name string) { m.Counter(name, "", "") },
		"up-down counter":     func(m *Maker, name string) { m.UpDownCounter(name, "", "") },
		"observable counter":  func(m *Maker, name string) { m.ObservableCounter(name, "", "") },
		"observable seconds":  func(m *Maker, name string) { m.ObservableSeconds(name, "") },
		"observable up-down ": func(m *Maker, name string) { m.ObservableGauge(name, "", "") },
	} {
		t.Run(kind, func(t *testing.T) {
			fake := &meter{}
			m := Of(fake)
			nothing := func(context.Context, metric.Observer) error { return nil }
			make(m, "good")
			if err := errors.Join(m.Err(), m.Observe(nothing)); err != nil || fake.registered != 1 {
				t.Fatalf("a good name: %v, %d callbacks", err, fake.registered)
			}
			make(m, "bad")
			make(m, "good")
			if err := m.Observe(nothing); !errors.Is(err, errBad) || !errors.Is(m.Err(), errBad) || fake.registered != 1 {
				t.Errorf("a bad name: Observe = %v, Err = %v, %d callbacks, want the error and no second callback", err, m.Err(), fake.registered)
			}
		})
	}
}
