package server_test

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/vmihailenco/msgpack/v5"
)

// onlyPacked has a form in MessagePack and none in JSON, as NaN has.
var onlyPacked = map[string]any{
	"a number":           math.NaN(),
	"inside a struct":    struct{ X float64 }{math.Inf(1)},
	"inside an any":      map[string]any{"a": []any{math.NaN()}},
	"inside an embedded": struct{ Embedded }{Embedded{math.NaN()}},
	"keys":               map[[1]int]int{{1}: 1},
	"values of a codec":  []float64{math.Inf(-1)},
}

type Embedded struct{ X float64 }

func TestASendThatOneProtocolCannotEncodeFailsWhoeverListens(t *testing.T) {
	ctx := context.Background()
	for name, value := range onlyPacked {
		t.Run(name, func(t *testing.T) {
			hub := newHub(evilHub{heard: make(chan string, 1)}, nil)
			url := serve(t, hub)
			clients := hub.Clients()
			fails := func(who string) {
				t.Helper()
				for target, to := range map[string]server.ClientProxy{
					"all": clients.All(), "a group": clients.Group("g"), "groups": clients.Groups("g", "h"),
					"a user": clients.User("u"), "a client": clients.Client("c"), "clients": clients.Clients("c", "d"),
				} {
					if err := to.Send(ctx, "M", value); err == nil {
						t.Errorf("%s: sending to %s is no error", who, target)
					}
				}
			}
			fails("nobody listens")
			packed := speak(t, url, protocol.MessagePack{})
			packed.say(&protocol.Invocation{InvocationID: "1", Target: "Echo", Arguments: []any{"x"}})
			if got, _ := packed.hear(); got != "completed" {
				t.Fatal(got)
			}
			fails("MessagePack listens")
			json := connect(t, url)
			fails("both listen")
			if err := clients.All().Send(ctx, "Fine", 1.5, "x", nil, []int{1}, Embedded{1}); err != nil {
				t.Fatal(err)
			}
			json.expect(`{"type":1,"target":"Fine","arguments":[1.5,"x",null,[1],{"X":1}]}`) // and nothing before it
			if got, _ := packed.hear(); got != "invocation Fine" {
				t.Errorf("heard %s", got)
			}
		})
	}
}

// A countedValue counts how often it is encoded.
type countedValue struct{ json, packed *atomic.Int64 }

func (v countedValue) MarshalJSON() ([]byte, error) {
	v.json.Add(1)
	return []byte(`"counted"`), nil
}

func (v countedValue) EncodeMsgpack(e *msgpack.Encoder) error {
	v.packed.Add(1)
	return e.EncodeString("counted")
}

func TestAMessageToManyIsEncodedOnceForEachProtocol(t *testing.T) {
	hub := newHub(evilHub{}, nil)
	url := serve(t, hub)
	var clients []*client
	var speakers []*speaker
	for range 3 {
		clients = append(clients, connect(t, url))
		s := speak(t, url, protocol.MessagePack{})
		s.say(&protocol.Invocation{InvocationID: "1", Target: "Echo", Arguments: []any{"x"}})
		if got, _ := s.hear(); got != "completed" {
			t.Fatal(got)
		}
		speakers = append(speakers, s)
	}
	v := countedValue{new(atomic.Int64), new(atomic.Int64)}
	if err := hub.Clients().All().Send(t.Context(), "M", v); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		c.expect(`{"type":1,"target":"M","arguments":["counted"]}`)
	}
	for _, s := range speakers {
		if got, _ := s.hear(); got != "invocation M" {
			t.Errorf("heard %s", got)
		}
	}
	if json, packed := v.json.Load(), v.packed.Load(); json != 1 || packed != 1 {
		t.Errorf("encoded %d times as JSON and %d times as MessagePack, want once each", json, packed)
	}
}

func TestAHubThatIsShutDownSaysSoAndItsNewEndpointsRefuse(t *testing.T) {
	ctx := context.Background()
	hub := newHub(evilHub{}, nil)
	if err := hub.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	clients, groups := hub.Clients(), hub.Groups()
	_, invoked := server.Invoke[int](ctx, clients.Client("c"), "M")
	for name, err := range map[string]error{
		"All": clients.All().Send(ctx, "M"), "Client": clients.Client("c").Send(ctx, "M"), "Clients": clients.Clients("c").Send(ctx, "M"),
		"Group": clients.Group("g").Send(ctx, "M"), "Groups": clients.Groups("g").Send(ctx, "M"), "User": clients.User("u").Send(ctx, "M"),
		"Add": groups.Add(ctx, "c", "g"), "Remove": groups.Remove(ctx, "c", "g"), "Invoke": invoked,
	} {
		if !errors.Is(err, server.ErrShutdown) {
			t.Errorf("%s returns %v, want ErrShutdown", name, err)
		}
	}
	url := serve(t, hub.Endpoint(server.EndpointOptions{}))
	negotiateStatus(503)(t, url)
	if status, _, body := ask(t, "GET", url+"/hub?id=x", ""); status != 404 {
		t.Errorf("a poll is answered %d %s, want 404", status, body)
	}
}

// farewellHub tells the others who goes.
type farewellHub struct{ sent chan error }

func (h farewellHub) OnDisconnected(call *server.Call, _ error) {
	h.sent <- call.Clients().All().Send(context.Background(), "Gone")
}

func TestOnDisconnectedMaySendWhileTheHubShutsDown(t *testing.T) {
	h := farewellHub{sent: make(chan error, 1)}
	hub := newHub(h, nil)
	c := connect(t, serve(t, hub))
	down := make(chan error)
	go func() { down <- hub.Shutdown(context.Background()) }()
	c.expect(`{"type":7,"allowReconnect":true}`, "close 1000")
	_ = c.conn.Close()
	if err := <-down; err != nil {
		t.Fatal(err)
	}
	if err := <-h.sent; err != nil {
		t.Errorf("OnDisconnected could not send: %v", err)
	}
}
