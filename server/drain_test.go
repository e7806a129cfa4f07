package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// A drainHub has calls and streams that take their time.
type drainHub struct{ blockHub }

func newDrainHub() drainHub {
	return drainHub{blockHub{make(chan struct{}), make(chan struct{})}}
}

func (drainHub) Ticks() iter.Seq[int] {
	return func(yield func(int) bool) {
		for n := 0; yield(n); n++ {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// draining drains the hub of n on a goroutine.
func draining(n *hubtest.Node, ctx context.Context, opts server.DrainOptions) (drained <-chan error) {
	done := make(chan error, 1)
	go func() { done <- n.Hub().Drain(ctx, opts) }()
	synctest.Wait()
	return done
}

// told waits for the Close that lets a client reconnect, and returns when it came.
func told(t *testing.T, c *hubtest.Client) time.Time {
	t.Helper()
	var closed *hubtest.CloseError
	if err := c.Wait(); !errors.As(err, &closed) || !closed.AllowReconnect || closed.Text != "" {
		t.Errorf("a client ends with %v, want a Close that allows it to reconnect", err)
	}
	return time.Now()
}

// never leaves a phase of a drain out.
const never = -1

func TestADrainServesNewClientsUntilItsNoticeIsOver(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		var log safeBuffer
		n := m.node(t, roomHub{}, &server.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		web := n.HTTPClient()
		ask := func(method, path string) int {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), method, n.URL()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := web.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode == 503 && !answer.Close {
				t.Error("a client that is refused may use its TCP connection again, and meet this node again")
			}
			return answer.StatusCode
		}
		early := m.connect(n)
		if n.Hub().Draining() {
			t.Error("the hub drains by itself")
		}
		begin := time.Now()
		drained := draining(n, t.Context(), server.DrainOptions{})
		if !n.Hub().Draining() {
			t.Error("Draining reports false")
		}
		time.Sleep(4900 * time.Millisecond)
		late := m.connect(n)
		late.Do("Join", "lobby")
		if status := ask("POST", "/hub/negotiate?negotiateVersion=1"); status != 200 {
			t.Errorf("a negotiate before the notice is over is answered %d", status)
		}
		for _, c := range []*hubtest.Client{early, late} {
			if at := told(t, c).Sub(begin); at < 5*time.Second || at > 5500*time.Millisecond {
				t.Errorf("a client is told after %v, want 5 s", at)
			}
		}
		if status := ask("POST", "/hub/negotiate?negotiateVersion=1"); status != 503 {
			t.Errorf("a negotiate after the notice is answered %d, want 503", status)
		}
		if err := <-drained; err != nil {
			t.Errorf("Drain: %v", err)
		}
		if strings.Contains(log.String(), "not told yet") {
			t.Errorf("the log says that somebody keeps the drain waiting, and nobody did:\n%s", log.String())
		}
	})
}

// A connection that was negotiated in time can be opened though new ones are
// refused, and is not told before its handshake, which would fail its start().
func TestWhoHasNegotiatedInTimeIsServedByADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log safeBuffer
		h := newDrainHub()
		n := hubtest.New(t, h, &server.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		busy := n.Connect() // keeps the drain waiting
		busy.Send("Block")
		<-h.begun
		web := n.HTTPClient()
		negotiated, err := web.Post(n.URL()+"/hub/negotiate?negotiateVersion=1", "", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		defer negotiated.Body.Close()
		var got struct{ ConnectionToken string }
		if err := json.NewDecoder(negotiated.Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		drained := draining(n, t.Context(), server.DrainOptions{Notice: never})
		if _, err := n.TryConnect(); !refused(err, 503) {
			t.Errorf("a new client: %v, want 503", err)
		}
		poll := func(method, body string) string {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), method, n.URL()+"/hub?id="+got.ConnectionToken, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := web.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(answer.StatusCode, " ", string(text))
		}
		if got := poll("GET", ""); got != "200 " {
			t.Errorf("the first poll is answered %q", got)
		}
		close(h.release)
		told(t, busy)
		time.Sleep(6 * time.Second) // the client takes its time
		if !strings.Contains(log.String(), ": handshake") {
			t.Errorf("the log does not say that the drain waits for a handshake:\n%s", log.String())
		}
		poll("POST", `{"protocol":"json","version":1}`+"\x1e")
		if got, want := poll("GET", ""), "200 {}\x1e"; !strings.HasPrefix(got, want) {
			t.Errorf("the poll for the handshake is answered %q, want %q", got, want)
		}
		if got, want := poll("GET", ""), `200 {"type":7,"allowReconnect":true}`+"\x1e"; got != want {
			t.Errorf("the next poll is answered %q, want %q", got, want)
		}
		if got := poll("GET", ""); got != "204 " {
			t.Errorf("the last poll is answered %q", got)
		}
		if err := <-drained; err != nil {
			t.Errorf("Drain: %v", err)
		}
	})
}

func refused(err error, status int) bool {
	var no *hubtest.RefusedError
	return errors.As(err, &no) && no.Status == status
}

func TestADrainTellsItsClientsOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients = 100 // 50 a second
		n := hubtest.New(t, roomHub{}, &server.Options{Logger: slog.New(slog.DiscardHandler)})
		at := make(chan time.Duration, clients)
		begin := time.Now()
		for range clients {
			c := n.Connect()
			go func() { at <- told(t, c).Sub(begin) }()
		}
		if err := <-draining(n, t.Context(), server.DrainOptions{Notice: never, Spread: time.Minute}); err != nil {
			t.Errorf("Drain: %v", err)
		}
		var all []time.Duration
		for range clients {
			all = append(all, <-at)
		}
		slices.Sort(all)
		for i, d := range all {
			if want := time.Duration(i) * time.Second / 50; d < want-100*time.Millisecond || d > want+100*time.Millisecond {
				t.Errorf("client %d is told after %v, want about %v", i, d, want)
			}
		}
	})
}

func TestADrainWithoutASpreadTellsAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := hubtest.New(t, roomHub{}, nil)
		var all []*hubtest.Client
		for range 20 {
			all = append(all, n.Connect())
		}
		begin := time.Now()
		drained := draining(n, t.Context(), server.DrainOptions{Notice: never, Spread: never})
		for _, c := range all {
			told(t, c)
		}
		if err := <-drained; err != nil || time.Since(begin) > 10*time.Millisecond {
			t.Errorf("Drain returned %v after %v", err, time.Since(begin))
		}
	})
}

func TestAClientIsToldOnceItsCallsHaveEnded(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		h := newDrainHub()
		n := m.node(t, h, nil)
		idle, busy := m.connect(n), m.connect(n)
		call := busy.Start("Block")
		<-h.begun
		begin := time.Now()
		drained := draining(n, t.Context(), server.DrainOptions{Notice: never})
		if at := told(t, idle).Sub(begin); at > 500*time.Millisecond {
			t.Errorf("the idle client is told after %v", at)
		}
		time.Sleep(3 * time.Second)
		close(h.release)
		if err := call.Wait(nil); err != nil {
			t.Errorf("the call that ran when the drain began: %v", err)
		}
		if at := told(t, busy).Sub(begin); at > 4*time.Second {
			t.Errorf("the client is told %v after its call has ended", at-3*time.Second)
		}
		if err := <-drained; err != nil {
			t.Errorf("Drain: %v", err)
		}
	})
}

// Streams may have no end, and calls neither.
func TestAClientWhoseCallsDoNotEndIsToldAfterCallTimeout(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		h := newDrainHub()
		n := m.node(t, h, nil)
		calls, streams := m.connect(n), m.connect(n)
		calls.Send("Block")
		<-h.begun
		if first := -1; !streams.Stream("Ticks").Next(&first) {
			t.Fatal("the stream has no item")
		}
		begin := time.Now()
		drained := draining(n, t.Context(), server.DrainOptions{Notice: never, CallTimeout: 4 * time.Second})
		for name, c := range map[string]*hubtest.Client{"calls": calls, "a stream": streams} {
			if at := told(t, c).Sub(begin); at < 4*time.Second || at > 4500*time.Millisecond {
				t.Errorf("the client with %s is told after %v, want 4 s", name, at)
			}
		}
		close(h.release)
		if err := <-drained; err != nil {
			t.Errorf("Drain: %v", err)
		}
	})
}

func TestWhatIsSentBeforeAClientsTurnReachesIt(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		n := m.node(t, roomHub{}, nil)
		c := m.connect(n)
		drained := draining(n, t.Context(), server.DrainOptions{})
		time.Sleep(4 * time.Second)
		for i := range 100 {
			if err := n.Hub().Clients().All().Send(t.Context(), "M", i); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 {
			c.Expect("M", i)
		}
		told(t, c)
		if err := <-drained; err != nil {
			t.Errorf("Drain: %v", err)
		}
	})
}

func TestADeadlineShortensTheDrainSoThatAllAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := hubtest.New(t, newDrainHub(), &server.Options{Logger: slog.New(slog.DiscardHandler)})
		var all []*hubtest.Client
		for range 300 { // 6 s at 50 a second
			all = append(all, n.Connect())
		}
		all[0].Stream("Ticks")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // a fifth of what it wants
		defer cancel()
		begin := time.Now()
		drained := draining(n, ctx, server.DrainOptions{})
		for _, c := range all {
			told(t, c)
		}
		if err := <-drained; err != nil || time.Since(begin) > 4600*time.Millisecond {
			t.Errorf("Drain returned %v after %v", err, time.Since(begin))
		}
	})
}

func TestADrainCutsWhatIsLeftAndSaysWhoKeptItWaiting(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		var log safeBuffer
		h := newDrainHub()
		n := m.node(t, h, &server.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for i := range 8 {
			c := m.connect(n, hubtest.User(server.User{ID: fmt.Sprint("user", i)}))
			c.Send("Block")
			<-h.begun
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		err := <-draining(n, ctx, server.DrainOptions{Notice: never, CallTimeout: 22 * time.Second})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Minute {
			t.Errorf("Drain returned %v after %v, want that of its context after a minute", err, time.Since(begin))
		}
		close(h.release)
		text := log.String()
		lines := strings.Count(text, "clients with calls that run are not told yet")
		if lines != 4 { // in 22 seconds
			t.Errorf("%d lines name who is not told yet, want one each 5 s:\n%s", lines, text)
		}
		for line := range strings.Lines(text) {
			if strings.Contains(line, "not told yet") && (!strings.Contains(line, "count=8") || strings.Count(line, `\"user`) != 5 || !strings.Contains(line, ": calls")) {
				t.Errorf("a line names other than 5 of 8 clients: %s", line)
			}
		}
		if !strings.Contains(text, "waits for clients, or methods") || !strings.Contains(text, "cut what was left") {
			t.Errorf("the log does not say that methods did not end:\n%s", text)
		}
	})
}

func TestASecondDrainIsAShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := hubtest.New(t, roomHub{}, nil)
		c := n.Connect()
		begin := time.Now()
		drained := draining(n, t.Context(), server.DrainOptions{Notice: time.Hour})
		second := draining(n, t.Context(), server.DrainOptions{Notice: time.Hour})
		told(t, c)
		if err := <-second; err != nil || !time.Now().Equal(begin) {
			t.Errorf("the second Drain returned %v after %v", err, time.Since(begin))
		}
		if err := <-drained; err != nil {
			t.Errorf("Drain: %v", err)
		}
	})
}

func TestAnEndpointThatIsMadeDuringADrainRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newDrainHub()
		n := hubtest.New(t, h, nil)
		c := n.Connect()
		c.Send("Block")
		<-h.begun
		drained := draining(n, t.Context(), server.DrainOptions{Notice: never})
		other := hubtest.Serve(t, n.Hub().Endpoint(server.EndpointOptions{}))
		if _, err := other.TryConnect(); !refused(err, 503) {
			t.Errorf("it lets a client in: %v", err)
		}
		close(h.release)
		told(t, c)
		if err := <-drained; err != nil {
			t.Errorf("Drain: %v", err)
		}
	})
}
