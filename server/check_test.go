package server_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

type pointerHub struct{ n int }

func (h *pointerHub) Say() int                       { return h.n }
func (h pointerHub) Fine()                           {}
func (h *pointerHub) OnConnected(*server.Call) error { return nil }

// takes has a method with a T; go vet refuses one that is written with a server.Call.
type takes[T any] struct{}

func (takes[T]) Who(T) string { return "" }

type dotnetHub struct{}

func (dotnetHub) OnConnectedAsync(*server.Call) error           { return nil }
func (dotnetHub) OnDisconnectedAsync(*server.Call, error) error { return nil }
func (dotnetHub) Dispose()                                      {}
func (dotnetHub) DisposeAsync()                                 {}
func (dotnetHub) ToString() string                              { return "" }
func (dotnetHub) Onconnected(*server.Call) error                { return nil }

type signatureHub struct{}

func (signatureHub) OnConnected() error                       { return nil }
func (signatureHub) OnDisconnected(*server.Call, error) error { return nil }

// Pointers that never come to a value, and types that only contain themselves.
type (
	endless  *endless
	endlessA *endlessB
	endlessB *endlessA
	list     struct {
		Next *list
		More []list
	}
)

type fineHub struct{ sync.Mutex }

func (*fineHub) Hi()       {}
func (*fineHub) Internal() {}

// refusal is why NewHub refuses a hub, or nil. The hub is not kept.
func refusal(hub any, opts *server.Options) error {
	h, err := server.NewHub(hub, opts)
	if (h == nil) == (err == nil) {
		panic(fmt.Sprintf("NewHub = %v, %v", h, err))
	}
	if err != nil {
		return err
	}
	return h.Shutdown(context.Background())
}

func TestNewHubNamesWhatIsWrongWithAHub(t *testing.T) {
	p := &fineHub{}
	for _, test := range []struct {
		hub  any
		opts *server.Options
		want []string // nothing: it is right
	}{
		{nil, nil, []string{"a hub must not be nil"}},
		{(*fineHub)(nil), nil, []string{"*server_test.fineHub: a hub must not be nil"}},
		{&p, nil, []string{"server: **server_test.fineHub: a pointer to a pointer has no methods; the hub is a *server_test.fineHub"}},
		{pointerHub{}, nil, []string{"server: server_test.pointerHub: methods with a pointer receiver (OnConnected, Say) are none of a value; the hub is a *server_test.pointerHub"}},
		{&pointerHub{}, nil, nil},
		{takes[server.Call]{}, nil, []string{"server_test.takes[github.com/hubwire/hubwire/server.Call]: method Who: parameter 1: server.Call is used by pointer; take a *server.Call"}},
		{takes[endless]{}, nil, []string{"method Who: parameter 1: a server_test.endless is, or has, a pointer to its own type and to nothing else"}},
		{takes[map[string][]struct{ E endlessA }]{}, nil, []string{"method Who: parameter 1: a map"}},
		{takes[<-chan endless]{}, nil, []string{"method Who: parameter 1: a <-chan"}},
		{takes[*list]{}, nil, nil},
		{dotnetHub{}, nil, []string{"server_test.dotnetHub: ", "method OnConnectedAsync: clients could call it; the hub's is OnConnected.", "method OnDisconnectedAsync: ", "method Dispose: ", "method DisposeAsync: ", "method ToString: ", "method Onconnected: "}},
		{dotnetHub{}, &server.Options{Methods: map[string]server.MethodOptions{
			"OnConnectedAsync": {Hidden: true}, "OnDisconnectedAsync": {Hidden: true}, "Dispose": {Name: "dispose"}, "DisposeAsync": {}, "ToString": {Hidden: true}, "Onconnected": {Hidden: true},
		}}, nil},
		{signatureHub{}, nil, []string{"method OnConnected: is func() error, must be func(*server.Call) error", "method OnDisconnected: is func(*server.Call, error) error, must be func(*server.Call, error)"}},
		{p, &server.Options{Methods: map[string]server.MethodOptions{"Internal": {Hidden: true}}}, nil},
		{p, &server.Options{Methods: map[string]server.MethodOptions{"Internal": {Hidden: true, Name: "x"}}}, []string{"method Internal: is Hidden: it needs neither Name nor Authorize"}},
		{p, &server.Options{Methods: map[string]server.MethodOptions{"NoSuch": {}}}, []string{"method NoSuch: Options.Methods names it, but *server_test.fineHub has no such method"}},
		{&pointerHub{}, &server.Options{Methods: map[string]server.MethodOptions{"OnConnected": {Hidden: true}}}, []string{"method OnConnected: has no MethodOptions: clients never call it"}},
	} {
		err := refusal(test.hub, test.opts)
		if (err == nil) != (test.want == nil) {
			t.Errorf("NewHub(%T) = %v", test.hub, err)
		}
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("NewHub(%T) = %v\n   without %s", test.hub, err, want)
			}
		}
	}
}

func TestNewHubNamesOptionsThatAreOutOfRangeOrAgainstEachOther(t *testing.T) {
	var nilManager *panicManager
	for want, opts := range map[string]server.Options{
		"there are no supported protocols":                                   {Protocols: []protocol.Codec{}},
		"Protocols[1]: is nil":                                               {Protocols: []protocol.Codec{protocol.JSON{}, nil}},
		`Protocols[1] is a second one with the name "json"`:                  {Protocols: []protocol.Codec{protocol.JSON{}, panicCodec{protocol.JSON{}, "", nil}}},
		"KeepAliveInterval is 15ns; is its unit missing":                     {KeepAliveInterval: 15},
		"ClientTimeoutInterval is 30ns":                                      {ClientTimeoutInterval: 30},
		"HandshakeTimeout is 1µs":                                            {HandshakeTimeout: time.Microsecond},
		"KeepAliveInterval is 1m0s, but ClientTimeoutInterval only 1s":       {KeepAliveInterval: time.Minute, ClientTimeoutInterval: time.Second},
		"KeepAliveInterval is 30s, but ClientTimeoutInterval only 30s":       {KeepAliveInterval: 30 * time.Second},
		"MaximumParallelInvocationsPerClient is -1":                          {MaximumParallelInvocationsPerClient: -1},
		"StreamBufferCapacity is -1":                                         {StreamBufferCapacity: -1},
		"StreamBufferCapacity is 1073741824, the most is 1048576":            {StreamBufferCapacity: 1 << 30},
		"SlowClients is 2, must be CloseSlow or DropOldest":                  {SlowClients: 2},
		"SlowClients is -1":                                                  {SlowClients: -1},
		"SlowClientTimeout is 30ns":                                          {SlowClientTimeout: 30},
		"QueueLimit has no limit; make it with NewQueueLimit":                {QueueLimit: &server.QueueLimit{}},
		"LifetimeManager is a nil *server_test.panicManager":                 {LifetimeManager: nilManager},
		"Endpoint.MinimumProtocolVersion is 2, must be 0 or 1":               {Endpoint: server.EndpointOptions{MinimumProtocolVersion: 2, TransportSendTimeout: time.Second}},
		"Endpoint.MinimumProtocolVersion is -1":                              {Endpoint: server.EndpointOptions{MinimumProtocolVersion: -1}},
		"Endpoint.AllowedTransports has unknown transports (0x40)":           {Endpoint: server.EndpointOptions{AllowedTransports: 64 | server.WebSockets}},
		"Endpoint.MaximumConnections is -1":                                  {Endpoint: server.EndpointOptions{MaximumConnections: -1}},
		"Endpoint.PollTimeout is 90ns":                                       {Endpoint: server.EndpointOptions{PollTimeout: 90}},
		"Endpoint.AllowStatefulReconnects needs WebSockets":                  {Endpoint: server.EndpointOptions{AllowStatefulReconnects: true, AllowedTransports: server.LongPolling}},
		"Endpoint.OnAuthenticationRefresh needs EnableAuthenticationRefresh": {Endpoint: server.EndpointOptions{OnAuthenticationRefresh: noAdmins}},
	} {
		err := refusal(&fineHub{}, &opts)
		if err == nil || !strings.HasPrefix(err.Error(), "server: *server_test.fineHub: "+want) {
			t.Errorf("NewHub = %v\n     want %s", err, want)
		}
		if !strings.HasPrefix(want, "Endpoint.") {
			continue
		}
		// Every other endpoint is checked alike.
		hub := newHub(&fineHub{}, nil)
		for name, make := range map[string]func(){
			"*server_test.fineHub: EndpointOptions.": func() { hub.Endpoint(opts.Endpoint) },
			"ConnectionHandler: Endpoint.": func() {
				server.NewConnectionHandler(func(*server.Connection) error { return nil }, &server.ConnectionOptions{Endpoint: opts.Endpoint})
			},
		} {
			err := panicOf(make)
			if want := "server: " + name + strings.TrimPrefix(want, "Endpoint."); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("panic %v\n want %s", err, want)
			}
		}
	}
	for _, opts := range []*server.Options{
		nil, {KeepAliveInterval: -1, ClientTimeoutInterval: time.Second}, {KeepAliveInterval: time.Hour, ClientTimeoutInterval: -1},
		{ClientTimeoutInterval: 5 * time.Second}, {MaximumReceiveMessageSize: -1, DropOldestLimit: -1, StatefulReconnectBufferSize: -1},
		{SlowClients: server.DropOldest, SlowClientTimeout: -1, QueueLimit: server.NewQueueLimit(-1)},
		{Protocols: []protocol.Codec{protocol.MessagePack{}}, Filters: []server.Filter{{}}},
	} {
		if err := refusal(&fineHub{}, opts); err != nil {
			t.Errorf("NewHub(%+v) = %v", opts, err)
		}
	}
	if err := panicOf(func() { server.NewConnectionHandler(nil, nil) }); err == nil || err.Error() != "server: ConnectionHandler: serve is nil" {
		t.Errorf("a nil serve: %v", err)
	}
}

// panicOf returns the *HubTypeError that f panics with.
func panicOf(f func()) (err error) {
	defer func() {
		if v, ok := recover().(*server.HubTypeError); ok {
			err = v
		}
	}()
	f()
	return nil
}

// valueManager is no pointer: nobody can tell it from another.
type valueManager struct{ server.LifetimeManager }

func TestAManagerServesOneHubUntilItIsShutDown(t *testing.T) {
	own := newPanicManager("", nil)
	for _, m := range []server.LifetimeManager{server.NewLifetimeManager(), own} {
		opts := func() *server.Options {
			return &server.Options{LifetimeManager: m, Logger: slog.New(slog.DiscardHandler)}
		}
		for range 2 { // what is refused takes no manager
			bad := opts()
			bad.StreamBufferCapacity = -1
			if err := refusal(&fineHub{}, bad); err == nil || strings.Contains(err.Error(), "LifetimeManager") {
				t.Fatal(err)
			}
		}
		first := server.MustHub(&fineHub{}, opts())
		const want = "LifetimeManager serves the hub *server_test.fineHub already; each hub needs its own"
		err := refusal(newCallHub(), opts())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewHub = %v, want %s", err, want)
		}
		if err := panicOf(func() { server.MustHub(&fineHub{}, opts()) }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewHub panics with %v, want %s", err, want)
		}
		if err := first.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := panicOf(func() { server.MustHub(&fineHub{}, opts()) }); err != nil {
			t.Errorf("after Shutdown of the first hub: %v", err)
		}
	}
	value := valueManager{server.NewLifetimeManager()}
	for range 2 {
		if err := refusal(&fineHub{}, &server.Options{LifetimeManager: value}); err != nil {
			t.Error(err)
		}
	}
}

func TestOfTwoHubsThatTakeAManagerAtOnceOneGetsIt(t *testing.T) {
	m := server.NewLifetimeManager()
	var hubs [8]*server.Hub // a hub that nobody has any more lets another one have its manager
	var got [8]error
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			got[i] = panicOf(func() { hubs[i] = server.MustHub(&fineHub{}, &server.Options{LifetimeManager: m}) })
		})
	}
	wg.Wait()
	made := 0
	for _, err := range got {
		if err == nil {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d hubs share a manager: %v", made, errors.Join(got[:]...))
	}
	runtime.KeepAlive(&hubs)
}

type baseHub struct{}

func (baseHub) WhoAmI() string                 { return "me" }
func (baseHub) OnConnected(*server.Call) error { return errors.New("nobody gets in") }

type derivedHub struct{ baseHub }

func (derivedHub) Echo(s string) string   { return s }
func (derivedHub) Secret() string         { return "secret" }
func (derivedHub) Describe() fmt.Stringer { return reflect.ValueOf(1) }

func TestMethodsOfAnEmbeddedHubAreTheHubsAndHiddenOnesAreNobodys(t *testing.T) {
	url := serve(t, newHub(derivedHub{}, &server.Options{Methods: map[string]server.MethodOptions{"Secret": {Hidden: true}}, EnableDetailedErrors: true}))
	c := dial(t, url, "")
	c.handshake()
	c.expect(`{"type":7,"error":"Connection closed with an error. Exception: nobody gets in"}`, "close 1000")

	url = serve(t, newHub(struct{ openHub }{}, &server.Options{Methods: map[string]server.MethodOptions{"Secret": {Hidden: true}}}))
	c = connect(t, url)
	c.call("1", "WhoAmI", `[]`, `"result":"me"`)
	for _, name := range []string{"Secret", "secret"} {
		c.call("2", name, `[]`, `"error":"Failed to invoke '`+name+`' due to an error on the server. HubException: Method does not exist."`)
	}
}

type openHub struct{}

func (openHub) WhoAmI() string { return "me" }
func (openHub) Secret() string { return "secret" }

// A badHub has a method that cannot be served.
type badHub struct{ *callHub }

func (badHub) Bad() func() { return nil }

func TestBadHubsAreRefusedWithReasons(t *testing.T) {
	err := refusal(badHub{newCallHub()}, nil)
	var bad *server.HubTypeError
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), "method Bad: a result of type func() cannot be sent") {
		t.Errorf("NewHub = %v, want the reason against Bad", err)
	}
	defer func() {
		if _, ok := recover().(*server.HubTypeError); !ok {
			t.Error("NewHub did not panic with a *HubTypeError")
		}
	}()
	server.MustHub(badHub{newCallHub()}, nil)
}
