package otel

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/internal/instruments"
	"github.com/hubwire/hubwire/server"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// What every call is measured by is counted here and passed on when the metrics
// are read: a measurement of the SDK's own histogram costs a sixth of a small
// call. OpenTelemetry has no histogram that is asked, so the buckets are a counter
// with the attribute le, as Prometheus would have them.

// callBounds are callBuckets as durations.
var callBounds = func() (bounds [14]time.Duration) {
	for i, seconds := range callBuckets {
		bounds[i] = time.Duration(seconds * float64(time.Second))
	}
	return bounds
}()

// A callTimes counts the calls of one method that had one outcome. It is safe for
// concurrent use.
type callTimes struct {
	which   []metric.ObserveOption                      // the attributes of the calls
	record  []metric.RecordOption                       // the same
	buckets [len(callBounds) + 1][]metric.ObserveOption // those and le
	stripes []stripe                                    // a power of two of them
}

// A stripe has some of the calls. All cores writing one would be slower than what
// they count. It fills two cache lines.
type stripe struct {
	nanoseconds atomic.Int64
	calls       [len(callBounds) + 1]atomic.Int64 // by bucket, each without those below it
}

// mostStripes bounds the memory of a method on machines with many cores: 2 KiB for
// each outcome.
const mostStripes = 16

func newCallTimes(which []attribute.KeyValue) *callTimes {
	with := func(more ...attribute.KeyValue) []metric.ObserveOption {
		set := attribute.NewSet(append(which[:len(which):len(which)], more...)...)
		return []metric.ObserveOption{metric.WithAttributeSet(set)}
	}
	n := 1
	for n < min(runtime.GOMAXPROCS(0), mostStripes) {
		n *= 2
	}
	c := &callTimes{which: with(), stripes: make([]stripe, n)}
	c.record = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(which...))}
	for i, bound := range callBuckets {
		c.buckets[i] = with(keyBound.String(strconv.FormatFloat(bound, 'g', -1, 64)))
	}
	c.buckets[len(callBuckets)] = with(keyBound.String("+Inf"))
	return c
}

// add counts a call.
func (c *callTimes) add(took time.Duration) {
	s := &c.stripes[0]
	if n := uint32(len(c.stripes)); n > 1 {
		s = &c.stripes[rand.Uint32()&(n-1)]
	}
	bucket := 0
	for bucket < len(callBounds) && took > callBounds[bucket] {
		bucket++
	}
	s.calls[bucket].Add(1)
	s.nanoseconds.Add(int64(took))
}

// A callMeter has the instruments that tell of callTimes.
type callMeter struct {
	calls, buckets metric.Int64ObservableCounter
	time           metric.Float64ObservableCounter
}

// observeCalls registers the instruments of calls.
func (m *metrics) observeCalls(in *instruments.Maker) error {
	var c callMeter
	c.calls = in.ObservableCounter("hubwire.calls", "{call}", "Calls of methods that stream nothing to the client.")
	c.time = in.ObservableSeconds("hubwire.call.time", "How long these calls took, all together.")
	c.buckets = in.ObservableCounter("hubwire.call.buckets", "{call}", "How many of these calls took no longer than le, in seconds.")
	return in.Observe(func(_ context.Context, to metric.Observer) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, times := range m.times {
			c.ask(to, times)
		}
		return nil
	}, c.calls, c.time, c.buckets)
}

func (c *callMeter) ask(to metric.Observer, times *callTimes) {
	var nanoseconds, upTo int64
	for i := range times.stripes {
		nanoseconds += times.stripes[i].nanoseconds.Load()
	}
	for bucket, which := range times.buckets {
		for i := range times.stripes {
			upTo += times.stripes[i].calls[bucket].Load()
		}
		to.ObserveInt64(c.buckets, upTo, which...)
	}
	to.ObserveInt64(c.calls, upTo, times.which...)
	to.ObserveFloat64(c.time, time.Duration(nanoseconds).Seconds(), times.which...)
}

// timesOf returns what counts the calls of these attributes, made at the first of
// them. Hubs of the same name share it: a measurement of the same attributes would
// take the place of the one before.
func (m *metrics) timesOf(which []attribute.KeyValue) *callTimes {
	set := attribute.NewSet(which...)
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.times[set.Equivalent()]
	if c == nil {
		c = newCallTimes(which)
		m.times[set.Equivalent()] = c
	}
	return c
}

// callsOf returns what is told of the calls of one method. What each outcome needs
// is ready, or made at the first call with it.
func (m *metrics) callsOf(hub, method string) func(server.CallEnd) {
	name := method
	if method == "" {
		name = otherMethod
	}
	c := &methodCalls{metrics: m, which: []attribute.KeyValue{m.hub(hub), keyMethod.String(name)}}
	c.succeeded.outcome, c.failed.outcome = server.CallSucceeded, server.CallFailed
	return c.told
}

// A methodCalls measures the calls of one method.
type methodCalls struct {
	*metrics
	which             []attribute.KeyValue
	succeeded, failed outcomeCalls
}

// An outcomeCalls measures those with one outcome.
type outcomeCalls struct {
	outcome server.CallOutcome
	times   atomic.Pointer[callTimes] // nil: there was none yet
}

func (c *methodCalls) told(e server.CallEnd) {
	switch {
	case !e.Outcome.Began():
		c.refusedCalls.Add(background, 1, c.with(e.Outcome).add...)
	case e.Stream:
		c.streams.Add(background, -1, c.of(c.which...).add...)
		c.streamTimes.Record(background, e.Duration.Seconds(), c.with(e.Outcome).record...)
	case e.Outcome == server.CallSucceeded:
		c.ended(&c.succeeded, e.Duration)
	default:
		c.ended(&c.failed, e.Duration)
	}
}

func (c *methodCalls) ended(o *outcomeCalls, took time.Duration) {
	times := o.times.Load()
	if times == nil {
		times = c.timesOf(c.attributes(o.outcome))
		o.times.Store(times)
	}
	times.add(took)
	if c.histogram != nil {
		c.histogram.Record(background, took.Seconds(), times.record...)
	}
}

func (c *methodCalls) attributes(o server.CallOutcome) []attribute.KeyValue {
	return append(c.which[:2:2], keyOutcome.String(string(o)))
}

func (c *methodCalls) with(o server.CallOutcome) *options { return c.of(c.attributes(o)...) }
