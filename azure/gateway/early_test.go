package gateway_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

// answerTo is the answer of an app server to a client's handshake; the empty text
// accepts it.
func answerTo(open *wire.OpenConnection, text string) *wire.ConnectionData {
	return &wire.ConnectionData{ConnectionID: open.ConnectionID, Payload: protocol.AppendHandshakeResponse(nil, text), DataType: wire.DataHandshake}
}

// What the SDK's OnConnectedAsync sends and does may come before the answer to the
// client's handshake, which it does not wait for.
func TestASendBeforeTheAnswerToTheHandshakeFollowsIt(t *testing.T) {
	for _, codec := range codecs {
		for _, stateful := range []bool{false, true} {
			name := codec.Name()
			if stateful {
				name += ", stateful"
			}
			t.Run(name, func(t *testing.T) {
				inWorld(t, nil, func(w *world) {
					s := w.serverWith("server-1", serverOptions{mute: true, hello: statefulHello()})
					other := w.serverWith("server-2", serverOptions{hello: &wire.HandshakeRequest{Version: 1, ConnectionType: wire.ConnectionWeak}})
					go func() {
						open := await[*wire.OpenConnection](s)
						id := open.ConnectionID
						if got := s.ask(&wire.JoinGroupWithAck{ConnectionID: id, GroupName: "g", AckID: 1}); got != wire.AckOK {
							t.Errorf("a group is joined with %d", got)
						}
						if got := s.ask(&wire.CheckConnectionExistenceWithAck{ConnectionID: id, AckID: 2}); got != wire.AckOK {
							t.Errorf("the connection exists: %d", got)
						}
						s.send(&wire.MultiConnectionData{ConnectionList: []string{id}, Payloads: both("to it")}, &wire.BroadcastData{Payloads: both("to all")},
							&wire.BroadcastData{ExcludedList: []string{id}, Payloads: both("to others")},
							&wire.UserData{UserID: "ann", Payloads: both("to its user")}, &wire.GroupBroadcastData{GroupName: "g", Payloads: both("to its group")})
						synctest.Wait()
						other.send(&wire.BroadcastData{Payloads: both("by another")})
						synctest.Wait()
						s.send(answerTo(open, ""), &wire.BroadcastData{Payloads: both("afterwards")})
					}()
					link := w.net.Link(nil)
					c := w.clientWith("ann", clientOptions{codec: codec, link: link, stateful: stateful})
					want := []string{"to it", "to all", "to its user", "to its group", "by another", "afterwards"}
					var got []string
					for range want {
						got = append(got, c.next(w))
					}
					if stateful { // both have counted alike
						link.Cut()
						synctest.Wait()
						s.send(&wire.BroadcastData{Payloads: both("after a loss")})
						synctest.Wait()
						link.Restore()
						if err := c.Resume(w.ctx); err != nil {
							t.Fatal(err)
						}
						got, want = append(got, c.next(w)), append(want, "after a loss")
					}
					if !slices.Equal(got, want) {
						t.Errorf("the client got %q, want %q", got, want)
					}
				})
			})
		}
	}
}

func TestAClientWhoseHandshakeIsRefusedGetsNothingElse(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.serverWith("server-1", serverOptions{mute: true})
		go func() {
			open := await[*wire.OpenConnection](s)
			s.send(&wire.BroadcastData{Payloads: both("early")}, answerTo(open, "not you"),
				&wire.BroadcastData{Payloads: both("late")}, &wire.CloseConnection{ConnectionID: open.ConnectionID})
		}()
		c, err := w.dial("ann", clientOptions{})
		var refused *hubclient.HandshakeError
		if !errors.As(err, &refused) || refused.Text != "not you" {
			t.Errorf("the client gets %v, %v", c, err)
		}
		if stats := w.stats(); stats.Clients != 0 || stats.ClientsOpened != 0 || stats.FramesOut != 1 {
			t.Errorf("%+v", stats)
		}
	})
}

// One after the other, so that the bound for all would be reached if what is kept for
// clients that are gone counted.
func TestWhatIsKeptBeforeTheAnswerToTheHandshakeIsBounded(t *testing.T) {
	inWorld(t, &gateway.Options{MaximumMessageSize: 3000}, func(w *world) {
		s := w.serverWith("server-1", serverOptions{mute: true})
		for range 10 {
			closed := make(chan string, 1)
			go func() {
				open := await[*wire.OpenConnection](s)
				for range 3 {
					s.send(&wire.BroadcastData{Payloads: both("m", strings.Repeat("x", 1000))})
				}
				closed <- open.ConnectionID
			}()
			_, err := w.dial("ann", clientOptions{})
			var refused *hubclient.HandshakeError
			if !errors.As(err, &refused) {
				t.Fatalf("the client gets %v", err)
			}
			if id := <-closed; await[*wire.CloseConnection](s).ConnectionID != id {
				t.Errorf("the app server is told of the end of another client than %s", id)
			}
		}
		go func() {
			open := await[*wire.OpenConnection](s)
			s.send(&wire.BroadcastData{Payloads: both("m", strings.Repeat("x", 1300))}, answerTo(open, ""))
		}()
		if got := w.client("ann").next(w); got != "m" {
			t.Errorf("the client got %q", got)
		}
	})
}

func TestWhatIsKeptBeforeTheAnswersToAllHandshakesIsBounded(t *testing.T) {
	inWorld(t, &gateway.Options{MaximumMessageSize: 3000}, func(w *world) {
		const clients, fit = 12, 8 // of 1.4 kB in 12 kB
		s := w.serverWith("server-1", serverOptions{mute: true})
		ended := make(chan error, clients)
		for range clients {
			go func() {
				_, err := w.dial("ann", clientOptions{})
				ended <- err
			}()
		}
		var opened []*wire.OpenConnection
		for range clients {
			opened = append(opened, await[*wire.OpenConnection](s))
		}
		s.send(&wire.BroadcastData{Payloads: both("m", strings.Repeat("x", 1300))})
		synctest.Wait()
		if stats := w.stats(); stats.Clients != fit {
			t.Errorf("%d clients are left", stats.Clients)
		}
		for _, open := range opened {
			s.send(answerTo(open, ""))
		}
		refused := 0
		for range clients {
			if err := <-ended; err != nil {
				refused++
			}
		}
		if refused != clients-fit {
			t.Errorf("%d clients are refused", refused)
		}
	})
}

// Whatever comes first: the client gets what was sent after it is known, once and in
// its order.
func TestSendsAndTheAnswerToAHandshakeAtTheSameTime(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		const sends = 50
		s := w.serverWith("server-1", serverOptions{mute: true})
		other := w.serverWith("server-2", serverOptions{hello: &wire.HandshakeRequest{Version: 1, ConnectionType: wire.ConnectionWeak}})
		for range 20 {
			go func() {
				open := await[*wire.OpenConnection](s)
				go s.send(answerTo(open, ""))
				for range sends {
					other.send(&wire.BroadcastData{Payloads: both("m")}, &wire.BroadcastData{Payloads: both("n")})
				}
			}()
			c := w.client("ann")
			for range sends {
				if a, b := c.next(w), c.next(w); a != "m" || b != "n" {
					t.Fatalf("the client got %s and %s", a, b)
				}
			}
			c.Close()
			time.Sleep(time.Second)
		}
	})
}
