package azure

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/internal/recorded"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

var jsonOnly = []protocol.Codec{protocol.JSON{}}

// The scenarios of testdata/azure/azure.json, which an ASP.NET Core app with the
// real SDK has played, are played against the same hub in Go: what the service
// sent then is sent at its time, and what the hub sends must be what the app sent.

func scenarios(t *testing.T) []recorded.Scenario {
	return recorded.Scenarios(t, "../testdata/azure/azure.json")
}

func TestTheHubSendsWhatTheSDKSends(t *testing.T) {
	played := 0
	for _, sc := range scenarios(t) {
		d := differenceOf(sc.Name)
		if d.skip {
			if d.reason == "" {
				t.Errorf("%s: skipped without a reason", sc.Name)
			}
			continue
		}
		played++
		t.Run(sc.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { replay(t, sc, d) })
		})
	}
	t.Logf("%d scenarios played", played)
}

// A replayer plays one scenario.
type replayer struct {
	t        *testing.T
	fake     *fakeService
	hub      *server.Hub
	replace  [][2]string // what is new in every recording, and what it is here
	names    []string    // of the service connections, in order of opening
	want     map[string][]string
	step     string
	serverID string
	stopped  bool          // the hub was shut down
	late     time.Duration // behind the recording
}

func replay(t *testing.T, sc recorded.Scenario, d difference) {
	lastAck.Store(0)
	lastInvocation.Store(0)
	r := &replayer{t: t, fake: newFake(t), want: map[string][]string{}}
	r.fake.quiet = true
	statuses := []int{}
	for _, e := range sc.Events {
		if e.Upgrade != "" {
			statuses = append(statuses, e.Status)
		}
	}
	r.fake.status = func(n int) int {
		if n <= len(statuses) {
			return statuses[n-1]
		}
		return http.StatusServiceUnavailable
	}
	o, opts := optionsOf(t, sc)
	begin := time.Now()
	started := false
	for i, e := range sc.Events {
		at := time.Duration(e.T) * time.Millisecond
		if e.Upgrade != "" && !started {
			started = true
			time.Sleep(at - time.Since(begin))
			r.hub = r.fake.hub(o, opts)
			synctest.Wait()
			r.learn(sc)
		}
		if !started {
			continue
		}
		time.Sleep(at + r.late - time.Since(begin))
		r.event(e, sc.Events[i+1:])
	}
	time.Sleep(time.Second)
	r.compare(d)
}

// optionsOf are those of the app that was recorded.
func optionsOf(t *testing.T, sc recorded.Scenario) (o Options, opts server.Options) {
	app := sc.Apps[0]
	number := func(name string) int {
		if v, ok := app[name].(json.Number); ok {
			n, _ := v.Int64()
			return int(n)
		}
		return 0
	}
	if o.InitialConnections = number("connections"); o.InitialConnections == 0 {
		o.InitialConnections = 1
		if _, ok := app["connections"]; ok {
			o.InitialConnections = -1
		}
	}
	o.MaximumConnections = number("maxConnections")
	o.Shutdown.Timeout = time.Duration(number("shutdownTimeout")) * time.Second
	o.Shutdown.Hooks = append(o.Shutdown.Hooks, func(ctx context.Context, clients server.Clients) {
		_ = clients.All().Send(ctx, "M", "leaving")
	})
	switch app["shutdown"] {
	case "MigrateClients":
		o.Shutdown.Mode = ShutdownMigrateClients
	case "WaitForClientsClose":
		o.Shutdown.Mode = ShutdownWaitForClients
	}
	opts.EnableDetailedErrors = true
	opts.MaximumParallelInvocationsPerClient = number("parallel")
	opts.HandshakeTimeout = time.Duration(number("handshake")) * time.Second
	opts.Endpoint.AllowStatefulReconnects = app["endpointStateful"] == true || app["stateful"] == true
	if app["stateful"] == false {
		opts.Endpoint.AllowStatefulReconnects = false
	}
	if app["messagepack"] == "off" {
		opts.Protocols = jsonOnly
	}
	return o, opts
}

// learn finds what is new here: the ids that the hub has chosen.
func (r *replayer) learn(sc recorded.Scenario) {
	r.serverID, _ = sc.IDs["server id"].(string)
	for _, e := range sc.Events {
		if e.Name == "ClientInvocation" && e.From == "app" {
			id := e.Members["invocationId"].(string)
			parts := strings.Split(id, "-")
			r.replace = append(r.replace, [2]string{parts[len(parts)-2], process().invocations})
			break
		}
	}
}

// put replaces what is new in bytes that were recorded.
func (r *replayer) put(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, one := range r.replace {
		b = bytes.ReplaceAll(b, []byte(one[0]), []byte(one[1]))
	}
	return b
}

func (r *replayer) conn(name string) *fakeConn {
	at := slices.Index(r.names, name)
	all := r.fake.all()
	if at < 0 || at >= len(all) {
		r.t.Errorf("there is no service connection %s (%d are there)", name, len(all))
		return nil
	}
	return all[at]
}

func (r *replayer) event(e recorded.Event, rest []recorded.Event) {
	switch {
	case e.Step != "":
		r.step = e.Step
		r.do(e.Step, rest)
	case e.Upgrade != "":
		if e.Status == http.StatusSwitchingProtocols {
			r.awaitUpgrade(len(r.names))
			r.names = append(r.names, e.Upgrade)
			if cid := strings.Split(e.Path, "cid="); len(cid) == 2 && len(cid[1]) >= 36 {
				r.replace = append(r.replace, [2]string{cid[1][:36], r.cidOf(len(r.names) - 1)})
			}
		}
	case e.From == "service" && (e.Hex != "" || e.Odd != ""):
		if c := r.conn(e.On); c != nil {
			text, _ := e.All["hex"].(string)
			c.raw(r.put(text))
			synctest.Wait()
		}
	case e.From == "app" && e.Name != "":
		if list, _ := e.Members["messages"].([]any); len(list) > 0 && list[0] == pingShutdown && !r.stopped {
			r.stopped = true
			go func() { _ = r.hub.Shutdown(context.Background()) }()
			synctest.Wait()
		}
		if line := lineOf(e.Name, e.Members); line != "" {
			r.want[e.On] = append(r.want[e.On], line)
		}
	case e.From == "app" && e.Close != 0:
		r.want[e.On] = append(r.want[e.On], fmt.Sprintf("close %d", e.Close))
		code := e.Close
		if r.step == "the same with a WebSocket close 1001" {
			code = 1001
		}
		if code != 1000 || strings.HasPrefix(r.step, "the service closes") || r.step == "an on-demand connection ends" {
			if c := r.conn(e.On); c != nil {
				c.close(code)
			}
		}
	}
}

// awaitUpgrade waits for a connection that the hub opens at times of its own.
func (r *replayer) awaitUpgrade(n int) {
	for wait := 0; len(r.fake.all()) <= n && wait < 700; wait++ {
		time.Sleep(100 * time.Millisecond)
		r.late += 100 * time.Millisecond
		synctest.Wait()
	}
}

func (r *replayer) cidOf(n int) string {
	all := r.fake.all()
	if n >= len(all) {
		return strings.Repeat("?", 36)
	}
	_, cid, _ := strings.Cut(all[n].url, "cid=")
	return cid[:min(len(cid), 36)]
}

// do does what the script told the app to do.
func (r *replayer) do(step string, rest []recorded.Event) {
	ctx := context.Background()
	text, own := strings.CutPrefix(step, "IHubContext: ")
	op, arguments, _ := strings.Cut(text, " ")
	var q struct{ ID, Group, Form, To, Except, Text string }
	_ = json.Unmarshal([]byte(arguments), &q) // not all steps have some
	list := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
	}
	switch {
	case own && op == "send":
		go func() { _ = sendingTo(r.hub.Clients(), q.Form, list(q.To), list(q.Except)).Send(ctx, "M", q.Text) }()
	case own && op == "join":
		go func() { _ = r.hub.Groups().Add(ctx, q.ID, q.Group) }()
	case own && op == "leave":
		go func() { _ = r.hub.Groups().Remove(ctx, q.ID, q.Group) }()
	case step == "join without an ack":
		go func() { _ = r.hub.Groups().Add(ctx, "c1", "g1") }()
		synctest.Wait()
	default:
		r.ask(rest)
	}
}

// ask asks for a client result, if the next thing that happens is the app's question.
func (r *replayer) ask(rest []recorded.Event) {
	for _, e := range rest {
		switch {
		case e.Step != "" || e.From == "service" && e.Name != "Ping":
			return
		case e.From == "app" && e.Name == "ClientInvocation":
			payload, _ := e.Members["payloads"].([]any)
			first, _ := payload[0].([]any)
			var m struct{ Arguments []string }
			_ = json.Unmarshal(bytes.TrimRight(unhex(r.t, first[1].(string)), "\x1e"), &m)
			id := e.Members["connectionId"].(string)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				_, _ = server.Invoke[string](ctx, r.hub.Clients().Client(id), "Ask", m.Arguments[0])
			}()
			return
		}
	}
}

func unhex(t *testing.T, text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lineOf is a message as text; "" for one that comes at times of its own.
func lineOf(name string, members map[string]any) string {
	if name == "Ping" {
		if list, _ := members["messages"].([]any); len(list) > 0 && (list[0] == "#clientInHub" || list[0] == "status") {
			return ""
		}
	}
	members = maps.Clone(members)
	delete(members, "tracingId")
	if p, ok := members["payload"].(string); ok {
		members["payload"] = readable(p)
	}
	return name + " " + recorded.JSON(members)
}

func readable(hexed string) string {
	b, err := hex.DecodeString(hexed)
	if err != nil || len(b) == 0 || b[0] != '{' {
		return hexed
	}
	return string(b)
}

// compare compares what has come on each connection with what came then.
func (r *replayer) compare(d difference) {
	var wants, haves []string
	for i, name := range r.names {
		want, have := r.want[name], r.have(i)
		if d.ignore != nil {
			want, have = slices.DeleteFunc(want, d.ignore), slices.DeleteFunc(have, d.ignore)
		}
		if d.anywhere {
			wants, haves = append(wants, want...), append(haves, have...)
			continue
		}
		if d.sorted {
			slices.Sort(want)
			slices.Sort(have)
		} else { // clients are pinged, and end, in any order
			slices.SortStableFunc(want, byClient)
			slices.SortStableFunc(have, byClient)
		}
		r.compareLines(name, want, have)
	}
	slices.Sort(wants)
	slices.Sort(haves)
	r.compareLines("all", wants, haves)
}

// have is what has come on the i-th connection, as text.
func (r *replayer) have(i int) (lines []string) {
	all := r.fake.all()
	if i >= len(all) {
		return nil
	}
	for _, g := range all[i].take() {
		line := fmt.Sprintf("close %d", g.close)
		if g.m != nil {
			line = lineOf(strings.TrimPrefix(fmt.Sprintf("%T", g.m), "*wire."), recorded.Members(g.m))
		}
		line = strings.ReplaceAll(line, process().serverID, r.serverID)
		for _, one := range r.replace {
			line = strings.ReplaceAll(line, one[1], one[0])
			line = strings.ReplaceAll(line, hex.EncodeToString([]byte(one[1])), hex.EncodeToString([]byte(one[0])))
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func byClient(a, b string) int { return strings.Compare(clientOf(a), clientOf(b)) }

// clientOf is the client of a message that is about one and no other.
func clientOf(line string) string {
	if !strings.HasPrefix(line, "ConnectionData") && !strings.HasPrefix(line, "CloseConnection") {
		return ""
	}
	_, id, _ := strings.Cut(line, `"connectionId":"`)
	id, _, _ = strings.Cut(id, `"`)
	return id
}

func (r *replayer) compareLines(name string, want, have []string) {
	for j := range max(len(want), len(have)) {
		w, h := "nothing", "nothing"
		if j < len(want) {
			w = want[j]
		}
		if j < len(have) {
			h = have[j]
		}
		if w != h {
			r.t.Errorf("%s, message %d:\n the SDK: %.600s\nthe hub: %.600s", name, j, w, h)
			return
		}
	}
}
