package gateway_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

func TestAnswersOfAnUpstreamReachTheCaller(t *testing.T) {
	const status = "Invocation failed, status code %d"
	write := func(code int, text string) func(http.ResponseWriter, *webhook) {
		return func(w http.ResponseWriter, h *webhook) {
			w.Header().Set("Location", "http://upstream/elsewhere")
			w.WriteHeader(code)
			_, id, _ := strings.Cut(h.body, `"invocationId":"`)
			id, _, _ = strings.Cut(id, `"`)
			_, _ = io.WriteString(w, strings.ReplaceAll(text, "ID", id)) // the gateway may have given up
		}
	}
	const none = "Invocation failed, the answer of the upstream is no completion of it."
	answers := map[string]struct {
		answer       func(http.ResponseWriter, *webhook)
		result, text string
	}{
		"a completion":               {write(200, `{"type":3,"invocationId":"ID","result":"yes"}`+"\x1e"), "yes", ""},
		"one without its framing":    {write(200, `{"type":3,"invocationId":"ID","result":"yes"}`), "yes", ""},
		"an error":                   {write(200, `{"type":3,"invocationId":"ID","error":"no"}`+"\x1e"), "", "no"},
		"nothing":                    {write(200, ""), "", ""},
		"204":                        {write(204, ""), "", ""},
		"another call's":             {write(200, `{"type":3,"invocationId":"IDx","result":"yes"}`+"\x1e"), "", none},
		"two completions":            {write(200, strings.Repeat(`{"type":3,"invocationId":"ID","result":"yes"}`+"\x1e", 2)), "", none},
		"another message":            {write(200, `{"type":7}`+"\x1e"), "", none},
		"a page":                     {write(200, "<html>"), "", none},
		"202":                        {write(202, "secret"), "", fmt.Sprintf(status, 202)},
		"a redirect":                 {write(302, "secret"), "", fmt.Sprintf(status, 302)},
		"a redirect that keeps POST": {write(307, "secret"), "", fmt.Sprintf(status, 307)},
		"401":                        {write(401, "secret"), "", fmt.Sprintf(status, 401)},
		"500":                        {write(500, "secret"), "", fmt.Sprintf(status, 500)},
		"an end in the middle": {func(http.ResponseWriter, *webhook) {
			panic(http.ErrAbortHandler)
		}, "", "Invocation failed, the upstream cannot be reached."},
		"no end": {func(w http.ResponseWriter, _ *webhook) {
			for b := make([]byte, 1000); ; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		}, "", "Invocation failed, the answer of the upstream is too long."},
		"never": {func(_ http.ResponseWriter, h *webhook) {
			<-h.Context().Done()
		}, "", "Invocation failed, the upstream did not answer in time."},
		"a beginning only": {func(w http.ResponseWriter, h *webhook) {
			_, _ = io.WriteString(w, "{") // it is read
			w.(http.Flusher).Flush()
			<-h.Context().Done()
		}, "", "Invocation failed, the upstream did not answer in time."},
	}
	o := &gateway.Options{MaximumUpstreamBody: 10_000, UpstreamTimeout: 10 * time.Second, Upstreams: []gateway.Upstream{{URL: "http://upstream/{event}", Category: "messages"}}}
	inServerless(t, o, func(w http.ResponseWriter, h *webhook) {
		if h.URL.Path == "/elsewhere" {
			t.Error("a redirect was followed")
		}
		answers[h.Header.Get("X-ASRS-Event")].answer(w, h)
	}, func(w *world, _ *fakeUpstream) {
		c := w.client("ann")
		failures := uint64(0)
		for name, test := range answers {
			var result string
			begun := time.Now()
			err := c.Invoke(w.ctx, &result, name)
			var failed *hubclient.CallError
			if errors.As(err, &failed) {
				err = nil
				if failed.Text != test.text {
					t.Errorf("%s: the call fails with %q, want %q", name, failed.Text, test.text)
				}
			}
			if test.text != "" && test.text != "no" && test.text != none {
				failures++
			}
			if err != nil || (failed != nil) != (test.text != "") || result != test.result {
				t.Errorf("%s: %q, %v", name, result, err)
			}
			if after := time.Since(begun); after > 11*time.Second {
				t.Errorf("%s: after %v", name, after)
			}
		}
		if s := w.stats(); s.UpstreamRequests != uint64(len(answers)) || s.UpstreamFailures != failures || s.EventsWaiting != 0 {
			t.Errorf("%d requests, %d failures, want %d and %d; %d bytes wait", s.UpstreamRequests, s.UpstreamFailures, len(answers), failures, s.EventsWaiting)
		}
	})
}

// One that is well beside one that fails does not make the log flap.
func TestAnOutageIsInTheLogOnceForEachUpstream(t *testing.T) {
	var log bytes.Buffer
	o := &gateway.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Upstreams: []gateway.Upstream{{URL: "http://upstream/bad", Event: "bad"}, {URL: "http://upstream/good"}}}
	inServerless(t, o, func(w http.ResponseWriter, h *webhook) {
		if h.URL.Path == "/bad" {
			w.WriteHeader(http.StatusBadGateway)
		}
	}, func(w *world, _ *fakeUpstream) {
		c := w.client("ann")
		for range 5 {
			bad, good := c.Invoke(w.ctx, nil, "bad"), c.Invoke(w.ctx, nil, "good")
			if bad == nil || good != nil {
				t.Error(bad, good)
			}
		}
		synctest.Wait()
		if text := log.String(); strings.Count(text, "upstream fails") != 1 || !strings.Contains(text, "upstream=0") || strings.Contains(text, "answers again") {
			t.Errorf("the log is\n%s", text)
		}
	})
}

func TestNoSecretOfAnUpstreamIsInTheLogAndAnOutageIsThereOnce(t *testing.T) {
	var log bytes.Buffer
	o := &gateway.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	inServerless(t, o, func(w http.ResponseWriter, h *webhook) {
		if strings.HasSuffix(h.URL.Path, "/bad") {
			panic(http.ErrAbortHandler)
		}
	}, func(w *world, _ *fakeUpstream) {
		c := w.client("ann")
		for i := range 6 {
			target := map[bool]string{true: "bad", false: "good"}[i < 5]
			if err := c.Invoke(w.ctx, nil, target, "argument"); (err != nil) != (target == "bad") {
				t.Error(err)
			}
		}
		c.Close()
		synctest.Wait()
		if text := log.String(); strings.Contains(text, "secret") || strings.Contains(text, "argument") || strings.Contains(text, key) ||
			strings.Count(text, "upstream fails") != 1 || strings.Count(text, "upstream answers again") != 1 {
			t.Errorf("the log is\n%s", text)
		}
	})
}

// gate is an upstream that answers when it is told to.
func gate() (answer func(http.ResponseWriter, *webhook), open func()) {
	opened := make(chan struct{})
	return func(_ http.ResponseWriter, h *webhook) {
		select {
		case <-opened:
		case <-h.Context().Done():
		}
	}, func() { close(opened) }
}

func TestEventsOfAClientKeepTheirOrderAndThoseOfOthersDoNotWait(t *testing.T) {
	var answer func(http.ResponseWriter, *webhook)
	inServerless(t, nil, func(w http.ResponseWriter, h *webhook) {
		if h.Header.Get("X-ASRS-User-Id") == "slow" {
			answer(w, h)
		}
	}, func(w *world, u *fakeUpstream) {
		var open func()
		answer, open = gate()
		slow := w.client("slow")
		if h := u.next(w); h.String() != "connections connected" {
			t.Errorf("first %v", h)
		}
		for i := range 20 {
			if err := slow.Send(fmt.Sprint("m", i), nil); err != nil {
				t.Fatal(err)
			}
		}
		slow.Close()
		if got := u.told(); len(got) != 0 {
			t.Errorf("told before the answer to the first: %q", got)
		}
		quick := w.client("quick")
		if err := quick.Invoke(w.ctx, nil, "m"); err != nil {
			t.Error(err)
		}
		u.told()
		open()
		for i := range 20 {
			if h := u.next(w); h.String() != fmt.Sprint("messages m", i) {
				t.Fatalf("%d: %v", i, h)
			}
		}
		if h := u.next(w); h.String() != "connections disconnected" {
			t.Errorf("last %v", h)
		}
		if got := u.told(); len(got) != 0 {
			t.Errorf("then %q", got)
		}
	})
}

// flood sends calls of 10,000 bytes until it may not, and returns how many it could.
func flood(c *client) int {
	done := make(chan struct{})
	sent := 0
	go func() {
		defer close(done)
		for c.Send("m", []any{strings.Repeat("x", 10_000)}) == nil && sent < 10_000 {
			sent++
		}
	}()
	synctest.Wait()
	select {
	case <-done:
	default:
	}
	n := sent
	c.Abort()
	<-done
	return n
}

func TestAClientWhoseEventsWaitIsNotRead(t *testing.T) {
	for _, o := range []*gateway.Options{{ClientBufferSize: 50_000}, {ClientBufferSize: 1 << 30, UpstreamQueueLimit: 50_000}} {
		var answer func(http.ResponseWriter, *webhook)
		inServerless(t, o, func(w http.ResponseWriter, h *webhook) {
			answer(w, h)
		}, func(w *world, _ *fakeUpstream) {
			answer, _ = gate()
			c := w.client("ann")
			held := w.stats()
			n := flood(c)
			s := w.stats()
			// What waits, and what the network and its buffers hold.
			if n < 5 || n > 100 || s.EventsWaiting < 50_000 || s.EventsWaiting > 70_000 {
				t.Errorf("%d calls were taken; %d bytes wait, %d before", n, s.EventsWaiting, held.EventsWaiting)
			}
		})
	}
}

// A client that is not read cannot be heard, and is not ended for that.
func TestAClientThatIsHeldBackGoesOnOnceItsUpstreamAnswers(t *testing.T) {
	var answer func(http.ResponseWriter, *webhook)
	inServerless(t, &gateway.Options{ClientBufferSize: 1, UpstreamTimeout: -1}, func(w http.ResponseWriter, h *webhook) {
		answer(w, h)
	}, func(w *world, u *fakeUpstream) {
		var open func()
		answer, open = gate()
		c := w.client("ann")
		if err := c.Write(&protocol.Ping{}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := c.Send("m", nil); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if err := c.Err(); err != nil {
			t.Fatalf("the client was ended: %v", err)
		}
		open()
		if err := c.Invoke(w.ctx, nil, "last"); err != nil {
			t.Error(err)
		}
		if got := strings.Join(u.told(), ","); got != "connections connected,messages m,messages m,messages m,messages last" {
			t.Errorf("told: %s", got)
		}
	})
}

func TestRequestsAtATimeAreBounded(t *testing.T) {
	var answer func(http.ResponseWriter, *webhook)
	inServerless(t, &gateway.Options{MaximumUpstreamRequests: 3}, func(w http.ResponseWriter, h *webhook) {
		answer(w, h)
	}, func(w *world, u *fakeUpstream) {
		var open func()
		answer, open = gate()
		for range 10 {
			w.client("ann")
		}
		if got := u.told(); len(got) != 3 {
			t.Errorf("%d requests run at a time", len(got))
		}
		open()
		if got := u.told(); len(got) != 7 {
			t.Errorf("%d more were told", len(got))
		}
	})
}
