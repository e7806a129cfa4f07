package telemetry

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The scopes of spans.
const (
	hubScope  = "Microsoft.AspNetCore.SignalR.Server"
	httpScope = "http"
	appScope  = "App"
)

// The spans that a step's messages and requests name as parents.
const (
	driverTrace = "11111111111111111111111111111111"
	driverHTTP  = "2222222222222222"
	driverCall  = "3333333333333333"
)

// A recorder names spans as the recording does, and keeps what was measured and
// traced. It is safe for concurrent use.
type recorder struct {
	address string        // of the node, which stands as 127.0.0.1 in the recording
	left    chan struct{} // closed when the .NET client has left

	mu           sync.Mutex
	names        map[trace.SpanID]string
	counts       map[string]int
	starts       []*started
	measurements []string
	current      []string
	changed      chan struct{} // closed, and made anew, at each change
	seenBySample map[string][2]int
	wrong        []string // what must never be
}

// A started is a span that has begun.
type started struct {
	id      string
	span    sdktrace.ReadOnlySpan
	atStart int
	baggage []string
	ended   bool
}

func newRecorder(address string) *recorder {
	r := &recorder{address: address, left: make(chan struct{}), names: map[trace.SpanID]string{}, counts: map[string]int{}, changed: make(chan struct{}), seenBySample: map[string][2]int{}}
	for id, name := range map[string]string{driverHTTP: "driver-http", driverCall: "driver-message"} {
		r.name(id, name)
	}
	return r
}

// name gives a span a name; id is hexadecimal.
func (r *recorder) name(id, name string) {
	if id, err := trace.SpanIDFromHex(id); err == nil {
		r.change(func() { r.names[id] = name })
	}
}

func (r *recorder) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

// here notes which span is the current one at a place of the hub's code.
func (r *recorder) here(ctx context.Context, place string) {
	r.change(func() {
		id := trace.SpanContextFromContext(ctx).SpanID()
		name := "none"
		if id.IsValid() {
			name = r.spanName(id)
		}
		own := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(place, "On"), "Async"))
		if strings.HasPrefix(place, "On") && strings.HasPrefix(name, own) && own != "authenticationrefreshed" {
			return // as ever: the recording leaves it out
		}
		r.current = append(r.current, place+" in "+name)
	})
}

// spanName is called with mu held.
func (r *recorder) spanName(id trace.SpanID) string {
	if name := r.names[id]; name != "" {
		return name
	}
	return "unknown"
}

// kinds are the names of what is no method.
var kinds = map[string]string{"OnConnectedAsync": "connected", "OnDisconnectedAsync": "disconnected", "OnAuthenticationRefreshedAsync": "refreshed"}

// OnStart implements sdktrace.SpanProcessor.
func (r *recorder) OnStart(parent context.Context, s sdktrace.ReadWriteSpan) {
	kind := s.Name()
	switch s.InstrumentationScope().Name {
	case httpScope:
		kind = "http"
	case hubScope:
		_, method, _ := strings.Cut(kind, "/")
		if kind = kinds[method]; kind == "" {
			kind = "in"
		}
	}
	st := &started{span: s, atStart: len(s.Attributes())}
	for _, m := range baggage.FromContext(parent).Members() {
		st.baggage = append(st.baggage, m.Key()+"="+m.Value())
	}
	r.change(func() {
		r.counts[kind]++
		st.id = fmt.Sprint(kind, r.counts[kind])
		r.names[s.SpanContext().SpanID()] = st.id
		r.starts = append(r.starts, st)
		if seen := [2]int{len(s.Attributes()), len(s.Links())}; r.seenBySample[s.Name()] != seen {
			r.wrong = append(r.wrong, fmt.Sprintf("of %s a sampler sees %v attributes and links, not %v", st.id, r.seenBySample[s.Name()], seen))
		}
	})
}

// OnEnd implements sdktrace.SpanProcessor.
func (r *recorder) OnEnd(s sdktrace.ReadOnlySpan) {
	r.change(func() {
		for _, st := range r.starts {
			if st.span.SpanContext().SpanID() == s.SpanContext().SpanID() {
				st.span, st.ended = s, true
			}
		}
	})
}

// Shutdown implements sdktrace.SpanProcessor.
func (r *recorder) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (r *recorder) ForceFlush(context.Context) error { return nil }

// ShouldSample implements sdktrace.Sampler: everything is, as by the listener of
// the recording.
func (r *recorder) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	r.change(func() { r.seenBySample[p.Name] = [2]int{len(p.Attributes), len(p.Links)} })
	return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}

// Description implements sdktrace.Sampler.
func (r *recorder) Description() string { return "recorder" }

// facts returns what was recorded.
func (r *recorder) facts() facts {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := facts{measurements: r.measurements, current: r.current}
	for _, st := range r.starts {
		if !strings.HasPrefix(st.id, "http") {
			f.spans = append(f.spans, r.spanOf(st).line())
		}
	}
	return f
}

func (r *recorder) spanOf(st *started) *span {
	c := st.span.SpanContext()
	s := &span{
		id: st.id, name: st.span.Name(), kind: st.span.SpanKind().String(), state: c.TraceState().String(),
		remote: st.span.Parent().IsRemote(), ended: st.ended, atStart: st.atStart, baggage: st.baggage,
		trace: "new", sampled: c.IsSampled(),
	}
	if p := st.span.Parent(); p.IsValid() {
		s.parent, s.trace = r.spanName(p.SpanID()), "its parent's"
		if p.TraceID() != c.TraceID() {
			s.trace = "another"
		}
	}
	if c.TraceID().String() == driverTrace {
		s.trace = "driver"
	}
	if status := st.span.Status(); status.Code != codes.Unset {
		s.status = strings.TrimSpace(status.Code.String() + " " + status.Description)
	}
	for _, a := range st.span.Attributes() {
		s.attributes = append(s.attributes, r.tag(a))
	}
	for _, l := range st.span.Links() {
		s.links = append(s.links, r.spanName(l.SpanContext.SpanID()))
		if len(l.Attributes) > 0 {
			s.links = append(s.links, fmt.Sprint(l.Attributes))
		}
	}
	for _, e := range st.span.Events() {
		s.events = append(s.events, e.Name)
	}
	return s
}

func (r *recorder) tag(a attribute.KeyValue) tag {
	t := tag{string(a.Key), a.Value.String()}
	host, port, _ := net.SplitHostPort(r.address)
	switch {
	case t == tag{"server.address", host}:
		t.value = "127.0.0.1"
	case t == tag{"server.port", port}:
		t.value = "<port>"
	case t.key == "error.type" && errorTypes[t.value] != "":
		t.value = errorTypes[t.value]
	}
	return t
}
