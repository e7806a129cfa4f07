package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestFramesOfEverySizeArriveInOrder(t *testing.T) {
	n := serve(t, defaults(), nil)
	p := n.upgrade("/hub")
	a := n.app()
	sizes := []int{0, 1, 125, 126, 127, 65535, 65536, 100, joinLimit - 2, joinLimit, 70_000, 3, 1_000_000, 5}
	for _, size := range sizes { // more than the system takes at once: nobody reads yet
		if err := a.conn.Send(text(strings.Repeat("x", size))); err != nil {
			t.Fatalf("Send of %d bytes = %v", size, err)
		}
	}
	for _, size := range sizes {
		if first, got := p.frame(); first != opText || len(got) != size {
			t.Fatalf("frame %#x of %d bytes, want text of %d", first, len(got), size)
		}
	}
}

func TestConcurrentSendersKeepTheirOrder(t *testing.T) {
	const senders, messages = 8, 500
	opts := defaults()
	opts.MaximumQueuedBytes = 64 << 20
	n := serve(t, opts, nil)
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
	_ = p.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	a.conn.Uncork()
	for i := range 10 {
		p.expect(opText, fmt.Sprint(i))
	}
	if p.r.Buffered() > 0 {
		t.Error("more came than was sent")
	}
}

func TestClientThatNeverReadsIsTooSlow(t *testing.T) {
	opts := defaults()
	opts.MaximumQueuedBytes = 1 << 20
	n := serve(t, opts, nil)
	n.upgrade("/hub") // never reads
	slow := n.app()
	other := n.upgrade("/hub")
	fast := n.app()
	frame := text(strings.Repeat("x", 1000))
	var err error
	sent := 0
	for ; err == nil && sent < 100_000; sent++ {
		err = slow.conn.Send(frame)
		if ferr := fast.conn.Send(frame); ferr != nil {
			t.Fatalf("Send to the other client = %v", ferr)
		}
		if _, payload := other.frame(); len(payload) != 1000 {
			t.Fatalf("the other client gets %d bytes", len(payload))
		}
	}
	if !errors.Is(err, ErrTooSlow) {
		t.Fatalf("Send to the client that does not read = %v after %d messages, want ErrTooSlow", err, sent)
	}
	if !slow.conn.WouldWait() {
		t.Error("WouldWait() = false with a full queue")
	}
	if err := slow.conn.SendLast(frame); err != nil {
		t.Errorf("SendLast = %v: the farewell has room", err)
	}
	slow.conn.Abort(ErrTooSlow)
	if err := slow.end(t); err != ErrTooSlow {
		t.Errorf("cause = %v, want ErrTooSlow", err)
	}
	if err := slow.conn.Send(frame); err != ErrClosed {
		t.Errorf("Send after the end = %v, want ErrClosed", err)
	}
}

func TestSendWaitWaitsForTheClient(t *testing.T) {
	opts := defaults()
	opts.TransportMaxBufferSize = 10_000
	opts.MaximumQueuedBytes = 100 << 20
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
	eventually(t, "the sender waits", func() bool { return waits(a.conn) })
	a.conn.mu.Lock()
	queued := a.conn.queued
	a.conn.mu.Unlock()
	if queued > 12_000+joinRoom {
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

func waits(c *Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.room != nil
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
	eventually(t, "the sender waits", func() bool { return waits(a.conn) })
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Errorf("SendWait after cancel = %v", err)
	}
	for range 2 {
		go func() { ended <- a.conn.SendWait(t.Context(), text("y")) }()
	}
	eventually(t, "the senders wait", func() bool { return waits(a.conn) })
	checkPoll(t, "poll", n.do("GET", url, ""), 200, octetStream, "0123456789")
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("SendWait after the poll = %v", err)
		}
	}
	_ = a.conn.Send(text("0123456789"))
	go func() { ended <- a.conn.SendWait(t.Context(), text("z")) }()
	eventually(t, "the sender waits", func() bool { return waits(a.conn) })
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

func TestFinishSendsWhatIsQueuedAndCloses(t *testing.T) {
	for code, finish := range map[string]func(*Conn){`1000 ""`: (*Conn).Finish, `1011 ""`: (*Conn).FinishError} {
		n := serve(t, defaults(), nil)
		p := n.upgrade("/hub")
		a := n.app()
		a.conn.Cork()
		_ = a.conn.Send(text("one"))
		_ = a.conn.Send(text(strings.Repeat("x", 3_000_000))) // more than the system takes
		finish(a.conn)
		finish(a.conn)
		a.conn.Finish()
		p.expect(opText, "one")
		if _, payload := p.frame(); len(payload) != 3_000_000 {
			t.Errorf("%d bytes arrive, want all that was queued", len(payload))
		}
		p.expect(opClose, code)
		p.send(opText, "discarded")
		p.send(opPing, "unanswered")
		p.send(opClose, "\x03\xe8")
		p.expectEnd()
		eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
		if a.hasEnded() || a.got() != "" {
			t.Errorf("after Finish: Ended %v, received %q; want neither", a.hasEnded(), a.got())
		}
		select {
		case <-a.conn.Done():
		default:
			t.Error("Done is not closed after Finish")
		}
	}
}

func TestSilentClientAfterAppEndIsCut(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		p := n.upgrade("/hub")
		a := n.app()
		a.conn.Finish()
		p.expect(opClose, `1000 ""`)
		start := time.Now()
		p.expectEnd()
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("cut after %v, want CloseTimeout, 5 s", took)
		}
		synctest.Wait()
		if n.connections() != 0 {
			t.Error("the connection is not forgotten")
		}
	})
}

func TestCloseTimeoutResets(t *testing.T) {
	opts := defaults()
	opts.CloseTimeout = 50 * time.Millisecond
	n := serve(t, opts, nil)
	p := n.upgrade("/hub")
	n.app().conn.Finish()
	p.expect(opClose, `1000 ""`)
	if _, err := io.ReadAll(p.r); err == nil {
		t.Error("the client sees FIN, want RST as from ASP.NET Core")
	}
}

func TestSendTimeoutClosesWebSocket(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		n.upgrade("/hub") // never reads
		a := n.app()
		_ = a.conn.Send(text("x"))
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if a.hasEnded() {
			t.Fatal("ended before the send timeout")
		}
		time.Sleep(2 * time.Second)
		if err := a.end(t); err != ErrSendTimeout {
			t.Errorf("cause = %v, want ErrSendTimeout", err)
		}
		synctest.Wait()
		if n.connections() != 0 {
			t.Error("the connection is not forgotten")
		}
	})
}

func TestSendTimeoutOfARealSocket(t *testing.T) {
	opts := defaults()
	opts.TransportSendTimeout = 50 * time.Millisecond
	n := serve(t, opts, nil)
	p := n.upgrade("/hub")
	a := n.app()
	_ = a.conn.Send(text(strings.Repeat("x", 20_000_000)))
	if err := a.end(t); err != ErrSendTimeout {
		t.Errorf("cause = %v, want ErrSendTimeout", err)
	}
	if _, err := io.Copy(io.Discard, p.r); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the client sees %v, want the end", err)
	}
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
}

func TestCloseFrameOvertakesTheQueueButNoFrame(t *testing.T) {
	n := serve(t, defaults(), nil)
	p := n.upgrade("/hub")
	a := n.app()
	big := strings.Repeat("x", 30_000_000) // more than the system takes ahead
	_ = a.conn.Send(text(big))
	eventually(t, "its writing has begun", func() bool {
		a.conn.mu.Lock()
		defer a.conn.mu.Unlock()
		return a.conn.head == len(a.conn.queue) && a.conn.socket.writing
	})
	a.conn.mu.Lock()
	a.conn.appendLocked(text("never sent"))
	a.conn.mu.Unlock()
	p.send(opClose, "\x03\xe8")
	if err := a.end(t); err != nil {
		t.Errorf("cause = %v, want nil", err)
	}
	if _, payload := p.frame(); payload != big {
		t.Errorf("%d bytes arrive, want the whole frame", len(payload))
	}
	p.expect(opClose, `1000 ""`)
	p.expectEnd()
}

func TestLossOfTheClient(t *testing.T) {
	n := serve(t, defaults(), nil)
	ways := map[string]func(*net.TCPConn){
		"FIN":   func(c *net.TCPConn) { _ = c.CloseWrite() },
		"close": func(c *net.TCPConn) { _ = c.Close() },
		"RST":   func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
		"mid-frame": func(c *net.TCPConn) {
			_, _ = io.WriteString(c, clientFrame(opText, "whole")[:8])
			_ = c.Close()
		},
	}
	for name, way := range ways {
		p := n.upgrade("/hub")
		way(p.conn.(*net.TCPConn))
		if err := n.app().end(t); !errors.Is(err, ErrLost) {
			t.Errorf("%s: cause = %v, want ErrLost", name, err)
		}
	}
	eventually(t, "all are forgotten", func() bool { return n.connections() == 0 })
}

func TestAbortCutsTheSocket(t *testing.T) {
	n := serve(t, defaults(), nil)
	p := n.upgrade("/hub")
	a := n.app()
	cause := errors.New("because")
	a.conn.Cork()
	_ = a.conn.Send(text("never sent"))
	a.conn.Abort(cause)
	a.conn.Abort(errors.New("second"))
	if err := a.end(t); err != cause {
		t.Errorf("cause = %v, want that of Abort", err)
	}
	if _, _, err := p.tryFrame(); err == nil {
		t.Error("a frame came after Abort")
	}
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
}

func TestAbortDuringReceive(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) {
		a.receive = func(p []byte, _ bool) bool {
			if string(p) == "abort" {
				a.conn.Abort(ErrTooSlow)
			}
			return true
		}
	})
	p := n.upgrade("/hub")
	p.write(clientFrame(opText, "abort") + clientFrame(opText, "unheard"))
	a := n.app()
	if err := a.end(t); err != ErrTooSlow {
		t.Errorf("cause = %v", err)
	}
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
	if got := a.got(); got != "abort" {
		t.Errorf("received %q, want nothing after Abort", got)
	}
}

func TestSubProtocolSelectorUsed(t *testing.T) {
	opts := defaults()
	opts.SubProtocol = func(offered []string) string {
		if len(offered) == 3 && offered[2] == "c" {
			return offered[1]
		}
		return ""
	}
	n := serve(t, opts, nil)
	p := n.dial()
	p.request("GET", "/hub", "", append(handshakeHeaders, "Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Protocol: c", "Sec-WebSocket-Extensions: permessage-deflate")...)
	r := p.response("GET")
	if got := r.header.Get("Sec-WebSocket-Protocol"); r.status != 101 || got != "b" {
		t.Errorf("upgrade = %v, want subprotocol b", r)
	}
	if r.header.Get("Sec-WebSocket-Extensions") != "" {
		t.Error("an extension was accepted")
	}
	p = n.dial()
	p.request("GET", "/hub", "", append(handshakeHeaders, "Sec-WebSocket-Protocol: x")...)
	if r := p.response("GET"); r.header["Sec-Websocket-Protocol"] != nil {
		t.Errorf("upgrade = %v, want no subprotocol", r)
	}
}
