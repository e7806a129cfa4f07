package backplane

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/protocol"
)

// A peer is another node of the hub that says what it likes.
type peer struct {
	t      testing.TB
	redis  *memoryRedis
	node   *Redis
	client *fakeClient   // "c", user "u", in group "g" of node
	strays *atomic.Int64 // messages that the node has published on channels of no node of the hub
}

// lies gives a peer a node in memory.
func newPeer(t testing.TB, m *memoryRedis, r *Redis) *peer {
	p := &peer{t: t, redis: m, node: r, strays: new(atomic.Int64)}
	m.refusing("", func(args []string) bool {
		if args[0] == "publish" && !strings.HasPrefix(args[1], "App.Hub:") {
			p.strays.Add(1)
		}
		return false
	})
	if err := r.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.connect()
	return p
}

func (p *peer) connect() {
	c := &fakeClient{id: "c", user: "u", codec: protocol.JSON{}, ctx: p.t.Context(), got: make(chan string, 10_000)}
	if err := p.node.Connected(p.t.Context(), c); err != nil {
		p.t.Fatal(err)
	}
	if err := p.node.AddToGroup(p.t.Context(), "c", "g"); err != nil {
		p.t.Fatal(err)
	}
	p.client = c
}

// channelsOf are the channels that a node subscribes to, one of each kind.
func channelsOf(r *Redis) []string {
	c, name := r.channels, r.opts.ServerName
	return []string{c.All(), c.Connection("c"), c.Group("g"), c.User("u"), c.Groups(), c.Ack(name), c.Physical(c.Return(name))}
}

// lives wants the node to work after what the peer has said.
func (p *peer) lives() {
	p.t.Helper()
	if err := p.node.Send(p.t.Context(), toAll(), message("alive")); err != nil {
		p.t.Fatalf("SendAll = %v, health %+v", err, p.node.Health())
	}
	for alive := false; !alive; {
		select {
		case text := <-p.client.got:
			alive = strings.Contains(text, `"target":"alive"`)
		default:
			p.t.Fatal("the client has not received what was sent to all")
		}
	}
	if p.strays.Load() != 0 {
		p.t.Fatal("the node has published on a channel that is none of its hub's")
	}
	p.node.mu.Lock()
	defer p.node.mu.Unlock()
	if n := p.node.results.Len(); n > mostPending {
		p.t.Fatalf("%d pending invocations, the limit is %d", n, mostPending)
	}
	if losses := p.node.stats.losses.Load(); losses != 0 {
		p.t.Fatalf("%d links were lost", losses)
	}
}

// numbers are the extremes of MessagePack's integers, and what is none.
var numbers = []string{
	"00", "7f", "ff", "e0", "ccff", "cdffff", "ceffffffff", "cf7fffffffffffffff", "cfffffffffffffffff", "d080", "d18000", "d280000000", "d38000000000000000",
	"d27fffffff", "d37fffffffffffffff", "c0", "c3", "cb7ff0000000000000", "cbfff8000000000001", "a130", "c1", "90", "80", "c7ffff",
}

// lengths are heads of arrays, maps, strings and bytes that promise more than comes.
var lengths = []string{"dcffff", "ddffffffff", "dd7fffffff", "deffff", "dfffffffff", "df80000000", "d9ff", "daffff", "dbffffffff", "c4ff", "c5ffff", "c6ffffffff", "bf", "9f", "8f"}

func payloads() (list [][]byte) {
	text := func(s string) string {
		return hex.EncodeToString([]byte{byte(0xa0 | len(s))}) + hex.EncodeToString([]byte(s))
	}
	for _, n := range append(numbers, lengths...) {
		for _, form := range []string{
			"%s", "91%s", "92%s", "92%s80", "9290%s", "9291%s80", "9290 81%s", "9290 81" + text("json") + "%s", // invocations
			"9490 80 %s" + text("x"), "9490 80" + text("i") + "%s", // with a client result
			"95%s" + text("S") + "01" + text("g") + text("c"), "9501%s01" + text("g") + text("c"), "9501" + text("S") + "%s" + text("g") + text("c"),
			"9501" + text("S") + "01%s" + text("c"), "9501" + text("S") + "01" + text("g") + "%s", "92" + text("json") + "%s",
		} {
			b, err := hex.DecodeString(strings.ReplaceAll(fmt.Sprintf(form, n), " ", ""))
			if err != nil {
				panic(err)
			}
			list = append(list, b)
		}
	}
	nested := strings.Repeat("\x91", 100_000)
	list = append(list, nil, []byte(nested), []byte("\x92\x90"+strings.Repeat("\x81", 100_000)), []byte("\x92"+nested))
	for _, action := range []uint8{0, 3, 255} {
		list = append(list, wire.AppendGroupCommand(nil, wire.GroupCommand{ID: math.MinInt32, Server: "S", Action: action, Group: "g", ConnectionID: "c"}))
	}
	for _, id := range []int32{0, 1, -1, math.MaxInt32, math.MinInt32} {
		list = append(list, wire.AppendAck(nil, id))
	}
	for _, returns := range []string{"", "App.Hub:internal:return:", "App.Hub:internal:return:S", "Other:internal:return:S", "__keyspace@0__:x", "App.Hub:all", "App.Hub:internal:return:" + strings.Repeat("x", 10_000)} {
		for _, id := range []string{"", "1", strings.Repeat("x", 2000)} {
			list = append(list, wire.AppendInvocation(nil, wire.Invocation{Encodings: []wire.Encoding{{Protocol: "json", Bytes: []byte("{}\x1e")}}, InvocationID: id, ReturnChannel: returns}))
		}
	}
	for _, result := range []string{"", "{}", "{}\x1e", `{"type":3}` + "\x1e", `{"type":3,"invocationId":"1","result":` + strings.Repeat("[", 10_000), `{"type":1,"target":"x","arguments":[]}` + "\x1e"} {
		for _, name := range []string{"json", "messagepack", "other", ""} {
			list = append(list, wire.AppendCompletion(nil, wire.Encoding{Protocol: name, Bytes: []byte(result)}))
		}
	}
	many := wire.Invocation{Encodings: []wire.Encoding{{Protocol: "json", Bytes: []byte("{}\x1e")}}}
	for i := range 100_000 {
		many.Excluded = append(many.Excluded, fmt.Sprint("id", i))
	}
	list = append(list, wire.AppendInvocation(nil, many))
	protocols := wire.Invocation{}
	for i := range 100_000 {
		protocols.Encodings = append(protocols.Encodings, wire.Encoding{Protocol: fmt.Sprint("p", i)})
	}
	return append(list, wire.AppendInvocation(nil, protocols))
}

func TestANodeLivesWhateverAPeerSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		p := newPeer(t, m, m.node(t, Options{}))
		for _, channel := range channelsOf(p.node) {
			for _, payload := range payloads() {
				m.publish(channel, payload)
			}
			synctest.Wait()
			p.lives()
		}
	})
}

// A peer's pending invocations of a client that never answers are bounded, and
// the oldest fails.
func TestOfTooManyClientResultsTheOldestFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		p := newPeer(t, m, m.node(t, Options{}))
		const more = 500
		results := m.client().Subscribe(t.Context(), "App.Hub:internal:return:S")
		defer results.Close()
		if _, err := results.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range mostPending + more {
			m.publish(p.node.channels.Connection("c"), wire.AppendInvocation(nil, wire.Invocation{
				Encodings: []wire.Encoding{{Protocol: "json", Bytes: []byte("{}\x1e")}}, InvocationID: fmt.Sprint(i), ReturnChannel: "App.Hub:internal:return:S",
			}))
		}
		synctest.Wait()
		p.lives()
		for i := range more {
			result, err := results.ReceiveMessage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(`"invocationId":"%d","error":"Invocation canceled by the server."`, i); !strings.Contains(result.Payload, want) {
				t.Fatalf("result %q, want %s", result.Payload, want)
			}
		}
		p.node.Disconnected(p.client)
		p.node.mu.Lock()
		defer p.node.mu.Unlock()
		if p.node.results.Len() != 0 {
			t.Errorf("%d pending invocations of a client that has gone", p.node.results.Len())
		}
	})
}

// Client results of this node's clients come from those clients only; a peer
// cannot send one in their place.
func TestAPeerCannotAnswerForAClientOfThisNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		p := newPeer(t, m, m.node(t, Options{}))
		done := make(chan string, 1)
		go func() {
			result, err := p.node.InvokeConnection(t.Context(), "c", &protocol.Invocation{Target: "ask", Arguments: []any{}})
			done <- fmt.Sprint(string(result.Value), err)
		}()
		_, id, _ := strings.Cut(<-p.client.got, `"invocationId":"`)
		id, _, _ = strings.Cut(id, `"`)
		forged := fmt.Sprintf(`{"type":3,"invocationId":%q,"result":"forged"}`+"\x1e", id)
		m.publish(p.node.channels.Physical(p.node.channels.Return(p.node.opts.ServerName)), wire.AppendCompletion(nil, wire.Encoding{Protocol: "json", Bytes: []byte(forged)}))
		synctest.Wait()
		if known, err := p.node.SetResult(p.client, &protocol.Completion{InvocationID: id, Kind: protocol.ResultValue, RawResult: protocol.Raw(`"own"`)}); !known || err != nil {
			t.Errorf("SetResult = %v, %v", known, err)
		}
		if got := <-done; got != `"own"<nil>` {
			t.Errorf("result %s, want the client's own", got)
		}
	})
}

// The log of what was dropped has one line a second, however much comes.
func TestDroppedMessagesAreLoggedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines atomic.Int64
		m := newMemoryRedis(t)
		p := newPeer(t, m, m.node(t, Options{Logger: slog.New(countingHandler{slog.DiscardHandler, &lines})}))
		before := lines.Load()
		for range 1000 {
			m.publish(p.node.channels.All(), []byte("no payload"))
		}
		synctest.Wait()
		if n := lines.Load() - before; n != 1 {
			t.Errorf("%d lines for 1,000 dropped messages", n)
		}
	})
}

func FuzzPayloadsOfAPeer(f *testing.F) {
	for i, payload := range payloads() {
		if len(payload) < 4096 {
			f.Add(uint8(i), payload)
		}
	}
	m := newMemoryRedis(f)
	client := m.client()
	r, err := New(client, &Options{HubName: "App.Hub", ServerName: "own", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	p := newPeer(f, m, r)
	var goroutines, said int
	f.Cleanup(func() {
		_ = r.Close()
		_ = client.Close()
	})
	f.Fuzz(func(t *testing.T, kind uint8, payload []byte) {
		p.t = t
		list := channelsOf(r)
		m.publish(list[int(kind)%len(list)], payload)
		p.lives()
		if said++; said%1000 == 1 { // groups and results of the client go with it
			r.Disconnected(p.client)
			p.connect()
		}
		if n := runtime.NumGoroutine(); goroutines == 0 {
			goroutines = n
		} else if n > goroutines+50 {
			t.Fatalf("%d goroutines, there were %d", n, goroutines)
		}
	})
}
