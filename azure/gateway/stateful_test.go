package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

// codecs are the protocols that the gateway knows.
var codecs = []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}}

// statefulHello is the handshake of an app server that offers stateful reconnect.
func statefulHello() *wire.HandshakeRequest {
	return &wire.HandshakeRequest{Version: 1, MigrationLevel: 1, AllowStatefulReconnects: true}
}

func (w *world) statefulServer(id string) *fakeServer {
	w.Helper()
	return w.serverWith(id, serverOptions{hello: statefulHello()})
}

// encoded are messages as a client or an app server writes them, one after the other.
func encoded(codec protocol.Codec, messages ...protocol.Message) (b []byte) {
	for _, m := range messages {
		var err error
		if b, err = codec.Append(b, m); err != nil {
			panic(err)
		}
	}
	return b
}

func called(target string) *protocol.Invocation {
	return &protocol.Invocation{Target: target, Arguments: []any{}}
}

// messagesTo are the messages of a client among what an app server has got, which
// has reconnected so many times.
func messagesTo(t *testing.T, codec protocol.Codec, got []wire.Message) (all []protocol.Message, reconnects int) {
	t.Helper()
	var b []byte
	for _, m := range got {
		switch m := m.(type) {
		case *wire.ConnectionData:
			b = append(b, m.Payload...)
		case *wire.ConnectionReconnect:
			reconnects++
		}
	}
	if bytes.HasPrefix(b, []byte(`{"protocol":`)) {
		hello, rest, err := protocol.ParseHandshakeRequest(b)
		if err != nil || hello.Version != 2 {
			t.Errorf("the app server got the handshake %+v, %v", hello, err)
		}
		b = rest
	}
	for len(b) > 0 {
		m, rest, err := codec.Next(b)
		if err != nil {
			t.Fatalf("the app server got %q: %v", b, err)
		}
		all, b = append(all, m), rest
	}
	return all, reconnects
}

func TestStatefulReconnectIsOfferedWhereAnAppServerOffersIt(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		offers := func() bool {
			c, err := w.dial("ann", clientOptions{stateful: true})
			if err == nil {
				c.Close()
				return true
			}
			if !strings.Contains(err.Error(), "does not reconnect statefully") {
				t.Fatal(err)
			}
			return false
		}
		w.server("server-1")
		if offers() {
			t.Error("it is offered, though no app server does so")
		}
		s := w.statefulServer("server-2")
		if !offers() {
			t.Error("it is not offered, though an app server does so")
		}
		if !strings.Contains(w.negotiated("useStatefulReconnect=true&a=b&useStatefulReconnect=true"), `"useStatefulReconnect":true`) {
			t.Error("it is not offered to one that asks twice, as .NET's client does")
		}
		w.clientWith("ann", clientOptions{}) // who does not ask has an ordinary connection
		_ = s.conn.Close()                   // nothing is lost with it
		<-s.over
		if time.Sleep(time.Second); offers() {
			t.Error("it is offered, though the app server that did so is gone")
		}
	})
}

// negotiated is the answer to a negotiate with a query.
func (w *world) negotiated(query string) string {
	w.Helper()
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, "http://gateway/client/negotiate?hub=chat&negotiateVersion=1&"+query, nil)
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+sign(key, map[string]any{"aud": "http://127.0.0.1/client/?hub=chat"}))
	answer, err := (&http.Transport{DialContext: w.link.DialContext, DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		w.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil || answer.StatusCode != http.StatusOK {
		w.Fatalf("negotiate is answered %s, %v", answer.Status, err)
	}
	return string(body)
}

func TestNothingIsLostOrTwiceOverALoss(t *testing.T) {
	for _, codec := range codecs {
		t.Run(codec.Name(), func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				s := w.statefulServer("server-1")
				link := w.net.Link(nil)
				c := w.clientWith("ann", clientOptions{codec: codec, link: link, stateful: true})
				s.send(&wire.BroadcastData{Payloads: both("one")})
				time.Sleep(5 * time.Second) // it is acknowledged
				s.send(&wire.UserData{UserID: "ann", Payloads: both("two")})
				synctest.Wait()
				link.Cut()
				synctest.Wait()
				// Two messages at once, and what is not counted between counted ones.
				s.send(&wire.ConnectionData{ConnectionID: c.ID(), Payload: encoded(codec, called("three"), &protocol.Ping{}, called("four"))})
				s.send(&wire.ConnectionData{ConnectionID: c.ID(), Payload: encoded(codec, &protocol.Ping{}), DataType: wire.DataOther})
				whole := encoded(codec, called("five"))
				s.send(&wire.ConnectionData{ConnectionID: c.ID(), Payload: whole[:3], IsPartial: true},
					&wire.ConnectionData{ConnectionID: c.ID(), Payload: whole[3:], DataType: wire.DataInvocation})
				s.send(&wire.ClientInvocation{InvocationID: "r", ConnectionID: c.ID(), CallerServerID: "server-1", Payloads: both("six")})
				call, err := c.Start("Echo", []any{"from the other side"})
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				link.Restore()
				if err := c.Resume(w.ctx); err != nil {
					t.Fatal(err)
				}
				var text string
				if err := call.Wait(w.ctx, &text); err != nil || text != "from the other side" {
					t.Errorf("Echo: %q, %v", text, err)
				}
				s.send(&wire.MultiConnectionData{ConnectionList: []string{c.ID()}, Payloads: both("seven")})
				var got []string
				for len(got) < 7 {
					got = append(got, c.next(w))
				}
				if want := []string{"one", "two", "three", "four", "five", "six", "seven"}; !slices.Equal(got, want) {
					t.Errorf("received %v, want %v", got, want)
				}
				time.Sleep(5 * time.Second) // Acks go both ways
				all, reconnects := messagesTo(t, codec, s.quiet())
				calls := 0
				for _, m := range all {
					switch m.(type) {
					case *protocol.Invocation:
						calls++
					case *protocol.Ping:
					default:
						t.Errorf("the app server got %T", m)
					}
				}
				if calls != 1 || reconnects != 1 {
					t.Errorf("the app server got %d calls, and was told of %d reconnects", calls, reconnects)
				}
				if more := len(c.calls.All()); more > 0 {
					t.Errorf("%d calls came twice", more)
				}
				if n := w.stats().Clients; n != 1 {
					t.Errorf("%d clients", n)
				}
			})
		})
	}
}

// A fault cuts a connection after so many bytes in a direction, once.
type fault struct {
	up   bool
	left int           // bytes; negative: it does not count
	done chan struct{} // closed when the connection is cut

	mu sync.Mutex
}

type faulty struct {
	net.Conn
	fault *fault
}

// take returns how many of n bytes pass, and whether the connection ends there.
func (f *fault) take(up bool, n int) (pass int, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if up != f.up || f.left <= 0 {
		return n, false
	}
	pass = min(n, f.left)
	f.left -= pass
	return pass, f.left == 0
}

func (c *faulty) Write(p []byte) (int, error) {
	pass, cut := c.fault.take(true, len(p))
	n, err := c.Conn.Write(p[:pass])
	if cut {
		err = errors.Join(err, c.Close(), net.ErrClosed)
		close(c.fault.done)
	}
	return n, err
}

func (c *faulty) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	pass, cut := c.fault.take(false, n)
	if cut {
		err = errors.Join(err, c.Close())
		close(c.fault.done)
	}
	return pass, err
}

func (f *fault) begin(after int) {
	f.mu.Lock()
	f.left = after
	f.mu.Unlock()
}

// end lets all else pass, and reports whether the connection was cut.
func (f *fault) end() (cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 { // just now
		<-f.done
		return true
	}
	f.left = -1
	return false
}

// cut reports whether the connection was cut.
func (f *fault) cut() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// The network breaks after each byte of a dialogue in turn, in each direction.
func TestACutAnywhereLosesAndRepeatsNothing(t *testing.T) {
	for _, codec := range codecs {
		for _, up := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, up %v", codec.Name(), up), func(t *testing.T) {
				inWorld(t, nil, func(w *world) {
					s := w.statefulServer("server-1")
					played := 0
					for n := 1; cutDialogue(w, s, codec, &fault{up: up, left: -1, done: make(chan struct{})}, n); n++ {
						played++
					}
					if played < 60 {
						t.Errorf("the dialogue has only %d bytes", played)
					}
				})
			})
		}
	}
}

// cutDialogue plays a dialogue that is cut after n bytes, and reports false if it was
// over before.
func cutDialogue(w *world, s *fakeServer, codec protocol.Codec, f *fault, n int) bool {
	w.Helper()
	link := w.net.Link(nil)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := link.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &faulty{conn, f}, nil
	}
	c, err := w.dial("ann", clientOptions{codec: codec, dial: dial, stateful: true})
	if err != nil {
		w.Fatal(err)
	}
	s.quiet()
	f.begin(n)
	resumed, stop := make(chan error, 1), make(chan struct{})
	go func() {
		select {
		case <-f.done:
		case <-stop:
			if !f.cut() {
				resumed <- nil
				return
			}
		}
		resumed <- c.Resume(w.ctx)
	}()
	const count = 3
	var calls []*hubclient.Call
	for i := range count {
		s.send(&wire.ConnectionData{ConnectionID: c.ID(), Payload: encoded(codec, called(fmt.Sprint(i))), DataType: wire.DataInvocation})
		call, err := c.Start("Echo", []any{i})
		if err != nil {
			w.Fatal(err)
		}
		calls = append(calls, call)
	}
	for i, call := range calls {
		var got int
		if err := call.Wait(w.ctx, &got); err != nil || got != i {
			w.Fatalf("after %d bytes, call %d is answered %d, %v", n, i, got, err)
		}
		if got := c.next(w); got != fmt.Sprint(i) {
			w.Fatalf("after %d bytes, call %d of the server is %s", n, i, got)
		}
	}
	cut := f.end()
	close(stop)
	if err := <-resumed; err != nil {
		w.Fatalf("after %d bytes: %v", n, err)
	}
	var last int
	if err := c.Invoke(w.ctx, &last, "Echo", count); err != nil || last != count { // the app server has all that came before
		w.Fatalf("after %d bytes, the last call is answered %d, %v", n, last, err)
	}
	all, reconnects := messagesTo(w.T, codec, s.quiet())
	if len(all) != count+1 || cut != (reconnects == 1) {
		w.Fatalf("after %d bytes, the app server got %d messages, and was told of %d reconnects", n, len(all), reconnects)
	}
	if more := len(c.calls.All()); more > 0 {
		w.Fatalf("after %d bytes, %d calls came twice", n, more)
	}
	c.Close() // properly: nobody waits for it
	await[*wire.CloseConnection](s)
	return cut
}

func TestAClientThatDoesNotComeBackIsGone(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.statefulServer("server-1")
		link := w.net.Link(nil)
		c := w.clientWith("ann", clientOptions{link: link, stateful: true})
		link.Cut()
		begun := time.Now()
		if m := await[*wire.CloseConnection](s); m.ConnectionID != c.ID() {
			t.Errorf("the app server is told of %q", m.ConnectionID)
		}
		if after := time.Since(begun); after < 15*time.Second || after > time.Minute {
			t.Errorf("a client is given up after %v", after)
		}
		if n := w.stats().Clients; n != 0 {
			t.Errorf("%d clients", n)
		}
	})
}

// A rawClient has negotiated stateful reconnect, and speaks JSON by hand.
type rawClient struct {
	w    *world
	conn *hubclient.Conn
	buf  []byte
}

func (w *world) rawStateful(version int) *rawClient {
	w.Helper()
	token := sign(key, map[string]any{"aud": "http://x/client/?hub=chat", "asrs.s.uid": "raw"})
	conn, err := hubclient.Open(w.ctx, hubclient.ConnOptions{
		URL: "http://gateway/client/?hub=chat", DialContext: w.link.DialContext, StatefulReconnect: true,
		Header: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		w.Fatal(err)
	}
	c := &rawClient{w: w, conn: conn}
	w.Cleanup(func() { _ = c.conn.Close() }) // it may have ended
	c.write(fmt.Sprintf(`{"protocol":"json","version":%d}`, version))
	c.expect(`{}`)
	return c
}

func (c *rawClient) write(messages ...string) {
	c.w.Helper()
	if err := c.conn.Write([]byte(strings.Join(messages, "\x1e") + "\x1e")); err != nil {
		c.w.Fatal(err)
	}
}

// read is the next message.
func (c *rawClient) read() string {
	c.w.Helper()
	for {
		if message, rest, ok := bytes.Cut(c.buf, []byte{0x1e}); ok {
			c.buf = rest
			return string(message)
		}
		p, err := c.conn.Read()
		if err != nil {
			c.w.Fatalf("the client reads %q: %v", c.buf, err)
		}
		c.buf = append(c.buf, p...)
	}
}

func (c *rawClient) expect(messages ...string) {
	c.w.Helper()
	for _, want := range messages {
		if got := c.read(); got != want {
			c.w.Errorf("the client got %s, want %s", got, want)
		}
	}
}

func (c *rawClient) reconnect() {
	c.w.Helper()
	_ = c.conn.Close() // it is lost
	synctest.Wait()
	conn, err := c.conn.Reopen(c.w.ctx)
	if err != nil {
		c.w.Fatal(err)
	}
	c.conn, c.buf = conn, nil
}

func echoed(id string) string {
	return `{"type":1,"invocationId":"` + id + `","target":"Echo","arguments":["` + id + `"]}`
}

func answered(id string) string {
	return `{"type":3,"invocationId":"` + id + `","result":"` + id + `"}`
}

// The same dialogue as that of server's test of this name.
func TestExactlyWhatWasNotAcknowledgedIsSentAgain(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.statefulServer("server-1")
		c := w.rawStateful(2)
		c.write(echoed("1"), echoed("2"))
		c.expect(answered("1"), answered("2"))
		c.write(echoed("3"), `{"type":8,"sequenceId":2}`, echoed("4"))
		c.expect(answered("3"), answered("4")) // the Ack has been read, too

		// The client has not seen answers 3 and 4, and says again what it has no Ack of.
		c.reconnect()
		c.expect(`{"type":9,"sequenceId":3}`, answered("3"), answered("4"))
		c.write(`{"type":9,"sequenceId":3}`, echoed("3"), echoed("4"), echoed("5"))
		c.expect(answered("5")) // 3 and 4 came twice and are passed on once
		c.expect(`{"type":8,"sequenceId":5}`)

		// Half a message is forgotten; one in several reads is one.
		half := echoed("6")
		if err := c.conn.Write([]byte(half[:10])); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.reconnect()
		c.expect(`{"type":9,"sequenceId":3}`, answered("3"), answered("4"), answered("5"))
		c.write(`{"type":9,"sequenceId":6}`)
		for _, b := range []byte(half + "\x1e") {
			if err := c.conn.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		c.expect(answered("6"))

		// Numbers that have not been there yet are an error.
		c.write(`{"type":9,"sequenceId":8}`)
		c.expect(`{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`)
		all, reconnects := messagesTo(t, protocol.JSON{}, s.quiet())
		if len(all) != 6 || reconnects != 2 {
			t.Errorf("the app server got %d messages, and was told of %d reconnects", len(all), reconnects)
		}
	})
}

func TestNumbersAtTheirExtremesHurtNobody(t *testing.T) {
	for _, n := range []int64{math.MinInt64, -1, 0, 1, 2, 3, math.MaxInt32, math.MaxInt64} {
		inWorld(t, nil, func(w *world) {
			w.statefulServer("server-1")
			c := w.rawStateful(2)
			c.write(echoed("1"), fmt.Sprintf(`{"type":8,"sequenceId":%d}`, n), echoed("2"))
			c.expect(answered("1"), answered("2"))
			c.write(fmt.Sprintf(`{"type":9,"sequenceId":%d}`, n), echoed("3"))
			switch {
			case n > 3:
				c.expect(`{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`)
			case n == 3:
				c.expect(answered("3"))
			default: // it counts as one that came before
				c.expect(`{"type":8,"sequenceId":2}`)
			}
		})
	}
}

func TestAClientThatNeverAcknowledgesEnds(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.statefulServer("server-1")
		c := w.rawStateful(2)
		open := await[*wire.OpenConnection](s)
		long := &wire.ConnectionData{ConnectionID: open.ConnectionID, Payload: encoded(protocol.JSON{}, called(strings.Repeat("x", 30_000))), DataType: wire.DataInvocation}
		s.send(long, long, long) // as much as may be kept
		for range 3 {
			c.read()
		}
		time.Sleep(10 * time.Minute)
		if s.quiet(); w.stats().Clients != 1 {
			t.Error("a client for which little is kept has ended")
		}
		s.send(long)
		c.read()
		begun := time.Now()
		stop := time.AfterFunc(time.Hour, func() { _ = c.conn.Close() }) // pings would keep it for ever
		c.expect(`{"type":7,"allowReconnect":true}`)
		stop.Stop()
		if after := time.Since(begun); after < 30*time.Second || after > time.Minute {
			t.Errorf("it ends after %v", after)
		}
		await[*wire.CloseConnection](s)
	})
}

func TestWithoutTheVersionThatHasItALossIsTheEnd(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.statefulServer("server-1")
		c := w.rawStateful(1)
		c.write(echoed("1"), `{"type":8,"sequenceId":1}`)
		c.expect(answered("1"))
		begun := time.Now()
		_ = c.conn.Close() // it is lost
		await[*wire.CloseConnection](s)
		if after := time.Since(begun); after > 5*time.Second {
			t.Errorf("the app server is told after %v", after)
		}
	})
}

func TestAStatefulClientWhoseMessageIsTooLongIsClosed(t *testing.T) {
	inWorld(t, &gateway.Options{MaximumClientMessage: 10_000}, func(w *world) {
		s := w.statefulServer("server-1")
		c := w.rawStateful(2)
		c.write(echoed("1"))
		c.expect(answered("1"))
		for range 11 {
			if err := c.conn.Write(bytes.Repeat([]byte{'x'}, 1000)); err != nil {
				break // it has ended already
			}
		}
		c.expect(`{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`)
		await[*wire.CloseConnection](s)
	})
}

func TestWhatIsNoMessageIsForTheAppServerToRefuse(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.statefulServer("server-1")
		c := w.rawStateful(2)
		s.quiet()
		c.write(`{"type":`, echoed("1"))
		time.Sleep(time.Second)
		var got []byte
		for _, m := range s.quiet() {
			if data, ok := m.(*wire.ConnectionData); ok {
				got = append(got, data.Payload...)
			}
		}
		if want := `{"type":` + "\x1e" + echoed("1") + "\x1e"; string(got) != want {
			t.Errorf("the app server got %q, want %q", got, want)
		}
	})
}

// A client that is moved keeps its numbers: they are between it and the gateway.
func TestAStatefulClientMayMoveToAnotherAppServer(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		from := w.statefulServer("server-1")
		c := w.rawStateful(2)
		c.write(echoed("1"))
		c.expect(answered("1"))
		to := w.statefulServer("server-2")
		from.send(&wire.Ping{Messages: []string{"shutdown", "fin:1"}})
		await[*wire.OpenConnection](to)
		c.reconnect()
		c.expect(`{"type":9,"sequenceId":1}`, answered("1"))
		c.write(`{"type":9,"sequenceId":1}`, echoed("1"), echoed("2"))
		c.expect(answered("2"))
		all, reconnects := messagesTo(t, protocol.JSON{}, to.quiet())
		if len(all) != 1 || reconnects != 1 {
			t.Errorf("the other app server got %d messages, and was told of %d reconnects", len(all), reconnects)
		}
	})
}

// What is kept for clients that are away is bounded for all of them together, and
// counts no more once they are gone.
func TestWhatIsKeptForClientsThatAreAwayIsBounded(t *testing.T) {
	inWorld(t, &gateway.Options{QueueLimit: 1 << 20}, func(w *world) {
		s := w.statefulServer("server-1")
		send := func(id string, count int) {
			for range count {
				s.send(&wire.ConnectionData{ConnectionID: id, Payload: encoded(protocol.JSON{}, called(strings.Repeat("x", 30_000))), DataType: wire.DataInvocation})
			}
			time.Sleep(time.Second)
		}
		for range 3 { // none is over the limit, and all together would be
			c := w.rawStateful(2)
			s.quiet()
			_ = c.conn.Close() // it is lost
			send(c.conn.ID, 25)
			if n := w.stats().Clients; n != 1 {
				t.Fatalf("%d clients: one for which less is kept than the limit has ended", n)
			}
			await[*wire.CloseConnection](s)
		}
		c := w.rawStateful(2)
		s.quiet()
		_ = c.conn.Close()
		send(c.conn.ID, 45)
		if n := w.stats().Clients; n != 0 {
			t.Error("more is kept than the limit")
		}
		await[*wire.CloseConnection](s)
	})
}
