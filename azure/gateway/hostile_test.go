package gateway_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

func TestAClientIsHeldBackByAnAppServerThatDoesNotReadAndSetFreeByItsEnd(t *testing.T) {
	inWorld(t, &gateway.Options{ServerBufferSize: 64 << 10}, func(w *world) {
		link := w.net.Link(nil)
		s := w.serverWith("server-1", serverOptions{link: link, mute: true})
		opened := make(chan *hubclient.Conn)
		go func() { opened <- w.raw(protocol.JSON{}) }()
		open := await[*wire.OpenConnection](s)
		s.send(&wire.ConnectionData{ConnectionID: open.ConnectionID, Payload: []byte("{}\x1e"), DataType: wire.DataHandshake})
		conn := <-opened
		s.quiet()
		link.SetReading(false)
		var written atomic.Int64
		over := make(chan struct{})
		go func() {
			defer close(over)
			for piece := make([]byte, 10_000); conn.Write(piece) == nil; written.Add(10_000) {
			}
		}()
		synctest.Wait()
		// What waits in the gateway, and what the networks hold.
		if n := written.Load(); n < 64<<10 || n > 1<<20 {
			t.Errorf("%d bytes were taken from a client whose app server reads nothing", n)
		}
		begun := time.Now()
		if _, err := conn.Read(); err != nil { // the Close
			t.Error(err)
		}
		if after := time.Since(begun); after > time.Minute {
			t.Errorf("the app server is cut off after %v", after)
		}
		_ = conn.Close() // it has ended
		<-over
		if n := w.stats().ServerConnections; n != 0 {
			t.Errorf("%d connections of app servers", n)
		}
	})
}

func TestAClientThatDoesNotReadIsCutOffAndHoldsUpNobody(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		link := w.net.Link(nil)
		deaf, reads := w.clientWith("deaf", clientOptions{link: link}), w.client("ann")
		link.SetReading(false)
		const sends = 100
		for range sends {
			s.send(&wire.BroadcastData{Payloads: both("m", strings.Repeat("x", 20_000))})
		}
		for range sends {
			reads.next(w)
		}
		closed := await[*wire.CloseConnection](s)
		if closed.ConnectionID != deaf.ID() {
			t.Errorf("the end of %q is told", closed.ConnectionID)
		}
		if n := w.stats().Clients; n != 1 {
			t.Errorf("%d clients", n)
		}
		deaf.Abort()
	})
}

// Acks that are not read are bytes that wait, as all others.
func TestAnAppServerThatAsksAndDoesNotReadIsCutOff(t *testing.T) {
	inWorld(t, &gateway.Options{ServerQueueLimit: 100 << 10}, func(w *world) {
		link := w.net.Link(nil)
		s := w.serverWith("server-1", serverOptions{link: link})
		c := w.client("ann")
		link.SetReading(false)
		asks := make([]wire.Message, 1000)
		for i := range asks {
			asks[i] = &wire.CheckUserExistenceWithAck{UserID: "ann", AckID: 1 << 30}
		}
		begun := time.Now()
		for w.stats().ServerConnections > 0 && time.Since(begun) < time.Hour {
			s.send(asks...)
			synctest.Wait()
		}
		if after := time.Since(begun); after > time.Second { // no time passes but by waiting
			t.Errorf("it is cut off after %v", after)
		}
		link.SetReading(true)
		<-c.Done()
	})
}

func TestWhatIsTooMuchIsRefused(t *testing.T) {
	inWorld(t, &gateway.Options{MaximumClients: 3, MaximumNegotiated: 5, MaximumServerConnections: 2, MaximumMessageSize: 1000}, func(w *world) {
		s := w.server("server-1")
		w.server("server-1")
		open := func(path string) error {
			token := sign(key, map[string]any{"aud": "http://x" + path + "?hub=chat"})
			conn, err := hubclient.Open(w.ctx, hubclient.ConnOptions{URL: "http://gateway" + path + "?hub=chat&access_token=" + token, DialContext: w.link.DialContext, SkipNegotiation: true})
			if err == nil {
				w.Cleanup(func() { _ = conn.Close() }) // it may have ended
			}
			return err
		}
		busy := func(err error) bool {
			var status *hubclient.StatusError
			return errors.As(err, &status) && status.Code == http.StatusServiceUnavailable
		}
		if err := open("/server/"); !busy(err) {
			t.Errorf("one app server too many: %v", err)
		}
		for i := range 6 {
			r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, "http://gateway/client/negotiate?hub=chat&negotiateVersion=1", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+sign(key, map[string]any{"aud": "http://x/client/?hub=chat"}))
			web := &http.Transport{DialContext: w.link.DialContext}
			answer, err := web.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close() // its status is all
			web.CloseIdleConnections()
			if want := map[bool]int{true: 200, false: 503}[i < 5]; answer.StatusCode != want {
				t.Errorf("negotiate %d is answered %d, want %d", i+1, answer.StatusCode, want)
			}
		}
		for i := range 4 {
			if err := open("/client/"); (i < 3) != (err == nil) || i == 3 && !busy(err) {
				t.Errorf("client %d gets %v", i+1, err)
			}
		}
		s.send(&wire.UserData{UserID: "ann", Payloads: both("m", string(make([]byte, 1000)))})
		<-s.over
		if n := w.stats().ServerConnections; n != 1 {
			t.Errorf("%d connections of app servers, after one has sent too long a message", n)
		}
	})
}

// An app server may fill no gateway: not with groups, and not with messages that it
// never ends.
func TestMembershipsAndPartsAreBounded(t *testing.T) {
	inWorld(t, &gateway.Options{MaximumMemberships: 4, MaximumMessageSize: 1 << 20}, func(w *world) {
		s := w.server("server-1")
		a, b := w.client("ann"), w.client("bob")
		for i, m := range []wire.Message{
			&wire.JoinGroupWithAck{ConnectionID: a.ID(), GroupName: "g"}, &wire.JoinGroupWithAck{ConnectionID: a.ID(), GroupName: "h"},
			&wire.UserJoinGroupWithAck{UserID: "ann", GroupName: "g"}, &wire.UserJoinGroupWithAck{UserID: "nobody", GroupName: "g"},
			&wire.JoinGroupWithAck{ConnectionID: b.ID(), GroupName: "g"}, &wire.UserJoinGroupWithAck{UserID: "another", GroupName: "g"},
			&wire.JoinGroupWithAck{ConnectionID: a.ID(), GroupName: "h"},
		} {
			want := wire.AckOK
			if i == 4 || i == 5 {
				want = wire.AckForbidden
			}
			if got := s.ask(m); got != want {
				t.Errorf("%d: status %d, want %d", i, got, want)
			}
		}
		for _, m := range []wire.Message{&wire.LeaveGroupWithAck{ConnectionID: a.ID()}, &wire.UserLeaveGroupWithAck{UserID: "nobody"}, &wire.UserLeaveGroupWithAck{UserID: "ann"}} {
			s.ask(m)
		}
		if n := w.stats().Memberships; n != 0 {
			t.Errorf("%d memberships, after all were left", n)
		}
		s.ask(&wire.JoinGroupWithAck{ConnectionID: b.ID(), GroupName: "g"})

		part := make([]byte, 300<<10)
		keep := func(c *client) {
			for range 3 {
				s.send(&wire.ConnectionData{ConnectionID: c.ID(), Payload: part, IsPartial: true})
			}
		}
		others := []*client{w.client(""), w.client(""), w.client("")}
		for _, c := range others {
			keep(c)
		}
		keep(a)
		keep(b) // beyond 4 MiB
		<-b.Done()
		others[0].Abort()
		synctest.Wait()
		again := w.client("") // what was kept of both is space again
		keep(again)
		synctest.Wait()
		if !s.has(a) || !s.has(others[1]) || !s.has(again) || s.has(b) {
			t.Error("the wrong clients were closed")
		}
		if n := w.stats().Memberships; n != 0 {
			t.Errorf("%d memberships, after their client has left", n)
		}
	})
}

// What no app server sends is skipped, and costs nobody else anything.
func TestAFrameThatCannotBeReadIsSkipped(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		for _, frame := range [][]byte{{1, 0xc0}, {2, 0x91, 99}, {2, 0x91, 6}, {6, 0x95, 18, 0xff, 0xff, 0xff, 0xff}} {
			if err := s.conn.Write(frame); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range []wire.Message{
			&wire.ConnectionData{ConnectionID: "unknown", Payload: []byte("x")}, &wire.CloseConnection{ConnectionID: "unknown"},
			&wire.ClientCompletion{InvocationID: "unknown"}, &wire.ErrorCompletion{InvocationID: "unknown"},
			&wire.ConnectionFlowControl{ConnectionID: "unknown", ConnectionType: 1, Operation: 1}, &wire.ConnectionReconnect{ConnectionID: "unknown"},
			&wire.OpenConnection{ConnectionID: "unknown"}, &wire.Ack{AckID: 1}, &wire.HandshakeRequest{Version: 1}, &wire.HandshakeResponse{},
			&wire.ServiceError{ErrorMessage: "x"}, &wire.MultiConnectionData{}, &wire.BroadcastData{}, &wire.MultiGroupBroadcastData{GroupList: []string{""}},
		} {
			s.send(m)
		}
		if got := s.ask(&wire.CheckUserExistenceWithAck{UserID: "x", AckID: 1}); got != wire.AckNotFound {
			t.Errorf("the ack is %d", got)
		}
	})
}
