package server_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// A roomHub has rooms.
type roomHub struct{}

func (roomHub) Join(call *server.Call, room string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), room)
}

func connectionIDs(hub *server.Hub) (ids []string) {
	for c := range hub.Connections() {
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return ids
}

func TestConnectionsSayWhoIsConnected(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		n := m.node(t, roomHub{}, nil)
		begin := time.Now()
		alice, bob := m.connect(n, hubtest.User(server.User{ID: "alice"})), m.connect(n)
		alice.Do("Join", "lobby")
		alice.Do("Join", "attic")
		bob.Do("Join", "lobby")
		time.Sleep(time.Hour + time.Second/2) // no ping is being written

		if got, want := connectionIDs(n.Hub()), []string{alice.ID(), bob.ID()}; !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Fatalf("Connections are %q, want %q", got, want)
		}
		c, found := n.Hub().Connection(alice.ID())
		if !found || c.ID != alice.ID() || c.UserID != "alice" || !c.Since.Equal(begin) || c.QueuedBytes != 0 || !strings.HasPrefix(c.RemoteAddr, "192.0.2.2:") {
			t.Errorf("Connection = %+v, %v", c, found)
		}
		if !strings.HasPrefix(m.name, c.Transport.String()+", ") || !strings.Contains(m.name, ", "+c.Protocol+", ") {
			t.Errorf("Connection has %v, %s in the mode %s", c.Transport, c.Protocol, m.name)
		}
		if got, want := c.Groups(), []string{"attic", "lobby"}; !slices.Equal(got, want) {
			t.Errorf("Groups = %q, want %q", got, want)
		}
		if got := n.Hub().Counts(); got.Connected() != 2 || got.Negotiated != 0 {
			t.Errorf("Counts = %+v, want 2 connected", got)
		}

		alice.Close()
		synctest.Wait()
		if got := connectionIDs(n.Hub()); !slices.Equal(got, []string{bob.ID()}) {
			t.Errorf("Connections are %q after one has left, want %q", got, bob.ID())
		}
		if _, found := n.Hub().Connection(alice.ID()); found || len(c.Groups()) != 0 {
			t.Errorf("Connection finds one that has left, in %q", c.Groups())
		}
		if got := n.Hub().Counts().Connected(); got != 1 {
			t.Errorf("%d are connected after one has left", got)
		}
		c.Close("too late", false) // is left alone
	})
}

// A lingerHub takes its time for OnDisconnected.
type lingerHub struct{ blockHub }

func (h lingerHub) OnDisconnected(*server.Call, error) { h.Block() }

func TestAConnectionIsNotListedOnceItsEndHasBegun(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		h := lingerHub{blockHub{make(chan struct{}), make(chan struct{})}}
		n := m.node(t, h, nil)
		c := m.connect(n)
		id := c.ID()
		c.Close()
		<-h.begun
		if _, found := n.Hub().Connection(id); found || len(connectionIDs(n.Hub())) != 0 {
			t.Errorf("a connection is listed whose OnDisconnected runs")
		}
		close(h.release)
	})
}

func TestCountsAreByTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := hubtest.New(t, roomHub{}, nil)
		for range 3 {
			n.Connect()
		}
		sse := n.Connect(hubtest.Over(server.ServerSentEvents))
		n.Connect(hubtest.SkipNegotiation())
		n.Connect(hubtest.Over(server.LongPolling))
		answer, err := n.HTTPClient().Post(n.URL()+"/hub/negotiate?negotiateVersion=1", "", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got, want := n.Hub().Counts(), (server.ConnectionCounts{WebSockets: 4, ServerSentEvents: 1, LongPolling: 1, Negotiated: 1}); got != want {
			t.Errorf("Counts = %+v, want %+v", got, want)
		}
		sse.Close()
		time.Sleep(time.Minute) // the one that was negotiated has waited for too long
		if got, want := n.Hub().Counts(), (server.ConnectionCounts{WebSockets: 4, LongPolling: 1}); got != want {
			t.Errorf("Counts = %+v, want %+v", got, want)
		}
	})
}

func TestAConnectionIsClosedWithAReason(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		n := m.node(t, roomHub{}, nil)
		alice, bob := m.connect(n), m.connect(n)
		c, found := n.Hub().Connection(alice.ID())
		if !found {
			t.Fatal("Connection does not find the client")
		}
		c.Close("no shouting", false)
		var closed *hubtest.CloseError
		if err := alice.Wait(); !errors.As(err, &closed) || closed.Text != "no shouting" || closed.AllowReconnect {
			t.Errorf("the client ends with %v", err)
		}
		bob.Do("Join", "lobby") // goes on
	})
}

func TestQueuedBytesAreThoseOfAClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := hubtest.New(t, roomHub{}, nil)
		c := n.Connect()
		c.StopReading()
		text := strings.Repeat("x", 1<<20)
		if err := n.Hub().Clients().All().Send(t.Context(), "M", text); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if info, _ := n.Hub().Connection(c.ID()); info.QueuedBytes < 1<<19 {
			t.Errorf("QueuedBytes = %d, want most of 1 MiB", info.QueuedBytes)
		}
		c.StartReading()
		c.Expect("M", text)
		if info, _ := n.Hub().Connection(c.ID()); info.QueuedBytes != 0 {
			t.Errorf("QueuedBytes = %d, want 0 once all is read", info.QueuedBytes)
		}
	})
}

// Nothing is held while a hub is looked at: the body of the loop may do anything with the hub.
func TestConnectionsAreWalkedWhileClientsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := hubtest.New(t, roomHub{}, nil)
		stays := n.Connect()
		stays.Do("Join", "stays")
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 20 {
					c, err := n.TryConnect()
					if err != nil {
						t.Error(err)
						return
					}
					if err := c.Invoke(nil, "Join", "churn"); err != nil && !errors.Is(err, hubtest.ErrClosed) {
						t.Error(err)
					}
					c.Close()
				}
			})
		}
		seen, others := 0, 0
		for range 200 {
			for c := range n.Hub().Connections() {
				inside, found := n.Hub().Connection(c.ID)
				if found && inside.ID != c.ID {
					t.Errorf("Connection(%q) has the id %q", c.ID, inside.ID)
				}
				switch {
				case c.ID != stays.ID():
					others++
					if others%3 == 0 {
						c.Close("", true)
					}
				case slices.Equal(c.Groups(), []string{"stays"}):
					seen++
				}
			}
		}
		wg.Wait()
		if seen != 200 {
			t.Errorf("the client that stays was seen %d times of 200", seen)
		}
		for range n.Hub().Connections() {
			break // leaves nothing behind
		}
	})
}
