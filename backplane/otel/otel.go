// Package otel measures backplanes with OpenTelemetry.
//
//	observer, err := otel.New(nil) // with the global provider
//	if err != nil {
//		return err
//	}
//	bus, err := backplane.New(client, &backplane.Options{HubName: "BlogApp.Hubs.PostHub", Observer: observer})
//
// It needs OpenTelemetry's API only. docs/telemetry.md of the repository has all
// instruments in a table.
package otel

import (
	"context"
	"errors"
	"sync"
	"time"
	"weak"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/internal/instruments"
	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// The attributes of measurements; all of them have few values.
const (
	keyHub     attribute.Key = "hubwire.hub"
	keyState   attribute.Key = "hubwire.backplane.state"
	keyOutcome attribute.Key = "hubwire.outcome"
	keyOrigin  attribute.Key = "hubwire.backplane.origin"
	keyKind    attribute.Key = "hubwire.forwarded.kind"
	keyWay     attribute.Key = "hubwire.forward.way"
)

// buckets, in seconds, of what Redis takes.
var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// Options configures New. Nil and the zero value mean defaults.
type Options struct {
	// MeterProvider takes the measurements. Nil means the global one, also if
	// that is set later.
	MeterProvider metric.MeterProvider

	// NoLatency leaves out hubwire.backplane.latency, and with it the time stamp
	// that messages carry on Redis.
	NoLatency bool
}

// New returns an observer for backplane.Options; one is enough for all
// backplanes of a program. The error is that of an instrument that the
// MeterProvider does not make.
func New(opts *Options) (*backplane.Observer, error) {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	if o.MeterProvider == nil {
		o.MeterProvider = api.GetMeterProvider()
	}
	m := &metrics{options: map[optionsKey]*options{}}
	if err := m.make(instruments.Of(o.MeterProvider.Meter("hubwire"))); err != nil {
		return nil, err
	}
	observer := &backplane.Observer{Backplane: m.add, Published: m.published, Forwarded: m.forwardedOne}
	if !o.NoLatency {
		observer.Delivered = m.delivered
	}
	return observer, nil
}

type metrics struct {
	latency, publish metric.Float64Histogram
	forwarded        metric.Int64Counter

	state, waiting, subscriptions metric.Int64ObservableUpDownCounter
	received, dropped, losses     metric.Int64ObservableCounter
	forwards, served              metric.Int64ObservableCounter

	mu  sync.Mutex // guards all
	all []weak.Pointer[backplane.Redis]

	optionsMu sync.RWMutex // guards options
	options   map[optionsKey]*options
}

// options are the attributes of a measurement in the forms that instruments take,
// made once: making them costs more than the measurement.
type options struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

type optionsKey struct {
	hub   string
	key   attribute.Key
	value string
}

// of returns the options for a hub and another attribute.
func (m *metrics) of(r *backplane.Redis, key attribute.Key, value string) *options {
	k := optionsKey{r.HubName(), key, value}
	m.optionsMu.RLock()
	o := m.options[k]
	m.optionsMu.RUnlock()
	if o != nil {
		return o
	}
	set := metric.WithAttributeSet(attribute.NewSet(keyHub.String(k.hub), key.String(value)))
	o = &options{[]metric.AddOption{set}, []metric.RecordOption{set}}
	m.optionsMu.Lock()
	defer m.optionsMu.Unlock()
	m.options[k] = o
	return o
}

func (m *metrics) make(in *instruments.Maker) error {
	m.latency = in.Histogram("hubwire.backplane.latency", "From a send until its message is queued for the clients of this node.", buckets)
	m.publish = in.Histogram("hubwire.backplane.publish.duration", "From a send until Redis has answered, for each channel.", buckets)
	m.forwarded = in.Counter("hubwire.forwarded", "{request}", "What this node has passed on to another one.")
	m.state = in.ObservableGauge("hubwire.backplane.state", "{backplane}", "1 for the state that the backplane is in.")
	m.waiting = in.ObservableGauge("hubwire.backplane.waiting", "{message}", "Messages that Redis has not taken yet.")
	m.subscriptions = in.ObservableGauge("hubwire.backplane.subscriptions", "{channel}", "Channels of Redis that this node is subscribed to.")
	m.received = in.ObservableCounter("hubwire.backplane.received", "{message}", "Messages from Redis, those of this node too.")
	m.dropped = in.ObservableCounter("hubwire.backplane.dropped", "{message}", "Messages of or for other nodes that could not be read or found a full queue.")
	m.losses = in.ObservableCounter("hubwire.backplane.losses", "{error}", "Errors of the subscribing connection, failed attempts to connect too.")
	m.forwards = in.ObservableCounter("hubwire.forwards", "{request}", "Requests of clients that this node has passed on to the node of their connection.")
	m.served = in.ObservableCounter("hubwire.forwards.served", "{request}", "Requests of clients that other nodes have passed on to this one.")
	return in.Observe(m.ask, m.state, m.waiting, m.subscriptions, m.received, m.dropped, m.losses, m.forwards, m.served)
}

func (m *metrics) add(r *backplane.Redis) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, weak.Make(r))
}

// ask asks the backplanes that are still in use. Those of one hub are added up.
func (m *metrics) ask(_ context.Context, to metric.Observer) error {
	m.mu.Lock()
	stats, states := map[string]backplane.Stats{}, map[string]map[backplane.State]int64{}
	kept := m.all[:0]
	for _, w := range m.all {
		r := w.Value()
		if r == nil {
			continue
		}
		kept = append(kept, w)
		hub, one := r.HubName(), r.Stats()
		sum := stats[hub]
		sum.Received, sum.Dropped, sum.Losses = sum.Received+one.Received, sum.Dropped+one.Dropped, sum.Losses+one.Losses
		sum.Subscriptions, sum.Waiting = sum.Subscriptions+one.Subscriptions, sum.Waiting+one.Waiting
		sum.Forwarded, sum.ForwardedDirectly = sum.Forwarded+one.Forwarded, sum.ForwardedDirectly+one.ForwardedDirectly
		sum.ServedForOthers += one.ServedForOthers
		stats[hub] = sum
		if states[hub] == nil {
			states[hub] = map[backplane.State]int64{}
		}
		states[hub][r.Health().State]++
	}
	m.all = kept
	m.mu.Unlock()
	for hub, s := range stats {
		which := metric.WithAttributes(keyHub.String(hub))
		to.ObserveInt64(m.waiting, int64(s.Waiting), which)
		to.ObserveInt64(m.subscriptions, int64(s.Subscriptions), which)
		to.ObserveInt64(m.received, int64(s.Received), which)
		to.ObserveInt64(m.dropped, int64(s.Dropped), which)
		to.ObserveInt64(m.losses, int64(s.Losses), which)
		to.ObserveInt64(m.forwards, int64(s.Forwarded-s.ForwardedDirectly), metric.WithAttributes(keyHub.String(hub), keyWay.String("redis")))
		to.ObserveInt64(m.forwards, int64(s.ForwardedDirectly), metric.WithAttributes(keyHub.String(hub), keyWay.String("direct")))
		to.ObserveInt64(m.served, int64(s.ServedForOthers), which)
		for _, state := range []backplane.State{backplane.Connecting, backplane.Ready, backplane.Degraded, backplane.Closed} {
			to.ObserveInt64(m.state, states[hub][state], metric.WithAttributes(keyHub.String(hub), keyState.String(state.String())))
		}
	}
	return nil
}

func (m *metrics) published(r *backplane.Redis, took time.Duration, err error) {
	outcome := "ok"
	switch {
	case errors.Is(err, backplane.ErrUnavailable):
		outcome = "unavailable"
	case errors.Is(err, backplane.ErrOutcomeUnknown):
		outcome = "unknown"
	case err != nil:
		outcome = "error"
	}
	m.publish.Record(context.Background(), took.Seconds(), m.of(r, keyOutcome, outcome).record...)
}

func (m *metrics) delivered(r *backplane.Redis, latency time.Duration, own bool) {
	origin := "other"
	if own {
		origin = "own"
	}
	m.latency.Record(context.Background(), latency.Seconds(), m.of(r, keyOrigin, origin).record...)
}

func (m *metrics) forwardedOne(r *backplane.Redis, what backplane.Forwarding) {
	m.forwarded.Add(context.Background(), 1, m.of(r, keyKind, string(what)).add...)
}
