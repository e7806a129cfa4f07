package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/cmd/demo/blog"
)

// lines is what a demo prints, for a test that waits for some of it.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed with the next write
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.text.Write(p)
}

// waitFor waits until something was printed that matches, and returns its groups.
func (l *lines) waitFor(t *testing.T, pattern string) []string {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		l.mu.Lock()
		text := l.text.String()
		if l.more == nil {
			l.more = make(chan struct{})
		}
		more := l.more
		l.mu.Unlock()
		if m := regexp.MustCompile(pattern).FindStringSubmatch(text); m != nil {
			return m
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("the demo has not printed %q:\n%s", pattern, text)
		}
	}
}

// A demo runs as from the command line, until the test ends.
type demo struct {
	url1, url2 string
	keys       *io.PipeWriter // its standard input
}

func startDemo(t *testing.T, out *lines, args ...string) demo {
	t.Helper()
	in, keys := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), in, out) }()
	t.Cleanup(func() {
		keys.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	})
	nodes := out.waitFor(t, `Node 1: (\S+)\nNode 2: (\S+)`)
	out.waitFor(t, "Ctrl")
	return demo{nodes[1], nodes[2], keys}
}

// post sends a request as a page of origin does, and returns its status.
func post(t *testing.T, url, origin string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", origin)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if allowed := answer.Header.Get("Access-Control-Allow-Origin"); answer.StatusCode < 300 && allowed != origin {
		t.Errorf("POST %s allows %q to read the answer, want %s", url, allowed, origin)
	}
	return answer.StatusCode
}

func TestClientsGoOnWithNode2WhileNode1IsStopped(t *testing.T) {
	out := &lines{}
	d := startDemo(t, out, "-angular=off")
	if _, err := io.WriteString(d.keys, "nonsense\ns\n"); err != nil {
		t.Fatal(err)
	}
	out.waitFor(t, "client of node 1 +connected to "+d.url2+"/hub")
	out.waitFor(t, "node 1 has stopped")
	if _, err := http.Get(d.url1); err == nil {
		t.Error("node 1 answers though it has stopped")
	}
	if _, page := get(t, d.url2+"/"); !strings.Contains(page, `"running":false`) {
		t.Errorf("the page does not know that node 1 is stopped:\n%s", page)
	}
	if status := post(t, d.url2+"/api/posts/43/publish", d.url1); status != http.StatusAccepted {
		t.Errorf("publish on node 2: %d", status)
	}
	out.waitFor(t, `client of node 1 +PostPublished +43`)

	// A page starts it again, at the same address, as a node of the same app.
	switches := d.url2 + "/api/nodes/1/"
	for range 2 { // the second one has nothing to do
		if status := post(t, switches+"start", d.url1); status != http.StatusNoContent {
			t.Errorf("start of node 1: %d", status)
		}
	}
	if status := post(t, d.url1+"/api/posts/44/publish", d.url2); status != http.StatusAccepted {
		t.Errorf("publish on node 1: %d", status)
	}
	out.waitFor(t, `client of node 2 +PostPublished +44`)

	for _, path := range []string{"/api/nodes/1/stop", "/api/posts/45/publish"} {
		if status := post(t, d.url2+path, "https://elsewhere.example"); status != http.StatusForbidden {
			t.Errorf("a page from elsewhere may POST %s: %d", path, status)
		}
	}
}

// Browsers open connections in advance. One that has asked nothing yet does not
// keep node 1 from stopping, and the clients of node 2 hear that it has stopped.
func TestNode1StopsWithConnectionsThatSaidNothing(t *testing.T) {
	out := &lines{}
	d := startDemo(t, out, "-angular=off")
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.url1, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if status := post(t, d.url2+"/api/nodes/1/stop", d.url1); status != http.StatusNoContent {
		t.Errorf("stop of node 1: %d", status)
	}
	out.waitFor(t, "node 1 has stopped")
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a connection to a node that has stopped is open")
	}
}

func TestANodeThatHasStoppedHasNoPeople(t *testing.T) {
	a, err := newApp(flags{addr: "127.0.0.1:0", backplane: true, nodes: 2}, nil, &screen{out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.stop(); err != nil {
			t.Error(err)
		}
		if err := a.switchNode1(true); err != errEnding {
			t.Errorf("switch of an app that has ended = %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), storyTime)
	defer cancel()
	var names []string
	everyone := a.bus.people("Demo:")
	defer everyone.(io.Closer).Close()
	enter := func(url, name string) {
		c, err := a.connect(ctx, name, url+"/hub")
		if err != nil {
			t.Fatal(err)
		}
		var me blog.Person
		if err := c.Invoke(ctx, &me, "Enter", name); err != nil || me.Name != name {
			t.Fatalf("Enter = %+v, %v", me, err)
		}
		names = append(names, name)
	}
	enter(a.node1.url, "Ada")
	enter(a.node2.url, "Grace")
	if all, err := everyone.All(ctx); err != nil || len(all) != 2 {
		t.Errorf("here are %v, %v; want %q", all, err, names)
	}
	if err := a.switchNode1(false); err != nil {
		t.Fatal(err)
	}
	if all, err := everyone.All(ctx); err != nil || len(all) != 1 || all[0].Name != "Grace" {
		t.Errorf("after node 1 has stopped, here are %v, %v", all, err)
	}
}
