package soak

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

// callTime is how long a worker waits for anything: Redis may be away.
const callTime = 3 * time.Second

// A worker is one client after the other. Its choices follow from the seed; what
// they meet does not.
type worker struct {
	soak *soak
	rand *rand.Rand
}

func (w *worker) work(ctx context.Context) {
	for ctx.Err() == nil {
		w.live(ctx)
		pause(ctx, time.Duration(w.rand.IntN(100))*time.Millisecond)
	}
}

// A life is one client from its beginning to its end.
type life struct {
	*worker
	client   *hubclient.Client
	link     *link
	stateful bool
	answers  sync.WaitGroup
}

// live connects a client, lets it do this and that, and ends it.
func (w *worker) live(ctx context.Context) {
	l := &life{worker: w, link: &link{}, stateful: w.rand.IntN(3) == 0}
	defer l.answers.Wait()
	transport := []string{hubclient.WebSockets, hubclient.WebSockets, hubclient.ServerSentEvents, hubclient.LongPolling}[w.rand.IntN(4)]
	l.stateful = l.stateful && transport == hubclient.WebSockets
	codec := protocol.Codec(protocol.JSON{})
	if transport != hubclient.ServerSentEvents && w.rand.IntN(2) == 0 {
		codec = protocol.MessagePack{}
	}
	asked := make(chan string, 10)
	dialing, cancel := context.WithTimeout(ctx, callTime)
	client, err := hubclient.Dial(dialing, hubclient.Options{
		ConnOptions: hubclient.ConnOptions{
			URL: w.soak.nodes[w.rand.IntN(len(w.soak.nodes))].url, DialContext: l.link.dial, Transport: transport,
			SkipNegotiation:   transport == hubclient.WebSockets && !l.stateful && w.rand.IntN(3) == 0,
			StatefulReconnect: l.stateful,
		},
		Codec: codec, PingInterval: time.Second,
		Receive: func(m *protocol.Invocation) {
			if m.InvocationID == "" {
				return
			}
			select {
			case asked <- m.InvocationID:
			default: // a worker asks for one answer at a time
			}
		},
	})
	cancel()
	if err != nil {
		w.soak.book.add("could not connect " + transport)
		l.link.cut() // what was left of the attempt
		return
	}
	w.soak.book.add("connected " + transport)
	l.client = client
	l.answers.Go(func() { l.answer(asked) })
	for range w.rand.IntN(40) {
		if !l.step(ctx) {
			break
		}
	}
	l.leave()
}

// answer answers what the hub asks, until the client has ended.
func (l *life) answer(asked <-chan string) {
	for {
		select {
		case id := <-asked:
			// An error means that the client has ended.
			_ = l.client.Write(&protocol.Completion{InvocationID: id, Kind: protocol.ResultValue, Result: "an answer"})
		case <-l.client.Done():
			return
		}
	}
}

// step does one thing; it reports whether the client lives on.
func (l *life) step(ctx context.Context) bool {
	select {
	case <-l.client.Done():
		l.soak.book.add("end: by the server")
		return false
	default:
	}
	calling, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	group := groups[l.rand.IntN(len(groups))]
	switch n := l.rand.IntN(20); {
	case n < 8:
		l.called("echo", l.echo(calling))
	case n < 10:
		l.called("group", errors.Join(l.client.Invoke(calling, nil, "Join", group), l.client.Invoke(calling, nil, "Tell", group, "hello")))
	case n < 11:
		l.called("group", l.client.Invoke(calling, nil, "Leave", group))
	case n < 13:
		l.called("stream", l.stream(calling))
	case n < 15:
		l.called("upload", l.upload(calling))
	case n < 16:
		l.called("ask", l.client.Invoke(calling, nil, "Ask"))
	case n < 17:
		l.soak.book.add("slow reader")
		l.link.stop(true)
		pause(ctx, time.Duration(l.rand.IntN(4000))*time.Millisecond)
		l.link.stop(false)
	case n < 18 && l.stateful:
		l.link.cut()
		if l.client.Resume(calling) == nil {
			l.soak.book.add("resumed")
		} else {
			l.soak.book.add("not resumed")
		}
	default:
		pause(ctx, time.Duration(l.rand.IntN(300))*time.Millisecond)
	}
	return ctx.Err() == nil
}

// called counts a call. One that fails is nothing unusual: Redis may be away.
func (l *life) called(what string, err error) {
	if err != nil {
		what += " failed"
	}
	l.soak.book.add("call: " + what)
}

func (l *life) echo(ctx context.Context) error {
	said, got := strings.Repeat("e", 1+l.rand.IntN(20_000)), ""
	err := l.client.Invoke(ctx, &got, "Echo", said)
	if err == nil && got != said {
		l.soak.t.Errorf("Echo of %d bytes has returned %d", len(said), len(got))
	}
	return err
}

// stream takes some items of a stream, which may be all, and cancels the rest.
func (l *life) stream(ctx context.Context) error {
	call, err := l.client.Stream("Count", []any{l.rand.IntN(500)})
	if err != nil {
		return err
	}
	defer call.Forget()
	for want := range l.rand.IntN(500) {
		var got int
		ok, err := call.Next(ctx, &got)
		if err != nil || !ok {
			return err
		}
		if got != want {
			l.soak.t.Errorf("item %d of a stream is %d", want, got)
		}
	}
	return call.Cancel()
}

func (l *life) upload(ctx context.Context) error {
	n := l.rand.IntN(100)
	call, err := l.client.Start("Sum", nil, func(stop <-chan struct{}) iter.Seq2[any, error] {
		return func(yield func(any, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
		}
	})
	if err != nil {
		return err
	}
	var sum int
	if err := call.Wait(ctx, &sum); err != nil {
		call.Forget()
		return err
	}
	if want := n * (n - 1) / 2; sum != want {
		l.soak.t.Errorf("the sum of an upload is %d, want %d", sum, want)
	}
	return nil
}

// leave ends the client in one of the ways in which clients end.
func (l *life) leave() {
	switch how := []string{"close", "abort", "cut", "kicked"}[l.rand.IntN(4)]; how {
	case "close":
		l.soak.book.add("end: close")
		l.client.Close()
		return
	case "cut":
		l.soak.book.add("end: cut")
		l.link.cut()
	case "kicked":
		l.soak.book.add("end: kicked")
		kicking, cancel := context.WithTimeout(context.Background(), callTime)
		_ = l.client.Invoke(kicking, nil, "Kick") // it ends the connection, and may be answered before
		cancel()
	default:
		l.soak.book.add("end: abort")
	}
	l.client.Abort()
	l.link.cut()
}

// A link is the network of one client.
type link struct {
	mu      sync.Mutex
	conns   []*conn
	stopped chan struct{} // not nil: the client reads nothing until it is closed
}

// A conn is a TCP connection that can be stopped.
type conn struct {
	net.Conn
	link *link
	once sync.Once
	over chan struct{}
}

func (k *link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	own := &conn{Conn: c, link: k, over: make(chan struct{})}
	k.conns = append(k.conns, own)
	return own, nil
}

// stop makes the client read nothing, or read again.
func (k *link) stop(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case on && k.stopped == nil:
		k.stopped = make(chan struct{})
	case !on && k.stopped != nil:
		close(k.stopped)
		k.stopped = nil
	}
}

// cut resets all connections of the client.
func (k *link) cut() {
	k.mu.Lock()
	all := k.conns
	k.conns = nil
	k.mu.Unlock()
	for _, c := range all {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // it may be closed already
		}
		_ = c.Close()
	}
}

func (c *conn) Read(p []byte) (int, error) {
	c.link.mu.Lock()
	stopped := c.link.stopped
	c.link.mu.Unlock()
	if stopped != nil {
		select {
		case <-stopped:
		case <-c.over:
		}
	}
	return c.Conn.Read(p)
}

func (c *conn) Close() error {
	c.once.Do(func() { close(c.over) })
	return c.Conn.Close()
}
