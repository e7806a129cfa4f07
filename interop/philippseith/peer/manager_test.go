package peer

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/philippseith/signalr"
	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/server"
)

const patience = time.Minute

// signalrHub is a hub of philippseith/signalr.
type signalrHub struct{ signalr.Hub }

func (h *signalrHub) Join(group string) { h.Groups().AddToGroup(group, h.ConnectionID()) }
func (h *signalrHub) AddToGroup(id, group string) {
	h.Groups().AddToGroup(group, id)
}
func (h *signalrHub) Leave(group string)         { h.Groups().RemoveFromGroup(group, h.ConnectionID()) }
func (h *signalrHub) ToAll(text string)          { h.Clients().All().Send("Receive", text, 42) }
func (h *signalrHub) ToGroup(group, text string) { h.Clients().Group(group).Send("Receive", text, 42) }
func (h *signalrHub) ToClient(id, text string)   { h.Clients().Client(id).Send("Receive", text, 42) }
func (h *signalrHub) Who() string                { return h.ConnectionID() }

// hubwireHub is the same hub on Hubwire.
type hubwireHub struct{}

func (hubwireHub) Join(call *server.Call, group string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}
func (hubwireHub) AddToGroup(call *server.Call, id, group string) error {
	return call.Groups().Add(call.Context(), id, group)
}
func (hubwireHub) Leave(call *server.Call, group string) error {
	return call.Groups().Remove(call.Context(), call.ConnectionID(), group)
}
func (hubwireHub) ToAll(call *server.Call, text string) error {
	return call.Clients().All().Send(call.Context(), "Receive", text, 42)
}
func (hubwireHub) ToGroup(call *server.Call, group, text string) error {
	return call.Clients().Group(group).Send(call.Context(), "Receive", text, 42)
}
func (hubwireHub) ToClient(call *server.Call, id, text string) error {
	return call.Clients().Client(id).Send(call.Context(), "Receive", text, 42)
}
func (hubwireHub) Who(call *server.Call) string { return call.ConnectionID() }

type receiver struct {
	mu  sync.Mutex
	got []string
}

func (r *receiver) Receive(text string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, fmt.Sprint(text, n))
}

func (r *receiver) received() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.got))
}

type quiet struct{}

func (quiet) Log(...any) error { return nil }

func bus(t *testing.T, addr string) *backplane.Redis {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr})
	b, err := backplane.New(client, &backplane.Options{HubName: "App.Hub", ChannelPrefix: "Blog:", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = b.Close()
		_ = client.Close()
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

func connect(t *testing.T, url, format string) (signalr.Client, *receiver) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r := &receiver{}
	c, err := signalr.NewClient(ctx, signalr.WithConnector(func() (signalr.Connection, error) { return signalr.NewHTTPConnection(ctx, url) }),
		signalr.WithReceiver(r), signalr.TransferFormat(signalr.TransferFormatType(format)), signalr.Logger(quiet{}, false))
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	wait, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := <-c.WaitForState(wait, signalr.ClientConnected); err != nil {
		t.Fatal(err)
	}
	return c, r
}

func call(t *testing.T, c signalr.Client, method string, args ...any) any {
	t.Helper()
	select {
	case result := <-c.Invoke(method, args...):
		if result.Error != nil {
			t.Fatalf("%s: %v", method, result.Error)
		}
		return result.Value
	case <-time.After(patience):
		t.Fatalf("%s: no answer", method)
		return nil
	}
}

func TestServersOfBothLibrariesShareARedis(t *testing.T) {
	addr := miniredis.RunT(t).Addr()
	// The node of philippseith/signalr.
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	manager := New(bus(t, addr), slog.New(slog.DiscardHandler))
	peer, err := signalr.NewServer(ctx, signalr.SimpleHubFactory(&signalrHub{}), signalr.Logger(quiet{}, false), signalr.InsecureSkipVerify(true),
		signalr.WithHubLifetimeManager(func(signalr.Server) (signalr.HubLifetimeManager, error) { return manager, nil }))
	if err != nil {
		t.Fatal(err)
	}
	router := http.NewServeMux()
	peer.MapHTTP(signalr.WithHTTPServeMux(router), "/hub")
	theirNode := httptest.NewServer(router)
	t.Cleanup(theirNode.Close)
	// The Hubwire node.
	hub := server.MustHub(hubwireHub{}, &server.Options{LifetimeManager: bus(t, addr)})
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", hub)
	ourNode := httptest.NewServer(mux)
	t.Cleanup(func() {
		end, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		cancel()
		_ = hub.Shutdown(end)
		ourNode.Close()
	})

	a, atA := connect(t, theirNode.URL+"/hub", "Text")
	p, atP := connect(t, theirNode.URL+"/hub", "Binary")
	b, atB := connect(t, ourNode.URL+"/hub", "Text")
	idA, idB := call(t, a, "Who").(string), call(t, b, "Who").(string)
	call(t, a, "Join", "g")
	call(t, b, "Join", "g")
	call(t, b, "AddToGroup", idA, "h") // from the Hubwire node into a group of the other one
	call(t, a, "AddToGroup", idB, "i") // and the other way round
	call(t, a, "ToAll", "all from signalr ")
	call(t, b, "ToAll", "all from hubwire ")
	call(t, p, "ToGroup", "g", "group from signalr ")
	call(t, b, "ToGroup", "g", "group from hubwire ")
	call(t, b, "ToGroup", "h", "joined from hubwire ")
	call(t, a, "ToGroup", "i", "joined from signalr ")
	call(t, a, "ToClient", idB, "client from signalr ")
	call(t, b, "ToClient", idA, "client from hubwire ")
	call(t, a, "Leave", "g")
	call(t, b, "ToGroup", "g", "later ")
	want := map[*receiver][]string{
		atA: {"all from hubwire 42", "all from signalr 42", "client from hubwire 42", "group from hubwire 42", "group from signalr 42", "joined from hubwire 42"},
		atP: {"all from hubwire 42", "all from signalr 42"},
		atB: {"all from hubwire 42", "all from signalr 42", "client from signalr 42", "group from hubwire 42", "group from signalr 42", "joined from signalr 42", "later 42"},
	}
	deadline := time.Now().Add(patience)
	for r, list := range want {
		for !slices.Equal(r.received(), list) && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
		}
		if got := r.received(); !slices.Equal(got, list) {
			t.Errorf("received %q, want %q", got, list)
		}
	}
}

func TestValuesArriveAsBothProtocolsCanWriteThem(t *testing.T) {
	got, err := value([]byte(`{"whole":9007199254740993,"part":0.5,"list":[1,"x",null,true],"big":1e30}`))
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v", got); text != "map[big:1e+30 list:[1 x <nil> true] part:0.5 whole:9007199254740993]" {
		t.Errorf("value = %s", text)
	}
	if _, err := value([]byte(`{`)); err == nil {
		t.Error("broken JSON was read")
	}
}
