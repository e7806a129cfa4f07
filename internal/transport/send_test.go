package transport

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestConcurrentSendersKeepTheirOrder(t *testing.T) {
	const senders, messages = 8, 500
	n := serve(t, defaults(), nil)
	p := n.upgrade("/hub")
	a := n.app()
	var group sync.WaitGroup
	for s := range senders {
		group.Go(func() {
			for i := range messages {
				if i%10 == s {
					a.conn.Cork()
				}
				body := fmt.Sprintf("%d %d %s", s, i, strings.Repeat(".", (i*37)%9000))
				if err := a.conn.Send(text(body)); err != nil {
					t.Errorf("Send = %v", err)
				}
				if i%7 == s {
					a.conn.Uncork()
				}
			}
			a.conn.Uncork()
		})
	}
	next := [senders]int{}
	for range senders * messages {
		_, payload := p.frame()
		var s, i int
		if _, err := fmt.Sscan(payload, &s, &i); err != nil || i != next[s] {
			t.Fatalf("message %.20q, want number %d of its sender", payload, next[s])
		}
		next[s]++
	}
	group.Wait()
}

func TestCorkKeepsWhatIsSentTogether(t *testing.T) {
	n := serve(t, defaults(), nil)
	p := n.upgrade("/hub")
	a := n.app()
	a.conn.Uncork() // harmless
	a.conn.Cork()
	for i := range 10 {
		_ = a.conn.Send(text(fmt.Sprint(i)))
	}
	_ = p.conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	if _, _, err := p.tryFrame(); err == nil {
		t.Error("a frame came though the connection is corked")
	}
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	a.conn.Uncork()
	for i := range 10 {
		p.expect(opText, fmt.Sprint(i))
	}
	if p.r.Buffered() > 0 {
		t.Error("more came than was sent")
	}
}

func TestSendWaitWaitsForTheClient(t *testing.T) {
	opts := defaults()
	opts.TransportMaxBufferSize = 10_000
	n := serve(t, opts, nil)
	p := n.upgrade("/hub")
	a := n.app()
	const messages = 20_000
	sent := make(chan error)
	go func() {
		for i := range messages {
			if err := a.conn.SendWait(t.Context(), text(fmt.Sprintf("%d %s", i, strings.Repeat("x", 1000)))); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	eventually(t, "the sender waits", func() bool { return senderWaits(a.conn) })
	a.conn.mu.Lock()
	queued := a.conn.out.queued
	a.conn.mu.Unlock()
	if queued > 12_000+joinMost {
		t.Errorf("%d bytes are queued, want about %d", queued, opts.TransportMaxBufferSize)
	}
	for i := range messages {
		if _, payload := p.frame(); !strings.HasPrefix(payload, fmt.Sprint(i, " ")) {
			t.Fatalf("message %.10q, want number %d", payload, i)
		}
	}
	if err := <-sent; err != nil {
		t.Errorf("SendWait = %v", err)
	}
}

func senderWaits(c *Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rare != nil && c.rare.space != nil
}

func TestSendWaitEnds(t *testing.T) {
	opts := defaults()
	opts.TransportMaxBufferSize = 10
	n := serve(t, opts, nil)
	url := n.negotiate()
	n.do("GET", url, "") // nothing leaves the queue without a poll
	a := n.app()
	if err := a.conn.SendWait(t.Context(), text("0123456789")); err != nil {
		t.Fatalf("SendWait with an empty queue = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 3)
	go func() { ended <- a.conn.SendWait(ctx, text("x")) }()
	eventually(t, "the sender waits", func() bool { return senderWaits(a.conn) })
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Errorf("SendWait after cancel = %v", err)
	}
	for range 2 {
		go func() { ended <- a.conn.SendWait(t.Context(), text("y")) }()
	}
	eventually(t, "the senders wait", func() bool { return senderWaits(a.conn) })
	checkPoll(t, "poll", n.do("GET", url, ""), 200, octetStream, "0123456789")
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("SendWait after the poll = %v", err)
		}
	}
	_ = a.conn.Send(text("0123456789"))
	go func() { ended <- a.conn.SendWait(t.Context(), text("z")) }()
	eventually(t, "the sender waits", func() bool { return senderWaits(a.conn) })
	a.conn.Finish()
	if err := <-ended; err != ErrClosed {
		t.Errorf("SendWait at the end = %v, want ErrClosed", err)
	}
}

func TestSendWaitUncorksBeforeItWaits(t *testing.T) {
	opts := defaults()
	opts.TransportMaxBufferSize = 10
	n := serve(t, opts, nil)
	p := n.upgrade("/hub")
	a := n.app()
	a.conn.Cork()
	for range 5 {
		if err := a.conn.SendWait(t.Context(), text("0123456789")); err != nil {
			t.Fatalf("SendWait = %v", err)
		}
	}
	a.conn.Uncork()
	for range 5 {
		p.expect(opText, "0123456789")
	}
}

func TestQueueIsGivenBackAfterQuiet(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		p := n.upgrade("/hub")
		a := n.app()
		for _, frames := range []int{100, 1} {
			a.conn.Cork()
			for range frames {
				_ = a.conn.Send(text("x"))
			}
			a.conn.Uncork()
			for range frames {
				p.expect(opText, "x")
			}
			time.Sleep(2500 * time.Millisecond)
			a.conn.mu.Lock()
			kept := cap(a.conn.out.frames)
			a.conn.mu.Unlock()
			if kept > 0 {
				t.Errorf("after %d frames memory for %d is kept", frames, kept)
			}
		}
	})
}
