package hubtest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Desk is a hub with a method for each thing that a client of hubtest does.
type Desk struct{ ended chan error }

func newDesk() *Desk { return &Desk{make(chan error, 10)} }

// A Note is an argument with structure.
type Note struct {
	ID   int            `json:"id"`
	Text string         `json:"text"`
	Tags []string       `json:"tags"`
	More map[string]any `json:"more"`
}

func (*Desk) Echo(text string) string                      { return text }
func (*Desk) Add(a, b int) int                             { return a + b }
func (*Desk) Nothing()                                     {}
func (*Desk) Fail() error                                  { return server.NewHubError("sold out") }
func (*Desk) User(call *server.Call) string                { return call.UserID() }
func (*Desk) Header(call *server.Call, name string) string { return call.Request().Header.Get(name) }
func (*Desk) Query(call *server.Call, name string) string {
	return call.Request().URL.Query().Get(name)
}
func (*Desk) ID(call *server.Call) string                   { return call.ConnectionID() }
func (*Desk) Transport(call *server.Call) string            { return call.Transport().String() }
func (*Desk) Leave(call *server.Call)                       { call.Abort() }
func (d *Desk) OnDisconnected(call *server.Call, err error) { d.ended <- err }
func (*Desk) Join(call *server.Call, group string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}
func (*Desk) Wait(call *server.Call) { <-call.Context().Done() }

func (*Desk) Tell(call *server.Call, group, text string) error {
	return call.Clients().Group(group).Send(call.Context(), "Told", text)
}

func (*Desk) Note(call *server.Call, note Note) error {
	return call.Clients().Caller().Send(call.Context(), "Noted", note, note.ID)
}

func (*Desk) Ask(call *server.Call, question string) (string, error) {
	return server.Invoke[string](call.Context(), call.Clients().Caller(), "Question", question)
}

func (*Desk) Count(to int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for n := 0; n < to && yield(n); n++ {
		}
	}
}

func (*Desk) CountAndFail(to int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for n := 0; n < to; n++ {
			if !yield(n, nil) {
				return
			}
		}
		yield(0, server.NewHubError("no more"))
	}
}

func (*Desk) Endless(call *server.Call) <-chan int {
	ch := make(chan int)
	go func() {
		defer close(ch)
		for n := 0; ; n++ {
			select {
			case ch <- n:
			case <-call.Context().Done():
				return
			}
		}
	}()
	return ch
}

func (*Desk) Sum(items iter.Seq2[int, error]) (sum int, err error) {
	for n, err := range items {
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func (*Desk) Sleep(call *server.Call, d time.Duration) (string, error) {
	select {
	case <-time.After(d):
		return "rested", nil
	case <-call.Context().Done():
		return "", context.Cause(call.Context())
	}
}

func (*Desk) Burst(call *server.Call, count int) error {
	for n := range count {
		if err := call.Clients().All().Send(call.Context(), "Burst", n, strings.Repeat("x", 10_000)); err != nil {
			return err
		}
	}
	return nil
}

// modes are the ways to connect.
var modes = map[string][]hubtest.Option{
	"WebSockets, json":                     nil,
	"WebSockets, messagepack":              {hubtest.MessagePack()},
	"WebSockets without negotiation, json": {hubtest.SkipNegotiation()},
	"WebSockets, stateful, messagepack":    {hubtest.Stateful(), hubtest.MessagePack()},
	"ServerSentEvents, json":               {hubtest.Over(server.ServerSentEvents)},
	"LongPolling, json":                    {hubtest.Over(server.LongPolling)},
	"LongPolling, messagepack":             {hubtest.Over(server.LongPolling), hubtest.MessagePack()},
}

var errLost = errors.New("lost it")

// recorder is a test whose failure is looked at. Run calls f as a test does.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}
func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

// failure returns what f says when it fails n's test.
func failure(t *testing.T, n *hubtest.Node, f func(n *hubtest.Node)) string {
	t.Helper()
	r := &recorder{TB: t}
	func() {
		defer func() {
			if v := recover(); v != nil && v != any(r) {
				panic(v)
			}
		}()
		f(n.In(r))
	}()
	return strings.Join(r.failures, "\n")
}
