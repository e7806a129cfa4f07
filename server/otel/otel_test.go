package otel_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// Chat is a hub.
type Chat struct{ tracer trace.Tracer }

type ownError struct{}

func (*ownError) Error() string { return "own" }

func (Chat) Echo(text string) string { return text }
func (Chat) Fail() error             { return &ownError{} }
func (Chat) Wrapped() error          { return fmt.Errorf("more: %w", &ownError{}) }
func (Chat) Named() error            { return server.WithErrorType("TimeoutException", &ownError{}) }
func (Chat) Panic()                  { panic("no") }
func (Chat) Refuse() error           { return server.NewHubError("no") }
func (Chat) Private()                {}
func (h Chat) Work(c *server.Call)   { _, span := h.tracer.Start(c.Context(), "work"); span.End() }
func (Chat) TellBaggage(c *server.Call) error {
	return c.Clients().Caller().Send(c.Context(), "Told", baggage.FromContext(c.Context()).String())
}
func (Chat) Three() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i < 3 && yield(i); i++ {
			time.Sleep(time.Second)
		}
	}
}
func (Chat) Broken() iter.Seq2[int, error] {
	return func(yield func(int, error) bool) { yield(0, errors.New("no")) }
}

// A sink has what was measured and traced.
type sink struct {
	reader *metric.ManualReader
	spans  *tracetest.InMemoryExporter
	traces *sdktrace.TracerProvider
	node   *hubtest.Node
}

// serve serves Chat. Each request has a span of its own, as behind otelhttp.
func serve(t *testing.T, o otel.Options) *sink {
	t.Helper()
	s := &sink{reader: metric.NewManualReader(), spans: tracetest.NewInMemoryExporter()}
	s.traces = sdktrace.NewTracerProvider(sdktrace.WithSyncer(s.spans))
	o.MeterProvider, o.TracerProvider = metric.NewMeterProvider(metric.WithReader(s.reader)), s.traces
	observer, err := otel.New(&o)
	if err != nil {
		t.Fatal(err)
	}
	tracer := s.traces.Tracer("http")
	hub, err := server.NewHub(&Chat{tracer}, &server.Options{
		Observer: observer, Logger: slog.New(slog.DiscardHandler), HandshakeTimeout: time.Second,
		Methods: map[string]server.MethodOptions{"Private": {Authorize: server.RequireUser}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.node = hubtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := tracer.Start(r.Context(), r.Method+" "+r.URL.Path)
		defer span.End()
		hub.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
	return s
}

// measured returns a line for each measurement: scope, name, unit, attributes and
// value, or count and sum of seconds.
func (s *sink) measured(t *testing.T) (lines []string) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := s.reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			add := func(set attribute.Set, value string) {
				lines = append(lines, fmt.Sprintf("%s %s [%s] {%s} %s", scope.Scope.Name, m.Name, m.Unit, set.Encoded(attribute.DefaultEncoder()), value))
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, fmt.Sprintf("%d monotonic=%v", p.Value, data.IsMonotonic))
				}
			case metricdata.Sum[float64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, fmt.Sprintf("%.2f monotonic=%v", p.Value, data.IsMonotonic))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, fmt.Sprintf("%d in %.0fs %v", p.Count, p.Sum, p.Bounds))
				}
			default:
				t.Fatalf("%s is a %T", m.Name, data)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func TestEveryInstrumentMeasuresWhatItSays(t *testing.T) {
	var got []string
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, otel.Options{HubName: func(name string) string { return strings.ReplaceAll(name, "otel_test", "app") }})
		c := s.node.Connect()
		polls := s.node.Connect(hubtest.Over(server.LongPolling), hubtest.MessagePack())
		for _, method := range []string{"Fail", "Panic", "Private", "Nobody"} {
			_ = c.Invoke(nil, method) // it fails
		}
		_ = c.Invoke(nil, "Echo", 1, 2)
		hubtest.Result[string](polls, "Echo", "x")
		hubtest.List[int](c, "Three")
		for range hubtest.Items[int](c, "Broken") {
		}
		open, first := polls.Stream("Three"), 0
		open.Next(&first)
		if r, err := s.node.HTTPClient().Post(s.node.URL()+"/hub/negotiate?negotiateVersion=1", "", nil); err != nil {
			t.Error(err)
		} else {
			r.Body.Close()
		}
		if r, err := s.node.HTTPClient().Do(upgrade(s.node.URL())); err != nil {
			t.Error(err)
		} else {
			time.Sleep(2 * time.Second)
			r.Body.Close()
		}
		c.Close()
		synctest.Wait()
		got = s.measured(t)
	})
	connectionBounds := "[0.01 0.02 0.05 0.1 0.2 0.5 1 2 5 10 30 60 120 300]"
	const streamBounds = "[0.01 0.1 0.5 1 5 10 30 60 300 900 3600 14400]"
	const hub, ms = "hubwire.hub=app.Chat", "Microsoft.AspNetCore.Http.Connections signalr.server."
	want := []string{
		ms + "active_connections [{connection}] {signalr.transport=long_polling} 1 monotonic=false",
		ms + "active_connections [{connection}] {signalr.transport=web_sockets} 0 monotonic=false",
		ms + "connection.duration [s] {signalr.connection.status=normal_closure,signalr.transport=web_sockets} 2 in 7s " + connectionBounds,
		"hubwire hubwire.call.time [s] {" + hub + ",hubwire.method=Echo,hubwire.outcome=ok} 0.00 monotonic=true",
		"hubwire hubwire.calls [{call}] {" + hub + ",hubwire.method=Echo,hubwire.outcome=ok} 1 monotonic=true",
		"hubwire hubwire.call.time [s] {" + hub + ",hubwire.method=Fail,hubwire.outcome=error} 0.00 monotonic=true",
		"hubwire hubwire.calls [{call}] {" + hub + ",hubwire.method=Fail,hubwire.outcome=error} 1 monotonic=true",
		"hubwire hubwire.call.time [s] {" + hub + ",hubwire.method=Panic,hubwire.outcome=error} 0.00 monotonic=true",
		"hubwire hubwire.calls [{call}] {" + hub + ",hubwire.method=Panic,hubwire.outcome=error} 1 monotonic=true",
		"hubwire hubwire.calls.refused [{call}] {" + hub + ",hubwire.method=Echo,hubwire.outcome=invalid_arguments} 1 monotonic=true",
		"hubwire hubwire.calls.refused [{call}] {" + hub + ",hubwire.method=Private,hubwire.outcome=unauthorized} 1 monotonic=true",
		"hubwire hubwire.calls.refused [{call}] {" + hub + ",hubwire.method=_OTHER,hubwire.outcome=unknown_method} 3 monotonic=true", // hubtest makes one, to know that it is connected
		"hubwire hubwire.connections.negotiated [{connection}] {" + hub + "} 1 monotonic=false",
		"hubwire hubwire.handshakes.refused [{handshake}] {" + hub + ",hubwire.reason=timeout,signalr.transport=web_sockets} 1 monotonic=true",
		"hubwire hubwire.messages.dropped [{message}] {" + hub + "} 0 monotonic=true",
		"hubwire hubwire.queue.bytes [By] {" + hub + "} 0 monotonic=false",
		"hubwire hubwire.queue.limit.size [By] {" + hub + "} 268435456 monotonic=false",
		"hubwire hubwire.queue.limit.usage [By] {" + hub + "} 0 monotonic=false",
		"hubwire hubwire.stream.duration [s] {" + hub + ",hubwire.method=Broken,hubwire.outcome=error} 1 in 0s " + streamBounds,
		"hubwire hubwire.stream.duration [s] {" + hub + ",hubwire.method=Three,hubwire.outcome=ok} 1 in 3s " + streamBounds,
		"hubwire hubwire.streams.active [{stream}] {" + hub + ",hubwire.method=Broken} 0 monotonic=false",
		"hubwire hubwire.streams.active [{stream}] {" + hub + ",hubwire.method=Three} 1 monotonic=false",
	}
	traffic, buckets := 0, 0
	for _, line := range got {
		switch {
		case strings.HasPrefix(line, "hubwire hubwire.call.buckets [{call}] {"+hub+",hubwire.method="):
			buckets++ // see TestCallsAreCountedByHowLongTheyTook
		case strings.HasPrefix(line, "hubwire hubwire.messages.received"), strings.HasPrefix(line, "hubwire hubwire.messages.sent"), strings.HasPrefix(line, "hubwire hubwire.io."):
			if !strings.Contains(line, "{"+hub+",hubwire.protocol=") || !strings.HasSuffix(line, "monotonic=true") {
				t.Errorf("%s", line)
			}
			traffic++
		case !slices.Contains(want, line):
			t.Errorf("not wanted: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("missing: %s", line)
		}
	}
	if traffic != 8 { // four instruments, two clients that differ in transport and protocol
		t.Errorf("%d measurements of traffic, want 8", traffic)
	}
	if buckets != 3*15 { // two methods, and one more that has failed
		t.Errorf("%d measurements of buckets, want 45", buckets)
	}
}

// local is where hubtest's nodes listen.
const local = "server.address=192.0.2.1 server.port=80 network.type=ipv4 network.transport=tcp"

// upgrade is the request of a WebSocket.
func upgrade(url string) *http.Request {
	r, _ := http.NewRequest("GET", url+"/hub", nil)
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
		r.Header.Set(name, value)
	}
	return r
}

// find returns the one span of that name.
func (s *sink) find(t *testing.T, name string) tracetest.SpanStub {
	t.Helper()
	var found []tracetest.SpanStub
	for _, span := range s.spans.GetSpans() {
		if span.Name == name {
			found = append(found, span)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans %q, want one", len(found), name)
	}
	return found[0]
}

func attributes(span tracetest.SpanStub) string {
	var list []string
	for _, a := range span.Attributes {
		list = append(list, string(a.Key)+"="+a.Value.String())
	}
	return strings.Join(list, " ")
}

func TestSpansAreNamedAndJoinedAsInASPNETCore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, otel.Options{NoMetrics: true})
		c := s.node.Connect()
		c.Do("Work")
		for _, method := range []string{"Fail", "Wrapped", "Named", "Panic", "Refuse", "Private", "Nobody", "Three"} {
			_ = c.Invoke(nil, method)
		}
		for range hubtest.Items[int](c, "Broken") {
		}
		_ = c.Write(&protocol.Invocation{Target: "Echo", Arguments: []any{"x"}, Headers: []protocol.Header{
			{Name: "traceparent", Value: "00-11111111111111111111111111111111-3333333333333333-01"}, {Name: "tracestate", Value: "vendor=1"},
		}})
		c.Close()
		time.Sleep(time.Minute)

		request := s.find(t, "GET /hub").SpanContext
		for name, hook := range map[string]string{"otel_test.Chat/OnConnectedAsync": "OnConnectedAsync", "otel_test.Chat/OnDisconnectedAsync": "OnDisconnectedAsync"} {
			span := s.find(t, name)
			if span.Parent.SpanID() != request.SpanID() || span.SpanKind != trace.SpanKindInternal || len(span.Links) != 0 {
				t.Errorf("%s: parent %v, kind %v, %d links", name, span.Parent, span.SpanKind, len(span.Links))
			}
			if got, want := attributes(span), "rpc.method="+hook+" rpc.system=signalr rpc.service=otel_test.Chat "+local; got != want {
				t.Errorf("%s: attributes %s, want %s", name, got, want)
			}
		}
		work := s.find(t, "otel_test.Chat/Work")
		if work.Parent.IsValid() || len(work.Links) != 1 || work.Links[0].SpanContext.SpanID() != request.SpanID() || work.SpanKind != trace.SpanKindServer || len(work.Links[0].Attributes) != 0 {
			t.Errorf("a call: parent %v, links %v, kind %v", work.Parent, work.Links, work.SpanKind)
		}
		if inner := s.find(t, "work"); inner.Parent.SpanID() != work.SpanContext.SpanID() {
			t.Errorf("the method's own span has the parent %v, want the call's", inner.Parent)
		}
		echo := s.find(t, "otel_test.Chat/Echo")
		if !echo.Parent.IsRemote() || echo.Parent.SpanID().String() != "3333333333333333" || echo.SpanContext.TraceState().String() != "vendor=1" || len(echo.Links) != 1 {
			t.Errorf("a call with a traceparent: parent %v, state %q, %d links", echo.Parent, echo.SpanContext.TraceState(), len(echo.Links))
		}
		for method, kind := range map[string]string{"Fail": "github.com/hubwire/hubwire/server/otel_test.ownError", "Wrapped": "github.com/hubwire/hubwire/server/otel_test.ownError", "Named": "TimeoutException", "Panic": "panic", "Refuse": "github.com/hubwire/hubwire/server.HubError", "Broken": "errors.errorString"} {
			span := s.find(t, "otel_test.Chat/"+method)
			if got := attributes(span); !strings.HasSuffix(got, " error.type="+kind) || span.Status.Code.String() != "Error" || span.Status.Description != "" || len(span.Events) != 0 {
				t.Errorf("%s: attributes %s, status %v, %d events; want error.type %s", method, got, span.Status, len(span.Events), kind)
			}
		}
		for _, span := range s.spans.GetSpans() {
			if name := span.Name; strings.HasSuffix(name, "/Private") || strings.HasSuffix(name, "/Nobody") || strings.HasSuffix(name, "/Three") {
				t.Errorf("there is a span %s, though no method has begun", name)
			}
		}
	})
}

func TestBaggageOfAMessageReachesItsMethod(t *testing.T) {
	for _, header := range []string{"baggage", "Correlation-Context"} {
		synctest.Test(t, func(t *testing.T) {
			c := serve(t, otel.Options{NoMetrics: true}).node.Connect()
			told := make(chan string, 1)
			c.On("Told", func(text string) { told <- text })
			_ = c.Write(&protocol.Invocation{Target: "TellBaggage", Headers: []protocol.Header{{Name: header, Value: "color=blue"}}})
			if got := <-told; got != "color=blue" {
				t.Errorf("%s: the method finds %q", header, got)
			}
		})
	}
}

func TestTheNewConventionsForRPCAreAskedForByTheEnvironment(t *testing.T) {
	t.Setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http, rpc")
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, otel.Options{NoMetrics: true})
		s.node.Connect().Do("Echo", "x")
		if got, want := attributes(s.find(t, "otel_test.Chat/Echo")), "rpc.method=otel_test.Chat/Echo rpc.system.name=signalr "+local; got != want {
			t.Errorf("attributes %s, want %s", got, want)
		}
	})
}
