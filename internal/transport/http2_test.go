package transport

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestStreamsPollsAndPostsOverHTTP2(t *testing.T) {
	opts := defaults()
	opts.PollTimeout = 50 * time.Millisecond
	opts.TransportSendTimeout = 2 * time.Second
	n, mux := newNode(t, opts, nil)
	server := httptest.NewUnstartedServer(mux)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(func() { stop(n.endpoint); server.CloseClientConnections(); server.Close() })
	do := func(method, path, body string, headers ...string) *http.Response {
		r, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if res.ProtoMajor != 2 {
			t.Fatalf("%s %s went over %s", method, path, res.Proto)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	negotiate := func() string {
		b, err := io.ReadAll(do("POST", "/hub/negotiate?negotiateVersion=1", "").Body)
		if err != nil || !strings.Contains(string(b), `"WebSockets"`) { // clients open them over HTTP/1.1
			t.Fatalf("negotiate = %s, %v", b, err)
		}
		_, token, _ := strings.Cut(string(b), `"connectionToken":"`)
		return "/hub?id=" + token[:22]
	}

	url := negotiate()
	stream := do("GET", url, "", "Accept", "text/event-stream")
	if got := readN(t, stream.Body, 3); got != ":\r\n" {
		t.Errorf("stream begins with %q", got)
	}
	if res := do("POST", url, "hello"); res.StatusCode != 200 {
		t.Errorf("POST = %v", res)
	}
	if got := readN(t, stream.Body, 15); got != "data: hello\r\n\r\n" {
		t.Errorf("event = %q", got)
	}
	<-time.After(opts.TransportSendTimeout * 5 / 4) // longer than a write may take
	a := n.app()
	_ = a.conn.Send(text("late"))
	a.conn.Finish()
	if rest, err := io.ReadAll(stream.Body); err != nil || string(rest) != "data: late\r\n\r\n" {
		t.Errorf("the rest is %q, %v", rest, err)
	}

	url = negotiate()
	if res := do("GET", url, ""); res.StatusCode != 200 || res.Header.Get("Content-Type") != octetStream {
		t.Errorf("first poll = %v", res)
	}
	if res := do("GET", url, ""); res.StatusCode != 200 || res.Header.Get("Content-Type") != textPlain {
		t.Errorf("poll that times out = %v", res)
	}
	if res := do("POST", url, strings.Repeat("x", 100_000)); res.StatusCode != 200 {
		t.Errorf("POST = %v", res)
	}
	b, err := io.ReadAll(do("GET", url, "").Body)
	if err != nil || len(b) != 100_000 {
		t.Errorf("poll = %d bytes, %v", len(b), err)
	}
	if res := do("DELETE", url, ""); res.StatusCode != 202 {
		t.Errorf("DELETE = %v", res)
	}
	if res := do("PUT", url, ""); res.StatusCode != 405 || res.Header.Get("Allow") != "" {
		t.Errorf("PUT = %v", res)
	}
}
