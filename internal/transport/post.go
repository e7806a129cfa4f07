package transport

import (
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// A body must arrive with that many bytes a second, after a grace time.
	// Source: MinRequestBodyDataRate of Kestrel.
	slowestBody = 240
	bodyGrace   = 5 * time.Second
)

// servePost takes what the client sends over SSE and long polling.
func (e *Endpoint) servePost(w http.ResponseWriter, r *http.Request, user any) {
	c := e.find(w, r, queryValue(r.URL.RawQuery, "id"), textPlain, user)
	if c == nil {
		return
	}
	if c.Transport() == WebSockets {
		answer(w, r, http.StatusMethodNotAllowed, textPlain, "POST requests are not allowed for WebSocket connections.")
		return
	}
	if !e.sameUser(c, user) {
		answer(w, r, http.StatusForbidden, textPlain, anotherUser)
		return
	}
	c.mu.Lock()
	gone, preStart := c.link.gone(), c.app == appNone
	c.mu.Unlock()
	if preStart && !gone { // the transport's first request must come before
		answer(w, r, http.StatusBadRequest, noType, "")
		return
	}
	rc := http.NewResponseController(w)
	status := http.StatusNotFound
	switch {
	case gone:
	case r.ContentLength > e.opts.MaximumPostSize:
		status = http.StatusBadRequest
	default:
		status = c.post(rc, r)
	}
	if status != http.StatusOK {
		boundDrain(rc, r)
	}
	if status == http.StatusTooManyRequests {
		answer(w, r, status, textPlain, tooManyPosts)
		return
	}
	if status == clientGone && dropClient(rc) {
		return
	}
	if status == http.StatusNotFound || status == http.StatusOK {
		answer(w, r, status, textPlain, "")
		return
	}
	status = http.StatusBadRequest
	w.Header().Set("Connection", "close")
	answer(w, r, status, textPlain, "")
	_ = rc.SetReadDeadline(time.Unix(1, 0)) // the rest of the body is not read
}

// clientGone is in place of the status of a POST whose sender went away inside
// the body: its TCP connection is ended without an answer.
const clientGone = -1

func dropClient(rc *http.ResponseController) bool {
	conn, _, err := rc.Hijack()
	if err != nil {
		return false // HTTP/2: the stream is gone already
	}
	_ = conn.Close() // no client is left to answer
	return true
}

const tooManyPosts = "Too many requests of this connection wait for their turn."

// post gives the body of r to the App, in steps, when it is its turn. It returns
// the status to answer.
func (c *Conn) post(rc *http.ResponseController, r *http.Request) int {
	c.mu.Lock()
	h := c.http
	if h.posting == nil {
		h.posting = make(chan struct{}, 1)
	}
	posting := h.posting
	if h.posts >= c.endpoint.opts.MaximumWaitingPosts {
		c.mu.Unlock()
		return http.StatusTooManyRequests
	}
	h.posts++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		h.posts--
		c.mu.Unlock()
	}()
	b := takeBuffer(&rawPool, rawBuffer)
	defer rawPool.Put(b)
	body := &postBody{rc: rc, body: r.Body}
	n, err := 0, error(nil)
	select {
	case posting <- struct{}{}:
	default: // another POST is not over yet; both may wait for long
		// net/http notices that a client has left only when it has read the body.
		for err == nil && n < len(b.bytes) {
			var more int
			more, err = body.read(b.bytes[n:])
			n += more
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return failedBody(err)
		}
		select {
		case posting <- struct{}{}:
		case <-r.Context().Done():
			return clientGone
		case <-c.Done():
			if c.isGone() {
				return http.StatusNotFound
			}
			posting <- struct{}{} // the App has ended: it does not hold POSTs up any more
		}
	}
	defer func() { <-posting }()
	return c.copyBody(body, b.bytes, n, err)
}

// A postBody is read at the pace that a client must keep.
type postBody struct {
	rc      *http.ResponseController
	body    io.Reader
	size    int64         // read so far
	waiting time.Duration // for the client
}

func (b *postBody) read(buf []byte) (int, error) {
	allowed := bodyGrace + time.Duration(b.size)*time.Second/slowestBody
	before := time.Now()
	_ = b.rc.SetReadDeadline(before.Add(allowed - b.waiting)) // unsupported only in tests
	n, err := b.body.Read(buf)
	b.waiting += time.Since(before)
	b.size += int64(n)
	_ = b.rc.SetReadDeadline(time.Time{})
	return n, err
}

// failedBody is the status for a body that could not be read.
func failedBody(err error) int {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return clientGone
	}
	return http.StatusBadRequest
}

// copyBody gives body to the App: the n bytes of buf that have been read, with
// err after them, and the rest.
func (c *Conn) copyBody(body *postBody, buf []byte, n int, err error) int {
	for {
		if n == 0 && err == nil {
			n, err = body.read(buf)
		}
		if body.size > c.endpoint.opts.MaximumPostSize {
			return http.StatusBadRequest
		}
		if n > 0 && !c.give(buf[:n]) {
			return http.StatusNotFound
		}
		n = 0
		if errors.Is(err, io.EOF) {
			return http.StatusOK // also if what the App was given made it end the connection
		}
		if err != nil {
			return failedBody(err)
		}
	}
}

// give gives p to the App. It waits while that is being started or cannot take
// more, and reports false if the connection has ended before it took p.
func (c *Conn) give(p []byte) bool {
	for {
		c.mu.Lock()
		switch {
		case c.link.gone(), c.end.Load() != nil && !c.app.over():
			c.mu.Unlock()
			return false
		case c.app.over(): // the App takes no more
			c.mu.Unlock()
			return true
		case c.app.live():
			c.mu.Unlock()
			taken := true
			if len(p) > 0 {
				c.tell(func() { taken = c.handler.Receive(p, false) })
			}
			return taken
		}
		started := c.awaitStartLocked()
		c.mu.Unlock()
		<-started // closed at the end, too
	}
}

func (c *Conn) isGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link.gone()
}
