package hubtest_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// The snippets of docs/testing.md, which are these tests; see
// TestTheDocumentShowsTheseTests.

type Chat struct{}

func (Chat) Join(call *server.Call, room string) error {
	if err := call.Groups().Add(call.Context(), call.ConnectionID(), room); err != nil {
		return err
	}
	return call.Clients().OthersInGroup(room).Send(call.Context(), "Joined", call.UserID())
}

func (Chat) Say(call *server.Call, room, text string) error {
	if text == "" {
		return server.NewHubError("say something")
	}
	return call.Clients().Group(room).Send(call.Context(), "Said", call.UserID(), text)
}

func (Chat) Countdown(from int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for n := from; n >= 0 && yield(n); n-- {
		}
	}
}

func (Chat) Total(prices iter.Seq2[float64, error]) (total float64, err error) {
	for price, err := range prices {
		if err != nil {
			return 0, err
		}
		total += price
	}
	return total, nil
}

func (Chat) Confirm(call *server.Call, question string) (string, error) {
	ctx, cancel := context.WithTimeout(call.Context(), time.Minute)
	defer cancel()
	yes, err := server.Invoke[bool](ctx, call.Clients().Caller(), "Confirm", question)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "no answer", nil
	case err != nil:
		return "", err
	case yes:
		return "confirmed", nil
	}
	return "declined", nil
}

func TestSayGoesToTheRoom(t *testing.T) {
	call, sent := hubtest.Call(t, hubtest.User(server.User{ID: "alice"}))

	if err := (Chat{}).Say(call, "lobby", "hello"); err != nil {
		t.Fatal(err)
	}
	sent.Expect(hubtest.ToGroup("lobby"), "Said", "alice", "hello")
	sent.ExpectNone()
}

func TestJoinTellsTheOthers(t *testing.T) {
	call, sent := hubtest.Call(t, hubtest.User(server.User{ID: "alice"}))

	if err := (Chat{}).Join(call, "lobby"); err != nil {
		t.Fatal(err)
	}
	if groups := sent.Groups(); !slices.Contains(groups, "lobby") {
		t.Errorf("alice is in %q", groups)
	}
	sent.Expect(hubtest.ToOthersInGroup("lobby"), "Joined", "alice")
}

func TestConfirmTakesNoForAnAnswer(t *testing.T) {
	call, sent := hubtest.Call(t, hubtest.Handle("Confirm", func(question string) bool { return false }))

	if got, err := (Chat{}).Confirm(call, "sure?"); got != "declined" || err != nil {
		t.Errorf("Confirm = %q, %v", got, err)
	}
	sent.Expect(hubtest.ToCaller(), "Confirm", "sure?")
}

func TestWhatIsSaidReachesTheRoomOnly(t *testing.T) {
	n := hubtest.New(t, Chat{}, nil)
	alice := n.Connect(hubtest.User(server.User{ID: "alice"}))
	bob := n.Connect(hubtest.User(server.User{ID: "bob"}), hubtest.MessagePack())
	carol := n.Connect(hubtest.Over(server.LongPolling))

	alice.Do("Join", "lobby")
	bob.Do("Join", "lobby")
	alice.Expect("Joined", "bob")

	alice.Do("Say", "lobby", "hello")
	alice.Expect("Said", "alice", "hello")
	bob.Expect("Said", "alice", "hello")
	carol.ExpectNone()

	err := alice.Invoke(nil, "Say", "lobby", "")
	if call, ok := errors.AsType[*hubtest.CallError](err); !ok || !strings.HasSuffix(call.Text, "say something") {
		t.Errorf("Say without a text: %v", err)
	}
}

func TestStreams(t *testing.T) {
	c := hubtest.New(t, Chat{}, nil).Connect()

	if got := hubtest.List[int](c, "Countdown", 2); !slices.Equal(got, []int{2, 1, 0}) {
		t.Errorf("Countdown = %v", got)
	}
	for n, err := range hubtest.Items[int](c, "Countdown", 1_000_000) {
		if err != nil {
			t.Fatal(err)
		}
		if n < 999_990 {
			break // cancels the stream
		}
	}

	prices := make(chan float64)
	total := c.Start("Total", prices) // a channel or an iterator is a stream
	prices <- 1.5
	prices <- 2
	close(prices)
	var sum float64
	if err := total.Wait(&sum); err != nil || sum != 3.5 {
		t.Errorf("Total = %v, %v", sum, err)
	}
}

func TestConfirmAsksTheClient(t *testing.T) {
	n := hubtest.New(t, Chat{}, nil)
	c := n.Connect(hubtest.Handle("Confirm", func(question string) bool { return question == "sure?" }))
	if got := hubtest.Result[string](c, "Confirm", "sure?"); got != "confirmed" {
		t.Errorf("Confirm = %q", got)
	}

	slow := n.Connect()
	pending := slow.Start("Confirm", "really?")
	question := slow.Expect("Confirm", "really?") // the hub waits
	slow.Do("Say", "lobby", "one moment")         // and serves other calls
	question.Answer(true)
	var got string
	if err := pending.Wait(&got); err != nil || got != "confirmed" {
		t.Errorf("Confirm = %q, %v", got, err)
	}
}

func TestOnlyMembersMaySay(t *testing.T) {
	n := hubtest.New(t, Chat{}, &server.Options{
		Authenticate: func(r *http.Request) (server.User, error) { // not asked about clients with User
			if r.Header.Get("Authorization") != "Bearer secret" {
				return server.User{}, server.ErrUnauthorized
			}
			return server.User{ID: "dave", Claims: map[string]any{"role": "member"}}, nil
		},
		Methods: map[string]server.MethodOptions{"Say": {Authorize: server.RequireRole("member")}},
	})
	guest := n.Connect(hubtest.User(server.User{ID: "guest"}))
	if err := guest.Invoke(nil, "Say", "lobby", "hello"); err == nil {
		t.Error("a guest may say something")
	}
	n.Connect(hubtest.Header("Authorization", "Bearer secret")).Do("Say", "lobby", "hello")

	_, err := n.TryConnect()
	if refused, ok := errors.AsType[*hubtest.RefusedError](err); !ok || refused.Status != http.StatusUnauthorized {
		t.Errorf("without a token: %v", err)
	}
}

func TestNobodyWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hubtest.New(t, Chat{}, nil).Connect(hubtest.Patience(time.Hour))
		start := time.Now()
		if got := hubtest.Result[string](c, "Confirm", "anybody there?"); got != "no answer" {
			t.Errorf("Confirm = %q", got)
		}
		if waited := time.Since(start); waited != time.Minute { // of the bubble: no time at all
			t.Errorf("it took %v", waited)
		}
	})
}

func TestNothingIsLostOverACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := hubtest.New(t, Chat{}, &server.Options{
			Endpoint: server.EndpointOptions{AllowStatefulReconnects: true},
		})
		alice, bob := n.Connect(), n.Connect(hubtest.Stateful())
		bob.Do("Join", "lobby")
		bob.Cut()
		synctest.Wait() // until both ends know
		alice.Do("Say", "lobby", "are you there?")
		bob.Reconnect()
		bob.Expect("Said", "", "are you there?")
	})
}

func TestEveryTransportAndProtocol(t *testing.T) {
	for name, opts := range map[string][]hubtest.Option{
		"WebSockets, JSON":         {},
		"WebSockets, MessagePack":  {hubtest.MessagePack()},
		"Server-Sent Events, JSON": {hubtest.Over(server.ServerSentEvents)},
		"long polling, JSON":       {hubtest.Over(server.LongPolling)},
	} {
		t.Run(name, func(t *testing.T) {
			c := hubtest.New(t, Chat{}, nil).Connect(opts...)
			c.Do("Join", "lobby")
			c.Do("Say", "lobby", "hello")
			c.Expect("Said", "", "hello")
		})
	}
}

func TestThePublisherTellsEverybody(t *testing.T) {
	hub, err := server.NewHub(Chat{}, &server.Options{Authenticate: hubtest.Authenticate(nil)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
	mux := http.NewServeMux()
	server.Mount(mux, "/chat", hub)
	mux.HandleFunc("POST /publish", func(w http.ResponseWriter, r *http.Request) {
		if err := hub.Clients().All().Send(r.Context(), "Published", 42); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})

	n := hubtest.Serve(t, mux)
	c := n.Connect(hubtest.At("/chat"))
	response, err := n.HTTPClient().Post(n.URL()+"/publish", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	c.Expect("Published", 42)
}

// newNode returns one of several nodes that share a Redis.
func newNode(t *testing.T, address string) *hubtest.Node {
	client := redis.NewClient(&redis.Options{Addr: address})
	bp, err := backplane.New(client, &backplane.Options{HubName: "Chat", ChannelPrefix: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the node has been shut down
		if err := errors.Join(bp.Close(), client.Close()); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := bp.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return hubtest.New(t, Chat{}, &server.Options{LifetimeManager: bp})
}

func TestTheRoomSpansBothNodes(t *testing.T) {
	address := os.Getenv("REDIS") // of a real one
	if address == "" {
		address = miniredis.RunT(t).Addr()
	}
	alice, bob := newNode(t, address).Connect(), newNode(t, address).Connect()
	alice.Do("Join", "lobby")
	bob.Do("Join", "lobby")
	alice.Expect("Joined", "")
	bob.Do("Say", "lobby", "hello")
	alice.Expect("Said", "", "hello")
	bob.Expect("Said", "", "hello")
}

// Each snippet of docs/testing.md is in this file, word for word.
func TestTheDocumentShowsTheseTests(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "docs", "testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("docs_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(document), "```go\n")[1:]
	if len(blocks) < 10 {
		t.Errorf("docs/testing.md has %d snippets", len(blocks))
	}
	for _, block := range blocks {
		snippet, _, _ := strings.Cut(block, "```")
		if !strings.Contains(string(code), snippet) {
			t.Errorf("docs/testing.md shows what is not here:\n%s", snippet)
		}
	}
}
