package middleware

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// passedOn is the header with which the middleware says that a node has passed a request on.
const passedOn = "X-Hubwire-Passed-On"

// A goNode is a server in the place of a Go node, behind an ASP.NET Core node with
// the middleware. By the request's token it does what the test wants. It is safe for
// concurrent use.
type goNode struct {
	asp    string // URL of the ASP.NET Core node
	server *httptest.Server
	client *http.Client

	mu       sync.Mutex
	handlers map[string]http.HandlerFunc
	had      map[string]int // requests
}

// startGoNode starts both. The middleware has another address, where nobody ever
// listens: each second request is passed over that.
func startGoNode(t *testing.T, args ...string) *goNode {
	t.Helper()
	harness.Long(t, "starts an ASP.NET Core node")
	harness.Dotnet(t)
	n := &goNode{handlers: map[string]http.HandlerFunc{}, had: map[string]int{}}
	n.server = httptest.NewServer(http.HandlerFunc(n.serve))
	t.Cleanup(n.server.Close)
	n.client = &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       waitTime,
	}
	t.Cleanup(n.client.CloseIdleConnections)
	args = append([]string{"--go", "http://127.0.0.1:1 " + n.server.URL}, args...)
	n.asp = harness.StartNode(t, nodeCommand(t, harness.Net10), args...).URL
	return n
}

func (n *goNode) serve(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("id")
	n.mu.Lock()
	n.had[token]++
	handler := n.handlers[token]
	n.mu.Unlock()
	if handler == nil {
		http.NotFound(w, r)
		return
	}
	handler(w, r)
}

// on says what a token's requests do.
func (n *goNode) on(token string, handler http.HandlerFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handlers[token] = handler
}

func (n *goNode) requests() (all int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, count := range n.had {
		all += count
	}
	return all
}

// ask sends a request for a token to the ASP.NET Core node.
func (n *goNode) ask(ctx context.Context, t *testing.T, method, token string, header http.Header, body io.Reader) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, n.asp+"/hub?id="+token, body)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(r.Header, header)
	return n.client.Do(r)
}

// read returns the status of the answer and its body.
func read(t *testing.T, answer *http.Response, err error) (status int, body string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return answer.StatusCode, string(text)
}

func TestRequestsPass(t *testing.T) {
	n := startGoNode(t)
	t.Run("nothing else is passed on", n.passNothingElse)
	t.Run("requests and answers pass unchanged", n.passUnchanged)
	t.Run("bodies pass in pieces", n.passInPieces)
	t.Run("a client that leaves ends the request of the Go node", n.clientLeaves)
	t.Run("a request that breaks is not repeated", n.breakOnce) // ends the Go node
}

func (n *goNode) passUnchanged(t *testing.T) {
	type came struct {
		line, host, body string
		header           http.Header
	}
	answered := http.Header{
		"Set-Cookie":                  {"a=1; Path=/", "b=2; Path=/"},
		"Access-Control-Allow-Origin": {"https://app.test"},
		"Content-Encoding":            {"gzip"},
		"Content-Type":                {"application/octet-stream"},
		"Location":                    {"/elsewhere"},
	}
	requests := make(chan came, 1)
	n.on("hw1.all", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		requests <- came{r.Method + " " + r.RequestURI, r.Host, string(body), r.Header}
		maps.Copy(w.Header(), answered)
		w.WriteHeader(http.StatusTemporaryRedirect)
		fmt.Fprint(w, "not really gzip")
	})
	sent := http.Header{
		"Authorization":     {"Bearer secret"},
		"Cookie":            {"a=b; c=grüße"},
		"Origin":            {"https://app.test"},
		"X-Forwarded-For":   {"192.0.2.1, 192.0.2.2"},
		"X-Forwarded-Proto": {"https"},
		"Traceparent":       {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		"Accept-Encoding":   {"gzip, br"},
		"User-Agent":        {"a test"},
		"X-Requested-With":  {"XMLHttpRequest"},
	}
	for range 2 { // the second one has no cookies of the first, and another turn
		for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS"} {
			body := ""
			header := sent.Clone()
			if method == "POST" {
				body = strings.Repeat("grüße ", 10_000)
				header.Set("Content-Type", "text/plain;charset=UTF-8")
			}
			r, err := http.NewRequest(method, n.asp+"/hub?id=hw1.all&x=%2f%41+%C3%BC&access_token=a.b-c", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "chat.test:8443"
			r.Header = header.Clone()
			r.Header["Connection"], r.Header["X-Once"] = []string{"X-Once"}, []string{"for the first hop"}
			answer, err := n.client.Do(r)
			status, text := read(t, answer, err)
			var got came
			select {
			case got = <-requests:
			default:
				t.Fatalf("%s has not come, and is answered %d", method, status)
			}
			if want := method + " /hub?id=hw1.all&x=%2f%41+%C3%BC&access_token=a.b-c"; got.line != want || got.host != "chat.test:8443" || got.body != body {
				t.Errorf("%q at %s with %d bytes, want %q with %d", got.line, got.host, len(got.body), want, len(body))
			}
			got.header.Del("Content-Length")
			header.Set(passedOn, "1")
			if !maps.EqualFunc(got.header, header, slices.Equal) {
				t.Errorf("%s came with %q\nwant %q", method, got.header, header)
			}
			for name, want := range answered {
				if got := answer.Header[name]; !slices.Equal(got, want) {
					t.Errorf("the answer of %s has %s %q, want %q", method, name, got, want)
				}
			}
			if status != http.StatusTemporaryRedirect || text != "not really gzip" {
				t.Errorf("%s is answered %d %q", method, status, text)
			}
		}
	}
}

// A body is not held until its end. HttpClient keeps what is smaller than its buffer
// of 4 KiB together; the pieces of an answer pass as they come.
func (n *goNode) passInPieces(t *testing.T) {
	const piece = 16 << 20 // two are more than Kestrel takes by itself
	begun, next := make(chan struct{}), make(chan struct{})
	n.on("hw1.up", func(w http.ResponseWriter, r *http.Request) {
		first, err := io.CopyN(io.Discard, r.Body, piece/2)
		if err != nil {
			t.Error(err)
		}
		close(begun)
		rest, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, first+rest)
	})
	n.on("hw1.down", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-next
			fmt.Fprintf(w, "data: %d\n", i)
		}
	})
	body, mouth := io.Pipe()
	type result struct {
		answer *http.Response
		err    error
	}
	posted := make(chan result, 1)
	go func() { // ends with the answer
		answer, err := n.ask(t.Context(), t, "POST", "hw1.up", nil, body)
		posted <- result{answer, err}
	}()
	for range 2 {
		if _, err := mouth.Write(make([]byte, piece)); err != nil {
			t.Fatal(err)
		}
		<-begun // before the second one is sent
	}
	mouth.Close()
	up := <-posted
	if status, got := read(t, up.answer, up.err); status != http.StatusOK || got != fmt.Sprint(2*piece) {
		t.Errorf("the POST is answered %d: %s bytes have come", status, got)
	}
	// The answer is here before the first event.
	answer, err := n.ask(t.Context(), t, "GET", "hw1.down", http.Header{"Accept": {"text/event-stream"}, "Accept-Encoding": {"gzip"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	next <- struct{}{}
	plain, err := gzip.NewReader(answer.Body) // see Program.cs
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(plain)
	for i := range 3 {
		if line, err := lines.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) {
			t.Errorf("event %q, %v", line, err)
		}
		if i < 2 {
			next <- struct{}{}
		}
	}
}

func (n *goNode) clientLeaves(t *testing.T) {
	for name, flush := range map[string]bool{"a poll": false, "an event stream": true} {
		t.Run(name, func(t *testing.T) {
			came, left := make(chan struct{}), make(chan struct{})
			n.on("hw1.leaves", func(w http.ResponseWriter, r *http.Request) {
				if flush {
					_ = http.NewResponseController(w).Flush()
				}
				close(came)
				<-r.Context().Done()
				close(left)
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				answer, err := n.ask(ctx, t, "GET", "hw1.leaves", nil, nil)
				if err == nil {
					_, err = io.ReadAll(answer.Body)
					answer.Body.Close()
				}
				if err == nil {
					t.Error("the request was answered before its client left")
				}
			}()
			<-came
			cancel()
			<-ended
			<-left
		})
	}
}

// A request that has been sent is never sent again: the Go node may have served it.
func (n *goNode) breakOnce(t *testing.T) {
	n.on("hw1.good", func(http.ResponseWriter, *http.Request) {})
	n.on("hw1.begins", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "begun")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	good := func() { // so that there is a connection that has been used
		for range 2 {
			answer, err := n.ask(t.Context(), t, "POST", "hw1.good", nil, nil)
			if status, _ := read(t, answer, err); status != http.StatusOK {
				t.Errorf("a good request is answered %d", status)
			}
		}
	}
	for i, test := range []struct{ method, body string }{{"GET", ""}, {"DELETE", ""}, {"POST", ""}, {"POST", "something"}, {"OPTIONS", ""}} {
		good()
		token := fmt.Sprint("hw1.breaks", i)
		n.on(token, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		answer, err := n.ask(t.Context(), t, test.method, token, nil, strings.NewReader(test.body))
		status, _ := read(t, answer, err)
		n.mu.Lock()
		had := n.had[token]
		n.mu.Unlock()
		if status != http.StatusBadGateway || had != 1 {
			t.Errorf("%s %q is answered %d after %d requests, want 502 after one", test.method, test.body, status, had)
		}
	}
	answer, err := n.ask(t.Context(), t, "GET", "hw1.begins", nil, nil)
	if err == nil { // else the end has come before the answer was read
		_, err = io.ReadAll(answer.Body)
		answer.Body.Close()
	}
	if err == nil {
		t.Error("an answer that breaks ends well for the client")
	}
	good()
	n.server.Close()
	answer, err = n.ask(t.Context(), t, "GET", "hw1.good", nil, nil)
	if status, _ := read(t, answer, err); status != http.StatusBadGateway {
		t.Errorf("without a node a request is answered %d, want 502", status)
	}
}

func (n *goNode) passNothingElse(t *testing.T) {
	for _, test := range []struct {
		method, target string
		status         int
	}{
		{"GET", "/healthz?id=hw1.x", http.StatusOK},
		{"GET", "/metrics?id=hw1.x", http.StatusNotFound},
		{"GET", "/hubs?id=hw1.x", http.StatusNotFound},
		{"GET", "/hub/other?id=hw1.x", http.StatusNotFound},
		{"POST", "/hub/negotiate?negotiateVersion=1", http.StatusOK},
		{"POST", "/hub/refresh?id=hw1.x", http.StatusNotFound},
		{"GET", "/hub?id=AbCdEfGhIjKlMnOpQrStUv", http.StatusNotFound},
		{"GET", "/hub?id=HW1.x", http.StatusNotFound},
		{"POST", "/hub", http.StatusBadRequest},
	} {
		r, err := http.NewRequest(test.method, n.asp+test.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := n.client.Do(r)
		if status, _ := read(t, answer, err); status != test.status {
			t.Errorf("%s %s is answered %d, want %d", test.method, test.target, status, test.status)
		}
	}
	if all := n.requests(); all != 0 {
		t.Errorf("the Go node has had %d requests, want none", all)
	}
}

func TestANodeThatIsItsOwnGoNodeSaysSo(t *testing.T) {
	harness.Long(t, "starts an ASP.NET Core node")
	harness.Dotnet(t)
	node := harness.StartNodeAt(t, "", nodeCommand(t, harness.Net10), "--go", "http://ADDR")
	client := &http.Client{Transport: &http.Transport{}, Timeout: waitTime}
	defer client.CloseIdleConnections()
	answer, err := client.Get(node.URL + "/hub?id=hw1.x")
	if status, _ := read(t, answer, err); status != http.StatusLoopDetected {
		t.Errorf("a request that comes back is answered %d, want 508", status)
	}
}

// dial opens a connection to the ASP.NET Core node.
func (n *goNode) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(n.asp, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
