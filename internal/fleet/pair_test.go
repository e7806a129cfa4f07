package fleet

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/internal/transport"
)

const ownerURL = "http://owner.test/hubwire"

// A pair is two nodes with a Bus between them and, for links, a network.
type pair struct {
	bus          *memoryBus
	asker, owner *Fleet
	net          *memnet.Link // from the asker to the owner
	answers      http.Handler // at the owner's URL
	gate         *gate        // what the owner reads waits there

	mu       sync.Mutex
	executed []string // bodies that the owner was given
}

// A gate holds back what is read, while it is shut.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // nil: it is open
}

func (g *gate) close() { g.mu.Lock(); defer g.mu.Unlock(); g.shut = make(chan struct{}) }

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

func (g *gate) pass() {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
}

// A gatedListener accepts connections that go through a gate, both ways: what is
// behind it is frozen while that is shut.
type gatedListener struct {
	net.Listener
	gate *gate
}

func (l gatedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return gatedConn{c, l.gate}, err
}

type gatedConn struct {
	net.Conn
	gate *gate
}

func (c gatedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.gate.pass()
	return n, err
}

func (c gatedConn) Write(p []byte) (int, error) {
	c.gate.pass()
	return c.Conn.Write(p)
}

func options(node string) Options {
	return Options{Node: node, Base: "base:", Keys: []Key{key('a')}, Log: slog.New(slog.DiscardHandler)}
}

// newPair must be called in a synctest bubble.
func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{bus: &memoryBus{hears: map[string]*Fleet{}}, gate: &gate{}}
	l := memnet.Listen()
	p.net = l.Link(nil)
	a, o := options("asker"), options("owner")
	a.Dial, o.URL = p.net.DialContext, ownerURL
	p.asker, p.owner = New(p.bus, a), New(p.bus, o)
	p.answers = p.owner.Handler()
	p.bus.listen(p.asker.NodeChannel(), p.asker)
	p.bus.listen(p.owner.NodeChannel(), p.owner)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.answers.ServeHTTP(w, r) })}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = web.Serve(gatedListener{l, p.gate}) // ends with Close
	}()
	t.Cleanup(func() {
		p.gate.open()
		p.asker.Close()
		p.owner.Close()
		_ = web.Close()
		<-done
	})
	return p
}

// serve makes the owner the owner of "c".
func (p *pair) serve(serve transport.ForwardHandler) {
	p.owner.Own(context.Background(), "c", serve)
	p.bus.listen(p.owner.connectionChannel("c"), p.owner)
}

// echo notes the body of a request and answers with it.
func (p *pair) echo(w transport.ForwardWriter, r *http.Request, _ []byte) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		return
	}
	p.mu.Lock()
	p.executed = append(p.executed, body.String())
	p.mu.Unlock()
	_, _ = w.Write(body.Bytes()) // the asker is gone otherwise
}

func (p *pair) bodies() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.executed, " ")
}

// post sends a request for "c" to the asker.
func (p *pair) post(body string) (answer string, err error) {
	w := httptest.NewRecorder()
	err = p.asker.Forward(w, httptest.NewRequest("POST", "/chat?id=x", strings.NewReader(body)), "c", nil)
	return w.Body.String(), err
}

// linked lets the nodes have a link.
func (p *pair) linked(t *testing.T) {
	t.Helper()
	p.asker.Learn("c", "owner", ownerURL)
	synctest.Wait()
	if p.link() == nil {
		t.Fatal("the nodes have no link")
	}
}

// link is that from the asker to the owner.
func (p *pair) link() *link {
	p.asker.mu.Lock()
	defer p.asker.mu.Unlock()
	if peer := p.asker.peers["owner"]; peer != nil {
		return peer.link
	}
	return nil
}

// A rawLink is the asker's end of a connection to the owner, in the hands of a test.
type rawLink struct {
	net.Conn
	in *bufio.Reader
}

// hello is one that the asker would send, unless changed.
func (p *pair) hello(t *testing.T, from *Fleet, to string, change ...func(*message)) string {
	t.Helper()
	m := &message{kind: kindHello, id: newExchangeID(), from: from.node, time: time.Now()}
	for _, f := range change {
		f(m)
	}
	return encoding.EncodeToString(m.seal(from.keyList()[0], from.base, from.nodeChannel(to)))
}

// raw sends the request of a link with a hello, and returns its answer.
func (p *pair) raw(t *testing.T, method, hello string) (*rawLink, *http.Response) {
	t.Helper()
	conn, err := p.net.DialContext(t.Context(), "tcp", "owner.test:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	r, err := http.NewRequestWithContext(t.Context(), method, ownerURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", upgradeName)
	if hello != "" {
		r.Header.Set(helloHeader, hello)
	}
	if err := r.Write(conn); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, r)
	if err != nil {
		t.Fatal(err)
	}
	return &rawLink{conn, in}, answer
}
