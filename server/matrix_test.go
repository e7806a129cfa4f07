package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A matrixHub has a method for each way in which a call can be answered.
type matrixHub struct {
	mu    sync.Mutex
	gates map[string]chan struct{}
}

// gate is closed by Open; an authorization waits for it.
func (h *matrixHub) gate(name string) chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gates[name] == nil {
		h.gates[name] = make(chan struct{})
	}
	return h.gates[name]
}

func (h *matrixHub) Echo(text string) string    { return text }
func (h *matrixHub) Allowed(text string) string { return text }
func (h *matrixHub) Refused(text string) string { return text }

func (h *matrixHub) Open(call *server.Call, name string) iter.Seq[string] {
	close(h.gate(name))
	return func(yield func(string) bool) { yield("open") }
}

func (h *matrixHub) Letters(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, r := range text {
			if !yield(strings.Repeat(string(r), 30)) {
				return
			}
		}
	}
}

func (h *matrixHub) Join(items <-chan string) string {
	var all strings.Builder
	for item := range items {
		all.WriteString(item)
	}
	return all.String()
}

func (h *matrixHub) Ask(call *server.Call, text string) (string, error) {
	return server.Invoke[string](call.Context(), call.Clients().Caller(), "Question", text)
}

// awaitGate is an authorization that takes as long as the client wants: until
// it has sent Open, which comes after the call.
func (h *matrixHub) awaitGate(call *server.Call) error {
	<-h.gate(*call.Arguments()[0].(*string))
	if call.Method() == "Refused" {
		return errors.New("no")
	}
	return nil
}

// A matrixCall is what is sent for one call, and what must come back under each
// id: items as "item ...", and one end.
type matrixCall struct {
	send []protocol.Message
	want map[string][]string
}

func invocation(id, target string, args ...any) protocol.Invocation {
	return protocol.Invocation{InvocationID: id, Target: target, Arguments: args}
}

// matrixKinds make the i-th call of a kind.
var matrixKinds = map[string]func(id, text string) matrixCall{
	"plain": func(id, text string) matrixCall {
		inv := invocation(id, "Echo", text)
		return matrixCall{[]protocol.Message{&inv}, map[string][]string{id: {"result " + text}}}
	},
	"stream": func(id, text string) matrixCall {
		want := []string{}
		for _, r := range text[:5] {
			want = append(want, "item "+strings.Repeat(string(r), 30))
		}
		return matrixCall{
			[]protocol.Message{&protocol.StreamInvocation{Invocation: invocation(id, "Letters", text[:5])}},
			map[string][]string{id: append(want, "end")},
		}
	},
	"slow authorization that allows": func(id, text string) matrixCall {
		return gated(id, text, "Allowed", "result "+text)
	},
	"slow authorization that refuses": func(id, text string) matrixCall {
		return gated(id, text, "Refused", "error Failed to invoke 'Refused' because user is unauthorized")
	},
	"client result": func(id, text string) matrixCall {
		inv := invocation(id, "Ask", text)
		return matrixCall{[]protocol.Message{&inv}, map[string][]string{id: {"result answer to " + text}}}
	},
	"unknown method": func(id, text string) matrixCall {
		inv := invocation(id, "No"+text)
		return matrixCall{[]protocol.Message{&inv}, map[string][]string{id: {
			"error Failed to invoke 'No" + text + "' due to an error on the server. HubException: Method does not exist."}}}
	},
	"wrong arguments": func(id, text string) matrixCall {
		inv := invocation(id, "Echo", 1, text)
		return matrixCall{[]protocol.Message{&inv}, map[string][]string{id: {
			"error Failed to invoke 'Echo' due to an error on the server."}}}
	},
	"upload": func(id, text string) matrixCall {
		inv, stream := invocation(id, "Join"), "up"+id
		inv.StreamIDs = []string{stream}
		return matrixCall{[]protocol.Message{
			&inv,
			&protocol.StreamItem{InvocationID: stream, Item: text},
			&protocol.StreamItem{InvocationID: stream, Item: "+"},
			&protocol.Completion{InvocationID: stream, Kind: protocol.ResultVoid},
		}, map[string][]string{id: {"result " + text + "+"}}}
	},
}

func gated(id, text, method, want string) matrixCall {
	inv := invocation(id, method, text)
	return matrixCall{
		[]protocol.Message{&inv, &protocol.StreamInvocation{Invocation: invocation("open"+id, "Open", text)}},
		map[string][]string{id: {want}, "open" + id: {"item open", "end"}},
	}
}

// Each call is answered by its own whole answer, once, however many of a client
// run at a time, however they came, and whatever is between them.
func TestEveryCallIsAnsweredOnceByItsOwnAnswer(t *testing.T) {
	kinds := []string{"mixed"}
	for kind := range matrixKinds {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, parallel := range []int{1, 4, 16} {
		hub := &matrixHub{gates: map[string]chan struct{}{}}
		slow := server.MethodOptions{Authorize: hub.awaitGate}
		node := serve(t, newHub(hub, &server.Options{
			MaximumParallelInvocationsPerClient: parallel,
			Methods:                             map[string]server.MethodOptions{"Allowed": slow, "Refused": slow},
		}))
		for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
			for _, transport := range []string{"WebSockets", "LongPolling"} {
				for _, joined := range []bool{true, false} {
					name := fmt.Sprintf("%d parallel, %s, %s, in one frame %t", parallel, codec.Name(), transport, joined)
					t.Run(name, func(t *testing.T) {
						c := newMatrixClient(t, node, transport, codec)
						for _, kind := range kinds {
							c.prefix = name + kind
							c.round(kind, joined, parallel == 1)
						}
					})
				}
			}
		}
	}
}

// A matrixClient speaks one protocol over one transport.
type matrixClient struct {
	t      *testing.T
	codec  protocol.Codec
	prefix string // of texts
	rest   []byte
	write  func(p []byte)
	read   func() []byte
}

func newMatrixClient(t *testing.T, node, transport string, codec protocol.Codec) *matrixClient {
	c := &matrixClient{t: t, codec: codec}
	if transport == "WebSockets" {
		socket := dial(t, node, "")
		op := ws.OpText
		if codec.Binary() {
			op = ws.OpBinary
		}
		c.write = func(p []byte) {
			if err := wsutil.WriteClientMessage(socket.conn, op, p); err != nil {
				t.Fatal(err)
			}
		}
		c.read = func() []byte {
			op, p, err := readFrame(socket.in)
			if err != nil || op == ws.OpClose {
				t.Fatalf("read %q, %v", p, err)
			}
			return p
		}
	} else {
		url := node + "/hub?id=" + negotiate(t, node, "").ConnectionToken
		conns := &http.Transport{}
		t.Cleanup(conns.CloseIdleConnections)
		do := func(method string, p []byte) []byte {
			r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(p))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := conns.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if answer.StatusCode != http.StatusOK || err != nil {
				t.Fatalf("%s is answered %s %s, %v", method, answer.Status, body, err)
			}
			return body
		}
		do("GET", nil)
		c.write = func(p []byte) { do("POST", p) }
		c.read = func() []byte { return do("GET", nil) }
	}
	c.write(fmt.Appendf(nil, "{\"protocol\":%q,\"version\":1}\x1e", codec.Name()))
	for !bytes.HasPrefix(c.rest, []byte("{}\x1e")) {
		c.rest = append(c.rest, c.read()...)
	}
	c.rest = c.rest[3:]
	return c
}

func (c *matrixClient) append(p []byte, m protocol.Message) []byte {
	p, err := c.codec.Append(p, m)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// next returns the next message but pings.
func (c *matrixClient) next() protocol.Message {
	for {
		m, rest, err := c.codec.Next(c.rest)
		switch {
		case errors.Is(err, protocol.ErrIncomplete):
			c.rest = append(bytes.Clone(c.rest), c.read()...)
			continue
		case err != nil:
			c.t.Fatalf("received what is no message: %q: %v", c.rest, err)
		}
		c.rest = rest
		if _, ping := m.(*protocol.Ping); !ping {
			return m
		}
	}
}

func (c *matrixClient) text(raw protocol.Raw) (text string) {
	if err := c.codec.Unmarshal(raw, &text); err != nil {
		c.t.Fatalf("received %q: %v", raw, err)
	}
	return text
}

// round makes calls of a kind, or of all of them, and compares what comes back.
// ordered says that calls of one kind are answered in their order.
func (c *matrixClient) round(kind string, joined, ordered bool) {
	want := map[string][]string{}
	var order []string
	var batch []byte
	for i := range 20 {
		id := fmt.Sprintf("%s %d", kind, i)
		text := strings.Repeat(string(rune('a'+i%26)), 20+i) + c.prefix + id
		one := matrixKinds[kind]
		if one == nil {
			kinds := slices.Sorted(func(yield func(string) bool) {
				for k := range matrixKinds {
					_ = yield(k)
				}
			})
			one = matrixKinds[kinds[i%len(kinds)]]
		}
		call := one(id, text)
		for id, answers := range call.want {
			want[id] = answers
		}
		order = append(order, id)
		for _, m := range call.send {
			if batch = c.append(batch, m); !joined {
				c.write(batch)
				batch = nil
			}
		}
	}
	if joined {
		c.write(batch)
	}
	answered := c.answers(want)
	answered = slices.DeleteFunc(answered, func(id string) bool { return strings.HasPrefix(id, "open") })
	if ordered && kind != "mixed" && kind != "stream" && kind != "client result" && kind != "upload" && !slices.Equal(answered, order) {
		c.t.Errorf("%s: answered in the order %q", kind, answered)
	}
}

// answers receives until every id of want is answered, compares, and returns the
// ids in the order of their ends.
func (c *matrixClient) answers(want map[string][]string) (order []string) {
	got := map[string][]string{}
	last := invocation("last", "Echo", "last")
	want["last"] = []string{"result last"}
	for left := len(want); left > 0; {
		switch m := c.next().(type) {
		case *protocol.StreamItem:
			got[m.InvocationID] = append(got[m.InvocationID], "item "+c.text(m.RawItem))
		case *protocol.Invocation:
			c.write(c.append(nil, &protocol.Completion{InvocationID: m.InvocationID, Kind: protocol.ResultValue, Result: "answer to " + c.text(m.RawArguments[0])}))
		case *protocol.Completion:
			end := "end"
			switch m.Kind {
			case protocol.ResultError:
				end = "error " + m.Error
			case protocol.ResultValue:
				end = "result " + c.text(m.RawResult)
			}
			got[m.InvocationID] = append(got[m.InvocationID], end)
			order = append(order, m.InvocationID)
			if left--; left == 1 { // an answer too many comes before its answer
				c.write(c.append(nil, &last))
			}
		default:
			c.t.Fatalf("received %#v", m)
		}
	}
	for id, answers := range want {
		if !slices.Equal(got[id], answers) {
			c.t.Errorf("answers to %s\n got: %q\nwant: %q", id, got[id], answers)
		}
	}
	if len(order) != len(want) {
		c.t.Errorf("%d answers to %d calls", len(order), len(want))
	}
	return order[:len(order)-1]
}
