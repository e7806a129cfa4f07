package gateway_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/msgp"
	"github.com/hubwire/hubwire/protocol"
)

// Each operation is there in v1, or from some later version on, with the status of
// that version.
// Source: reference of the service protocol, section 16.
func TestRESTHasEachOperationInTheVersionsThatHaveIt(t *testing.T) {
	later := []string{"2022-06-01", "2022-11-01", "2023-07-01", "2024-12-01"}
	const never = "9999"
	inServerless(t, &gateway.Options{Upstreams: []gateway.Upstream{}}, nil, func(w *world, _ *fakeUpstream) {
		c := w.client("ann")
		const call = `{"target":"m","arguments":[]}`
		for _, o := range []struct {
			method, path, body string
			v1                 int // its status; 404: v1 does not have it
			since              string
			status             int
		}{
			{"POST", "", call, 202, never, 0},
			{"POST", "/users/ann", call, 202, never, 0},
			{"POST", "/connections/ID", call, 202, never, 0},
			{"POST", "/groups/g", call, 202, never, 0},
			{"POST", "/:send", call, 404, "2022-06-01", 202},
			{"POST", "/users/ann/:send", call, 404, "2022-06-01", 202},
			{"POST", "/connections/ID/:send", call, 404, "2022-06-01", 202},
			{"POST", "/groups/g/:send", call, 404, "2022-06-01", 202},
			{"POST", "/:closeConnections?excluded=ID", "", 404, "2022-06-01", 204},
			{"POST", "/groups/g/:closeConnections?excluded=ID", "", 404, "2022-06-01", 204},
			{"POST", "/users/ann/:closeConnections?excluded=ID", "", 404, "2022-06-01", 204},
			{"DELETE", "/connections/x", "", 202, "2022-06-01", 200},
			{"HEAD", "/connections/ID", "", 200, "2022-06-01", 200},
			{"HEAD", "/users/ann", "", 200, "2022-06-01", 200},
			{"PUT", "/groups/g/connections/ID", "", 200, "2022-06-01", 200},
			{"HEAD", "/groups/g", "", 200, "2022-06-01", 200},
			{"GET", "/groups/g/connections", "", 404, "2024-12-01", 200},
			{"DELETE", "/groups/g/connections/ID", "", 200, "2022-06-01", 200},
			{"DELETE", "/connections/ID/groups", "", 404, "2022-06-01", 200},
			{"PUT", "/groups/v/users/ann?ttl=5", "", 202, never, 0},
			{"HEAD", "/groups/v/users/ann", "", 200, never, 0},
			{"DELETE", "/groups/v/users/ann", "", 202, never, 0},
			{"PUT", "/users/ann/groups/u?ttl=0", "", 404, "2022-06-01", 200},
			{"HEAD", "/users/ann/groups/u", "", 404, "2022-06-01", 200},
			{"DELETE", "/users/ann/groups/u", "", 404, "2022-06-01", 204},
			{"DELETE", "/users/ann/groups", "", 202, "2022-06-01", 204},
			{"POST", "/:generateToken?userId=ann&minutesToExpire=1", "", 404, "2022-11-01", 200},
			{"POST", "/:execute", "[]", 404, never, 0},
			{"POST", "/connections/ID/streams/1/:send", call, 404, never, 0},
		} {
			path := strings.ReplaceAll("/hubs/chat"+o.path, "ID", c.ID())
			and := map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")]
			try := func(address string, want int) {
				t.Helper()
				status, code, answer := w.rest(o.method, address, "application/json", o.body)
				if status != want || want == 404 && code != "NotFound" || want == 400 && code != "BadRequest" {
					t.Errorf("%s %s is answered %d %q %s, want %d", o.method, address, status, code, answer, want)
				}
			}
			try("/api/v1"+path, o.v1)
			for _, version := range later {
				try("/api"+path+and+"api-version="+version, map[bool]int{true: o.status, false: 404}[version >= o.since && o.since != never])
			}
			try("/api"+path, 400)
			for _, version := range []string{"2020-01-01", "2026-07-01", "1.0", "v1", "2022-06-01x"} {
				try("/api"+path+and+"api-version="+version, 400)
			}
		}
		// Of the sends, three of v1 and three of each of four later versions reach the
		// client: the group has no member yet.
		for range 3 + 4*3 {
			if got := c.next(w); got != "m" {
				t.Errorf("the client is called with %q", got)
			}
		}
		synctest.Wait()
		if rest := len(c.calls.All()); rest > 0 {
			t.Errorf("%d calls too many", rest)
		}
	})
}

func TestRESTNamesAreChecked(t *testing.T) {
	inServerless(t, nil, nil, func(w *world, _ *fakeUpstream) {
		long := strings.Repeat("g", 1025)
		for path, want := range map[string]int{
			"/api/hubs/1chat/:send?": 400, "/api/hubs/ch%20at/:send?": 400, "/api/hubs/chat/:send?application=1a&": 400, "/api/hubs/1/:send?application=app&": 400,
			"/api/hubs/chat/:send?application=App&": 202, "/api/hubs/chat/groups//:send?": 400, "/api/hubs/chat/groups/" + long + "/:send?": 400, "/api/hubs/chat/groups/" + long[1:] + "/:send?": 202,
			"/api/hubs/chat/nothing/x/:send?": 404, "/api/nothing?": 404, "/api/hubs?": 404,
		} {
			if status, _, answer := w.rest("POST", path+"api-version=2022-06-01", "application/json", `{"target":"m"}`); status != want {
				t.Errorf("%.80s is answered %d %s, want %d", path, status, answer, want)
			}
		}
	})
}

func TestATokenThatRESTGivesLetsAClientIn(t *testing.T) {
	inServerless(t, nil, nil, func(w *world, u *fakeUpstream) {
		generate := func(query string) (int, string) {
			status, _, answer := w.rest("POST", "/api/hubs/Chat/:generateToken?api-version=2022-11-01"+query, "", "")
			var got struct{ Token string }
			if err := json.Unmarshal([]byte(answer), &got); err != nil {
				t.Error(err)
			}
			return status, got.Token
		}
		enter := func(token string) int {
			r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, "http://gateway/client/negotiate?hub=chat&negotiateVersion=1", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			web := &http.Transport{DialContext: w.link.DialContext}
			defer web.CloseIdleConnections()
			answer, err := web.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close() // its status is all
			return answer.StatusCode
		}
		for query, minutes := range map[string]time.Duration{"": 5, "&minutesToExpire=30": 30, "&userId=ann": 5} {
			status, token := generate(query)
			if got := enter(token); status != 200 || got != 200 {
				t.Fatalf("%q: %d, and with it %d", query, status, got)
			}
			time.Sleep(minutes*time.Minute - time.Second)
			first := enter(token)
			time.Sleep(2 * time.Minute) // clocks may differ by one
			if second := enter(token); first != 200 || second != 401 {
				t.Errorf("%q: %d before its end, %d after it", query, first, second)
			}
		}
		for query, user := range map[string]string{"": "", "&userId=ann": "ann", "&userId=a%26b": "a&b"} {
			_, token := generate(query)
			c := w.clientWithToken(token)
			h := u.next(w)
			if got := h.Header.Get("X-ASRS-User-Id"); got != user || len(h.Header.Values("X-ASRS-User-Id")) != min(len(user), 1) {
				t.Errorf("%q lets user %q in", query, got)
			}
			c.Close()
			u.next(w)
		}
		for _, query := range []string{"&minutesToExpire=0", "&minutesToExpire=-1", "&minutesToExpire=x", "&minutesToExpire=525601", "&userId=" + strings.Repeat("u", 4096)} {
			if status, _ := generate(query); status != 400 {
				t.Errorf("%.40q is answered %d", query, status)
			}
		}
	})
}

// An invoked is what invoke answers.
type invoked struct {
	status       int
	code         string
	protocol     string
	completion   *protocol.Completion
	errorMessage string
}

func (w *world) invoke(ctx context.Context, id, kind, body string) (got invoked) {
	w.Helper()
	status, code, answer := w.restContext(ctx, "POST", "/api/hubs/chat/connections/"+url.PathEscape(id)+"/:invoke?api-version=2024-12-01", kind, body)
	got.status, got.code = status, code
	var text struct{ Result, Protocol, Message string }
	if err := json.Unmarshal([]byte(answer), &text); err != nil {
		w.Errorf("%d %s: %v", status, answer, err)
	}
	got.protocol, got.errorMessage = text.Protocol, text.Message
	if status == 200 {
		b, err := base64.StdEncoding.DecodeString(text.Result)
		if err != nil {
			w.Error(err)
		}
		m, rest, err := map[string]protocol.Codec{"json": protocol.JSON{}, "messagepack": protocol.MessagePack{}}[text.Protocol].Next(b)
		if err != nil || len(rest) > 0 {
			w.Errorf("%q, %v", b, err)
		}
		got.completion, _ = m.(*protocol.Completion)
	}
	return got
}

func TestRESTInvokeReturnsWhatTheClientAnswers(t *testing.T) {
	inServerless(t, nil, nil, func(w *world, _ *fakeUpstream) {
		packedBody := msgp.AppendMap(nil, 2)
		for _, p := range both("Ask", "two") {
			packedBody = msgp.AppendBytes(msgp.AppendString(packedBody, p.Protocol), p.Bytes)
		}
		for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
			c := w.clientWith("ann", clientOptions{codec: codec})
			for kind, body := range map[string]string{"application/json": `{"target":"Ask","arguments":["two"]}`, "application/octet-stream": string(packedBody)} {
				for _, text := range []string{"", "no"} {
					over := make(chan struct{})
					go func() {
						defer close(over)
						m, _ := c.calls.Next(w.ctx.Done())
						var argument string
						if err := codec.Unmarshal(m.RawArguments[0], &argument); err != nil || argument != "two" {
							t.Errorf("it is asked with %+v, %v", m, err)
						}
						answer := &protocol.Completion{InvocationID: m.InvocationID, Kind: protocol.ResultValue, Result: 42}
						if text != "" {
							answer = &protocol.Completion{InvocationID: m.InvocationID, Kind: protocol.ResultError, Error: text}
						}
						for range 2 { // the second is nobody's
							if err := c.Write(answer); err != nil {
								t.Error(err)
							}
						}
					}()
					got := w.invoke(w.ctx, c.ID(), kind, body)
					<-over
					if got.status != 200 || got.protocol != codec.Name() || got.completion == nil || got.completion.Error != text {
						t.Fatalf("%s %s: %+v", codec.Name(), kind, got)
					}
					var n int
					if text == "" && (codec.Unmarshal(got.completion.RawResult, &n) != nil || n != 42) {
						t.Errorf("%s %s: %+v", codec.Name(), kind, got.completion)
					}
				}
			}
		}
		if n := w.stats().PendingResults; n != 0 {
			t.Errorf("%d results are pending", n)
		}
	})
}

func TestRESTInvokeOfAClientThatAnAppServerHas(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		c := w.client("ann")
		s.quiet()
		over := make(chan struct{})
		go func() {
			defer close(over)
			m, name := await[*wire.ClientInvocation](s), "json"
			if got := c.next(w); got != "Ask" || m.ConnectionID != c.ID() || m.CallerServerID == "" {
				t.Errorf("the client is called with %q, its app server is told %+v", got, m)
			}
			answer := fmt.Sprintf(`{"type":3,"invocationId":%q,"result":42}`+"\x1e", m.InvocationID)
			s.send(&wire.ClientCompletion{InvocationID: m.InvocationID, ConnectionID: c.ID(), CallerServerID: s.id, Protocol: &name, Payload: []byte(answer)})
		}()
		got := w.invoke(w.ctx, c.ID(), "application/json", `{"target":"Ask"}`)
		<-over
		if got.status != 200 || got.protocol != "json" || got.completion == nil || string(got.completion.RawResult) != "42" {
			t.Errorf("%+v", got)
		}
	})
}

func TestRESTInvokeThatCannotBeAnsweredFails(t *testing.T) {
	inServerless(t, &gateway.Options{MaximumResults: 1}, nil, func(w *world, _ *fakeUpstream) {
		const ask = `{"target":"Ask"}`
		c, other := w.client("ann"), w.client("eve")
		try := func(name string, got invoked, status int, code string) {
			t.Helper()
			if got.status != status || got.code != code || got.errorMessage == "" {
				t.Errorf("%s: %+v, want %d %s", name, got, status, code)
			}
		}
		try("nobody", w.invoke(w.ctx, "nobody", "application/json", ask), 404, "Error.Connection.NotExisted")
		try("no call", w.invoke(w.ctx, c.ID(), "application/json", `{}`), 400, "BadRequest")
		ping := msgp.AppendBytes(msgp.AppendString(msgp.AppendMap(nil, 1), "json"), []byte("{\"type\":6}\x1e"))
		try("no call in bytes", w.invoke(w.ctx, c.ID(), "application/octet-stream", string(ping)), 400, "BadRequest")
		foreign := msgp.AppendBytes(msgp.AppendString(msgp.AppendMap(nil, 1), "xml"), []byte("x"))
		try("a foreign protocol", w.invoke(w.ctx, c.ID(), "application/octet-stream", string(foreign)), 400, "BadRequest")
		packed := msgp.AppendBytes(msgp.AppendString(msgp.AppendMap(nil, 1), "messagepack"), both("m")[1].Bytes)
		try("another protocol than the client's", w.invoke(w.ctx, c.ID(), "application/octet-stream", string(packed)), 400, "BadRequest")

		begun := time.Now()
		waits := make(chan invoked)
		go func() { waits <- w.invoke(w.ctx, c.ID(), "application/json", ask) }()
		m, _ := c.calls.Next(w.ctx.Done())
		try("one too many", w.invoke(w.ctx, c.ID(), "application/json", ask), 429, "TooManyRequests")
		// Another client cannot answer in its place.
		if err := other.Write(&protocol.Completion{InvocationID: m.InvocationID, Kind: protocol.ResultValue, Result: 1}); err != nil {
			t.Error(err)
		}
		try("no answer", <-waits, 504, "InvocationFailed")
		if after := time.Since(begun); after < 10*time.Minute || after > 11*time.Minute {
			t.Errorf("no answer after %v", after)
		}

		ctx, giveUp := context.WithCancel(w.ctx)
		over := make(chan struct{})
		go func() {
			defer close(over)
			w.invoke(ctx, c.ID(), "application/json", ask)
		}()
		c.next(w)
		giveUp()
		<-over
		if n := w.stats().PendingResults; n != 0 {
			t.Errorf("%d results are pending after the caller has gone", n)
		}

		go func() { waits <- w.invoke(w.ctx, c.ID(), "application/json", ask) }()
		c.next(w)
		c.Abort()
		try("a client that leaves", <-waits, 404, "Error.Connection.NotExisted")
	})
}

func TestMembersOfAGroupInServerlessMode(t *testing.T) {
	inServerless(t, &gateway.Options{Upstreams: []gateway.Upstream{}}, nil, func(w *world, _ *fakeUpstream) {
		ids := []string{w.client("ann").ID(), w.client("ann").ID()}
		slices.Sort(ids)
		if status, _, answer := w.rest("PUT", "/api/hubs/chat/users/ann/groups/g?api-version=2022-06-01", "", ""); status != 200 {
			t.Errorf("%d %s", status, answer)
		}
		want := fmt.Sprintf(`{"value":[{"connectionId":%q,"userId":"ann"},{"connectionId":%q,"userId":"ann"}]}`, ids[0], ids[1])
		if status, _, answer := w.rest("GET", "/api/hubs/chat/groups/g/connections?api-version=2024-12-01", "", ""); status != 200 || answer != want {
			t.Errorf("%d %s, want %s", status, answer, want)
		}
	})
}
