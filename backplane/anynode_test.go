package backplane

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

var transports = []string{hubclient.WebSockets, hubclient.ServerSentEvents, hubclient.LongPolling}

func TestAnyNodeServesAnyRequest(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			onWays(t, func(t *testing.T, s testRedis, w way) {
				newFleet(t, s, w, 3, Options{}, patient).converses(t, transport)
			})
		})
	}
}

// converses plays a connection with answers of all sizes and messages in order.
func (f *testFleet) converses(t *testing.T, transport string) {
	t.Helper()
	o := f.options(transport)
	got := make(chan int, 100)
	o.Receive = func(inv *protocol.Invocation) {
		n, _ := number(inv)
		got <- n
	}
	c := f.dial(t, o)
	for i := range 10 {
		if text := fmt.Sprint("text", i); call[string](t, c, "Echo", text) != text {
			t.Fatal("the echo is another one")
		}
	}
	for _, size := range []int{64 << 10, 200_000} {
		if text := strings.Repeat("x", size); call[string](t, c, "Echo", text) != text {
			t.Fatalf("the echo of %d bytes is another one", size)
		}
	}
	if err := c.Send("Push", []any{50}); err != nil {
		t.Fatal(err)
	}
	for want := range 50 {
		if n := <-got; n != want {
			t.Fatalf("got %d, want %d", n, want)
		}
	}
	c.Close()
	if err := c.Err(); err != nil && !errors.Is(err, hubclient.ErrClosed) {
		t.Errorf("the connection has ended with %v", err)
	}
}

func TestAStatefulConnectionGoesOnThroughAnotherNode(t *testing.T) {
	onWays(t, func(t *testing.T, s testRedis, w way) {
		f := newFleet(t, s, w, 2, Options{}, server.EndpointOptions{AllowStatefulReconnects: true})
		o := f.options(hubclient.WebSockets)
		o.StatefulReconnect = true
		_, met := f.forwards()
		f.pinned.Store(0)
		c := f.dial(t, o)
		call[int](t, c, "Node") // the hub has opened the connection
		f.pinned.Store(1)
		for round := range 3 {
			f.link.Cut()
			f.link.Restore()
			if err := c.Resume(t.Context()); err != nil {
				t.Fatalf("resume: %v", err)
			}
			if n := call[int](t, c, "Node"); n != 0 {
				t.Errorf("node %d has the connection", n)
			}
			if text := strings.Repeat("x", 100_000+round); call[string](t, c, "Echo", text) != text {
				t.Error("the echo is another one")
			}
		}
		c.Close()
		if _, direct := f.forwards(); w == directly && direct <= met {
			t.Error("no WebSocket was passed on directly")
		}
	})
}

// ask sends one request and returns status and body.
func (f *testFleet) ask(t *testing.T, method, path, user string, body string) (int, string) {
	t.Helper()
	web := &http.Transport{DialContext: f.link.DialContext, DisableKeepAlives: true}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://hub.test"+path, strings.NewReader(body))
	succeed(t, err)
	r.Header.Set("X-User", user)
	if _, token, ok := strings.Cut(path, "/refresh?id="); ok { // that is a header there
		r.URL.RawQuery = ""
		r.Header.Set("X-SignalR-Connection-Token", token)
	}
	answer, err := web.RoundTrip(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

// negotiate returns the token of a new connection of user.
func (f *testFleet) negotiate(t *testing.T, user string) string {
	t.Helper()
	status, body := f.ask(t, "POST", "/chat/negotiate?negotiateVersion=1", user, "")
	_, rest, _ := strings.Cut(body, `"connectionToken":"`)
	token, _, ok := strings.Cut(rest, `"`)
	if status != 200 || !ok {
		t.Fatalf("negotiate: %d %s", status, body)
	}
	return token
}

// poll opens a connection by long polling, with its handshake, and returns its path.
func (f *testFleet) poll(t *testing.T, user string) string {
	t.Helper()
	return f.begin(t, f.negotiate(t, user), user)
}

// begin is poll for a token.
func (f *testFleet) begin(t *testing.T, token, user string) string {
	t.Helper()
	path := "/chat?id=" + token
	for _, step := range []struct{ method, body, want string }{
		{"GET", "", ""}, {"POST", "{\"protocol\":\"json\",\"version\":1}\x1e", ""}, {"GET", "", "{}\x1e"},
	} {
		if status, body := f.ask(t, step.method, path, user, step.body); status != 200 || body != step.want {
			t.Fatalf("%s: %d %q", step.method, status, body)
		}
	}
	f.introduce(path)
	return path
}

func echo(id int, text string) string {
	return fmt.Sprintf("{\"type\":1,\"invocationId\":\"%d\",\"target\":\"Echo\",\"arguments\":[%q]}\x1e", id, text)
}

func TestRequestsOfAnotherNodeAreAnsweredAsByTheOwner(t *testing.T) {
	onWays(t, func(t *testing.T, s testRedis, w way) {
		f := newFleet(t, s, w, 2, Options{}, server.EndpointOptions{})
		f.pinned.Store(0)
		mine := f.poll(t, "alice")
		unused := "/chat?id=" + f.negotiate(t, "alice")
		foreign := "/chat?id=" + f.negotiate(t, "bob")
		f.pinned.Store(1)
		const changed = "The user associated with this connection changed."
		for _, test := range []struct {
			name, method, path string
			status             int
			body               string
		}{
			{"a send", "POST", mine, 200, ""},
			{"events on a connection that polls", "EVENTS", mine, 400, "Cannot change transports mid-connection"},
			{"a send before the connection is opened", "POST", unused, 400, ""},
			{"an end before the connection is opened", "DELETE", unused, 400, "Cannot terminate this connection using the DELETE endpoint."},
			{"a poll of another user than the one who negotiated", "GET", foreign, 403, changed},
			{"a send of another user than the one who negotiated", "POST", foreign, 403, changed},
			{"a token of another route", "POST", "/other" + strings.TrimPrefix(mine, "/chat"), 404, "No Connection with that ID"},
			{"another method", "PUT", mine, 405, ""},
			{"no token", "POST", "/chat", 400, "Connection ID required"},
			{"the end", "DELETE", mine, 202, ""},
		} {
			method, path := test.method, test.path
			if method == "EVENTS" {
				method = "GET"
				if status, body := f.events(t, path, "alice", func(int) {}); status != test.status || body != test.body {
					t.Errorf("%s: %d %q", test.name, status, body)
				}
				continue
			}
			if status, body := f.ask(t, method, path, "alice", ""); status != test.status || body != test.body {
				t.Errorf("%s: %d %q, want %d %q", test.name, status, body, test.status, test.body)
			}
		}
		// The owner knows a connection that has ended until the hub is done with it:
		// then a send is answered 404 without a text, as in ASP.NET Core.
		if status, body := f.ask(t, "POST", mine, "alice", ""); status != 404 || body != "" && body != "No Connection with that ID" {
			t.Errorf("a send after the end: %d %q", status, body)
		}
		other := f.pollOn(t, 0, "alice")
		if status, body := f.ask(t, "POST", other, "bob", echo(1, "x")); status != 403 || body != changed {
			t.Errorf("a send of another user: %d %q", status, body)
		}
		if status, _ := f.ask(t, "DELETE", other, "alice", ""); status != 202 {
			t.Errorf("the end: %d", status)
		}
	})
}

func (f *testFleet) pollOn(t *testing.T, node int64, user string) string {
	t.Helper()
	was := f.pinned.Swap(node)
	defer f.pinned.Store(was)
	return f.poll(t, user)
}

func (f *testFleet) events(t *testing.T, path, user string, began func(status int)) (int, string) {
	t.Helper()
	web := &http.Transport{DialContext: f.link.DialContext, DisableKeepAlives: true}
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://hub.test"+path, nil)
	succeed(t, err)
	r.Header.Set("X-User", user)
	r.Header.Set("Accept", "text/event-stream")
	answer, err := web.RoundTrip(r)
	if err != nil {
		began(0)
		return 0, err.Error()
	}
	began(answer.StatusCode)
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body) // until it is cut
	return answer.StatusCode, string(text)
}

func TestATokenBeginsOneConnectionOnOneNode(t *testing.T) {
	onWays(t, func(t *testing.T, s testRedis, w way) {
		f := newFleet(t, s, w, 3, Options{}, server.EndpointOptions{})
		path := "/chat?id=" + f.negotiate(t, "alice")
		var wg sync.WaitGroup
		statuses := make(chan int, 30)
		for range 30 { // of one token, on all nodes at once
			wg.Go(func() { f.events(t, path, "alice", func(status int) { statuses <- status }) })
		}
		count := map[int]int{}
		for range 30 {
			count[<-statuses]++
		}
		f.link.Cut() // ends the one that has begun
		wg.Wait()
		f.link.Restore()
		if count[200] != 1 || count[409] != 29 {
			t.Errorf("answers by status: %v", count)
		}
		if status, body := f.ask(t, "GET", path, "alice", ""); status != 404 && status != 400 {
			t.Errorf("a token that was used: %d %q", status, body)
		}
	})
}

// A deadWriter is the ResponseWriter of a node that dies before it has answered.
type deadWriter struct{ http.ResponseWriter }

func (deadWriter) Write([]byte) (int, error)     { return 0, errors.New("dead") }
func (w deadWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestWhatAPollDidNotDeliverComesWithTheNextOne(t *testing.T) {
	onWays(t, func(t *testing.T, s testRedis, w way) {
		newFleet(t, s, w, 3, Options{}, patient).losesPolls(t)
	})
}

// losesPolls has nodes die while they answer polls of other ones.
func (f *testFleet) losesPolls(t *testing.T) {
	t.Helper()
	path := f.pollOn(t, 0, "alice")
	f.pinned.Store(1)
	const calls = 5
	for i := range calls {
		if status, body := f.ask(t, "POST", path, "alice", echo(i, "lost")); status != 200 {
			t.Fatalf("send: %d %s", status, body)
		}
	}
	f.kills.Store(2) // polls
	for range 2 {
		if status, body := f.ask(t, "GET", path, "alice", ""); status == 200 && body != "" {
			t.Fatalf("a dead node answers %q", body)
		}
	}
	f.pinned.Store(2)
	got := ""
	for i := 0; strings.Count(got, "lost") < calls && i < calls; i++ {
		status, body := f.ask(t, "GET", path, "alice", "")
		if status != 200 {
			t.Fatalf("poll: %d %s", status, body)
		}
		got += body
	}
	at := 0
	for i := range calls { // in order, and once
		want := fmt.Sprintf(`"invocationId":"%d"`, i)
		next := strings.Index(got[at:], want)
		if next < 0 || strings.Count(got, want) != 1 {
			t.Fatalf("the polls have brought %q", got)
		}
		at += next
	}
	if status, _ := f.ask(t, "DELETE", path, "alice", ""); status != 202 {
		t.Errorf("the end: %d", status)
	}
}

func TestWithoutRedisWholeConnectionsLiveOnAndForwardsFail(t *testing.T) {
	onWays(t, func(t *testing.T, s testRedis, w way) {
		f := newFleet(t, s, w, 2, Options{}, server.EndpointOptions{DisconnectTimeout: time.Minute})
		f.pinned.Store(0)
		c := f.dial(t, f.options(hubclient.WebSockets))
		path := f.poll(t, "alice")
		s.kill()
		for _, r := range f.nodes {
			becomes(t, r, Degraded)
		}
		if text := call[string](t, c, "Echo", "alone"); text != "alone" {
			t.Error("the echo is another one")
		}
		if status, body := f.ask(t, "POST", path, "alice", echo(1, "here")); status != 200 {
			t.Errorf("a send on the node of the connection: %d %s", status, body)
		}
		f.pinned.Store(1)
		start := time.Now()
		status, body := f.ask(t, "POST", path, "alice", echo(2, "there"))
		if w == directly { // they need Redis to find each other only
			if status != 200 {
				t.Errorf("a send on another node: %d %q", status, body)
			}
		} else if status != 503 || body != "The server that has the connection cannot be reached." {
			t.Errorf("a send on another node: %d %q", status, body)
		}
		if _, fake := s.(*memoryRedis); fake && time.Since(start) > 5*time.Second {
			t.Errorf("it took %v", time.Since(start))
		}
		if other := f.dial(t, f.options(hubclient.WebSockets)); call[int](t, other, "Node") != 1 {
			t.Error("another node has the connection")
		}
		s.start()
		ready(t, f.nodes...)
		if status, body := f.ask(t, "POST", path, "alice", echo(3, "again")); status != 200 {
			t.Errorf("a send once Redis is back: %d %s", status, body)
		}
		if status, _ := f.ask(t, "DELETE", path, "alice", ""); status != 202 {
			t.Errorf("the end: %d", status)
		}
	})
}

func TestForgedAndRepeatedForwardsAreRefused(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		f := newFleet(t, s, overRedis, 2, Options{}, server.EndpointOptions{})
		path := f.pollOn(t, 0, "alice")
		// Somebody who reads and writes Redis, and has no key.
		spy := s.client()
		defer spy.Close()
		channel := ""
		for _, name := range s.channels() {
			if strings.Contains(name, ":hubwire:any:http:") {
				channel = name
			}
		}
		heard := spy.Subscribe(t.Context(), channel)
		defer heard.Close()
		if _, err := heard.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.pinned.Store(1)
		if status, body := f.ask(t, "POST", path, "alice", echo(1, "once")); status != 200 {
			t.Fatalf("send: %d %s", status, body)
		}
		m, err := heard.ReceiveMessage(t.Context())
		succeed(t, err)
		forge := func(payload string) {
			succeed(t, spy.Publish(t.Context(), channel, payload).Err())
		}
		forge(m.Payload) // again, as it was
		forge("")
		forge("garbage that is longer than any header of a message would have to be")
		for _, at := range []int{0, 1, 2, 5, 20, 30, len(m.Payload) / 2, len(m.Payload) - 1} {
			b := []byte(m.Payload)
			b[at] ^= 1
			forge(string(b))
		}
		forge(m.Payload[:len(m.Payload)-1])
		forge(m.Payload + "x")
		if status, body := f.ask(t, "POST", path, "alice", echo(2, "last")); status != 200 {
			t.Fatalf("send: %d %s", status, body)
		}
		got := ""
		for !strings.Contains(got, "last") {
			status, body := f.ask(t, "GET", path, "alice", "")
			if status != 200 {
				t.Fatalf("poll: %d %s", status, body)
			}
			got += body
		}
		if strings.Count(got, "once") != 1 {
			t.Errorf("the polls have brought %q", got)
		}
		if status, _ := f.ask(t, "DELETE", path, "alice", ""); status != 202 {
			t.Errorf("the end: %d", status)
		}
	})
}

func TestNodesAgreeOnAnotherKeyWhenRedisHasLostTheirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		f := newFleet(t, m, overRedis, 2, Options{}, server.EndpointOptions{DisconnectTimeout: 3 * time.Minute})
		f.pinned.Store(0)
		before := "/chat?id=" + f.negotiate(t, "alice")
		m.mu.Lock()
		m.keys = nil
		m.mu.Unlock()
		late := node(t, m, Options{ServerName: "late", AnyNode: &AnyNode{}}) // it proposes a key of its own
		ready(t, late)
		knowsKey(t, late)
		time.Sleep(keyPause + time.Second)
		f.pinned.Store(1)
		after := "/chat?id=" + f.negotiate(t, "alice")
		f.pinned.Store(0)
		for _, path := range []string{before, after} {
			if status, body := f.ask(t, "GET", path, "alice", ""); status != 200 {
				t.Errorf("a first poll: %d %s", status, body)
			}
			if status, _ := f.ask(t, "DELETE", path, "alice", ""); status != 202 {
				t.Errorf("the end: %d", status)
			}
		}
	})
}

func TestKeysThatAreTooShortAreRefused(t *testing.T) {
	client := redis.NewClient(&redis.Options{})
	defer client.Close()
	_, err := New(client, &Options{HubName: "App.Hub", AnyNode: &AnyNode{Keys: [][]byte{make([]byte, 31)}}})
	if err == nil || !strings.Contains(err.Error(), "31 bytes") {
		t.Errorf("New: %v", err)
	}
}
