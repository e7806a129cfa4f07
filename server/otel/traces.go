package otel

import (
	"context"
	"errors"
	"go/token"
	"net"
	"net/http"
	"reflect"

	"github.com/hubwire/hubwire/server"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// tracing makes the spans of hubs. Names, attributes with their order, parents
// and links are those of ASP.NET Core 11.
type tracing struct {
	opts     Options
	tracer   trace.Tracer
	newNames bool // those of the stable conventions for rpc
}

// hooks are the names of what is no method, as in ASP.NET Core.
var hooks = map[server.OperationKind]string{
	server.OperationConnected:    "OnConnectedAsync",
	server.OperationDisconnected: "OnDisconnectedAsync",
	server.OperationRefreshed:    "OnAuthenticationRefreshedAsync",
}

// start implements server.Observer.Trace.
func (t *tracing) start(ctx context.Context, o server.Operation) (context.Context, func(error)) {
	hub := t.opts.HubName(o.Hub.FullName())
	request := trace.SpanContextFromContext(o.Request)
	method, isHook := hooks[o.Kind]
	options := make([]trace.SpanStartOption, 1, 3)
	if isHook {
		options = append(options, trace.WithSpanKind(trace.SpanKindInternal))
		ctx = baggage.ContextWithBaggage(ctx, baggage.FromContext(o.Request))
		ctx = trace.ContextWithSpanContext(ctx, request)
	} else {
		method = o.Call.Method()
		ctx = t.opts.Propagator.Extract(ctx, headers{o.Call})
		options = append(options, trace.WithSpanKind(trace.SpanKindServer))
		if request.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: request}))
		}
	}
	options[0] = trace.WithAttributes(t.attributes(hub, method, o.Request)...)
	ctx, span := t.tracer.Start(ctx, hub+"/"+method, options...)
	return ctx, func(err error) { end(span, err) }
}

// end ends span; an error is as ASP.NET Core describes one: with its type and
// without its text, which may be a secret.
func end(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(attribute.String("error.type", errorType(err)))
	}
	span.End()
}

// attributes are there from the start, for samplers.
func (t *tracing) attributes(hub, method string, request context.Context) []attribute.KeyValue {
	list := make([]attribute.KeyValue, 0, 7)
	if t.newNames {
		list = append(list, attribute.String("rpc.method", hub+"/"+method), attribute.String("rpc.system.name", "signalr"))
	} else {
		list = append(list, attribute.String("rpc.method", method), attribute.String("rpc.system", "signalr"), attribute.String("rpc.service", hub))
	}
	switch addr := request.Value(http.LocalAddrContextKey).(type) {
	case *net.TCPAddr:
		kind := "ipv6"
		if addr.IP.To4() != nil {
			kind = "ipv4"
		}
		list = append(list, attribute.String("server.address", addr.IP.String()), attribute.Int("server.port", addr.Port),
			attribute.String("network.type", kind), attribute.String("network.transport", "tcp"))
	case *net.UnixAddr:
		list = append(list, attribute.String("server.address", addr.Name), attribute.String("network.transport", "unix"))
	}
	return list
}

var serverPath = reflect.TypeFor[server.Observer]().PkgPath()

// errorType names the Go type of err, or of what a fmt.Errorf has wrapped in it.
// The type of an error of server.WithErrorType is what that calls it.
func errorType(err error) string {
	var panicked interface{ PanicValue() any }
	if errors.As(err, &panicked) {
		return "panic"
	}
	for {
		t := reflect.TypeOf(err)
		elem := t
		if t.Kind() == reflect.Pointer {
			elem = t.Elem()
		}
		if inner := errors.Unwrap(err); inner != nil && elem.PkgPath() == "fmt" {
			err = inner
			continue
		}
		if named, ok := err.(interface{ ErrorType() string }); ok && elem.PkgPath() == serverPath && !token.IsExported(elem.Name()) {
			return named.ErrorType()
		}
		if elem.PkgPath() == "" || elem.Name() == "" {
			return t.String()
		}
		return elem.PkgPath() + "." + elem.Name()
	}
}

// headers are those of a message, as a carrier of trace context. Their names are
// compared byte by byte, as in ASP.NET Core.
type headers struct{ call *server.Call }

var _ propagation.TextMapCarrier = headers{}

// Get implements propagation.TextMapCarrier. Correlation-Context is what baggage
// was called before; ASP.NET Core reads both.
func (h headers) Get(key string) string {
	v := h.call.Header(key)
	if v == "" && key == "baggage" {
		v = h.call.Header("Correlation-Context")
	}
	return v
}

// Set implements propagation.TextMapCarrier. Nothing is set on what has come.
func (h headers) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (h headers) Keys() []string {
	var names []string
	for name := range h.call.Headers() {
		names = append(names, name)
	}
	return names
}
