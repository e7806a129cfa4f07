package transport

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBodiesThatNeverComeEndTheirRequests(t *testing.T) {
	for _, test := range []struct {
		name, method, path string // %s is the URL of a connection
		chunked            bool
		header             string
		status             int
	}{
		{"negotiate", "POST", "/hub/negotiate", false, "", 200},
		{"negotiate, chunked", "POST", "/hub/negotiate", true, "", 200},
		{"POST without id", "POST", "/hub", false, "", 400},
		{"POST to an unknown id", "POST", "/hub?id=x", false, "", 404},
		{"POST to an unknown id, chunked", "POST", "/hub?id=x", true, "", 404},
		{"POST to a connection", "POST", "%s", false, "", 400},
		{"DELETE of an unknown id", "DELETE", "/hub?id=x", false, "", 404},
		{"DELETE of a connection that is not polled", "DELETE", "%s", false, "", 400},
		{"poll of an unknown id", "GET", "/hub?id=x", false, "", 404},
		{"poll of a connection", "GET", "%s", false, "", 400},
		{"poll of a connection, chunked", "GET", "%s", true, "", 400},
		{"SSE", "GET", "%s", false, "Accept: text/event-stream\r\n", 400},
		{"another method", "PUT", "/hub", false, "", 405},
		{"below the route", "GET", "/hub/x", false, "", 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
				path := test.path
				if path == "%s" {
					path = n.negotiate()
				}
				body := "Content-Length: 100\r\n"
				if test.chunked {
					body = "Transfer-Encoding: chunked\r\n"
				}
				p := n.dial()
				start := time.Now()
				p.write(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: test\r\n%s%s\r\n", test.method, path, test.header, body))
				if r := p.response(test.method); r.status != test.status {
					t.Errorf("answer = %v, want %d", r, test.status)
				}
				p.expectEnd()
				if d := time.Since(start); d < time.Second || d > 7*time.Second {
					t.Errorf("the TCP connection ended after %v, want 5 s or so", d)
				}
			})
		})
	}
}

func TestARequestWithABodyThatNobodyWantsLeavesItsConnectionToTheNext(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		p := n.dial()
		for range 2 {
			p.request("POST", "/hub/negotiate", "body")
			if r := p.response("POST"); r.status != 200 {
				t.Fatalf("negotiate = %v", r)
			}
			p.request("GET", n.negotiate(), "body")
			if r := p.response("GET"); r.status != 200 {
				t.Fatalf("poll = %v", r)
			}
			time.Sleep(10 * time.Second) // the deadline for the body is not one for the next request
		}
	})
}

func TestPostsThatWaitForTheirTurnEndWithTheirClient(t *testing.T) {
	release := make(chan struct{})
	opts := defaults()
	opts.MaximumWaitingPosts = 5
	inBubble(t, opts, func(a *echoApp) {
		a.receive = func([]byte, bool) bool { <-release; return true }
	}, func(t *testing.T, n *node) {
		release = make(chan struct{})
		url := n.negotiate()
		n.do("GET", url, "")
		c := n.app().conn
		posts := func() int {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.http.posts
		}
		slow := n.dial()
		slow.request("POST", url, "slow")
		synctest.Wait()
		for range 3 { // each time all places are taken
			var waiting []*peer
			for range opts.MaximumWaitingPosts - 1 {
				p := n.dial()
				p.request("POST", url, "left")
				waiting = append(waiting, p)
			}
			synctest.Wait()
			if got := posts(); got != opts.MaximumWaitingPosts {
				t.Fatalf("%d POSTs wait, want %d", got, opts.MaximumWaitingPosts)
			}
			if r := n.do("POST", url, "one more"); r.status != 429 || r.body != "Too many requests of this connection wait for their turn." {
				t.Errorf("one more = %v, want 429", r)
			}
			for _, p := range waiting {
				_ = p.conn.Close()
			}
			synctest.Wait()
			if got := posts(); got != 1 {
				t.Fatalf("%d POSTs wait when their clients have left, want the slow one", got)
			}
		}
		kept := n.dial()
		kept.request("POST", url, "kept")
		synctest.Wait()
		close(release)
		if r := slow.response("POST"); r.status != 200 {
			t.Errorf("the slow one = %v", r)
		}
		if r := kept.response("POST"); r.status != 200 {
			t.Errorf("the one that waited = %v", r)
		}
	})
}

func TestLongRequestLinesAndHeadersAreRefused(t *testing.T) {
	n := serve(t, defaults(), nil)
	for _, test := range []struct {
		name    string
		url     int // length of the query's value
		headers []string
		status  int
	}{
		// "GET /hub?id= HTTP/1.1\r\n" are 23 bytes.
		{"a line of 8 KiB", 8192 - 23, nil, 404},
		{"a line of a byte more", 8192 - 22, nil, 414},
		{"a line of 500 KB", 500_000, nil, 414},
		// "Host: test\r\n" and "X-Big: \r\n" are 12 and 9 bytes.
		{"a header of 32 KiB", 1, []string{"X-Big: " + strings.Repeat("x", 32768-12-9)}, 404},
		{"a header of a byte more", 1, []string{"X-Big: " + strings.Repeat("x", 32768-12-8)}, 431},
		{"100 lines", 1, lines(99), 404},
		{"101 lines", 1, lines(100), 431},
		{"a WebSocket with a long header", 0, append([]string{"X-Big: " + strings.Repeat("x", 500_000)}, handshakeHeaders...), 431},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := n.dial()
			p.request("GET", "/hub?id="+strings.Repeat("a", test.url), "", test.headers...)
			r := p.response("GET")
			if r.status != test.status {
				t.Fatalf("answer = %v, want %d", r, test.status)
			}
			if test.status != 404 && (r.body != "" || r.header["Content-Type"] != nil || n.connections() != 0) {
				t.Errorf("answer = %v and %d connections, want nothing else", r, n.connections())
			}
			if test.status != 404 {
				p.expectEnd()
			}
		})
	}
}

func lines(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("X-%d: a", i))
	}
	return all
}

func TestAQueryWithManyValuesCostsWhatItIsLong(t *testing.T) {
	for name, one := range map[string]string{"empty": "id&", "values": "id=abc&", "escaped": "%69d=%41&", "others": "a=b&"} {
		query := strings.Repeat(one, 100_000/len(one))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		value := queryValue(query, "id")
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 20*100_000 {
			t.Errorf("%s: a query of 100 kB costs %d bytes", name, got)
		}
		if want := strings.Count(query, "d"); name != "others" && strings.Count(value, ",") != want-1 {
			t.Errorf("%s: %d values, want %d", name, strings.Count(value, ",")+1, want)
		}
	}
}

func TestNumbersOfARequestAreTriedWithTheirExtremes(t *testing.T) {
	n := serve(t, defaults(), nil)
	version := func(v string) string { return "/hub/negotiate?negotiateVersion=" + v }
	const noInteger = `{"error":"The client requested a non-integer protocol version."}`
	for _, test := range []struct {
		name, method, path string
		headers            []string
		status             int
		body               string // "": any
	}{
		{"version 2^31-1", "POST", version("2147483647"), nil, 200, ""},
		{"version 2^31", "POST", version("2147483648"), nil, 200, noInteger},
		{"version -2^31", "POST", version("-2147483648"), nil, 200, `{"error":"The client requested version '-2147483648', but the server does not support this version."}`},
		{"version -2^31-1", "POST", version("-2147483649"), nil, 200, noInteger},
		{"version of 1,000 digits", "POST", version(strings.Repeat("9", 1000)), nil, 200, noInteger},
		{"version -0", "POST", version("-0"), nil, 200, ""},
		{"version with a zero byte", "POST", version("1%00"), nil, 200, ""},
		{"version with a zero byte in front", "POST", version("%001"), nil, 200, noInteger},
		{"version 0x1", "POST", version("0x1"), nil, 200, noInteger},
		{"version 1_0", "POST", version("1_0"), nil, 200, noInteger},
		{"version 1.0", "POST", version("1.0"), nil, 200, noInteger},
		{"an id of 8,000 bytes", "GET", "/hub?id=" + strings.Repeat("a", 8000), nil, 404, "No Connection with that ID"},
		{"an id of zero bytes", "GET", "/hub?id=%00", nil, 404, "No Connection with that ID"},
		{"a length of 2^63-1", "POST", "/hub?id=x", []string{"Content-Length: 9223372036854775807", "Connection: close"}, 404, ""},
		{"a length of 2^63", "POST", "/hub?id=x", []string{"Content-Length: 9223372036854775808"}, 400, ""},
		{"a length of -1", "POST", "/hub?id=x", []string{"Content-Length: -1"}, 400, ""},
		{"WebSocket version 013", "GET", "/hub", replaced("13", "013"), 400, "Connection ID required"},
		{"WebSocket version 2^64", "GET", "/hub", replaced("13", "18446744073709551616"), 400, "Connection ID required"},
		{"WebSocket version -13", "GET", "/hub", replaced("13", "-13"), 400, "Connection ID required"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := n.dial()
			length := "Content-Length: 0\r\n"
			if strings.Contains(strings.Join(test.headers, ""), "Content-Length") {
				length = ""
			}
			p.write(test.method + " " + test.path + " HTTP/1.1\r\nHost: test\r\n" + length + strings.Join(append(test.headers, "", ""), "\r\n"))
			if r := p.response(test.method); r.status != test.status || (test.body != "" && r.body != test.body) || strings.Contains(r.body, "error") != strings.Contains(test.body, "error") {
				t.Errorf("answer = %v, want %d %q", r, test.status, test.body)
			}
		})
	}
	url := n.negotiate()
	p := n.dial()
	p.write("POST " + url + " HTTP/1.1\r\nHost: test\r\nContent-Length: 9223372036854775807\r\n\r\n")
	if r := p.response("POST"); r.status != 400 {
		t.Errorf("a length of 2^63-1 to a connection = %v, want 400", r)
	}
	if _, err := io.ReadAll(p.r); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("TCP did not end")
	}
}

func replaced(old, with string) (all []string) {
	for _, h := range handshakeHeaders {
		all = append(all, strings.ReplaceAll(h, "Version: "+old, "Version: "+with))
	}
	return all
}
