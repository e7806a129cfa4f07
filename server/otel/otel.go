package otel

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/hubwire/hubwire/server"
	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The scopes of what is measured and traced.
const (
	connectionsScope = "Microsoft.AspNetCore.Http.Connections"
	tracesScope      = "Microsoft.AspNetCore.SignalR.Server"
	ownScope         = "hubwire"
)

// Options configures New. Nil and the zero value mean defaults.
type Options struct {
	// MeterProvider takes the measurements. Nil means the global one, also if
	// that is set later.
	MeterProvider metric.MeterProvider

	// TracerProvider takes the spans. Nil means the global one, also if that is
	// set later.
	TracerProvider trace.TracerProvider

	// Propagator reads the trace context and the baggage in the headers of a
	// client's messages. Nil means those of W3C, as in ASP.NET Core.
	Propagator propagation.TextMapPropagator

	// NoMetrics measures nothing; what it costs is then only that of traces.
	NoMetrics bool

	// NoTraces makes no spans. Calls cost less then, even if nothing is sampled.
	NoTraces bool

	// CallHistogram also records hubwire.call.duration, a histogram of the SDK, for
	// what cannot read the buckets of hubwire.call.buckets. It costs several times
	// what all other metrics of a call do together.
	CallHistogram bool

	// HubName is how a hub is named in attributes and spans. It is given
	// Hub.FullName, "blog.PostHub", and may return what ASP.NET Core nodes call
	// the hub, "BlogApp.Hubs.PostHub". It must return the same each time, and be
	// safe for concurrent use. Nil changes nothing.
	HubName func(fullName string) string
}

// New returns an observer for server.Options and server.ConnectionOptions. One
// is enough for all hubs of a program; each further one of the same provider
// would measure its own hubs only. The error is that of an instrument that the
// MeterProvider does not make.
func New(opts *Options) (*server.Observer, error) {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	if o.MeterProvider == nil {
		o.MeterProvider = api.GetMeterProvider()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = api.GetTracerProvider()
	}
	if o.Propagator == nil {
		o.Propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	}
	if o.HubName == nil {
		o.HubName = func(fullName string) string { return fullName }
	}
	observer := &server.Observer{}
	if !o.NoTraces {
		t := &tracing{opts: o, tracer: o.TracerProvider.Tracer(tracesScope), newNames: optedIn("rpc")}
		observer.Trace = t.start
	}
	if o.NoMetrics {
		return observer, nil
	}
	m, err := newMetrics(o)
	if err != nil {
		return nil, err
	}
	m.observe(observer)
	return observer, nil
}

// optedIn reports whether OTEL_SEMCONV_STABILITY_OPT_IN names what, so that the
// newer semantic conventions are wanted.
func optedIn(what string) bool {
	list := strings.Split(os.Getenv("OTEL_SEMCONV_STABILITY_OPT_IN"), ",")
	return slices.ContainsFunc(list, func(s string) bool { return strings.TrimSpace(s) == what })
}

var background = context.Background()
