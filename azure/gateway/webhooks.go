package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// webhooks sends the events of clients to upstreams, in serverless mode: those of one
// client one after another, each when the previous one was answered. Its workers
// exist while there are events.
type webhooks struct {
	g         *Gateway
	upstreams []*upstream
	web       *http.Client
	requests  atomic.Int64    // that run with Options.UpstreamTransport, those that we have given up, too
	ctx       context.Context // of all requests; ends with Shutdown's
	stop      context.CancelFunc

	// mu guards what follows, and all of the queues. It is the innermost lock: never
	// held while waiting for anything.
	mu          sync.Mutex
	first, last *eventQueue // that have an event, and no worker
	workers     int
	size        int           // of all that waits
	gone        int           // queues of clients that are gone
	room        chan struct{} // closed when there is space again; nil while nobody waits
	idle        chan struct{} // closed with the last worker; nil while nobody waits
	closed      bool
}

// An eventQueue is what upstreams have not been told of a client yet.
type eventQueue struct {
	client  *client
	waiting []event // the first one may be on its way
	size    int
	listed  bool // has a worker, or waits for one
	running bool
	ended   bool // the client is gone; nothing more comes
	counted bool // among webhooks.gone
	next    *eventQueue
	room    chan struct{} // as webhooks.room
}

// An event is one request to come.
type event struct {
	to                      *upstream
	address, category, name string
	kind                    string // of the body
	body                    []byte
	invocationID            string // empty: nobody waits for an answer
}

// cost is the memory of an event, about.
func (e *event) cost() int { return 256 + len(e.address) + len(e.name) + len(e.body) }

func newWebhooks(g *Gateway, upstreams []*upstream) *webhooks {
	ctx, stop := context.WithCancel(context.Background())
	w := &webhooks{g: g, upstreams: upstreams, ctx: ctx, stop: stop}
	trip := g.opts.UpstreamTransport
	if trip == nil {
		trip = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			IdleConnTimeout:        90 * time.Second,
			MaxIdleConnsPerHost:    min(g.opts.MaximumUpstreamRequests, 1000),
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		}
	}
	w.web = &http.Client{Transport: trip, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // who is signed for is who was named
	}}
	return w
}

// add puts an event of a client behind its others, and waits while there are too
// many of its own, or of all. It reports false once done is closed, or nothing is
// taken any more.
func (w *webhooks) add(q *eventQueue, e event, before func(), done <-chan struct{}) bool {
	for {
		w.mu.Lock()
		var room *chan struct{}
		switch {
		case w.closed || q.ended:
			w.mu.Unlock()
			return false
		case q.size >= w.g.opts.ClientBufferSize:
			room = &q.room
		case w.size >= w.g.opts.UpstreamQueueLimit:
			room = &w.room
		default:
			w.putLocked(q, e)
			w.mu.Unlock()
			return true
		}
		if *room == nil {
			*room = make(chan struct{})
		}
		wait := *room
		w.mu.Unlock()
		before()
		select {
		case <-wait:
		case <-done:
			return false
		}
	}
}

// begin queues the event that a client has connected. It never blocks.
func (w *webhooks) begin(q *eventQueue) {
	e, ok := w.newEvent(q.client.hub.name, categoryConnections, eventConnected)
	if !ok {
		return
	}
	e.kind, e.body = typeJSON, bodyConnected
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed && !q.ended {
		w.putLocked(q, e)
	}
}

// end queues the event that a client is gone, after all that it has sent. If too many
// such events are pending, the client's events are dropped.
func (w *webhooks) end(q *eventQueue, text string) {
	e, ok := w.newEvent(q.client.hub.name, categoryConnections, eventDisconnected)
	w.mu.Lock()
	defer w.mu.Unlock()
	if q.ended {
		return
	}
	q.ended = true
	wake(&q.room)
	switch {
	case w.closed:
		if ok {
			w.g.counts.dropped.Add(1)
		}
		return
	case w.gone >= w.g.opts.MaximumEndedClients:
		if w.dropLocked(q); ok {
			w.g.counts.dropped.Add(1)
		}
		return
	case ok:
		e.kind, e.body = typeJSON, bodyDisconnected(text)
		w.putLocked(q, e)
	}
	if len(q.waiting) > 0 {
		q.counted = true
		w.gone++
	}
}

// full reports whether so many such events are pending that no new clients are taken.
func (w *webhooks) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gone >= w.g.opts.MaximumEndedClients
}

func (w *webhooks) putLocked(q *eventQueue, e event) {
	q.waiting = append(q.waiting, e)
	q.size += e.cost()
	w.size += e.cost()
	if q.listed {
		return
	}
	w.listLocked(q)
	if w.workers < w.g.opts.MaximumUpstreamRequests {
		w.workers++
		go w.work()
	}
}

// listLocked puts q at the end of those that wait for a worker.
func (w *webhooks) listLocked(q *eventQueue) {
	q.listed = true
	if w.last == nil {
		w.first = q
	} else {
		w.last.next = q
	}
	w.last = q
}

// work brings events to upstreams, one of each client in turn, until there are
// none.
func (w *webhooks) work() {
	for {
		q, e := w.next()
		if q == nil {
			return
		}
		w.bring(q, e)
	}
}

// next takes a client that has an event. Without one, the worker that asks is done.
func (w *webhooks) next() (*eventQueue, *event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for q := w.first; q != nil; q = w.first {
		if w.first = q.next; w.first == nil {
			w.last = nil
		}
		q.next, q.listed = nil, false
		if len(q.waiting) > 0 { // else they were dropped
			q.listed, q.running = true, true
			e := q.waiting[0]
			return q, &e
		}
	}
	if w.workers--; w.workers == 0 {
		wake(&w.idle)
	}
	return nil, nil
}

// bring sends one event to its upstream.
func (w *webhooks) bring(q *eventQueue, e *event) {
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		q.running, q.listed = false, false
		if w.takeLocked(q, 0, 1); w.closed {
			w.dropLocked(q)
		}
		if len(q.waiting) > 0 {
			w.listLocked(q)
		}
	}()
	w.tell(q.client, e)
}

// takeLocked takes n events out of a queue, from the i-th on.
func (w *webhooks) takeLocked(q *eventQueue, i, n int) {
	for _, e := range q.waiting[i : i+n] {
		q.size -= e.cost()
		w.size -= e.cost()
	}
	copy(q.waiting[i:], q.waiting[i+n:])
	clear(q.waiting[len(q.waiting)-n:])
	if q.waiting = q.waiting[:len(q.waiting)-n]; len(q.waiting) == 0 {
		q.waiting = nil
		if q.counted {
			q.counted = false
			w.gone--
		}
	}
	wake(&q.room)
	if w.size < w.g.opts.UpstreamQueueLimit/2 {
		wake(&w.room)
	}
}

// dropLocked drops a client's waiting events, except one that is being sent.
func (w *webhooks) dropLocked(q *eventQueue) {
	i := 0
	if q.running {
		i = 1
	}
	w.g.counts.dropped.Add(uint64(len(q.waiting) - i))
	w.takeLocked(q, i, len(q.waiting)-i)
}

func wake(room *chan struct{}) {
	if *room != nil {
		close(*room)
		*room = nil
	}
}

// shutdown waits until upstreams have been told everything, or ctx is done: then
// it drops the rest, ends the requests that run, and returns ctx.Err().
func (w *webhooks) shutdown(ctx context.Context) error {
	err := w.awaitIdle(ctx)
	before := w.g.counts.dropped.Load()
	w.mu.Lock()
	w.closed = true
	for q := w.first; q != nil; q = q.next {
		w.dropLocked(q)
	}
	w.mu.Unlock()
	w.stop()
	_ = w.awaitIdle(context.Background()) // their requests have ended just now
	w.web.CloseIdleConnections()
	if dropped := w.g.counts.dropped.Load() - before; dropped > 0 {
		w.g.log.Warn("events of clients dropped", "events", dropped, "reason", "the upstream has not taken them in time")
	}
	return err
}

func (w *webhooks) awaitIdle(ctx context.Context) error {
	w.mu.Lock()
	if w.workers == 0 {
		w.mu.Unlock()
		return nil
	}
	if w.idle == nil {
		w.idle = make(chan struct{})
	}
	idle := w.idle
	w.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
