package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A doorHub keeps its clients in OnConnected until they are let through.
type doorHub struct {
	come chan string // the names of clients in OnConnected
	pass chan struct{}

	opened sync.Once
}

func newDoor(t *testing.T) *doorHub {
	h := &doorHub{come: make(chan string, 100), pass: make(chan struct{})}
	t.Cleanup(h.open)
	return h
}

// open lets everybody through from now on.
func (h *doorHub) open() { h.opened.Do(func() { close(h.pass) }) }

func (h *doorHub) OnConnected(call *server.Call) error {
	h.come <- call.Request().Header.Get("X-Name")
	<-h.pass
	return nil
}

func (*doorHub) Hello() string { return "hello" }

// waiting returns the clients that are in OnConnected and were not before.
func (h *doorHub) waiting() (names []string) {
	synctest.Wait()
	for len(h.come) > 0 {
		names = append(names, <-h.come)
	}
	return names
}

func byAddress(r *http.Request) string { return r.Header.Get("X-Address") }

// A storm is clients that connect at the same time.
type storm struct {
	t       *testing.T
	node    *hubtest.Node
	working sync.WaitGroup
	results chan result
}

type result struct {
	name   string
	client *hubtest.Client
	err    error
}

func newStorm(t *testing.T, node *hubtest.Node) *storm {
	s := &storm{t: t, node: node, results: make(chan result, 100)}
	t.Cleanup(s.working.Wait)
	return s
}

// comes lets a client connect, and waits until it has got as far as it can.
func (s *storm) comes(name, address string, opts ...hubtest.Option) {
	opts = append(opts, hubtest.Header("X-Name", name), hubtest.Header("X-Address", address), hubtest.Patience(time.Hour))
	s.working.Go(func() {
		c, err := s.node.TryConnect(opts...)
		s.results <- result{name, c, err}
	})
	synctest.Wait()
}

// done returns the clients that have connected, or could not, meanwhile.
func (s *storm) done() (all []result) {
	synctest.Wait()
	for len(s.results) > 0 {
		all = append(all, <-s.results)
	}
	return all
}

func stormy(a server.AdmissionOptions) *server.Options {
	return &server.Options{Endpoint: server.EndpointOptions{Admission: server.NewAdmission(a), ClientAddress: byAddress}}
}

// Clients of all transports, and those that skip negotiate, wait for their turn
// without noticing, however long OnConnected of others takes.
func TestClientsThatAreHeldConnectWhenItIsTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, opts := newDoor(t), stormy(server.AdmissionOptions{Opening: 1})
		s := newStorm(t, hubtest.New(t, hub, opts))
		s.comes("first", "a")
		s.comes("second", "a", hubtest.Over(server.ServerSentEvents))
		s.comes("third", "a", hubtest.Over(server.LongPolling))
		s.comes("other", "b", hubtest.SkipNegotiation())
		for _, name := range []string{"first", "other", "second", "third"} {
			time.Sleep(4 * time.Second) // together less than MaximumHold
			if got := hub.waiting(); !slices.Equal(got, []string{name}) {
				t.Fatalf("in OnConnected: %q, want %s", got, name)
			}
			hub.pass <- struct{}{}
			all := s.done()
			if len(all) != 1 || all[0].name != name || all[0].err != nil {
				t.Fatalf("connected: %v, want %s", all, name)
			}
			if got := hubtest.Result[string](all[0].client, "Hello"); got != "hello" {
				t.Errorf("%s gets %q", name, got)
			}
		}
		if got := opts.Endpoint.Admission.Stats(); got != (server.AdmissionStats{Admitted: 4, Held: 3}) {
			t.Errorf("%+v", got)
		}
	})
}

// Once let in, a client is neither held nor refused for load: a refused upgrade
// would cost it WebSockets.
func TestTheUpgradeOfANegotiatedConnectionIsNeverHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, opts := newDoor(t), stormy(server.AdmissionOptions{Opening: 1, MaximumWaiting: 1})
		opts.Endpoint.DisconnectTimeout = time.Hour
		n := hubtest.New(t, hub, opts)
		late := negotiatedAt(t, n, "/hub", "X-Address", "a")
		time.Sleep(5 * time.Second) // the others no longer wait for it
		s := newStorm(t, n)
		s.comes("opens", "b")
		s.comes("waits", "b")
		if got := opts.Endpoint.Admission.Stats(); got.Opening != 1 || got.Waiting != 1 {
			t.Fatalf("%+v, want one that opens and one that waits", got)
		}
		if status, body := late.ask("GET", late.url+late.id, "", "X-Address", "a"); status != http.StatusOK {
			t.Errorf("the first poll is answered %d %s", status, body)
		}
		hub.open()
	})
}

func TestAClientThatIsHeldForTooLongOrIsTooManyGets503(t *testing.T) {
	for _, skip := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var more []hubtest.Option
			if skip {
				more = append(more, hubtest.SkipNegotiation())
			}
			book, log := newLogBook()
			hub, opts := newDoor(t), stormy(server.AdmissionOptions{Opening: 1, MaximumWaiting: 1, MaximumHold: 3 * time.Second})
			opts.Logger = log
			s := newStorm(t, hubtest.New(t, hub, opts))
			s.comes("opens", "a", more...)
			s.comes("waits", "a", more...)
			s.comes("too many", "a", more...)
			busy := func(name string) {
				t.Helper()
				all := s.done()
				if len(all) != 1 || all[0].name != name {
					t.Fatalf("refused: %v, want %s", all, name)
				}
				refused, ok := errors.AsType[*hubtest.RefusedError](all[0].err)
				if !ok || refused.Status != 503 || refused.Text != "The server is busy." {
					t.Errorf("%s: %v, want 503", name, all[0].err)
				}
			}
			busy("too many")
			time.Sleep(3 * time.Second)
			busy("waits")
			hub.open()
			if got := opts.Endpoint.Admission.Stats(); got.Full != 1 || got.TooLong != 1 || got.Waiting != 0 {
				t.Errorf("%+v", got)
			}
			book.wait(t, `level=INFO msg="client refused" hub=doorHub reason="admission: too many clients are waiting" address=a`)
			book.wait(t, `level=INFO msg="client refused" hub=doorHub reason="admission: the client has waited for too long" address=a`)
		})
	}
}

// ReadTimeout of the http.Server must not end the wait, and a client that leaves
// must be noticed.
func TestAClientThatLeavesWhileItIsHeldLosesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, opts := newDoor(t), stormy(server.AdmissionOptions{Opening: 1})
		n := hubtest.New(t, hub, opts)
		s := newStorm(t, n)
		s.comes("opens", "a")
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			r, _ := http.NewRequestWithContext(ctx, "POST", n.URL()+"/hub/negotiate?negotiateVersion=1", nil)
			answer, err := n.HTTPClient().Do(r)
			if err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
			left <- err
		}()
		time.Sleep(4 * time.Second)
		if got := opts.Endpoint.Admission.Stats().Waiting; got != 1 {
			t.Fatalf("%d wait, want 1", got)
		}
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the client that left: %v", err)
		}
		synctest.Wait()
		if got := opts.Endpoint.Admission.Stats(); got.Waiting != 0 || got.Left != 1 {
			t.Errorf("%+v, want one that has left", got)
		}
		hub.open()
	})
}

// Two hubs share an Admission; the Shutdown of one answers those that are held
// there, and nobody else.
func TestShutdownEndsTheWaitOfThoseWhoAreHeldAtItsHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, opts := newDoor(t), stormy(server.AdmissionOptions{Opening: 1})
		stays, goes := newStorm(t, hubtest.New(t, hub, opts)), newStorm(t, hubtest.New(t, newDoor(t), opts))
		stays.comes("opens", "a")
		goes.comes("held", "b")
		goes.comes("direct", "b", hubtest.SkipNegotiation())
		stays.comes("stays", "c")
		if err := goes.node.Hub().Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		all := goes.done()
		if len(all) != 2 {
			t.Fatalf("answered: %v, want both", all)
		}
		for _, r := range all {
			if refused, ok := errors.AsType[*hubtest.RefusedError](r.err); !ok || refused.Status != 503 {
				t.Errorf("%s: %v, want 503", r.name, r.err)
			}
		}
		hub.open()
		if all := stays.done(); len(all) != 2 || all[0].err != nil || all[1].err != nil {
			t.Errorf("connected to the other hub: %v", all)
		}
		if got := opts.Endpoint.Admission.Stats(); got.Shutdown != 2 || got.Admitted != 2 || got.Opening != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// A connection whose handshake is refused, or that leaves before it, does not
// count as opening until its lease ends.
func TestAConnectionThatEndsBeforeItHasOpenedMakesRoomAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := stormy(server.AdmissionOptions{Opening: 1})
		opts.Protocols = []protocol.Codec{protocol.JSON{}}
		n := hubtest.New(t, &whoHub{}, opts)
		if _, err := n.TryConnect(hubtest.MessagePack()); err == nil {
			t.Fatal("the handshake was accepted")
		}
		synctest.Wait()
		if got := opts.Endpoint.Admission.Stats(); got.Opening != 0 || got.Admitted != 1 {
			t.Errorf("%+v, want none that opens", got)
		}
	})
}

// A backlog is a listener at which more clients stand than will be accepted.
type backlog struct{ net.Listener }

func (backlog) Accept() (net.Conn, error) { return nil, nil }

func TestConnectionsAreAcceptedAtThePaceOfTheAdmission(t *testing.T) {
	for _, test := range []struct {
		options server.AdmissionOptions
		burst   int
		each    time.Duration
	}{
		{server.AdmissionOptions{}, 20, time.Second / 2000},
		{server.AdmissionOptions{ConnectionsPerSecond: 50}, 20, time.Second / 50},
		{server.AdmissionOptions{ConnectionsPerSecond: 50, ConnectionBurst: 3}, 3, time.Second / 50},
		{server.AdmissionOptions{ConnectionsPerSecond: 50, ConnectionBurst: -1}, 100, 0},
		{server.AdmissionOptions{ConnectionsPerSecond: -1}, 100, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := server.NewAdmission(test.options)
			listeners := []net.Listener{a.Listener(backlog{}), a.Listener(backlog{})} // they have one pace
			began := time.Now()
			for i := range 100 {
				if _, err := listeners[i%2].Accept(); err != nil {
					t.Fatal(err)
				}
				if want := time.Duration(max(0, i+1-test.burst)) * test.each; time.Since(began) != want {
					t.Fatalf("%+v: connection %d was accepted after %v, want %v", test.options, i+1, time.Since(began), want)
				}
			}
		})
	}
}

func TestAnAdmissionIsMadeByItsFunction(t *testing.T) {
	for _, a := range []*server.Admission{{}, server.NewAdmission(server.AdmissionOptions{MaximumHold: 45})} {
		opts := &server.Options{Endpoint: server.EndpointOptions{Admission: a}}
		if _, err := server.NewHub(&whoHub{}, opts); err == nil {
			t.Errorf("NewHub takes %+v", a)
		}
	}
}
