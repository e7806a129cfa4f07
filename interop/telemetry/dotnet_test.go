package telemetry

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// patience is how long anything may take on a machine that has other work.
const patience = time.Minute

// An order is what the .NET client is told to do; its other members are the
// options of "start".
type order map[string]any

func do(what, method string, args ...any) order {
	return order{"do": what, "method": method, "args": append([]any{}, args...)}
}

// A visit is a step of the .NET client: a connection, and what is done with it.
type visit struct {
	path   string
	start  order
	orders []order
}

// visits are the steps of the .NET client, without their common first words.
func visits() map[string]visit {
	hub := func(orders ...order) visit { return visit{path: "/hub", orders: orders} }
	with := func(path string, start order, orders ...order) visit { return visit{path, start, orders} }
	echo, nothing := do("invoke", "Echo", "x"), do("invoke", "Nothing")
	all := map[string]visit{
		"invoke, MessagePack":                   with("/hub", order{"protocol": "messagepack"}, echo),
		"invoke, WebSockets without negotiate":  with("/hub", order{"method": "skip"}, echo),
		"send without id":                       hub(do("send", "Echo", "x"), nothing),
		"stream":                                hub(do("stream", "Counter", 3, 0)),
		"stream, cancelled":                     hub(do("stream and cancel", "Counter", 1000, 500), nothing),
		"stream, throws":                        hub(do("stream", "CounterThenThrow", 2, "no")),
		"upload":                                hub(do("upload", "Sum")),
		"invoke, throws":                        hub(do("invoke", "Throw", "no")),
		"invoke, throws a HubException":         hub(do("invoke", "ThrowHubException", "no")),
		"invoke, unknown method":                hub(do("invoke", "Nobody")),
		"invoke, connection aborted by the hub": hub(do("invoke", "Abort")),
		"asks the caller":                       with("/hub-parallel", nil, do("invoke", "AskCaller")),
		"receives a send":                       hub(do("invoke", "SendAll", "M", "x")),
		"start refused, 404":                    with("/nowhere", nil),
		"stateful reconnect allowed":            with("/hub", order{"method": "stateful"}, echo),
		"invoke and cancel":                     hub(do("invoke and cancel", "Slow", "x", 600_000)),
		"path with a parameter":                 with("/hub-pattern/1", nil, echo),
		"query in the address":                  with("/hub?name=alice", nil, do("invoke", "OnlyUsers")),
		"invoke and cancel, throws":             hub(do("invoke and cancel", "ThrowOnCancel"), nothing),
		"refresh":                               with("/hub-refresh", nil, do("refresh", "")),
		"invoke inside an activity with state and baggage": with("/hub", order{"inActivity": true}, order{"do": "invoke", "method": "Echo", "args": []any{"x"}, "inActivity": true}),
	}
	for name, transport := range transports {
		all["invoke, "+name] = with("/hub", order{"transport": transport}, echo)
	}
	return all
}

// A dotnetClient is the process of the .NET client.
type dotnetClient struct {
	in   io.Writer
	done chan string // the outcome of an order; closed at the end

	mu     sync.Mutex
	rec    *recorder // that of the step; learns the names of the client's spans
	counts map[string]int
}

// kindsOfClient are the names of a client's spans.
var kindsOfClient = map[string]string{"Microsoft.AspNetCore.SignalR.Client.InvocationOut": "out", "System.Net.Http.HttpRequestOut": "httpout"}

func startDotnetClient(t *testing.T) *dotnetClient {
	t.Helper()
	cmd := exec.Command("dotnet", harness.DotnetProgram(t, "dotnet-client"))
	c := &dotnetClient{done: make(chan string, 1)}
	c.in = harness.Talk(t, cmd, c.read)
	return c
}

func (c *dotnetClient) read(out io.Reader) {
	defer close(c.done)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var line struct{ T, Outcome, Operation, Span string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return
		}
		if line.T == "done" {
			c.done <- line.Outcome
			continue
		}
		kind := kindsOfClient[line.Operation]
		if kind == "" {
			kind = line.Operation
		}
		c.mu.Lock()
		c.counts[kind]++
		c.rec.name(line.Span, fmt.Sprint(kind, c.counts[kind]))
		c.mu.Unlock()
	}
}

// serve makes rec learn the names of the spans from now on.
func (c *dotnetClient) serve(rec *recorder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rec, c.counts = rec, map[string]int{}
}

// do gives an order and returns what the client's user sees.
func (c *dotnetClient) do(t *testing.T, o order) string {
	t.Helper()
	line, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	if o["do"] == "invoke and cancel" {
		c.rec.waitForCall(t, o["method"].(string))
		if _, err := io.WriteString(c.in, "cancel\n"); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case outcome, ok := <-c.done:
		if !ok {
			t.Fatal("the .NET client has ended")
		}
		return outcome
	case <-time.After(patience):
		t.Fatalf("the .NET client has not done %s after %v", line, patience)
	}
	return ""
}

// play plays a step against a node of its own.
func (v visit) play(t *testing.T, c *dotnetClient) (f facts) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t, l, nodeOptions{})
	c.serve(n.rec)
	start := maps.Clone(v.start)
	if start == nil {
		start = order{}
	}
	start["do"], start["url"] = "start", "http://"+l.Addr().String()+v.path
	notes := []string{"start: " + c.do(t, start)}
	for _, o := range v.orders {
		method, _ := o["method"].(string)
		if o["do"] == "upload" {
			method = "Sum"
		}
		notes = append(notes, fmt.Sprintf("%s %s: %s", o["do"], method, c.do(t, o)))
	}
	notes = append(notes, "stop: "+c.do(t, order{"do": "stop"}))
	close(n.rec.left)
	n.rec.waitForEnd(t)
	n.stop(t)
	f = n.rec.facts()
	f.notes = notes
	return f
}

// waitForCall waits until the span of a call of the method has begun.
func (r *recorder) waitForCall(t *testing.T, method string) {
	t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		changed, begun := r.changed, slices.ContainsFunc(r.starts, func(st *started) bool { return strings.HasSuffix(st.span.Name(), "/"+method) })
		r.mu.Unlock()
		if begun {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%s has not begun after %v", method, patience)
		}
	}
}

// waitForEnd waits until all connections and spans have ended.
func (r *recorder) waitForEnd(t *testing.T) {
	t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		changed, open := r.changed, 0
		for _, m := range r.measurements {
			switch {
			case strings.HasPrefix(m, "signalr.server.active_connections 1 "):
				open++
			case strings.HasPrefix(m, "signalr.server.connection.duration "):
				open--
			}
		}
		for _, st := range r.starts {
			if !st.ended {
				open++
			}
		}
		r.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Errorf("%d connections and spans have not ended after %v", open, patience)
			return
		}
	}
}

func TestTheDotnetClientFindsWhatASPNETCoreTraces(t *testing.T) {
	harness.Long(t, "starts .NET")
	harness.Dotnet(t)
	r, differ, all := loadRecording(t), loadDifferences(t), visits()
	c := startDotnetClient(t)
	for _, s := range r.Steps {
		name, ok := strings.CutPrefix(s.Step, dotnetStep)
		if !ok {
			continue
		}
		v, known := all[name]
		delete(all, name)
		said := differ[s.Step]
		delete(differ, s.Step)
		t.Run(name, func(t *testing.T) {
			if !known {
				t.Fatal("nobody plays it")
			}
			compare(t, r, s, v.play(t, c), said)
		})
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Errorf("the recording has no step %q", name)
	}
	for name := range differ {
		if strings.HasPrefix(name, dotnetStep) {
			t.Errorf("differences.json: there is no step %q", name)
		}
	}
}
