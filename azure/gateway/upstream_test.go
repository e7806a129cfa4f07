package gateway_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/protocol"
)

// A fakeUpstream is a web server that events go to. It puts what comes into got,
// and then answers as it is told to.
type fakeUpstream struct {
	*http.Transport
	got    hubclient.Queue[*webhook]
	answer func(w http.ResponseWriter, h *webhook)
}

// A webhook is a request of the gateway.
type webhook struct {
	*http.Request
	body string
}

// String is what the event is, in short.
func (h *webhook) String() string {
	return h.Header.Get("X-Asrs-Category") + " " + h.Header.Get("X-Asrs-Event")
}

// inServerless runs f beside a gateway in serverless mode. Upstreams of o are on
// one web server; without any, everything goes to one.
func inServerless(t *testing.T, o *gateway.Options, answer func(http.ResponseWriter, *webhook), f func(w *world, u *fakeUpstream)) {
	t.Helper()
	if o == nil {
		o = &gateway.Options{}
	}
	if o.Upstreams == nil {
		o.Upstreams = []gateway.Upstream{{URL: "http://upstream/{hub}/{category}/{event}?code=secret"}}
	}
	u := &fakeUpstream{answer: answer}
	o.Serverless, o.UpstreamTransport = true, u
	inWorld(t, o, func(w *world) {
		net := memnet.Listen()
		u.Transport = &http.Transport{DialContext: net.Link(nil).DialContext, MaxConnsPerHost: 1000}
		web := &http.Server{Handler: u, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
		served := make(chan error, 1)
		go func() { served <- web.Serve(net) }()
		w.Cleanup(func() {
			_ = web.Close() // a test may leave requests that run
			<-served
		})
		f(w, u)
	})
}

func (u *fakeUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the gateway has given up
	}
	h := &webhook{r, string(body)}
	u.got.Put(h)
	if u.answer != nil {
		u.answer(w, h)
	}
}

func (u *fakeUpstream) next(w *world) *webhook {
	w.Helper()
	h, ok := u.got.Next(w.ctx.Done())
	if !ok {
		w.Fatal("the upstream is told nothing")
	}
	return h
}

// told is all that the upstream has been told once nothing goes on any more.
func (u *fakeUpstream) told() (list []string) {
	synctest.Wait()
	for _, h := range u.got.All() {
		list = append(list, h.String())
	}
	return list
}

// echo answers a call with its first argument, in the caller's protocol.
func echo(w http.ResponseWriter, h *webhook) {
	codec, framed := protocol.Codec(protocol.JSON{}), h.body+"\x1e"
	if h.Header.Get("Content-Type") == "application/x-msgpack" {
		codec = protocol.MessagePack{}
		framed = string(appendVarint(nil, len(h.body))) + h.body
	}
	m, _, err := codec.Next([]byte(framed))
	call, ok := m.(*protocol.Invocation)
	if err != nil || !ok || call.InvocationID == "" || len(call.RawArguments) == 0 {
		return
	}
	b, err := codec.Append(nil, &protocol.Completion{InvocationID: call.InvocationID, Kind: protocol.ResultValue, RawResult: call.RawArguments[0]})
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(b) // the gateway may have given up
}

func appendVarint(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func TestEventsOfAClientAreToldOverEveryTransportAndProtocol(t *testing.T) {
	for _, mode := range []string{hubclient.WebSockets, hubclient.ServerSentEvents, hubclient.LongPolling} {
		for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
			if mode == hubclient.ServerSentEvents && codec.Binary() {
				continue
			}
			t.Run(mode+" "+codec.Name(), func(t *testing.T) {
				inServerless(t, nil, echo, func(w *world, u *fakeUpstream) {
					c := w.clientWith("ann", clientOptions{mode: mode, codec: codec})
					if h := u.next(w); h.String() != "connections connected" || h.body != `{"type":10}` || h.Header.Get("Content-Type") != "application/json" {
						t.Errorf("%v: %q as %s", h, h.body, h.Header.Get("Content-Type"))
					}
					for _, text := range []string{"hello", strings.Repeat("long", 20_000), ""} {
						var answer string
						if err := c.Invoke(w.ctx, &answer, "Echo", text, 2); err != nil || answer != text {
							t.Fatalf("%d characters come back as %d, %v", len(text), len(answer), err)
						}
						h := u.next(w)
						kind, short := "application/json", fmt.Sprintf(`"target":"Echo","arguments":["%s",2]}`, text)
						if codec.Binary() {
							kind, short = "application/x-msgpack", text
						}
						if h.String() != "messages Echo" || h.Header.Get("Content-Type") != kind || !strings.Contains(h.body, short) || strings.Contains(h.body, "\x1e") {
							t.Errorf("%v: %.100q as %s", h, h.body, h.Header.Get("Content-Type"))
						}
					}
					if err := c.Send("Note", []any{1}); err != nil {
						t.Fatal(err)
					}
					if h := u.next(w); h.String() != "messages Note" {
						t.Errorf("then %v", h)
					}
					c.Close()
					why := "" // over SSE there is no farewell
					if mode == hubclient.ServerSentEvents {
						why = "transport: client went away without closing the connection"
					}
					if h := u.next(w); h.String() != "connections disconnected" || h.body != `{"Type":11,"Error":"`+why+`"}` {
						t.Errorf("%v: %q", h, h.body)
					}
				})
			})
		}
	}
}

func TestAnEventSaysWhoseItIsAndProvesIt(t *testing.T) {
	second := strings.Repeat("z", 32)
	inServerless(t, &gateway.Options{AccessKeys: []string{key, second}}, nil, func(w *world, u *fakeUpstream) {
		c := w.clientWith("ann", clientOptions{hub: "Chat", claims: map[string]any{
			"role": []string{"r1", "r2"}, "asrs.u.exp": "1", "asrs.s.derror": "True", "bad": "a\r\nX-Evil: 1", "custom": "ünï"}})
		h := u.next(w)
		want := ""
		for i, k := range []string{key, second} {
			mac := hmac.New(sha256.New, []byte(k))
			mac.Write([]byte(c.ID()))
			want += []string{"", ","}[i] + fmt.Sprintf("sha256=%X", mac.Sum(nil))
		}
		for name, value := range map[string]string{"Connection-Id": c.ID(), "Hub": "chat", "Category": "connections", "Event": "connected", "User-Id": "ann",
			"Client-Query": "?asrs.op=%2Fchat&hub=Chat", "Signature": want} {
			if got := h.Header.Get("X-ASRS-" + name); got != value {
				t.Errorf("%s is %q, want %q", name, got, value)
			}
		}
		claims := h.Header.Values("X-ASRS-User-Claims")
		slices.Sort(claims)
		const long = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role: r"
		if all := strings.Join(claims, "|"); all != "custom: ünï|exp: 1|"+long+"1|"+long+"2|http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier: ann" {
			t.Errorf("the claims are %q", all)
		}
		if h.Header.Get("Authorization") != "" || h.Header.Get("X-Evil") != "" {
			t.Errorf("the headers are %v", h.Header)
		}
		if path := h.URL.Path + "?" + h.URL.RawQuery; h.Method != "POST" || path != "/chat/connections/connected?code=secret" {
			t.Errorf("%s %s", h.Method, path)
		}
		// A token that no SDK has made names its user by nameid; one without any is nobody.
		other := w.clientWith("", clientOptions{claims: map[string]any{"nameid": "bob"}})
		if h := u.next(w); h.Header.Get("X-ASRS-User-Id") != "bob" {
			t.Errorf("%s is told as user %q", other.ID(), h.Header.Get("X-ASRS-User-Id"))
		}
		w.client("")
		if h := u.next(w); len(h.Header.Values("X-ASRS-User-Id")) > 0 {
			t.Errorf("nobody is told as user %q", h.Header.Get("X-ASRS-User-Id"))
		}
		_, err := w.dial("a\nb", clientOptions{})
		var status *hubclient.StatusError
		if !errors.As(err, &status) || status.Code != http.StatusUnauthorized {
			t.Errorf("a user whom no header can name gets %v", err)
		}
	})
}

func TestAnEventGoesToTheFirstUpstreamThatItFits(t *testing.T) {
	o := &gateway.Options{Upstreams: []gateway.Upstream{
		{URL: "http://upstream/a", Hub: "news, chat", Category: "messages", Event: "One,Two"},
		{URL: "http://upstream/b/{event}?e={event}", Hub: "*", Category: "messages", Event: "*"},
		{URL: "http://upstream/c", Hub: "news"},
	}}
	inServerless(t, o, nil, func(w *world, u *fakeUpstream) {
		c := w.client("ann")
		for target, want := range map[string]string{
			"One": "/a", "two": "/a", "Three": "/b/Three?e=Three", "a/../b&x=1#é +": "/b/a%2F..%2Fb%26x%3D1%23%C3%A9%20%2B?e=a%2F..%2Fb%26x%3D1%23%C3%A9%20%2B",
			"..": "", "": "", "a\nb": "",
		} {
			err := c.Invoke(w.ctx, nil, target)
			if want == "" {
				var failed *hubclient.CallError
				if !errors.As(err, &failed) || failed.Text != "Invocation failed, no upstream takes it." {
					t.Errorf("%q fails with %v", target, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%q: %v", target, err)
			}
			if h := u.next(w); h.RequestURI != want || h.Header.Get("X-ASRS-Event") != target {
				t.Errorf("%q goes to %s as %q, want %s", target, h.RequestURI, h.Header.Get("X-ASRS-Event"), want)
			}
		}
		c.Close()
		if got := u.told(); len(got) != 0 {
			t.Errorf("told, too: %q", got)
		}
		w.clientWith("ann", clientOptions{hub: "News"}).Close()
		if got := u.told(); !slices.Equal(got, []string{"connections connected", "connections disconnected"}) {
			t.Errorf("told of the other hub: %q", got)
		}
	})
}

func TestUpstreamsThatCannotBeAreRefusedWithoutTheirSecrets(t *testing.T) {
	for _, address := range []string{"", "upstream?code=secret", "ftp://upstream/secret", "http://{hub}.example.com/secret", "http://a{event}/secret", "{category}://x/secret", "http://secret:%zz@x", "http://x/secret\x7f"} {
		_, err := gateway.New(&gateway.Options{AccessKeys: []string{key}, Serverless: true, Upstreams: []gateway.Upstream{{URL: "http://good"}, {URL: address}}})
		if err == nil || !strings.Contains(err.Error(), "Upstreams[1]") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := gateway.New(&gateway.Options{AccessKeys: []string{key}, Upstreams: []gateway.Upstream{{URL: "http://good"}}}); err == nil {
		t.Error("upstreams beside app servers are taken")
	}
}
