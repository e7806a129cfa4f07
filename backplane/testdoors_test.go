package backplane

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubwire/hubwire/internal/memnet"
)

func nodeName(i int) string { return fmt.Sprint("node", i) }
func nodeURL(i int) string  { return "http://" + nodeName(i) + ".test/hubwire" }

// A door is where the other nodes reach one directly.
type door struct {
	listener *memnet.Listener
	link     *memnet.Link // of all others
	web      *http.Server // nil until open
	done     chan struct{}

	handler atomic.Pointer[http.Handler]
}

func (d *door) set(h http.Handler) { d.handler.Store(&h) }

// withDoor returns opts for the next node, with a URL if nodes go directly.
func (f *testFleet) withDoor(t *testing.T, opts Options) Options {
	if f.way == overRedis || f.way == mixed && len(f.doors) == 0 {
		f.doors = append(f.doors, nil)
		any := *opts.AnyNode
		any.dial = f.dialNode
		opts.AnyNode = &any
		return opts
	}
	d := &door{listener: memnet.Listen(), done: make(chan struct{})}
	d.link = d.listener.Link(nil)
	any := *opts.AnyNode
	if any.dial = f.dialNode; f.way != misled {
		any.NodeURL = nodeURL(len(f.doors))
	}
	opts.AnyNode = &any
	f.doors = append(f.doors, d)
	t.Cleanup(func() {
		_ = d.listener.Close()
		if d.web != nil {
			_ = d.web.Close()
			<-d.done
		}
	})
	return opts
}

// dialNode fits AnyNode.dial.
func (f *testFleet) dialNode(ctx context.Context, network, addr string) (net.Conn, error) {
	for i, d := range f.doors {
		if strings.HasPrefix(addr, nodeName(i)+".") {
			return d.link.DialContext(ctx, network, addr)
		}
	}
	return nil, fmt.Errorf("no node at %s", addr)
}

func (d *door) open(h http.Handler) {
	d.set(h)
	d.web = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*d.handler.Load()).ServeHTTP(w, r)
	})}
	go func() {
		defer close(d.done)
		_ = d.web.Serve(d.listener) // ends with Close
	}()
}

// meet waits until each node has a link to each other one, if they go directly.
func (f *testFleet) meet(t *testing.T) {
	t.Helper()
	if f.way == misled {
		return
	}
	was := f.pinned.Load()
	defer f.pinned.Store(was)
	for owner, d := range f.doors {
		if d == nil {
			continue
		}
		path := f.pollOn(t, int64(owner), "alice")
		for asker := range f.nodes {
			if asker != owner {
				f.pinned.Store(int64(asker))
				f.join(t, asker, path)
			}
		}
		if status, body := f.ask(t, "DELETE", path, "alice", ""); status != 202 {
			t.Fatalf("the end: %d %q", status, body)
		}
	}
}

// join sends to path until a node has passed a request on directly.
func (f *testFleet) join(t *testing.T, asker int, path string) {
	t.Helper()
	before := f.nodes[asker].Stats().ForwardedDirectly
	for end := time.Now().Add(time.Minute); f.nodes[asker].Stats().ForwardedDirectly == before; time.Sleep(time.Millisecond) {
		if status, body := f.ask(t, "POST", path, "alice", "{\"type\":6}\x1e"); status != 200 {
			t.Fatalf("send: %d %q", status, body)
		}
		if time.Now().After(end) {
			t.Fatal("the nodes have no link after a minute")
		}
	}
}

// introduce tells all nodes who has the connection of path, as it would tell them
// itself with its first answer.
func (f *testFleet) introduce(path string) {
	owner := int(f.pinned.Load())
	if owner < 0 || owner >= len(f.doors) || f.doors[owner] == nil || f.way == misled {
		return
	}
	_, token, _ := strings.Cut(path, "?id=")
	for i, r := range f.nodes {
		if ticket, ok := r.fleet.Open(token, "/chat", ""); ok && i != owner {
			r.fleet.Learn(ticket.ID, nodeName(owner), nodeURL(owner))
			f.introduced = true
		}
	}
}

// forwards returns how many requests were passed on, and how many of those directly.
func (f *testFleet) forwards() (all, direct uint64) {
	for _, r := range f.nodes {
		s := r.Stats()
		all, direct = all+s.Forwarded, direct+s.ForwardedDirectly
	}
	return all, direct
}
