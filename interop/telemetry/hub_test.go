package telemetry

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/hubwire/hubwire/server"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// A telemetryHub has the methods of the hub of the recording. It tells the recorder
// which span is the current one.
type telemetryHub struct {
	rec    *recorder
	app    trace.Tracer
	silent bool // its Echo tells nothing
}

// The errors of the hub, with the names that .NET's have.
type (
	invalidOperation struct{ text string }
	badArgument      struct{ text string }
	taskCanceled     struct{}
	canceled         struct{}
	nestedException  struct{}
)

func (e invalidOperation) Error() string   { return e.text }
func (invalidOperation) ErrorType() string { return "InvalidOperationException" }
func (e badArgument) Error() string        { return e.text }
func (badArgument) ErrorType() string      { return "ArgumentException" }
func (taskCanceled) Error() string         { return "A task was canceled." }
func (taskCanceled) ErrorType() string     { return "TaskCanceledException" }
func (canceled) Error() string             { return "The operation was canceled." }
func (canceled) ErrorType() string         { return "OperationCanceledException" }
func (nestedException) Error() string {
	return "Exception of type 'Interop.Outer+NestedException' was thrown."
}
func (nestedException) ErrorType() string { return "NestedException" }

// errorTypes are the types of errors in error.type, and what they are in the
// recording.
var errorTypes = map[string]string{
	"OperationCanceledException":                 "System.OperationCanceledException", // what server.WithErrorType calls the end of a connection
	"github.com/hubwire/hubwire/server.HubError": "Microsoft.AspNetCore.SignalR.HubException",
	ours + "invalidOperation":                    "System.InvalidOperationException",
	ours + "badArgument":                         "System.ArgumentException",
	ours + "taskCanceled":                        "System.Threading.Tasks.TaskCanceledException",
	ours + "canceled":                            "System.OperationCanceledException",
	ours + "nestedException":                     "Interop.Outer+NestedException",
}

const ours = "github.com/hubwire/hubwire/interop/telemetry."

// work is a span of the application's own.
func (h *telemetryHub) work(ctx context.Context, name string) {
	_, span := h.app.Start(ctx, name)
	span.End()
}

// The query may ask for trouble: ?connected=throw&disconnected=throw

func (h *telemetryHub) OnConnected(call *server.Call) error {
	h.rec.here(call.Context(), "OnConnectedAsync")
	switch call.Request().URL.Query().Get("connected") {
	case "throw":
		return invalidOperation{"thrown in OnConnectedAsync"}
	case "hub-exception":
		return server.NewHubError("thrown in OnConnectedAsync")
	case "abort":
		call.Abort()
	case "slow":
		time.Sleep(300 * time.Millisecond)
	case "work":
		h.work(call.Context(), "app.work")
	}
	return nil
}

func (h *telemetryHub) OnDisconnected(call *server.Call, _ error) {
	h.rec.here(call.Context(), "OnDisconnectedAsync")
	switch call.Request().URL.Query().Get("disconnected") {
	case "throw":
		panic(invalidOperation{"thrown in OnDisconnectedAsync"})
	case "work":
		h.work(call.Context(), "app.work")
	}
}

func (h *telemetryHub) OnAuthenticationRefreshed(call *server.Call) error {
	h.rec.here(call.Context(), "OnAuthenticationRefreshedAsync")
	switch call.Request().URL.Query().Get("refreshed") {
	case "throw":
		return invalidOperation{"thrown in OnAuthenticationRefreshedAsync"}
	case "work":
		h.work(call.Context(), "app.work")
	}
	return nil
}

// Calls and their results.

func (h *telemetryHub) Nothing()               {}
func (h *telemetryHub) Add(a, b int32) int32   { return a + b }
func (h *telemetryHub) HasAnotherName() string { return "renamed" }
func (h *telemetryHub) OnlyUsers() string      { return "for users" }
func (h *telemetryHub) Unserializable() unserializable {
	return unserializable{}
}

func (h *telemetryHub) Echo(call *server.Call, text string) string {
	if !h.silent {
		h.rec.here(call.Context(), "Echo")
	}
	return text
}

func (h *telemetryHub) Slow(text string, milliseconds int32) string {
	select {
	case <-time.After(time.Duration(milliseconds) * time.Millisecond):
	case <-h.rec.left:
	}
	return text
}

func (h *telemetryHub) Work(ctx context.Context) string {
	h.work(ctx, "app.work")
	return "worked"
}

func (h *telemetryHub) Tag(ctx context.Context) {
	span := trace.SpanFromContext(ctx)
	span.SetAttributes(attribute.Int("app.tag", 1))
	span.AddEvent("app.event")
}

// An unserializable cannot be.
type unserializable struct{}

func (unserializable) MarshalJSON() ([]byte, error) { return nil, errors.New("this getter fails") }

// Errors.

func (h *telemetryHub) Throw(message string) error      { return invalidOperation{message} }
func (h *telemetryHub) ThrowLater(message string) error { return badArgument{message} }
func (h *telemetryHub) ThrowHubException(message string) error {
	return &server.HubError{Message: message}
}
func (h *telemetryHub) ThrowNested() error      { return nestedException{} }
func (h *telemetryHub) ThrowCanceled() error    { return canceled{} }
func (h *telemetryHub) Abort(call *server.Call) { call.Abort() }

// Streams to the client.

func (h *telemetryHub) Counter(call *server.Call, count, milliseconds int32) iter.Seq[int32] {
	h.rec.here(call.Context(), "Counter")
	return func(yield func(int32) bool) {
		for i := range count {
			select {
			case <-call.Context().Done():
				return
			case <-time.After(time.Duration(milliseconds) * time.Millisecond):
			}
			if !yield(i) {
				return
			}
		}
	}
}

func (h *telemetryHub) CounterThenThrow(count int32, message string) iter.Seq2[int32, error] {
	return countThen(count, invalidOperation{message})
}

func (h *telemetryHub) CounterThenHubException(count int32, message string) iter.Seq2[int32, error] {
	return countThen(count, &server.HubError{Message: message})
}

func countThen(count int32, err error) iter.Seq2[int32, error] {
	return func(yield func(int32, error) bool) {
		for i := range count {
			if !yield(i, nil) {
				return
			}
		}
		yield(0, err)
	}
}

func (h *telemetryHub) WorkStream(ctx context.Context) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for i := range int32(2) {
			h.work(ctx, "app.item")
			if !yield(i) {
				return
			}
		}
	}
}

func (h *telemetryHub) Letters(count int32) <-chan string {
	letters := make(chan string, count)
	for i := range count {
		letters <- string('a' + rune(i%26))
	}
	close(letters)
	return letters
}

func (h *telemetryHub) NullStream() <-chan string { return nil }

func (h *telemetryHub) ThrowInsteadOfStream(message string) (iter.Seq[int32], error) {
	return nil, invalidOperation{message}
}

func (h *telemetryHub) OnlyUsersStream(call *server.Call) iter.Seq[int32] {
	return h.Counter(call, 1, 0)
}

// Streams from the client.

func (h *telemetryHub) Sum(items iter.Seq2[int32, error]) (sum int32, err error) {
	for i, err := range items {
		if err != nil {
			return 0, err
		}
		sum += i
	}
	return sum, nil
}

func (h *telemetryHub) Drain(items iter.Seq2[int32, error]) error {
	_, err := h.Sum(items)
	return err
}

func (h *telemetryHub) EchoStream(items iter.Seq2[string, error]) iter.Seq2[string, error] {
	return items
}

// Sends and client results.

func (h *telemetryHub) SendAll(call *server.Call, method, text string) error {
	return call.Clients().All().Send(call.Context(), method, text)
}

func (h *telemetryHub) AskCaller(call *server.Call) (string, error) {
	return server.Invoke[string](call.Context(), call.Clients().Caller(), "Ask", "question")
}

func (h *telemetryHub) Flood(call *server.Call, count, length int32) error {
	text := strings.Repeat("x", int(length))
	for range count {
		if err := call.Clients().Caller().Send(call.Context(), "M", text); err != nil {
			return err
		}
	}
	return nil
}

// Calls that are no streams but can be cancelled.

func (h *telemetryHub) ThrowOnCancel(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "", taskCanceled{}
}

func (h *telemetryHub) ResultOnCancel(ctx context.Context) string {
	<-ctx.Done()
	return "cancelled"
}

// filter fails around a call, if its only argument says so.
func (h *telemetryHub) filter(call *server.Call, next func(*server.Call) (any, error)) (any, error) {
	h.rec.here(call.Context(), "filter")
	says := func(text string) bool {
		args := call.Arguments()
		if len(args) != 1 {
			return false
		}
		only, ok := args[0].(*string)
		return ok && *only == text
	}
	if says("before") {
		return nil, invalidOperation{"thrown in a filter"}
	}
	result, err := next(call)
	if says("after") {
		return nil, invalidOperation{"thrown in a filter"}
	}
	return result, err
}
