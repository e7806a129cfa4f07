package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/msgp"
	"github.com/hubwire/hubwire/protocol"
)

// rest makes a call of the REST interface; path has a query, too.
func (w *world) rest(method, path, kind, body string) (status int, code, answer string) {
	w.Helper()
	return w.restContext(w.ctx, method, path, kind, body)
}

// restContext is rest with a context. If that ends before the answer, the status is
// 0 and the answer JSON without anything.
func (w *world) restContext(ctx context.Context, method, path, kind, body string) (status int, code, answer string) {
	w.Helper()
	address, err := url.Parse("http://gateway" + path)
	if err != nil {
		w.Fatal(err)
	}
	return w.send(ctx, sign(key, map[string]any{"aud": "http://gateway" + address.EscapedPath()}), method, path, kind, body)
}

func (w *world) restWith(token, method, path, kind, body string) (status int, code, answer string) {
	w.Helper()
	return w.send(w.ctx, token, method, path, kind, body)
}

func (w *world) send(ctx context.Context, token, method, path, kind, body string) (status int, code, answer string) {
	w.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://gateway"+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", kind)
	web := &http.Transport{DialContext: w.link.DialContext}
	defer web.CloseIdleConnections()
	got, err := web.RoundTrip(r)
	switch {
	case ctx.Err() != nil:
		return 0, "", "{}"
	case err != nil:
		w.Error(err) // it may be another goroutine than the test's
		return 0, "", "{}"
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		w.Error(err)
	}
	return got.StatusCode, got.Header.Get("X-Ms-Error-Code"), string(text)
}

func TestRESTSendsInBothProtocolsAndBothKindsOfBody(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		text, packed := w.client("ann"), w.clientWith("bob", clientOptions{codec: protocol.MessagePack{}})
		s.ask(&wire.JoinGroupWithAck{ConnectionID: text.ID(), GroupName: "g/1", AckID: 1})
		s.ask(&wire.JoinGroupWithAck{ConnectionID: packed.ID(), GroupName: "g/1", AckID: 1})
		inMap := msgp.AppendMap(nil, 2)
		for _, p := range both("binary") {
			inMap = msgp.AppendBytes(msgp.AppendString(inMap, p.Protocol), p.Bytes)
		}
		for _, test := range []struct{ path, to string }{
			{"/api/v1/hubs/chat", "both"}, {"/api/hubs/Chat/:send?api-version=2022-06-01", "both"},
			{"/api/v1/hubs/chat?excluded=" + text.ID() + "&excluded=x", "packed"},
			{"/api/v1/hubs/chat/users/ann", "text"}, {"/api/hubs/chat/users/bob/:send?api-version=2022-06-01", "packed"},
			{"/api/v1/hubs/chat/connections/" + text.ID(), "text"}, {"/api/hubs/chat/connections/" + packed.ID() + "/:send?api-version=2022-06-01", "packed"},
			{"/api/v1/hubs/chat/groups/g%2F1", "both"}, {"/api/hubs/chat/groups/g%2F1/:send?api-version=2022-06-01&excluded=" + packed.ID(), "text"},
		} {
			if status, _, answer := w.rest("POST", test.path, "application/json", `{"target":"m","arguments":[ 1, "two", {"x":[1.5,null]} ]}`); status != 202 {
				t.Errorf("%s is answered %d %s", test.path, status, answer)
			}
			if status, _, answer := w.rest("POST", test.path, "application/octet-stream", string(inMap)); status != 202 {
				t.Errorf("%s with bytes is answered %d %s", test.path, status, answer)
			}
			for name, c := range map[string]*client{"text": text, "packed": packed} {
				if test.to != "both" && test.to != name {
					continue
				}
				m, _ := c.calls.Next(w.ctx.Done())
				codec := map[string]protocol.Codec{"text": protocol.JSON{}, "packed": protocol.MessagePack{}}[name]
				var one int
				var two string
				if m.Target != "m" || len(m.RawArguments) != 3 || codec.Unmarshal(m.RawArguments[0], &one) != nil || codec.Unmarshal(m.RawArguments[1], &two) != nil || one != 1 || two != "two" {
					t.Errorf("%s: %s gets %+v", test.path, name, m)
				}
				if got := c.next(w); got != "binary" {
					t.Errorf("%s: %s gets %s", test.path, name, got)
				}
			}
		}
		s.send(&wire.BroadcastData{Payloads: both("end")})
		if a, b := text.next(w), packed.next(w); a != "end" || b != "end" {
			t.Errorf("too much was sent: %s, %s", a, b)
		}
	})
}

func TestRESTOperationsAnswerAsTheirVersionDoes(t *testing.T) {
	inWorld(t, &gateway.Options{MaximumUserGroups: 1}, func(w *world) {
		w.server("server-1")
		c := w.client("ann")
		const later = "?api-version=2022-06-01"
		for i, test := range []struct {
			method, path string
			status       int
			code         string
		}{
			{"HEAD", "/api/health" + later, 200, ""},
			{"GET", "/api/v1/health", 200, ""},
			{"HEAD", "/api/hubs/chat/connections/" + c.ID() + later, 200, ""},
			{"GET", "/api/v1/hubs/chat/connections/x", 404, "Warning.Connection.NotExisted"},
			{"GET", "/api/v1/hubs/chat/users/ann", 200, ""},
			{"GET", "/api/v1/hubs/chat/users/x", 404, "Warning.User.NotExisted"},
			{"GET", "/api/v1/hubs/chat/groups/g", 404, "Warning.Group.NotExisted"},
			{"PUT", "/api/v1/hubs/chat/groups/g/connections/x", 404, "Error.Connection.NotExisted"},
			{"PUT", "/api/hubs/chat/groups/g/connections/" + c.ID() + later, 200, ""},
			{"GET", "/api/v1/hubs/chat/groups/g", 200, ""},
			{"GET", "/api/v1/hubs/chat/groups/g/users/ann", 200, ""},
			{"DELETE", "/api/hubs/chat/groups/g/connections/" + c.ID() + later, 200, ""},
			{"GET", "/api/hubs/chat/users/ann/groups/g" + later, 404, "Info.User.NotInGroup"},
			{"PUT", "/api/v1/hubs/chat/groups/g/users/ann?ttl=60", 202, ""},
			{"PUT", "/api/hubs/chat/users/ann/groups/g" + later, 200, ""},
			{"PUT", "/api/hubs/chat/users/ann/groups/h" + later, 400, "BadRequest"},
			{"PUT", "/api/v1/hubs/chat/groups/g/users/ann?ttl=x", 400, "BadRequest"},
			{"GET", "/api/hubs/chat/users/ann/groups/g" + later, 200, ""},
			{"DELETE", "/api/hubs/chat/users/ann/groups/g" + later, 204, ""},
			{"DELETE", "/api/v1/hubs/chat/groups/g/users/ann", 202, ""},
			{"DELETE", "/api/hubs/chat/users/ann/groups" + later, 204, ""},
			{"DELETE", "/api/hubs/chat/connections/" + c.ID() + "/groups" + later, 200, ""},
			{"POST", "/api/hubs/chat/users/x/:closeConnections" + later, 204, ""},
			{"POST", "/api/hubs/chat/groups/x/:closeConnections" + later, 204, ""},
			{"POST", "/api/hubs/chat/:closeConnections" + later + "&excluded=" + c.ID(), 204, ""},
			{"GET", "/api/v1/hubs/chat/users/ann", 200, ""},
			{"DELETE", "/api/v1/hubs/chat/connections/" + c.ID() + "?reason=go", 202, ""},
			{"GET", "/api/v1/hubs/chat/users/ann", 404, "Warning.User.NotExisted"},
			{"DELETE", "/api/hubs/chat/connections/x" + later, 200, ""},
			{"POST", "/api/hubs/chat/:execute" + later, 404, "NotFound"},
			{"POST", "/api/hubs/chat/:send", 400, "BadRequest"},
			{"GET", "/api/v1/hubs/1chat/users/ann", 400, "BadRequest"},
			{"POST", "/api/v1/hubs/chat", 400, "BadRequest"}, // no body
		} {
			status, code, answer := w.rest(test.method, test.path, "application/json", "")
			if status != test.status || code != test.code {
				t.Errorf("%d: %s %s is answered %d %q %s, want %d %q", i, test.method, test.path, status, code, answer, test.status, test.code)
			}
		}
		<-c.Done()
		if err := c.Err(); err == nil || !strings.Contains(err.Error(), "go") {
			t.Errorf("the client was closed with %v", err)
		}
	})
}

func TestRESTListsTheMembersOfAGroupPageByPage(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		for range 5 {
			c := w.client("ann")
			s.ask(&wire.JoinGroupWithAck{ConnectionID: c.ID(), GroupName: "g", AckID: 1})
		}
		seen, pages := map[string]bool{}, 0
		for next := "/api/hubs/chat/groups/g/connections?api-version=2024-12-01&maxpagesize=2&top=4"; next != ""; pages++ {
			status, _, answer := w.rest("GET", next, "", "")
			var page struct {
				Value []struct{ ConnectionID, UserID string }
				Next  string `json:"nextLink"`
			}
			if err := json.Unmarshal([]byte(answer), &page); err != nil || status != 200 {
				t.Fatalf("%d %s", status, answer)
			}
			for _, one := range page.Value {
				seen[one.ConnectionID] = one.UserID == "ann"
			}
			next = strings.TrimPrefix(page.Next, "http://gateway")
		}
		if len(seen) != 4 || pages != 2 {
			t.Errorf("%d pages list %v", pages, seen)
		}
		if status, _, _ := w.rest("GET", "/api/hubs/chat/groups/g/connections?api-version=2024-12-01&maxpagesize=201", "", ""); status != 400 {
			t.Errorf("a page that is too large: %d", status)
		}
	})
}

func TestRESTNeedsATokenForItsPathAndABodyThatIsNotTooLong(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		const path = "/api/v1/hubs/chat"
		for name, token := range map[string]string{
			"another key":  sign("another", map[string]any{"aud": "http://x" + path}),
			"another path": sign(key, map[string]any{"aud": "http://x/api/v1/hubs/news"}),
			"a client's":   sign(key, map[string]any{"aud": "http://x/client/?hub=chat"}),
			"none":         "",
		} {
			if status, code, _ := w.restWith(token, "POST", path, "application/json", `{"target":"m"}`); status != 401 || code != "Unauthorized" {
				t.Errorf("%s: %d %s", name, status, code)
			}
		}
		if status, _, _ := w.rest("POST", path, "application/json", `{"target":"`+strings.Repeat("m", 1<<20)+`"}`); status != 413 {
			t.Errorf("a long body: %d", status)
		}
		if status, _, _ := w.rest("POST", path, "text/plain", `{"target":"m"}`); status != 415 {
			t.Errorf("text: %d", status)
		}
		for _, body := range []string{"", "\x81", "\x81\xa1x\xc6\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff"} {
			if status, _, _ := w.rest("POST", path, "application/octet-stream", body); status != 400 {
				t.Errorf("%q: %d", body, status)
			}
		}
	})
}
