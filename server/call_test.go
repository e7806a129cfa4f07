package server_test

import (
	"context"
	"encoding/binary"
	"iter"
	"net"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// callViewHub shows what its Call knows.
type callViewHub struct {
	contexts chan context.Context
}

type spanKey struct{}

func span(ctx context.Context) string {
	text, _ := ctx.Value(spanKey{}).(string)
	return text
}

func (h *callViewHub) OnConnected(call *server.Call) error {
	if call.Request().URL.Query().Has("banned") {
		call.Close("banned", false)
	}
	return nil
}

func (h *callViewHub) Span(call *server.Call) string {
	h.contexts <- call.Context()
	return span(call.Context())
}
func (h *callViewHub) SpanOf(ctx context.Context, n float32) string {
	h.contexts <- ctx
	return span(ctx)
}

func (h *callViewHub) Spans(call *server.Call) iter.Seq[string] {
	h.contexts <- call.Context()
	return func(yield func(string) bool) {
		if yield(span(call.Context())) {
			<-call.Context().Done()
		}
	}
}

func (h *callViewHub) Header(call *server.Call, name string) (string, error) {
	return call.Header(name), nil
}

func (h *callViewHub) Headers(call *server.Call) map[string]string { return call.Headers() }
func (h *callViewHub) Local(call *server.Call) string              { return call.LocalAddr().String() }
func (h *callViewHub) Close(call *server.Call, reason string, allowReconnect bool) error {
	call.Close(reason, allowReconnect)
	return call.Clients().Caller().Send(call.Context(), "too late")
}

func newCallViewHub() (*callViewHub, *server.Options) {
	opts := quiet()
	opts.Filters = []server.Filter{{
		Invoke: func(call *server.Call, next func(*server.Call) (any, error)) (any, error) {
			if call.Method() == "Header" || call.Method() == "Headers" {
				return next(call)
			}
			// It has nothing of the call's own context: it ends with the call all the same.
			return next(call.WithContext(context.WithValue(context.Background(), spanKey{}, "span of "+call.Method())))
		},
	}}
	return &callViewHub{contexts: make(chan context.Context, 1)}, opts
}

func TestTheContextOfAFilterReachesTheMethodAndEndsWithTheCall(t *testing.T) {
	hub, opts := newCallViewHub()
	c := connect(t, serve(t, newHub(hub, opts)))
	c.call("1", "Span", `[]`, `"result":"span of Span"`)
	<-(<-hub.contexts).Done()
	c.call("2", "SpanOf", `[1]`, `"result":"span of SpanOf"`)
	<-(<-hub.contexts).Done()
	c.send(`{"type":4,"invocationId":"3","target":"Spans","arguments":[]}`)
	c.expect(`{"type":2,"invocationId":"3","item":"span of Spans"}`)
	streaming := <-hub.contexts
	if err := streaming.Err(); err != nil {
		t.Errorf("the context of a stream that goes on has ended: %v", err)
	}
	c.send(`{"type":5,"invocationId":"3"}`)
	<-streaming.Done()
	c.expect(`{"type":3,"invocationId":"3"}`)
}

func TestTheContextOfAFilterEndsWithTheConnection(t *testing.T) {
	hub, opts := newCallViewHub()
	c := connect(t, serve(t, newHub(hub, opts)))
	c.send(`{"type":4,"invocationId":"1","target":"Spans","arguments":[]}`)
	streaming := <-hub.contexts
	_ = c.conn.Close()
	<-streaming.Done()
}

func TestACallHasTheHeadersOfItsMessageAndNoOthers(t *testing.T) {
	for name, opts := range map[string]*server.Options{"without filters": quiet(), "with filters": func() *server.Options { _, o := newCallViewHub(); return o }()} {
		t.Run(name, func(t *testing.T) {
			hub, _ := newCallViewHub()
			c := connect(t, serve(t, newHub(hub, opts)))
			c.send(`{"type":1,"headers":{"traceparent":"00-1","A":"x"},"invocationId":"1","target":"Header","arguments":["traceparent"]}`,
				`{"type":1,"headers":{"b":"y"},"invocationId":"2","target":"Headers","arguments":[]}`,
				`{"type":1,"invocationId":"3","target":"Header","arguments":["traceparent"]}`,
				`{"type":1,"headers":{"a":"x"},"invocationId":"4","target":"Header","arguments":["A"]}`,
				`{"type":1,"invocationId":"5","target":"Headers","arguments":[]}`)
			c.expect(`{"type":3,"invocationId":"1","result":"00-1"}`, `{"type":3,"invocationId":"2","result":{"b":"y"}}`,
				`{"type":3,"invocationId":"3","result":""}`, `{"type":3,"invocationId":"4","result":""}`, `{"type":3,"invocationId":"5","result":{}}`)
		})
	}
}

func TestTheLocalAddressOfACallIsTheOneThatTheClientReached(t *testing.T) {
	hub, opts := newCallViewHub()
	c := connect(t, serve(t, newHub(hub, opts)))
	c.call("1", "Local", `[]`, `"result":"`+c.conn.RemoteAddr().(*net.TCPAddr).String()+`"`)
}

func TestAHubThatClosesAConnectionTellsWhyAndWhetherToComeBack(t *testing.T) {
	hub, opts := newCallViewHub()
	url := serve(t, newHub(hub, opts))
	for arguments, want := range map[string]string{
		`["banned",false]`: `{"type":7,"error":"banned"}`,
		`["moved",true]`:   `{"type":7,"error":"moved","allowReconnect":true}`,
		`["",false]`:       `{"type":7}`,
		`["",true]`:        `{"type":7,"allowReconnect":true}`,
	} {
		c := connect(t, url)
		c.send(`{"type":1,"target":"Close","arguments":` + arguments + `}`)
		c.expect(want, "close 1000")
	}
	c := dial(t, url, "?banned=1")
	c.handshake()
	c.expect(`{"type":7,"error":"banned"}`, "close 1000")
}

func TestACloseWithAReasonIsAMessageOfEachProtocol(t *testing.T) {
	hub, opts := newCallViewHub()
	c := dial(t, serve(t, newHub(hub, opts)), "")
	c.send(`{"protocol":"messagepack","version":1}`)
	if got := c.frame(); got != "{}\x1e" {
		t.Fatalf("handshake answered %q", got)
	}
	b, err := protocol.MessagePack{}.Append(nil, &protocol.Invocation{Target: "Close", Arguments: []any{"moved", true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := wsutil.WriteClientMessage(c.conn, ws.OpBinary, b); err != nil {
		t.Fatal(err)
	}
	body := "\x93\x07\xa5moved\xc3" // [7, "moved", true]
	if want := string(binary.AppendUvarint(nil, uint64(len(body)))) + body; c.frame() != want {
		t.Errorf("the Close message is not %q", want)
	}
}
