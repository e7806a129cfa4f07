package transport

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var noCacheHeaders = map[string]string{"Cache-Control": "no-cache, no-store", "Pragma": "no-cache", "Expires": "Thu, 01 Jan 1970 00:00:00 GMT"}

// checkPoll compares an answer to a poll.
func checkPoll(t *testing.T, what string, r reply, status int, contentType, body string) {
	t.Helper()
	if r.status != status || r.body != body || r.header.Get("Content-Type") != contentType {
		t.Errorf("%s = %v, want %d %s %q", what, r, status, contentType, body)
	}
	for k, v := range noCacheHeaders {
		if got := r.header.Values(k); len(got) != 1 || got[0] != v {
			t.Errorf("%s: %s = %q, want %q", what, k, got, v)
		}
	}
}

const notFound = "No Connection with that ID"

func TestPollLife(t *testing.T) {
	n := serve(t, defaults(), nil)
	url := n.negotiate()
	checkPoll(t, "first poll", n.do("GET", url, ""), 200, octetStream, "")
	a := n.app()
	_ = a.conn.Send(text("one"))
	_ = a.conn.Send(text("two"))
	checkPoll(t, "poll with data ready", n.do("GET", url, ""), 200, octetStream, "onetwo")
	p := n.dial()
	p.request("GET", url, "")
	n.do("POST", url, "echo")
	checkPoll(t, "poll that waited", p.response("GET"), 200, octetStream, "echo")
	_ = a.conn.Send(text("last"))
	a.conn.Finish()
	checkPoll(t, "poll after the end with data queued", n.do("GET", url, ""), 200, octetStream, "last")
	checkPoll(t, "poll after the data", n.do("GET", url, ""), 204, textPlain, "")
	checkPoll(t, "poll after the 204", n.do("GET", url, ""), 404, textPlain, notFound)
	if n.connections() != 0 {
		t.Error("the connection is not forgotten")
	}
}

func TestAppEndGives204ToThePendingPoll(t *testing.T) {
	n := serve(t, defaults(), nil)
	url := n.negotiate()
	n.do("GET", url, "")
	a := n.app()
	p := n.pendingPoll(url, a)
	a.conn.Finish()
	checkPoll(t, "pending poll", p.response("GET"), 204, textPlain, "")
	checkPoll(t, "poll after the 204", n.do("GET", url, ""), 404, textPlain, notFound)
}

func TestFirstPollIsNever204(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) {
		a.onStart = func() {
			_ = a.conn.Send(text("early"))
			a.conn.Finish()
		}
	})
	url := n.negotiate()
	checkPoll(t, "first poll", n.do("GET", url, ""), 200, octetStream, "")
	checkPoll(t, "second poll", n.do("GET", url, ""), 200, octetStream, "early")
	checkPoll(t, "third poll", n.do("GET", url, ""), 204, textPlain, "")
}

func TestPollErrorIs500UntilTheTimeIsOver(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		url := n.negotiate()
		n.do("GET", url, "")
		a := n.app()
		_ = a.conn.Send(text("x"))
		a.conn.FinishError()
		for range 3 {
			checkPoll(t, "poll", n.do("GET", url, ""), 500, textPlain, "")
			time.Sleep(time.Second)
		}
		time.Sleep(14 * time.Second)
		checkPoll(t, "poll after the disconnect timeout", n.do("GET", url, ""), 404, textPlain, notFound)
	})
}

// pendingPoll sends a poll and returns when it waits.
func (n *node) pendingPoll(url string, a *echoApp) *peer {
	n.t.Helper()
	eventually(n.t, "the poll before has ended", func() bool { return linkOf(a.conn) == linkWaiting })
	p := n.dial()
	p.request("GET", url, "")
	eventually(n.t, "the poll waits", func() bool { return linkOf(a.conn) == linkServing })
	return p
}

func linkOf(c *Conn) linkState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link
}

func TestPollTimeoutIs200(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		url := n.negotiate()
		n.do("GET", url, "")
		start := time.Now()
		checkPoll(t, "poll", n.do("GET", url, ""), 200, textPlain, "")
		if took := time.Since(start); took != 90*time.Second {
			t.Errorf("the poll took %v, want 90s", took)
		}
		checkPoll(t, "next poll", n.do("GET", url, ""), 200, textPlain, "")
	})
}

func TestNewPollReplacesOld(t *testing.T) {
	n := serve(t, defaults(), nil)
	url := n.negotiate()
	n.do("GET", url, "")
	a := n.app()
	older := n.pendingPoll(url, a)
	newer := n.dial()
	newer.request("GET", url, "")
	checkPoll(t, "older poll", older.response("GET"), 204, textPlain, "")
	n.do("POST", url, "data")
	checkPoll(t, "newer poll", newer.response("GET"), 200, octetStream, "data")
	eventually(t, "the connection is inactive after the poll", func() bool { return linkOf(a.conn) == linkWaiting })
}

func TestRacingPollsOneWins(t *testing.T) {
	n := serve(t, defaults(), nil)
	url := n.negotiate()
	n.do("GET", url, "")
	a := n.app()
	eventually(t, "the first poll is over", func() bool { return linkOf(a.conn) == linkWaiting })
	const polls = 6
	answers := make(chan reply, polls)
	for range polls {
		p := n.dial()
		p.request("GET", url, "")
		go func() { answers <- p.response("GET") }()
	}
	got := map[int]int{}
	for range polls - 1 {
		r := <-answers
		got[r.status]++
		if r.body != "" || (r.status != 204 && r.status != 409) {
			t.Errorf("a poll that lost = %v, want 204 or 409", r)
		}
	}
	_ = a.conn.Send(text("data"))
	checkPoll(t, "the poll that won", <-answers, 200, octetStream, "data")
	if got[204] == 0 {
		t.Errorf("answers %v, want at least one 204", got)
	}
}

func TestNewestOfTheWaitingPollsWins(t *testing.T) {
	n := serve(t, defaults(), nil)
	url := n.negotiate()
	n.do("GET", url, "")
	a := n.app()
	eventually(t, "the first poll has ended", func() bool { return linkOf(a.conn) == linkWaiting })
	running := &poll{newer: make(chan struct{}), done: make(chan struct{})}
	a.conn.mu.Lock()
	a.conn.http.poll, a.conn.link = running, linkServing // it does not end until the test lets it
	a.conn.mu.Unlock()
	var waiting []*peer
	for range 3 {
		a.conn.mu.Lock()
		before := a.conn.http.lastPoll
		a.conn.mu.Unlock()
		p := n.dial()
		p.request("GET", url, "")
		waiting = append(waiting, p)
		eventually(t, "the poll waits", func() bool {
			a.conn.mu.Lock()
			defer a.conn.mu.Unlock()
			return a.conn.http.lastPoll != before
		})
	}
	a.conn.endPoll(running)
	for _, p := range waiting[:2] {
		checkPoll(t, "poll that came before the newest", p.response("GET"), 409, textPlain, "")
	}
	_ = a.conn.Send(text("data"))
	checkPoll(t, "newest poll", waiting[2].response("GET"), 200, octetStream, "data")
}

func TestFirstPollsAtOnce(t *testing.T) {
	n := serve(t, defaults(), nil)
	url := n.negotiate()
	answers := make(chan reply, 3)
	for range 3 {
		p := n.dial()
		p.request("GET", url, "")
		go func() { answers <- p.response("GET") }()
	}
	a := n.app()
	got := map[int]int{}
	for range 2 {
		got[(<-answers).status]++
	}
	if got[200] != 1 || got[204]+got[409] != 1 {
		t.Errorf("two polls were answered %v, want one 200 and one 204 or 409", got)
	}
	_ = a.conn.Send(text("data"))
	checkPoll(t, "the third", <-answers, 200, octetStream, "data")
	if a.starts != 1 {
		t.Errorf("the App was started %d times", a.starts)
	}
}

func TestClientThatHangsUpHas15SecondsToComeBack(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		url := n.negotiate()
		n.do("GET", url, "")
		a := n.app()
		for range 3 {
			p := n.dial()
			p.request("GET", url, "")
			time.Sleep(40 * time.Second) // an active connection has no timeout
			_ = p.conn.Close()
			time.Sleep(14 * time.Second)
		}
		n.do("POST", url, "a POST is no poll")
		if a.hasEnded() {
			t.Fatal("ended though the client came back in time")
		}
		time.Sleep(3 * time.Second)
		if err := a.end(t); err != ErrTimeout {
			t.Errorf("cause = %v, want ErrTimeout", err)
		}
		synctest.Wait()
		checkPoll(t, "poll after the timeout", n.do("GET", url, ""), 404, textPlain, notFound)
		if r := n.do("POST", url, "x"); r.status != 404 || r.body != notFound {
			t.Errorf("POST after the timeout = %v", r)
		}
	})
}

func TestDeleteEndsPendingPoll(t *testing.T) {
	n := serve(t, defaults(), nil)
	url := n.negotiate()
	n.do("GET", url, "")
	a := n.app()
	p := n.pendingPoll(url, a)
	r := n.do("DELETE", url, "")
	if r.status != 202 || r.body != "" || r.header.Get("Content-Type") != "text/plain" {
		t.Errorf("DELETE = %v, want an empty 202", r)
	}
	checkPoll(t, "pending poll", p.response("GET"), 204, textPlain, "")
	if err := a.end(t); err != nil {
		t.Errorf("cause = %v, want nil", err)
	}
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
	if r := n.do("DELETE", url, ""); r.status != 404 || r.body != notFound {
		t.Errorf("second DELETE = %v", r)
	}
}

func TestDeleteLetsTheAppSayFarewell(t *testing.T) {
	lingers := func(a *echoApp) { a.linger = true }
	inBubble(t, defaults(), lingers, func(t *testing.T, n *node) { // it has deleteGrace
		url := n.negotiate()
		n.do("GET", url, "")
		a := n.app()
		p := n.pendingPoll(url, a)
		n.do("DELETE", url, "")
		_ = a.end(t)
		if err := a.conn.SendLast(text("farewell")); err != nil {
			t.Errorf("SendLast = %v", err)
		}
		a.conn.Finish()
		checkPoll(t, "pending poll", p.response("GET"), 200, octetStream, "farewell")
		eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
	})
}

func TestDeleteBetweenPolls(t *testing.T) {
	n := serve(t, defaults(), nil)
	url := n.negotiate()
	n.do("GET", url, "")
	if r := n.do("DELETE", url, ""); r.status != 202 {
		t.Errorf("DELETE = %v", r)
	}
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
}

func TestDeleteWithHangingApp(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) { a.linger = true })
	url := n.negotiate()
	n.do("GET", url, "")
	a := n.app()
	p := n.pendingPoll(url, a)
	n.do("DELETE", url, "")
	checkPoll(t, "pending poll", p.response("GET"), 204, textPlain, "")
	checkPoll(t, "new poll", n.do("GET", url, ""), 404, textPlain, "")
	if r := n.do("POST", url, "x"); r.status != 404 || r.body != "" || r.header.Get("Content-Type") != "text/plain" {
		t.Errorf("POST = %v, want an empty 404", r)
	}
	if r := n.do("DELETE", url, ""); r.status != 202 || r.body != "" {
		t.Errorf("second DELETE = %v, want 202", r)
	}
	a.conn.Finish()
	checkPoll(t, "poll after the App's end", n.do("GET", url, ""), 404, textPlain, notFound)
}

func TestSendTimeoutClosesLongPolling(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		url := n.negotiate()
		n.do("GET", url, "")
		a := n.app()
		_ = a.conn.Send(text(strings.Repeat("x", 100_000)))
		p := n.dial()
		p.request("GET", url, "") // and reads nothing
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
		checkPoll(t, "next poll", n.do("GET", url, ""), 404, textPlain, notFound)
	})
}

func TestTheRequestOfTheFirstPollStays(t *testing.T) {
	type key struct{}
	n, mux := newNode(t, defaults(), nil)
	n.listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, r.Header.Get("X-Poll"))))
	}), func() []*Endpoint { return []*Endpoint{n.endpoint} })
	url := n.negotiate()
	n.do("GET", url+"&poll=1", "", "X-Poll: 1")
	p := n.dial()
	p.request("GET", url+"&poll=2", "", "X-Poll: 2")
	a := n.app()
	eventually(t, "the second poll waits", func() bool { return linkOf(a.conn) == linkServing })
	r := a.conn.Request()
	if r.Header.Get("X-Poll") != "1" || queryValue(r.URL.RawQuery, "poll") != "1" || r.Context().Value(key{}) != "1" {
		t.Errorf("Request() = %v, want the first poll's", r)
	}
	if r.Context().Err() != nil || r.Context().Done() != nil {
		t.Error("the context of the first poll has ended")
	}
	if _, err := r.Body.Read(make([]byte, 1)); err == nil {
		t.Error("the body can be read")
	}
}

// Middleware that compresses takes a flush for the beginning of a body.
func TestTheEmptyAnswerToTheFirstPollIsNotFlushed(t *testing.T) {
	n := serve(t, defaults(), nil)
	w := httptest.NewRecorder()
	n.endpoint.ServeHTTP(w, httptest.NewRequest("GET", n.negotiate(), nil))
	if w.Code != 200 || w.Body.Len() > 0 || w.Flushed {
		t.Errorf("first poll: %d, %q, flushed %v; want an empty 200 that is not flushed", w.Code, w.Body, w.Flushed)
	}
}
