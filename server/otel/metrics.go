package otel

import (
	"errors"
	"sync"
	"weak"

	"github.com/hubwire/hubwire/internal/instruments"
	"github.com/hubwire/hubwire/server"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// The attributes of measurements. None of them is without bound: hubs, their
// methods and protocols are what the program has, all others are fixed lists.
const (
	keyTransport attribute.Key = "signalr.transport"
	keyStatus    attribute.Key = "signalr.connection.status"
	keyHub       attribute.Key = "hubwire.hub"
	keyMethod    attribute.Key = "hubwire.method"
	keyOutcome   attribute.Key = "hubwire.outcome"
	keyProtocol  attribute.Key = "hubwire.protocol"
	keyReason    attribute.Key = "hubwire.reason"
	keyBound     attribute.Key = "le" // as Prometheus calls it, whose functions look for it
)

// otherMethod is in the place of all names of methods that the hub does not have.
const otherMethod = "_OTHER"

// Buckets, in seconds. Those of connections are ASP.NET Core's.
var (
	connectionBuckets = []float64{.01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 120, 300}
	callBuckets       = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	streamBuckets     = []float64{.01, .1, .5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400}
)

// transportNames are the values of signalr.transport.
var transportNames = map[server.Transport]string{
	server.WebSockets:       "web_sockets",
	server.ServerSentEvents: "server_sent_events",
	server.LongPolling:      "long_polling",
}

// metrics has the instruments that are told. Those that ask are in asked.go and
// calls.go.
type metrics struct {
	opts Options

	active, streams                       metric.Int64UpDownCounter
	duration, streamTimes                 metric.Float64Histogram
	histogram                             metric.Float64Histogram // nil without Options.CallHistogram
	slow, refusedCalls, refusedHandshakes metric.Int64Counter

	options sync.Map // of attribute sets: attribute.Set to *options

	mu    sync.Mutex // guards what follows
	hubs  []weak.Pointer[server.Hub]
	times map[attribute.Distinct]*callTimes
}

// options is one attribute set in the forms that instruments take.
type options struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

func newOptions(attributes ...attribute.KeyValue) *options {
	set := metric.WithAttributeSet(attribute.NewSet(attributes...))
	return &options{[]metric.AddOption{set}, []metric.RecordOption{set}}
}

func newMetrics(o Options) (*metrics, error) {
	m := &metrics{opts: o, times: map[attribute.Distinct]*callTimes{}}
	connections, own := instruments.Of(o.MeterProvider.Meter(connectionsScope)), instruments.Of(o.MeterProvider.Meter(ownScope))
	m.active = connections.UpDownCounter("signalr.server.active_connections", "{connection}", "Number of connections that are currently active on the server.")
	m.duration = connections.Histogram("signalr.server.connection.duration", "The duration of connections on the server.", connectionBuckets)
	if o.CallHistogram {
		m.histogram = own.Histogram("hubwire.call.duration", "How long methods of the hub took that stream nothing to the client.", callBuckets)
	}
	m.streamTimes = own.Histogram("hubwire.stream.duration", "How long streams to clients took, with the method that made them.", streamBuckets)
	m.streams = own.UpDownCounter("hubwire.streams.active", "{stream}", "Streams to clients that are open.")
	m.refusedCalls = own.Counter("hubwire.calls.refused", "{call}", "Calls whose method did not begin.")
	m.refusedHandshakes = own.Counter("hubwire.handshakes.refused", "{handshake}", "Handshakes that were refused.")
	m.slow = own.Counter("hubwire.slow_closed", "{connection}", "Connections that were closed because their client did not read.")
	err := m.observeHubs(own)
	if err == nil {
		err = m.observeCalls(own)
	}
	if err = errors.Join(connections.Err(), err); err != nil {
		return nil, err
	}
	return m, nil
}

// observe sets the functions of o.
func (m *metrics) observe(o *server.Observer) {
	o.Hub = m.addHub
	o.ConnectionStarted = func(_ string, t server.Transport) {
		m.active.Add(background, 1, m.of(keyTransport.String(transportNames[t])).add...)
	}
	o.ConnectionEnded = func(e server.ConnectionEnd) {
		transport := keyTransport.String(transportNames[e.Transport])
		m.active.Add(background, -1, m.of(transport).add...)
		m.duration.Record(background, e.Duration.Seconds(), m.of(keyStatus.String(string(e.Status)), transport).record...)
	}
	o.HandshakeRefused = func(hub string, t server.Transport, why server.HandshakeRefusal) {
		m.refusedHandshakes.Add(background, 1, m.of(m.hub(hub), keyReason.String(string(why)), keyTransport.String(transportNames[t])).add...)
	}
	o.ClientTooSlow = func(hub string, t server.Transport) {
		m.slow.Add(background, 1, m.of(m.hub(hub), keyTransport.String(transportNames[t])).add...)
	}
	o.Calls = m.callsOf
	o.StreamStarted = func(hub, method string) {
		m.streams.Add(background, 1, m.of(m.hub(hub), keyMethod.String(method)).add...)
	}
}

func (m *metrics) hub(fullName string) attribute.KeyValue {
	return keyHub.String(m.opts.HubName(fullName))
}

// of returns the options for a set of attributes, made once.
func (m *metrics) of(attributes ...attribute.KeyValue) *options {
	set := attribute.NewSet(attributes...)
	if o, ok := m.options.Load(set.Equivalent()); ok {
		return o.(*options)
	}
	o, _ := m.options.LoadOrStore(set.Equivalent(), newOptions(attributes...))
	return o.(*options)
}
