package transport

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const allTransports = `"availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]},{"transport":"ServerSentEvents","transferFormats":["Text"]},{"transport":"LongPolling","transferFormats":["Text","Binary"]}]}`

func TestNegotiate(t *testing.T) {
	change := func(f func(*Options)) Options {
		o := defaults()
		f(&o)
		return o
	}
	minimum1 := change(func(o *Options) { o.MinimumProtocolVersion = 1 })
	stateful := change(func(o *Options) { o.AllowStatefulReconnects = true })
	tests := []struct {
		name  string
		opts  Options
		query string
		want  string // ids replaced
	}{
		{"NegotiateV0OmitsToken", defaults(), "", `{"negotiateVersion":0,"connectionId":"id",` + allTransports},
		{"NegotiateV1", defaults(), "?negotiateVersion=1", `{"negotiateVersion":1,"connectionId":"id","connectionToken":"id",` + allTransports},
		{"NegotiateNonIntegerVersionError", defaults(), "?negotiateVersion=Invalid", `{"error":"The client requested a non-integer protocol version."}`},
		{"NegotiateMissingVersionBelowMinimum", minimum1, "", `{"error":"The client requested version '0', but the server does not support this version."}`},
		{"version 1 reaches the minimum", minimum1, "?negotiateVersion=1", `{"negotiateVersion":1,"connectionId":"id","connectionToken":"id",` + allTransports},
		{"a negative version", defaults(), "?negotiateVersion=-5", `{"error":"The client requested version '-5', but the server does not support this version."}`},
		{"NegotiateStatefulOffOnServer", defaults(), "?negotiateVersion=1&useStatefulReconnect=true", `{"negotiateVersion":1,"connectionId":"id","connectionToken":"id",` + allTransports},
		{"NegotiateStatefulNotRequested", stateful, "?negotiateVersion=1", `{"negotiateVersion":1,"connectionId":"id","connectionToken":"id",` + allTransports},
		{"NegotiateStatefulGranted", stateful, "?negotiateVersion=1&useStatefulReconnect=true", `{"useStatefulReconnect":true,"negotiateVersion":1,"connectionId":"id","connectionToken":"id",` + allTransports},
		{"NegotiateFiltersTransports, none", change(func(o *Options) { o.Transports = 0 }), "", `{"negotiateVersion":0,"connectionId":"id","availableTransports":[]}`},
		{"NegotiateFiltersTransports, two", change(func(o *Options) { o.Transports = LongPolling | WebSockets }), "", `{"negotiateVersion":0,"connectionId":"id","availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]},{"transport":"LongPolling","transferFormats":["Text","Binary"]}]}`},
		{"a redirect names neither id nor transports", change(func(o *Options) {
			o.Redirect = func(*http.Request) (string, string, bool) {
				return "https://other.test/hub?a=b&c='<ü>'", `to"ken`, true
			}
		}), "?negotiateVersion=1", `{"negotiateVersion":1,"url":"https://other.test/hub?a=b&c='<ü>'","accessToken":"to\"ken","availableTransports":[]}`},
		{"a redirect without token", change(func(o *Options) {
			o.Redirect = func(*http.Request) (string, string, bool) { return "https://other.test/hub", "", true }
		}), "", `{"negotiateVersion":0,"url":"https://other.test/hub","availableTransports":[]}`},
		{"Redirect may decline", change(func(o *Options) {
			o.Redirect = func(*http.Request) (string, string, bool) { return "x", "y", false }
		}), "", `{"negotiateVersion":0,"connectionId":"id",` + allTransports},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := serve(t, test.opts, nil)
			r := n.do("POST", "/hub/negotiate"+test.query, "")
			if got := randomID.ReplaceAllString(r.body, `:"id"`); r.status != 200 || got != test.want {
				t.Errorf("negotiate%s\n got: %d %s\nwant: %s", test.query, r.status, got, test.want)
			}
			if got := r.header["Content-Type"]; len(got) != 1 || got[0] != "application/json" || len(r.header) != 2 {
				t.Errorf("headers = %v, want Content-Length and Content-Type application/json", r.header)
			}
			want := 1
			if strings.Contains(test.want, "error") || strings.Contains(test.want, `"url"`) {
				want = 0
			}
			if got := n.connections(); got != want {
				t.Errorf("connections = %d, want %d", got, want)
			}
		})
	}
}

func TestNegotiateV1TokenIsLookupKey(t *testing.T) {
	n := serve(t, defaults(), nil)
	url := n.negotiate()
	c := n.endpoint.lookup(strings.TrimPrefix(url, "/hub?id="))
	if c == nil || c.ID() == c.Token() {
		t.Fatalf("connection %+v, want one with a token of its own", c)
	}
	if n.endpoint.lookup(c.ID()) != nil {
		t.Error("the public id finds the connection")
	}
	for _, id := range []string{c.ID(), c.Token()} {
		if len(id) != 22 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("id %q, want 22 characters of base64url", id)
		}
	}
	if c, _ := n.endpoint.newConn(0, false, nil); c.ID() != c.Token() {
		t.Error("in version 0 the id is the token")
	}
}

func TestMaximumConnectionsCountsWhatIsConnected(t *testing.T) {
	const full = "The server has as many connections as it takes."
	opts := defaults()
	opts.MaximumConnections = 2
	n := serve(t, opts, nil)
	for range 10 { // negotiates alone fill nothing
		n.negotiate()
	}
	late := n.negotiate()
	p := n.upgrade("/hub")
	polled := n.negotiate()
	n.do("GET", polled, "")
	for range 2 { // a connection counts once
		n.do("POST", polled, "x")
		n.do("GET", polled, "")
	}
	for what, r := range map[string]reply{
		"negotiate":              n.do("POST", "/hub/negotiate", ""),
		"WebSocket":              n.do("GET", "/hub", "", handshakeHeaders...),
		"WebSocket, negotiated":  n.do("GET", late, "", handshakeHeaders...),
		"SSE, negotiated before": n.do("GET", late, "", "Accept: text/event-stream"),
		"poll":                   n.do("GET", late, ""),
	} {
		if r.status != 503 || r.body != full || r.header.Get("Content-Type") != "text/plain" {
			t.Errorf("third %s = %v, want 503 %q", what, r, full)
		}
	}
	_ = p.conn.Close()
	eventually(t, "a place is free", func() bool { return n.do("GET", late, "").status == 200 })
	if r := n.do("DELETE", polled, ""); r.status != 202 {
		t.Errorf("DELETE = %v", r)
	}
	eventually(t, "a place is free again", func() bool { return n.do("POST", "/hub/negotiate", "").status == 200 })
}

func TestWhoIsRefusedTakesNoPlaceOfMaximumConnections(t *testing.T) {
	opts := defaults()
	opts.MaximumConnections = 1
	opts.SubProtocol = func([]string) string { panic("hook") }
	byHeader(&opts)
	n := serve(t, opts, nil)
	for what, headers := range map[string][]string{
		"poll": nil, "SSE": {"Accept: text/event-stream"}, "WebSocket": handshakeHeaders,
	} {
		url := n.negotiateAs("a")
		if r := n.do("GET", url, "", append([]string{"X-User: b"}, headers...)...); r.status != 403 {
			t.Errorf("%s of another user = %v, want 403", what, r)
		}
	}
	before := n.connections()
	if r := n.do("GET", "/hub", "", append([]string{"Sec-WebSocket-Protocol: a"}, handshakeHeaders...)...); r.status != 500 {
		t.Errorf("WebSocket that a hook refuses = %v, want 500", r)
	}
	if got := n.connections(); got != before {
		t.Errorf("%d connections after a refused WebSocket, want %d", got, before)
	}
	url := n.negotiateAs("a")
	if r := n.do("GET", url, "", "X-User: a"); r.status != 200 {
		t.Errorf("poll = %v, want 200", r)
	}
}

func TestMaximumNegotiatedCountsWhatIsNotConnected(t *testing.T) {
	opts := defaults()
	opts.MaximumNegotiated = 2
	inBubble(t, opts, nil, func(t *testing.T, n *node) {
		url := n.negotiate()
		n.negotiate()
		if r := n.do("POST", "/hub/negotiate", ""); r.status != 503 || r.body != "Too many connections were negotiated and not opened." {
			t.Errorf("third negotiate = %v, want 503", r)
		}
		n.upgrade("/hub") // needs none
		n.do("GET", url, "")
		n.negotiate() // the place of the one that was connected
		if r := n.do("POST", "/hub/negotiate", ""); r.status != 503 {
			t.Errorf("third negotiate = %v, want 503", r)
		}
		time.Sleep(17 * time.Second) // those that nobody has connected are forgotten
		n.negotiate()
		n.negotiate()
	})
}
