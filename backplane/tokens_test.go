package backplane

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/server"
)

// ways are the requests in which a client names its connection.
var ways = []string{"WebSocket", "event stream", "poll", "send", "end", "refresh"}

// A reply is what a client sees of an answer.
type reply struct {
	status     int
	kind, text string
}

// open sends a request of user that names the connection of token, and returns its
// answer, and what ends it.
func (f *testFleet) open(t *testing.T, way, route, token, user string) (answer *http.Response, end func()) {
	t.Helper()
	method, path, header := http.MethodGet, route+"?id="+url.QueryEscape(token), http.Header{"X-User": {user}}
	switch way {
	case "WebSocket":
		for name, value := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		} {
			header.Set(name, value)
		}
	case "event stream":
		header.Set("Accept", "text/event-stream")
	case "send":
		method = http.MethodPost
	case "end":
		method = http.MethodDelete
	case "refresh":
		method, path = http.MethodPost, route+"/refresh"
		header.Set("X-SignalR-Connection-Token", token)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://hub.test"+path, nil)
	succeed(t, err)
	r.Header = header
	web := &http.Transport{DialContext: f.link.DialContext, DisableKeepAlives: true}
	answer, err = web.RoundTrip(r)
	succeed(t, err)
	return answer, func() { _ = answer.Body.Close() }
}

// name is open for the answer alone: without its text if that has no end.
func (f *testFleet) name(t *testing.T, way, route, token, user string) reply {
	t.Helper()
	answer, end := f.open(t, way, route, token, user)
	defer end()
	got := reply{status: answer.StatusCode, kind: answer.Header.Get("Content-Type")}
	if got.status >= 300 {
		text, err := io.ReadAll(answer.Body)
		succeed(t, err)
		got.text = string(text)
	}
	return got
}

// unknown returns how an id is refused that nobody has made, by way.
func (f *testFleet) unknown(t *testing.T) map[string]reply {
	t.Helper()
	all := map[string]reply{}
	for _, way := range ways {
		text, kind := "No Connection with that ID", "text/plain"
		switch way {
		case "WebSocket":
			kind = ""
		case "refresh":
			text, kind = `{"error":"connection_not_found"}`, "application/json"
		}
		all[way] = f.name(t, way, "/chat", "RI2tPGpNqd8eZQqrWnKsPw", "alice")
		if want := (reply{http.StatusNotFound, kind, text}); all[way] != want {
			t.Fatalf("%s: an unknown id is answered %+v, want %+v", way, all[way], want)
		}
	}
	return all
}

// refuses wants token to be refused as an unknown id is, in each way.
func (f *testFleet) refuses(t *testing.T, unknown map[string]reply, what, token, user string) {
	t.Helper()
	f.refusesAt(t, unknown, "/chat", what, token, user)
}

// refusesAt is refuses on another route.
func (f *testFleet) refusesAt(t *testing.T, unknown map[string]reply, route, what, token, user string) {
	t.Helper()
	for _, way := range ways {
		if got := f.name(t, way, route, token, user); got != unknown[way] {
			t.Errorf("%s: %s is answered %+v, want %+v", way, what, got, unknown[way])
		}
	}
}

// accepts wants token to begin a connection of user, and to end it.
func (f *testFleet) accepts(t *testing.T, what, token, user string) {
	t.Helper()
	f.acceptsAt(t, "/chat", what, token, user)
}

// acceptsAt is accepts on another route.
func (f *testFleet) acceptsAt(t *testing.T, route, what, token, user string) {
	t.Helper()
	for _, step := range []struct {
		way    string
		status int
	}{{"poll", 200}, {"send", 200}, {"end", 202}} {
		if got := f.name(t, step.way, route, token, user); got.status != step.status {
			t.Errorf("%s: %s is answered %+v", step.way, what, got)
		}
	}
}

// negotiated is what negotiate has given out.
type negotiated struct{ token, id string }

// negotiations are the queries of negotiate that make tokens of different kinds.
var negotiations = map[string]string{
	"version 1": "?negotiateVersion=1", "stateful": "?negotiateVersion=1&useStatefulReconnect=true", "version 0": "",
}

// negotiateAs returns the token and the id of a new connection of user.
func negotiateAs(t *testing.T, h http.Handler, route, query, user string) negotiated {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, route+"/negotiate"+query, nil)
	r.Header.Set("X-User", user)
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	text := answer.Body.String()
	field := func(name string) string {
		_, rest, _ := strings.Cut(text, `"`+name+`":"`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	n := negotiated{field("connectionToken"), field("connectionId")}
	if n.token == "" { // version 0
		n.token = n.id
	}
	if answer.Code != http.StatusOK || n.id == "" {
		t.Fatalf("negotiate: %d %s", answer.Code, text)
	}
	return n
}

// everything lets clients do what names a connection, with time for a busy machine.
var everything = server.EndpointOptions{
	AllowStatefulReconnects: true, EnableAuthenticationRefresh: true, DisconnectTimeout: 4 * time.Minute,
}

// tokenHub is a hub as those of a testFleet. Without r it is alone.
func tokenHub(t *testing.T, r *Redis, endpoint server.EndpointOptions) *server.Hub {
	t.Helper()
	opts := &server.Options{
		Endpoint: endpoint, Logger: slog.New(slog.DiscardHandler),
		Authenticate: func(r *http.Request) (server.User, error) {
			return server.User{ID: r.Header.Get("X-User")}, nil
		},
	}
	if r != nil {
		opts.LifetimeManager = r
	}
	hub := server.MustHub(&fleetHub{}, opts)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = hub.Shutdown(ctx)
	})
	return hub
}

// stranger is a node that is not of the fleet.
func stranger(t *testing.T, p place, opts Options) *server.Hub {
	t.Helper()
	opts.ServerName = "stranger"
	r := node(t, p, opts)
	ready(t, r)
	knowsKey(t, r)
	return tokenHub(t, r, everything)
}

// A watchedPlace counts the commands of nodes that are about connections and their
// tokens.
type watchedPlace struct {
	place
	commands atomic.Int64
}

func (w *watchedPlace) client(change ...func(*redis.Options)) *redis.Client {
	c := w.place.client(change...)
	c.AddHook(w)
	return c
}

// DialHook implements redis.Hook.
func (*watchedPlace) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (w *watchedPlace) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		w.count(cmd)
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (w *watchedPlace) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		w.count(cmds...)
		return next(ctx, cmds)
	}
}

func (w *watchedPlace) count(cmds ...redis.Cmder) {
	for _, cmd := range cmds {
		if args := fmt.Sprint(cmd.Args()...); strings.Contains(args, ":any:http:") || strings.Contains(args, ":any:claim:") {
			w.commands.Add(1)
		}
	}
}

func secret(b byte) []byte { return []byte(strings.Repeat(string(b), shortestKey)) }

// wrongTokens are made of a right token without its key, by what was done.
func wrongTokens(right negotiated) map[string]string {
	const random = "hw1.eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9eyJzdWIiOiIxMjM0NTY3OA"
	wrong := map[string]string{
		"forged": random[:len(right.token)], "with its middle forged": right.token[:20] + random[20:40] + right.token[40:],
		"with more at its end": right.token + "A", "with padding": right.token + "=", "with a dot": right.token + ".",
		"twice": right.token + right.token, "with more at its beginning": "A" + right.token, "without its kind": strings.TrimPrefix(right.token, "hw1."),
		"of another kind":  "hw2." + strings.TrimPrefix(right.token, "hw1."),
		"in small letters": strings.ToLower(right.token), "in capitals": strings.ToUpper(right.token),
	}
	if right.id != right.token { // version 1
		wrong["the id of its connection"] = right.id
		wrong["the id in its place"] = "hw1." + right.id
	}
	for i := range len(right.token) {
		b := []byte(right.token)
		b[i] ^= 1
		wrong[fmt.Sprintf("with byte %d flipped", i)] = string(b)
		if i > 0 {
			wrong[fmt.Sprintf("cut after %d bytes", i)] = right.token[:i]
		}
	}
	return wrong
}

func TestWrongTokensAreRefusedAsUnknownIDsAre(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		watched := &watchedPlace{place: s}
		f := newFleet(t, watched, overRedis, 3, Options{AnyNode: &AnyNode{Keys: [][]byte{secret('a')}}}, everything)
		unknown := f.unknown(t)
		same := &AnyNode{Keys: [][]byte{secret('a')}}
		strangers := map[string]*server.Hub{
			"of another hub":    stranger(t, s, Options{HubName: "App.Other", AnyNode: same}),
			"of another prefix": stranger(t, s, Options{ChannelPrefix: "other", AnyNode: same}),
			"of another key":    stranger(t, s, Options{AnyNode: &AnyNode{Keys: [][]byte{secret('b')}}}),
			"of an agreed key":  stranger(t, s, Options{ChannelPrefix: "agreed", AnyNode: &AnyNode{}}),
		}
		for name, query := range negotiations {
			right := negotiateAs(t, f.hubs[0], "/chat", query, "alice")
			wrong := wrongTokens(right)
			for what, hub := range strangers {
				wrong[what] = negotiateAs(t, hub, "/chat", query, "alice").token
			}
			for _, route := range []string{"", "/other", "/chat/more", "/chatter"} {
				wrong["of the route "+route] = negotiateAs(t, f.hubs[0], route, query, "alice").token
			}
			empty(t, f.hubs...)
			settle(s) // and nothing of the right token before is on its way
			before := watched.commands.Load()
			for what, token := range wrong {
				f.refuses(t, unknown, name+" "+what, token, "alice")
			}
			if n := watched.commands.Load() - before; n != 0 {
				t.Errorf("wrong tokens of %s have cost %d commands of Redis", name, n)
			}
			f.accepts(t, "the right token of "+name, right.token, "alice")
			if watched.commands.Load() == before {
				t.Error("the right token has cost no command of Redis: nothing is counted")
			}
		}
		empty(t, f.hubs...)
	})
}

// empty waits until no hub has a connection any more: those that a client has ended
// are there until the hub is done with them.
func empty(t *testing.T, hubs ...*server.Hub) {
	t.Helper()
	end := time.Now().Add(2 * time.Minute)
	for i, hub := range hubs {
		for hub.Counts() != (server.ConnectionCounts{}) {
			if time.Now().After(end) {
				t.Fatalf("node %d has connections: %+v", i, hub.Counts())
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func TestExpiredTokensAreRefusedAsUnknownIDsAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 20 * time.Second
		endpoint := everything
		endpoint.DisconnectTimeout = limit
		f := newFleet(t, newMemoryRedis(t), overRedis, 3, Options{}, endpoint)
		unknown := f.unknown(t)
		for name, query := range negotiations {
			var tokens []string
			for range 3 {
				tokens = append(tokens, negotiateAs(t, f.hubs[0], "/chat", query, "alice").token)
			}
			time.Sleep(limit - time.Millisecond)
			f.accepts(t, name+" in time", tokens[0], "alice")
			time.Sleep(time.Second)
			f.refuses(t, unknown, name+" too late", tokens[1], "alice")
			f.refuses(t, unknown, name+" too late, of another user", tokens[1], "bob")
			time.Sleep(10 * time.Minute) // nobody remembers any more what was used
			f.refuses(t, unknown, name+" much too late", tokens[2], "alice")
			f.refuses(t, unknown, name+" used, much too late", tokens[0], "alice")
		}
		empty(t, f.hubs...)
	})
}

func TestATokenBeginsNoSecondConnection(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		f := newFleet(t, s, overRedis, 3, Options{}, everything)
		unknown := f.unknown(t)
		for name, query := range negotiations {
			token := negotiateAs(t, f.hubs[0], "/chat", query, "alice").token
			f.pinned.Store(1)
			f.accepts(t, name, token, "alice")
			empty(t, f.hubs...)
			for i := range f.hubs {
				f.pinned.Store(int64(i))
				f.refuses(t, unknown, name+" replayed", token, "alice")
			}
			f.pinned.Store(-1)
		}
		empty(t, f.hubs...)
	})
}

func TestATokenOfAnotherUserIsRefusedAsOnOneNode(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		f := newFleet(t, s, overRedis, 3, Options{}, everything)
		unknown := f.unknown(t)
		const alone = 3
		f.hubs = append(f.hubs, tokenHub(t, nil, everything))
		try := func(what, query string, begun bool, way string) {
			tokens := map[int64]string{}
			for _, node := range []int64{0, alone} {
				f.pinned.Store(node)
				tokens[node] = negotiateAs(t, f.hubs[node], "/chat", query, "alice").token
				if begun {
					f.begin(t, tokens[node], "alice")
				}
			}
			want := f.name(t, way, "/chat", tokens[alone], "bob")
			if want.status < 400 {
				t.Fatalf("%s: one node answers %+v to another user", way, want)
			}
			for node := range int64(alone) {
				f.pinned.Store(node)
				want := want
				if begun && way == "WebSocket" && node != 0 && !strings.Contains(query, "useStatefulReconnect") { // never passed on
					want = unknown[way]
				}
				if got := f.name(t, way, "/chat", tokens[0], "bob"); got != want {
					t.Errorf("%s: a token of another user, %s, is answered %+v by node %d, want %+v", way, what, got, node, want)
				}
			}
			f.pinned.Store(0)
			if !begun { // nobody has used it
				f.begin(t, tokens[0], "alice")
			}
			if got := f.name(t, "end", "/chat", tokens[0], "alice"); got.status != http.StatusAccepted {
				t.Errorf("%s: the end of a token, %s, is answered %+v", way, what, got)
			}
		}
		for name, query := range negotiations {
			for _, way := range ways {
				try(name+" not used", query, false, way)
				try(name+" of a connection", query, true, way)
			}
		}
		empty(t, f.hubs[:alone]...)
	})
}

func TestNeitherATokenNorAnIDIsTheOther(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		f := newFleet(t, s, overRedis, 3, Options{}, everything)
		unknown := f.unknown(t)
		for name, query := range negotiations {
			n := negotiateAs(t, f.hubs[0], "/chat", query, "alice")
			f.pinned.Store(1)
			f.begin(t, n.token, "alice")
			if n.id != n.token { // version 1
				for i := range f.hubs {
					f.pinned.Store(int64(i))
					f.refuses(t, unknown, name+": the id of a connection", n.id, "alice")
				}
				for i, hub := range f.hubs {
					_, err := server.Invoke[string](t.Context(), hub.Clients().Client(n.token), "Ask")
					if want := "Connection '" + n.token + "' does not exist."; err == nil || err.Error() != want {
						t.Errorf("%s: node %d asks the client of a token: %v, want %s", name, i, err, want)
					}
					succeed(t, hub.Clients().Client(n.token).Send(t.Context(), "ToTheToken"))
				}
			}
			succeed(t, f.hubs[2].Clients().Client(n.id).Send(t.Context(), "ToTheID"))
			f.pinned.Store(-1)
			if status, body := f.ask(t, "GET", "/chat?id="+n.token, "alice", ""); status != http.StatusOK || !strings.Contains(body, "ToTheID") || strings.Contains(body, "ToTheToken") {
				t.Errorf("%s: the connection is sent %d %q", name, status, body)
			}
			if got := f.name(t, "end", "/chat", n.token, "alice"); got.status != http.StatusAccepted {
				t.Errorf("%s: the end is answered %+v", name, got)
			}
		}
		empty(t, f.hubs...)
	})
}

// A rotation is a fleet whose nodes are restarted with other keys.
type rotation struct {
	*testFleet
	redis place
	lives []string // by node: the path of a connection that lives there since its last restart
}

// restart ends node i, without a loss, and starts it with keys.
func (f *rotation) restart(t *testing.T, i int, keys ...[]byte) {
	t.Helper()
	var early []string // negotiated before, on each node
	for _, hub := range f.hubs {
		early = append(early, negotiateAs(t, hub, "/chat", "?negotiateVersion=1", "alice").token)
	}
	f.endLife(t, i)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	succeed(t, f.hubs[i].Shutdown(ctx), f.nodes[i].Close())
	r := node(t, f.redis, Options{ServerName: fmt.Sprint("node", i), AnyNode: &AnyNode{Keys: keys}})
	ready(t, r)
	f.nodes[i], f.hubs[i] = r, tokenHub(t, r, everything)
	for negotiator, token := range early {
		f.pinned.Store(int64((i + 1 + negotiator) % len(f.hubs)))
		f.begin(t, token, "alice")
		f.pinned.Store(-1)
		if got := f.name(t, "end", "/chat", token, "alice"); got.status != http.StatusAccepted {
			t.Errorf("the end is answered %+v", got)
		}
	}
	f.beginLife(t, i)
}

func (f *rotation) beginLife(t *testing.T, i int) {
	t.Helper()
	f.lives[i] = f.pollOn(t, int64(i), "alice")
}

func (f *rotation) endLife(t *testing.T, i int) {
	t.Helper()
	f.pinned.Store(int64((i + 1) % len(f.hubs)))
	if status, body := f.ask(t, "DELETE", f.lives[i], "alice", ""); status != http.StatusAccepted {
		t.Errorf("the end of the connection of node %d: %d %s", i, status, body)
	}
	empty(t, f.hubs[i])
}

// refusesNobody uses each connection by way of each node, and begins one on each that
// each has negotiated.
func (f *rotation) refusesNobody(t *testing.T, what string) {
	t.Helper()
	for owner, path := range f.lives {
		for asker := range f.hubs {
			f.pinned.Store(int64(asker))
			text := fmt.Sprint(what, owner, asker)
			if status, body := f.ask(t, "POST", path, "alice", echo(1, text)); status != http.StatusOK {
				t.Errorf("%s: a send by way of node %d to node %d: %d %s", what, asker, owner, status, body)
			}
			got := ""
			for !strings.Contains(got, text) {
				status, body := f.ask(t, "GET", path, "alice", "")
				if got += body; status != http.StatusOK {
					t.Fatalf("%s: a poll by way of node %d of node %d: %d %s", what, asker, owner, status, body)
				}
			}
			token := negotiateAs(t, f.hubs[asker], "/chat", "?negotiateVersion=1", "bob").token
			f.pinned.Store(int64(owner))
			f.begin(t, token, "bob")
			f.pinned.Store(int64(asker))
			if got := f.name(t, "end", "/chat", token, "bob"); got.status != http.StatusAccepted {
				t.Errorf("%s: the end by way of node %d at node %d is answered %+v", what, asker, owner, got)
			}
		}
	}
}

func TestAChangeOfTheKeysRefusesNobody(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		before, after := secret('a'), secret('b')
		f := &rotation{newFleet(t, s, overRedis, 3, Options{AnyNode: &AnyNode{Keys: [][]byte{before}}}, everything), s, make([]string, 3)}
		for i := range f.hubs {
			f.beginLife(t, i)
		}
		old := negotiateAs(t, f.hubs[0], "/chat", "?negotiateVersion=1", "alice").token
		f.refusesNobody(t, "before")
		for _, step := range []struct {
			what string
			keys [][]byte
		}{
			{"the new key at the end", [][]byte{before, after}},
			{"the new key first", [][]byte{after, before}},
			{"the old key taken away", [][]byte{after}},
		} {
			for i := range f.hubs {
				f.restart(t, i, step.keys...)
				f.refusesNobody(t, step.what)
			}
		}
		f.refuses(t, f.unknown(t), "a token of the old key", old, "alice")
		for i := range f.hubs {
			f.endLife(t, i)
		}
		empty(t, f.hubs...)
	})
}

func TestEachNodeTakesFreshCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, newMemoryRedis(t), overRedis, 3, Options{}, everything)
		for _, way := range []string{"WebSocket", "event stream", "poll"} {
			token := negotiateAs(t, f.hubs[0], "/chat", "?negotiateVersion=1", "alice").token
			f.pinned.Store(1)
			end := func() {}
			if way == "poll" {
				f.begin(t, token, "alice")
			} else {
				_, end = f.open(t, way, "/chat", token, "alice")
			}
			for node := range f.hubs {
				f.pinned.Store(int64(node))
				if got := f.name(t, "refresh", "/chat", token, "alice"); got.status != http.StatusOK {
					t.Errorf("%s: a refresh by way of node %d is answered %+v", way, node, got)
				}
				if got, want := f.name(t, "refresh", "/chat", token, "bob"), (reply{http.StatusForbidden, "application/json", `{"error":"user_changed"}`}); got != want {
					t.Errorf("%s: a refresh of another user by way of node %d is answered %+v", way, node, got)
				}
			}
			end()
			f.pinned.Store(-1)
		}
	})
}

func TestEachNodeRefusesAPostByItsLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, newMemoryRedis(t), overRedis, 2, Options{}, everything)
		path := f.pollOn(t, 0, "alice")
		for node := range f.hubs {
			f.pinned.Store(int64(node))
			conn, err := f.link.DialContext(t.Context(), "tcp", "hub.test:80")
			succeed(t, err)
			start := time.Now()
			_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: hub.test\r\nX-User: alice\r\nContent-Length: 30000001\r\n\r\nx", path)
			succeed(t, err)
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			succeed(t, err)
			if took := time.Since(start); answer.StatusCode != http.StatusBadRequest || took != 0 { // the rest of the body is not waited for
				t.Errorf("node %d answers %s after %v", node, answer.Status, took)
			}
			succeed(t, answer.Body.Close(), conn.Close())
		}
		if status, _ := f.ask(t, "DELETE", path, "alice", ""); status != http.StatusAccepted {
			t.Errorf("the end: %d", status)
		}
		time.Sleep(time.Minute) // net/http ends what it has refused a little later
	})
}
